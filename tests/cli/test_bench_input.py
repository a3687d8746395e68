"""What the bench is given: what it takes, what it assumes, and what it refuses in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest

from csfle_fast.cli.bench_input import BenchInput, read_input
from csfle_fast.cli.row_files import RowFileError
from csfle_fast.errors import ConfigError, SchemaError

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Customer",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": ["null", "string"], "confluent:tags": ["PII", "GDPR"]},
    ],
}
VALUE = "ada@example.org"


def rule(**changes: Any) -> dict[str, Any]:
    params = {
        "encrypt.kek.name": "customers",
        "encrypt.kms.type": "aws-kms",
        "encrypt.kms.key.id": "arn:aws:kms:eu-west-1:1:key/1",
        "encrypt.dek.algorithm": "AES128_GCM",
        "encrypt.dek.expiry.days": "30",
        "secret.access.key": "never-to-be-seen",
    }
    whole = {"name": "r", "kind": "TRANSFORM", "type": "ENCRYPT", "mode": "WRITEREAD", "tags": ["PII"]}
    return whole | {"params": params} | changes


def with_metadata(**metadata: Any) -> dict[str, Any]:
    return {"schema": json.dumps(SCHEMA), "metadata": metadata}


class Files:
    """A folder of inputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_text(
            content if isinstance(content, str) else json.dumps(content), "utf-8", "surrogateescape"
        )
        return path

    def read(self, schema: Any = SCHEMA, rules: Any = None, rows: Any = None, count: int = 4) -> BenchInput:
        lines = None if rows is None else str(self.put("rows.jsonl", rows))
        given = None if rules is None else self.put("ruleset.json", rules)
        return read_input(self.put("schema.avsc", schema), given, lines, count)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_without_rules_one_for_all_tags_is_assumed(files: Files) -> None:
    found = files.read()
    (assumed,) = found.payload["ruleSet"]["domainRules"]
    assert assumed["tags"] == ["GDPR", "PII"]
    assert assumed["params"]["encrypt.kms.type"] == "local-kms"
    assert found.name == "Customer"
    assert found.notes == (
        "no rules given: one ENCRYPT rule with AES256_GCM for GDPR, PII is assumed",
        "no rows given: 4 were made from the schema",
    )
    assert len(found.rows) == 4
    assert "metadata" not in found.payload


def test_keks_are_put_on_the_local_kms_and_nothing_else_is_kept(files: Files) -> None:
    found = files.read(rules={"domainRules": [rule()], "encodingRules": [rule(type="ENCRYPT_PAYLOAD")]})
    for place in ("domainRules", "encodingRules"):
        assert found.payload["ruleSet"][place][0]["params"] == {
            "encrypt.kek.name": "customers",
            "encrypt.dek.algorithm": "AES128_GCM",
            "encrypt.dek.expiry.days": "30",
            "encrypt.kms.type": "local-kms",
            "encrypt.kms.key.id": "bench",
        }
    assert found.notes[0] == "rule r: the KEK is put on local-kms in place of aws-kms; no KMS is called"
    assert "never-to-be-seen" not in repr(found)


def test_a_rule_of_one_way_runs_both_ways_and_that_is_said(files: Files) -> None:
    found = files.read(rules={"domainRules": [rule(mode="WRITE")]})
    assert found.payload["ruleSet"]["domainRules"][0]["mode"] == "WRITEREAD"
    assert "rule r: runs both ways, though its mode is WRITE" in found.notes


def test_rules_of_others_and_local_ones_are_left_without_a_word(files: Files) -> None:
    cel = {"name": "c", "kind": "CONDITION", "type": "CEL", "mode": "WRITE", "expr": "true"}
    local = rule(params={"encrypt.kek.name": "k", "encrypt.kms.type": "local-kms"})
    found = files.read(rules={"domainRules": [cel, local]}, rows='{"id": 1}\n' * 4)
    assert found.payload["ruleSet"]["domainRules"][0] == cel
    assert found.notes == ()


def test_what_is_registered_may_be_one_object(files: Files) -> None:
    metadata = {"tags": {"shop.Customer.id": ["NUMBER"]}}
    rules = {"domainRules": [rule()]}
    registered = {"schema": json.dumps(SCHEMA), "ruleSet": rules, "metadata": metadata, "version": 3}
    found = files.read(registered)
    assert found.payload["metadata"] == metadata
    assert found.payload["ruleSet"]["domainRules"][0]["name"] == "r"
    assert set(found.payload) == {"schemaType", "schema", "ruleSet", "metadata"}
    # The rules beside it win.
    found = files.read(registered, {"ruleSet": {"domainRules": [rule(name="other")]}})
    assert found.payload["ruleSet"]["domainRules"][0]["name"] == "other"


def test_tags_of_the_metadata_count(files: Files) -> None:
    plain = SCHEMA | {"fields": [{"name": "email", "type": "string"}]}
    found = files.read({"schema": json.dumps(plain), "metadata": {"tags": {"**.email": ["PII"]}}})
    assert found.payload["ruleSet"]["domainRules"][0]["tags"] == ["PII"]


def test_fewer_rows_repeat_and_tombstones_are_left_out(files: Files) -> None:
    found = files.read(rows='{"id": 1, "email": "a"}\nnull\n{"id": 2}\n', count=5)
    assert [row["id"] for row in found.rows] == [1, 2, 1, 2, 1]
    assert found.notes[-1].endswith("rows.jsonl has 2 rows, which repeat")
    found = files.read(rows='{"id": 1}\n{"id": 2}\n' + "never read", count=2)
    assert [row["id"] for row in found.rows] == [1, 2]


