"""What explain() says of each field, held against the wire, whatever the tags of records around do."""

from __future__ import annotations

from typing import Any

import pytest

from csfle_fast import RowError
from incumbent import field, record
from worlds import World, rule, world

__all__ = ["world"]  # a fixture

INNER = record(
    field("s", "string"),
    field("n", ["null", "string"]),
    field("own", "string", "PII"),
    name="I",
)
SHARED = record(
    field("a", INNER, "PII"),
    field("b", "I"),
    field("list", {"type": "array", "items": "I"}, "PII"),
    field("plain", "string"),
    field("either", ["null", "string", "int"], "PII"),
)


def inner(mark: str) -> dict[str, str]:
    return {"s": f"<{mark}.s>", "n": f"<{mark}.n>", "own": f"<{mark}.own>"}


ROW: dict[str, Any] = {
    "a": inner("a"),
    "b": inner("b"),
    "list": [inner("list[]")],
    "plain": "<plain>",
    "either": "<either>",
}
LEAVES = [f"{record}.{leaf}" for record in ("a", "b", "list[]") for leaf in ("s", "n", "own")]
LEAVES += ["plain", "either"]


@pytest.mark.parametrize("inheritance", ["own", "java"])
def test_every_leaf_is_on_the_wire_as_it_says(world: World, inheritance: str) -> None:
    world.put(SHARED, rule())
    engine = world.engine({"tag.inheritance": inheritance})
    sent = engine.serialize("t", [ROW])
    sent.raise_for_errors()
    wire = sent.values[0] or b""
    sealed = {plan.path for plan in engine.explain("t") if plan.decision == "encrypt"}
    assert {leaf: f"<{leaf}>".encode() not in wire for leaf in LEAVES} == {
        leaf: leaf in sealed for leaf in LEAVES
    }
    assert ("a.s" in sealed) == (inheritance == "java")
    assert "b.s" not in sealed
    assert engine.deserialize("t", sent.values).values == [ROW]


def test_a_tagged_record_is_not_said_to_be_refused(world: World) -> None:
    world.put(SHARED, rule())
    plans = {plan.path: plan for plan in world.engine().explain("t")}
    assert plans["a"].decision == plans["list"].decision == "leave"
    assert "own" in plans["a"].reason


@pytest.mark.parametrize("kind", ["int", {"type": "array", "items": "long"}, ["null", "boolean"]])
def test_what_it_says_is_refused_is(world: World, kind: Any) -> None:
    world.put(record(field("v", kind, "PII")), rule())
    engine = world.engine()
    [plan] = engine.explain("t")
    assert plan.decision == "refuse"
    value: Any = True if kind == ["null", "boolean"] else [1] if isinstance(kind, dict) else 1
    with pytest.raises(RowError) as caught:
        engine.serialize("t", [{"v": value}]).raise_for_errors()
    assert caught.value.code == "unsupported_type"


def test_rules_of_other_executors_are_told_of(world: World) -> None:
    cel = {"name": "check", "kind": "CONDITION", "type": "CEL", "mode": "WRITE", "expr": "true"}
    world.put(SHARED, rule(), cel)
    [plan] = [plan for plan in world.engine().explain("t") if plan.rule == "check"]
    assert (plan.path, plan.decision) == ("", "refuse")
