"""``rules=``: batches in which no rule runs, or on READ only those of the frame's own version."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from csfle_fast import ConfigError, RuleSetError
from incumbent import KEK, TOPIC, encrypt_rule, field, record
from worlds import FLAT, World, flat, framed, payload_rule, rule, world

__all__ = ["world"]  # a fixture

UUID_TYPE = {"type": "string", "logicalType": "uuid"}
DECIMAL_TYPE = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
LOGICAL = record(
    field("id", UUID_TYPE, "PII"),
    field("sum", ["null", DECIMAL_TYPE], "PII"),
    field("dates", {"type": "array", "items": UUID_TYPE}, "PII"),
    field("open", UUID_TYPE),
    field("inner", record(field("id", UUID_TYPE), name="Inner"), "OTHER"),
)
NUMBER = uuid.UUID("12345678-1234-5678-1234-567812345678")
ROW = {
    "id": NUMBER,
    "sum": Decimal("12.50"),
    "dates": [NUMBER, NUMBER],
    "open": NUMBER,
    "inner": {"id": NUMBER},
}
LATEST = {"use.latest.version": True}


def test_nothing_is_opened_and_ciphertext_stays_as_it_is(world: World) -> None:
    world.put(LOGICAL, rule())
    engine = world.engine()
    frames = engine.serialize(TOPIC, [ROW]).values
    (row,) = engine.deserialize(TOPIC, frames, rules="none").values
    assert row["open"] == NUMBER
    assert row["inner"] == {"id": NUMBER}, "a record below an untagged field keeps its types"
    assert isinstance(row["id"], str)
    assert len(row["id"]) == 88, "base64 of 36 characters, nonce and tag"
    assert isinstance(row["sum"], bytes)
    assert len(row["sum"]) == 2 + 28
    assert [len(item) for item in row["dates"]] == [88, 88]
    (body,) = engine.decrypt(TOPIC, frames, rules="none").values
    assert frames[0] is not None
    assert body == frames[0][5:]
    assert engine.deserialize(TOPIC, frames).values == [ROW]
    assert engine.stats()["values_opened"] == 4


def test_nothing_is_opened_by_the_latest_version_either(world: World) -> None:
    world.put(record(field("old", UUID_TYPE, "PII"), field("note", "string")), rule())
    frames = world.engine().serialize(TOPIC, [{"old": NUMBER, "note": "n"}]).values
    world.put(record(field("new", UUID_TYPE, "PII", aliases=["old"])), rule())
    engine = world.engine(LATEST)
    (row,) = engine.deserialize(TOPIC, frames, rules="none").values
    assert list(row) == ["new"]
    assert len(row["new"]) == 88
    assert engine.deserialize(TOPIC, frames).values == [{"new": NUMBER}]


def test_nothing_is_sealed_and_no_key_is_asked_for(world: World) -> None:
    first = world.put(FLAT, rule())
    engine = world.engine()
    rows = [flat(0), None, flat(1)]
    frames = engine.serialize(TOPIC, rows, rules="none").values
    again = engine.encrypt(TOPIC, [f[5:] if f else None for f in frames], rules="none").values
    assert again == frames
    assert engine.deserialize(TOPIC, frames, rules="none").values == rows
    assert frames[0] is not None
    assert frames[0].startswith(framed(first.id, b""))
    assert b"secret 0" in frames[0]
    assert world.requests("dek-registry") == []
    assert engine.serialize(TOPIC, rows).values != frames, "the next batch is sealed as ever"


@pytest.mark.parametrize("latest", [{}, LATEST], ids=["writer", "latest"])
def test_a_rule_of_another_executor_does_not_run_either(world: World, latest: dict[str, Any]) -> None:
    check = encrypt_rule(name="check", type="CEL", kind="CONDITION", tags=None, params=None, expr="true")
    world.put(FLAT, check)
    engine = world.engine(latest)
    frames = engine.serialize(TOPIC, [flat(1)], rules="none").values
    (error,) = engine.deserialize(TOPIC, frames).errors
    assert error.code == "foreign_rule"
    assert engine.deserialize(TOPIC, frames, rules="none").values == [flat(1)]


def test_a_sealed_payload_cannot_be_read_unopened(world: World) -> None:
    world.put(FLAT, encoding=[payload_rule()])
    engine = world.engine()
    frames = engine.serialize(TOPIC, [flat(1)]).values
    (error,) = engine.deserialize(TOPIC, frames, rules="none").errors
    assert error.code == "sealed_payload"
    assert "payload" in error.message


def test_own_rules_read_what_was_written_before_the_rule(world: World) -> None:
    world.put(FLAT)
    before = world.engine().serialize(TOPIC, [flat(1)]).values
    world.put(FLAT, rule())
    engine = world.engine(LATEST)
    after = engine.serialize(TOPIC, [flat(3)]).values
    result = engine.deserialize(TOPIC, before + after)
    assert [(error.row, error.code) for error in result.errors] == [(0, "not_ciphertext")]
    assert engine.deserialize(TOPIC, before + after, rules="own").values == [flat(1), flat(3)]


def test_own_rules_do_not_read_plaintext_under_a_rule_of_its_own(world: World) -> None:
    version = world.put(FLAT, rule())
    world.put(FLAT, rule(kek=f"{KEK}-2"))
    plain = world.engine().serialize(TOPIC, [flat(1)], rules="none").values
    assert plain[0] is not None
    frame = framed(version.id, plain[0][5:])
    (error,) = world.engine(LATEST).deserialize(TOPIC, [frame], rules="own").errors
    assert error.code == "not_ciphertext"


@pytest.mark.parametrize("mode", ["own", "latest", ""])
def test_an_unknown_choice_is_refused(world: World, mode: Any) -> None:
    engine = world.engine()
    calls: list[Any] = [engine.serialize, engine.encrypt]
    calls += [engine.deserialize, engine.decrypt] if mode != "own" else []
    for call in calls:
        with pytest.raises(ConfigError, match="rules is"):
            call(TOPIC, [], rules=mode)


def test_a_tagged_record_can_be_refused(world: World) -> None:
    schema = record(field("inner", record(field("v", "string"), name="Inner"), "PII"))
    row = {"inner": {"v": "x"}}
    world.put(schema, rule())
    frames = world.engine().serialize(TOPIC, [row]).values
    engine = world.engine({"tag.inheritance": "refuse"})
    with pytest.raises(RuleSetError, match=r"inner holds a record .* own .* java") as caught:
        engine.serialize(TOPIC, [row])
    assert caught.value.code == "tagged_record"
    (error,) = engine.deserialize(TOPIC, frames).errors
    assert error.code == "tagged_record"
    assert [plan.decision for plan in engine.explain(TOPIC)] == ["refuse"]
    assert world.engine({"tag.inheritance": "own"}).deserialize(TOPIC, frames).values == [row]


def test_a_record_tagged_in_the_latest_version_is_refused_as_well(world: World) -> None:
    inner = record(field("v", "string"), name="Inner")
    world.put(record(field("inner", inner)), rule())
    frames = world.engine().serialize(TOPIC, [{"inner": {"v": "x"}}]).values
    world.put(record(field("inner", inner, "PII")), rule())
    (error,) = world.engine(LATEST | {"tag.inheritance": "refuse"}).deserialize(TOPIC, frames).errors
    assert error.code == "tagged_record"