def test_rows_of_a_container_are_read(files: Files) -> None:
    path = files.folder / "rows.avro"
    with path.open("wb") as stream:
        fastavro.writer(stream, fastavro.parse_schema(SCHEMA), [{"id": 7, "email": VALUE}])
    found = read_input(files.put("schema.avsc", SCHEMA), None, str(path), 2)
    assert [row["id"] for row in found.rows] == [7, 7]


REFUSED: dict[str, tuple[Callable[[Files], object], str]] = {
    "no schema": (lambda f: read_input(f.folder / "none.avsc", None, None, 1), "none.avsc: No such file"),
    "a folder": (lambda f: read_input(f.folder, None, None, 1), "Is a directory"),
    "no JSON": (lambda f: f.read("{"), "schema.avsc: it is not JSON"),
    "no text": (lambda f: f.read("\udcff"), "schema.avsc: it is not JSON"),
    "JSON without end": (lambda f: f.read("[" * 100_000), "schema.avsc: it is not JSON"),
    "a list": (lambda f: f.read([SCHEMA]), "schema.avsc: a JSON object is wanted"),
    "references": (
        lambda f: f.read({"schema": json.dumps(SCHEMA), "references": [{"name": "A"}]}),
        "all references written out",
    ),
    "a schema that is no text": (lambda f: f.read({"schema": SCHEMA}), "must be one text"),
    "half a character": (lambda f: f.read(SCHEMA | {"doc": "\ud800"}), "schema.avsc: it is not JSON"),
    "metadata": (lambda f: f.read({"schema": json.dumps(SCHEMA), "metadata": 1}), "metadata must be"),
    "metadata of lists": (lambda f: f.read(with_metadata(tags=["PII"])), "metadata must be"),
    "tags of one text": (lambda f: f.read(with_metadata(tags={"**.id": "PII"})), "metadata must be"),
    "tags of numbers": (lambda f: f.read(with_metadata(tags={"**.id": [1]})), "metadata must be"),
    "properties of numbers": (lambda f: f.read(with_metadata(properties={"owner": 1})), "metadata must be"),
    "a name of objects": (
        lambda f: f.read(rules={"domainRules": [rule(name={"a": 1})]}),
        "confluent-kafka's client cannot use the rule set (TypeError)",
    ),
    "an enum": (lambda f: f.read({"type": "enum", "name": "E", "symbols": ["A"]}), "a record is wanted"),
    "no tags": (lambda f: f.read(SCHEMA | {"fields": []}), "no field has a tag"),
    "rules of a list": (lambda f: f.read(rules=[rule()]), "ruleset.json: a JSON object is wanted"),
    "rules of nothing": (lambda f: f.read(rules={}), "neither domainRules nor encodingRules"),
    "a rule set of text": (lambda f: f.read(rules={"ruleSet": "all"}), "a rule set is an object"),
    "one rule": (lambda f: f.read(rules={"domainRules": rule()}), "domainRules must be a list"),
    "a rule of text": (lambda f: f.read(rules={"domainRules": ["all"]}), "domainRules must be a list"),
    "params": (lambda f: f.read(rules={"domainRules": [rule(params=["k"])]}), "params must be"),
    "params of numbers": (lambda f: f.read(rules={"domainRules": [rule(params={"k": 1})]}), "params must be"),
    "no rows": (lambda f: f.read(rows="\nnull\n"), "rows.jsonl: it has no rows"),
    "rows that are not there": (
        lambda f: read_input(f.put("s.avsc", SCHEMA), None, str(f.folder / "none.jsonl"), 1),
        "none.jsonl: No such file",
    ),
    "rows of no format": (
        lambda f: read_input(f.put("s.avsc", SCHEMA), None, str(f.put("rows.csv", "")), 1),
        "tells no format",
    ),
}


@pytest.mark.parametrize(("do", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_serve_is_refused(do: Callable[[Files], object], reason: str, files: Files) -> None:
    with pytest.raises(ConfigError) as refused:
        do(files)
    assert reason in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_what_is_no_avro_is_refused(files: Files) -> None:
    with pytest.raises(SchemaError):
        files.read({"type": "record", "name": "R"})


def test_a_row_that_does_not_fit_is_named_without_its_value(files: Files) -> None:
    with pytest.raises(RowFileError, match=r"line 2: field id: a whole number") as refused:
        files.read(rows=json.dumps({"id": 1}) + "\n" + json.dumps({"id": VALUE}) + "\n")
    assert VALUE not in str(refused.value)


def test_a_row_that_fastavro_cannot_write_is_named_without_its_value(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_stream: object, _schema: object, row: dict[str, Any]) -> None:
        if row["id"] == 2:
            raise ValueError(VALUE)

    monkeypatch.setattr(fastavro, "schemaless_writer", refuse)
    with pytest.raises(ConfigError, match=r"cannot write row 2 \(ValueError\)") as refused:
        files.read(rows='{"id": 1}\n{"id": 2}\n', count=2)
    assert VALUE not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_schema_that_fastavro_does_not_take_is_refused(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> None:
        raise KeyError(VALUE)

    monkeypatch.setattr("csfle_fast.cli.bench_input.JsonRows", refuse)
    with pytest.raises(ConfigError, match=r"fastavro cannot use the schema \(KeyError\)"):
        files.read()
