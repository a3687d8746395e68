from __future__ import annotations

import json
from typing import Any

import pytest

from csfle_fast.dev.models import ConfigUpdate
from csfle_fast.dev.schemas import SchemaStore
from dev.refused import refused
from dev.samples import SCHEMA, payload, rule


def record(name: str, **field: Any) -> str:
    fields = [{"name": "f", "type": "string", **field}]
    return json.dumps({"type": "record", "name": name, "namespace": "x", "fields": fields})


@pytest.fixture
def store() -> SchemaStore:
    return SchemaStore()


def test_versions_and_ids_count_from_one(store: SchemaStore) -> None:
    first = store.register("s", payload())
    second = store.register("s", payload(schema=record("B")))
    assert (first.version, first.id, second.version, second.id) == (1, 1, 2, 2)
    assert store.version("s") == second
    assert store.version("s", 1) == first
    assert [v.version for v in store.versions("s")] == [1, 2]


def test_the_same_content_again_is_the_same_version(store: SchemaStore) -> None:
    first = store.register("s", payload())
    spaced = json.dumps(json.loads(SCHEMA), indent=3)
    assert store.register("s", payload(schema=spaced)) == first
    assert store.register("s", payload(references=None)) == first


@pytest.mark.parametrize(
    "change", [{"ruleSet": {"domainRules": [rule(name="other")]}}, {"metadata": {"properties": {"a": "b"}}}]
)
def test_a_new_rule_set_or_metadata_is_a_new_version_and_a_new_id(
    store: SchemaStore, change: dict[str, Any]
) -> None:
    first = store.register("s", payload())
    second = store.register("s", payload(**change))
    assert (second.version, second.id) == (2, 2)
    assert second.guid != first.guid
    assert store.by_id(1).payload.rule_set == first.payload.rule_set


def test_what_is_left_out_comes_from_the_version_before(store: SchemaStore) -> None:
    first = store.register("s", payload())
    bare = store.register("s", {"schema": record("B")})
    assert bare.payload.rule_set == first.payload.rule_set
    assert bare.payload.metadata == first.payload.metadata
    rules_only = store.register("s", {"ruleSet": {"domainRules": [rule(name="only")]}})
    assert rules_only.payload.schema_text == bare.payload.schema_text
    cleared = store.register("s", {"schema": record("B"), "ruleSet": {}, "metadata": {}})
    assert (cleared.payload.rule_set, cleared.payload.metadata) == (None, None)


def test_an_empty_schema_with_nothing_before_it_is_refused(store: SchemaStore) -> None:
    assert refused(lambda: store.register("s", {"schema": ""})) == (422, 42201)
    assert store.subjects() == []


def test_configured_defaults_and_overrides_are_merged_in() -> None:
    config = ConfigUpdate.model_validate(
        {
            "defaultMetadata": {"properties": {"a": "default", "b": "default"}},
            "overrideMetadata": {"properties": {"c": "override"}},
            "overrideRuleSet": {"domainRules": [rule(name="forced")]},
        }
    )
    store = SchemaStore(lambda subject: config)
    sent = {"schema": SCHEMA, "metadata": {"properties": {"a": "own", "c": "own"}}}
    added = store.register("s", sent)
    assert added.payload.metadata is not None
    assert added.payload.metadata.properties == {"a": "own", "b": "default", "c": "override"}
    assert added.payload.rule_set is not None
    assert [r.name for r in added.payload.rule_set.domain_rules or []] == ["forced"]
    assert store.register("s", sent) == added


def test_one_content_has_one_id_in_all_subjects_of_a_context(store: SchemaStore) -> None:
    one = store.register("a", payload())
    store.register("b", payload(schema=record("B")))
    assert store.register("b", payload()).id == one.id
    assert [(v.subject, v.version) for v in store.with_id(one.id)] == [("a", 1), ("b", 2)]
    assert store.by_guid(one.guid.upper()).guid == one.guid


def test_contexts_have_their_own_subjects_and_ids(store: SchemaStore) -> None:
    store.register("s", payload())
    other = store.register(":.ctx:s", payload(schema=record("B")))
    assert (other.id, other.subject) == (1, ":.ctx:s")
    assert store.contexts() == [".", ".ctx"]
    assert store.by_id(1, ".ctx") == other
    assert store.by_id(1).subject == "s"
    assert store.subjects() == [":.ctx:s", "s"]
    assert store.subjects("s") == ["s"]
    assert store.subjects(":.ctx:") == [":.ctx:s"]
    assert store.subjects(":*:s") == [":.ctx:s", "s"]
    assert store.subjects(":*:x") == []


def test_a_chosen_id_is_used_and_counted_on_from(store: SchemaStore) -> None:
    assert store.register("s", payload(), schema_id=7).id == 7
    assert store.register("s", payload(schema=record("B"))).id == 8
    assert store.register("t", payload(schema=record("C")), schema_id=3, version=5).version == 5
    assert store.max_id() == 8
    assert refused(lambda: store.register("s", payload(schema=record("D")), schema_id=7)) == (422, 42207)
    assert refused(lambda: store.register("t", payload(schema=record("D")), schema_id=9, version=5)) == (
        422,
        42207,
    )
    assert store.max_id() == 8


