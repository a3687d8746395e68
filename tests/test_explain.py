"""explain() and tagged_fields(): what would happen to each field, and why."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from csfle_fast import CsfleError, FieldPlan, RuleSetError, SchemaError, tagged_fields
from incumbent import KEK, field, record
from worlds import FLAT, World, flat, payload_rule, rule, world

__all__ = ["world"]  # a fixture

NESTED = record(
    field("id", "long", "PII"),
    field("name", "string", "PII", "GDPR"),
    field("list", {"type": "array", "items": record(field("c", ["null", "bytes"], "PII"), name="ns.I")}),
    field("map", {"type": "map", "values": "string"}, "GDPR"),
    field("other", "string", "OTHER"),
    field("clear", "string"),
    name="ns.R",
)


def by_path(plans: list[FieldPlan]) -> dict[str, list[FieldPlan]]:
    found: dict[str, list[FieldPlan]] = {}
    for plan in plans:
        found.setdefault(plan.path, []).append(plan)
    return found


class TestExplain:
    def test_every_tagged_field_is_told_of(self, world: World) -> None:
        world.put(
            NESTED,
            rule(name="one", kek="k1"),
            rule("AES256_SIV", name="two", kek="k2", tags=["GDPR"], mode="WRITE"),
        )
        plans = by_path(world.engine().explain("t"))
        assert set(plans) == {"id", "name", "list[].c", "map", "other"} or set(plans) == {
            "id", "name", "list[].c", "map{}", "other",
        }  # fmt: skip
        assert [(p.decision, p.rule, p.kek, p.algorithm, p.mode) for p in plans["name"]] == [
            ("encrypt", "one", "k1", "AES256_GCM", "WRITEREAD"),
            ("encrypt", "two", "k2", "AES256_SIV", "WRITE"),
        ]
        assert plans["name"][0].tags == ("GDPR", "PII")
        [number] = plans["id"]
        assert (number.decision, number.rule, number.type) == ("refuse", "one", "long")
        [other] = plans["other"]
        assert (other.decision, other.rule, other.kek, other.algorithm, other.mode) == ("leave", *[None] * 4)
        assert all(plan.reason for entries in plans.values() for plan in entries)

    def test_it_says_what_serialize_does(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        row = flat(1)
        frame = engine.serialize("t", [row]).values[0] or b""
        decided = {plan.path: plan.decision for plan in engine.explain("t")}
        assert decided == {"v": "encrypt", "w": "encrypt"}
        for name in ("v", "note", "w"):
            raw = row[name] if isinstance(row[name], bytes) else row[name].encode()
            assert (raw in frame) == (decided.get(name) != "encrypt")

    def test_read_only_rules_are_there_too(self, world: World) -> None:
        world.put(FLAT, rule(mode="READ"))
        assert {(p.path, p.mode, p.decision) for p in world.engine().explain("t")} == {
            ("v", "READ", "encrypt"), ("w", "READ", "encrypt"),
        }  # fmt: skip

    def test_disabled_rules_leave_their_fields(self, world: World) -> None:
        world.put(FLAT, rule(disabled=True))
        assert {(p.path, p.decision) for p in world.engine().explain("t")} == {("v", "leave"), ("w", "leave")}

    def test_payload_rules_are_of_the_body(self, world: World) -> None:
        world.put(FLAT, encoding=[payload_rule("AES128_GCM", kek="p")])
        [*fields, body] = world.engine().explain("t")
        assert {plan.decision for plan in fields} == {"leave"}
        assert (body.path, body.type, body.rule, body.kek, body.algorithm) == (
            "",
            "body",
            "payload",
            "p",
            "AES128_GCM",
        )

    def test_it_costs_no_key_and_registers_nothing(self, world: World) -> None:
        world.put(FLAT, rule())
        world.engine().explain("t")
        assert world.requests("dek-registry") == []

    def test_plans_are_frozen(self, world: World) -> None:
        world.put(FLAT, rule())
        plan = world.engine().explain("t")[0]
        with pytest.raises(dataclasses.FrozenInstanceError):
            plan.path = "x"  # type: ignore[misc]
        assert hash(plan)

    def test_recursion_ends(self, world: World) -> None:
        world.put(record(field("v", "string", "PII"), field("next", ["null", "R"])), rule())
        assert "v" in by_path(world.engine().explain("t"))

    def test_a_bad_rule_is_named(self, world: World) -> None:
        bad = rule()
        bad["params"]["encrypt.dek.algorithm"] = "ROT13"
        world.put(FLAT, bad)
        with pytest.raises(RuleSetError, match="encryptPII") as caught:
            world.engine().explain("t")
        assert caught.value.code == "bad_param"
        assert KEK

    def test_no_such_subject(self, world: World) -> None:
        with pytest.raises(CsfleError, match="nowhere-value"):
            world.engine().explain("nowhere")


class TestTaggedFields:
    def test_full_names_and_sorted_tags(self) -> None:
        assert tagged_fields(json.dumps(NESTED)) == {
            "ns.R.id": ("PII",),
            "ns.R.name": ("GDPR", "PII"),
            "ns.I.c": ("PII",),
            "ns.R.map": ("GDPR",),
            "ns.R.other": ("OTHER",),
        }

    @pytest.mark.parametrize("given", [json.dumps(FLAT), FLAT, ["null", FLAT]], ids=["text", "dict", "list"])
    def test_text_or_parsed(self, given: Any) -> None:
        assert tagged_fields(given) == {"R.v": ("PII",), "R.w": ("PII",)}

    def test_patterns_add_tags(self) -> None:
        metadata = {"tags": {"**.clear": ["X"], "ns.R.name": ["A"]}, "properties": {"owner": "me"}}
        found = tagged_fields(NESTED, metadata)
        assert (found["ns.R.clear"], found["ns.R.name"]) == (("X",), ("A", "GDPR", "PII"))

    def test_references(self) -> None:
        inner = json.dumps(record(field("v", "string", "PII"), name="ns.Inner"))
        outer = record(field("inner", "ns.Inner"), name="ns.Outer")
        assert tagged_fields(outer, references=[inner]) == {"ns.Inner.v": ("PII",)}
        with pytest.raises(SchemaError, match=r"ns\.Inner"):
            tagged_fields(outer)

    @pytest.mark.parametrize("bad", ["", "{", "[]{}", '{"type": "record"}', '"unknown.Name"', "null"])
    def test_what_is_no_schema(self, bad: str) -> None:
        with pytest.raises(SchemaError):
            tagged_fields(bad)

    @pytest.mark.parametrize("metadata", [{"tags": ["PII"]}, {"tags": {"[": ["PII"]}}])
    def test_bad_patterns(self, metadata: dict[str, Any]) -> None:
        with pytest.raises(SchemaError) as caught:
            tagged_fields(FLAT, metadata)
        assert caught.value.code == "bad_tag_pattern"