def test_normalize_ignores_the_order_of_attributes(store: SchemaStore) -> None:
    turned = json.dumps(dict(reversed(json.loads(SCHEMA).items())))
    first = store.register("s", payload(), normalize=True)
    assert store.register("s", payload(schema=turned), normalize=True) == first
    assert store.lookup("s", payload(schema=turned), normalize=True) == first
    assert store.register("s", payload(schema=turned)) != first


def test_look_up_wants_the_whole_content(store: SchemaStore) -> None:
    first = store.register("s", payload())
    assert store.lookup("s", payload()) == first
    assert refused(lambda: store.lookup("s", {"schema": SCHEMA})) == (404, 40403)
    assert refused(lambda: store.lookup("none", payload())) == (404, 40401)


def test_latest_with_metadata(store: SchemaStore) -> None:
    store.register("s", payload(metadata={"properties": {"major": "1"}}))
    newer = store.register("s", payload(metadata={"properties": {"major": "1", "x": "y"}}))
    store.register("s", payload(metadata={"properties": {"major": "2"}}))
    assert store.latest_with_metadata("s", {"major": "1"}) == newer
    assert refused(lambda: store.latest_with_metadata("s", {"major": "3"})) == (404, 40402)


def test_unknown_things(store: SchemaStore) -> None:
    assert refused(lambda: store.version("s")) == (404, 40401)
    assert refused(lambda: store.versions("s")) == (404, 40401)
    store.register("s", payload())
    assert refused(lambda: store.version("s", 2)) == (404, 40402)
    assert refused(lambda: store.by_id(2)) == (404, 40403)
    assert refused(lambda: store.with_id(2)) == (404, 40403)
    assert refused(lambda: store.by_guid("0")) == (404, 40403)


@pytest.mark.parametrize(
    ("change", "error_code"),
    [
        ({"schema": '{"type":"nope"}'}, 42201),
        ({"schema": "{"}, 42201),
        ({"schemaType": "PROTOBUF"}, 42201),
        ({"references": [{"name": "n", "subject": "gone", "version": 1}]}, 42201),
        ({"ruleSet": {"domainRules": [rule(name="")]}}, 42210),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    store: SchemaStore, change: dict[str, Any], error_code: int
) -> None:
    assert refused(lambda: store.register("s", payload(**change))) == (422, error_code)
    assert store.subjects() == []
    assert store.max_id() == 0


def test_references_are_resolved_and_protected(store: SchemaStore) -> None:
    store.register("inner", {"schema": record("I")})
    outer = {
        "schema": record("O", type="x.I"),
        "references": [{"name": "x.I", "subject": "inner", "version": 1}],
    }
    added = store.register("outer", outer)
    assert store.referenced_by("inner") == [added.id]
    assert store.referenced_by("outer") == []
    assert refused(lambda: store.delete_version("inner", 1)) == (422, 42206)
    assert refused(lambda: store.delete_subject("inner")) == (422, 42206)
    store.delete_subject("outer")
    assert store.delete_subject("inner") == [1]


def test_deleting_a_version(store: SchemaStore) -> None:
    store.register("s", payload())
    second = store.register("s", payload(schema=record("B")))
    assert refused(lambda: store.delete_version("s", 2, permanent=True)) == (404, 40407)
    assert store.delete_version("s", -1) == 2
    assert store.version("s").version == 1
    assert refused(lambda: store.version("s", 2)) == (404, 40402)
    assert store.version("s", 2, deleted=True).deleted
    assert refused(lambda: store.delete_version("s", 2)) == (404, 40406)
    assert store.by_id(second.id).payload == second.payload
    again = store.register("s", payload(schema=record("B")))
    assert (again.version, again.id) == (3, second.id)
    assert store.delete_version("s", 2, permanent=True) == 2
    assert [v.version for v in store.versions("s", deleted=True)] == [1, 3]


def test_deleting_a_subject(store: SchemaStore) -> None:
    store.register("s", payload())
    store.register("s", payload(schema=record("B")))
    assert refused(lambda: store.delete_subject("s", permanent=True)) == (404, 40405)
    assert store.delete_subject("s") == [1, 2]
    assert store.subjects() == []
    assert store.subjects(deleted=True) == store.subjects(deleted_only=True) == ["s"]
    assert refused(lambda: store.version("s", 1)) == (404, 40401)
    assert refused(lambda: store.delete_subject("s")) == (404, 40404)
    assert store.delete_subject("s", permanent=True) == [1, 2]
    assert store.subjects(deleted=True) == []
    assert refused(lambda: store.delete_subject("s")) == (404, 40401)
    assert refused(lambda: store.by_id(1)) == (404, 40403)
    assert store.register("s", payload()).version == 1
