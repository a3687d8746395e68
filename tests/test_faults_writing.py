"""Faults of confluent-kafka in writing, each shown there first: plaintext leaks, rows are overwritten.

What ours does instead is the test beside it.
"""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import uuid
from typing import Any, NamedTuple

import pytest
from confluent_kafka.serialization import SerializationError

from incumbent import TOPIC, Subject, encrypt_rule, field, record


class Leak(NamedTuple):
    """A row of which confluent-kafka writes a tagged value in the clear."""

    schema: dict[str, Any]
    row: dict[str, Any]
    secret: bytes
    read: dict[str, Any] | None = None  # what a reader gets, where that is not the row itself


LEAKS = {
    "recursion": Leak(
        record(field("v", "string", "PII"), field("next", ["null", "R"])),
        {"v": "outer", "next": {"v": "inner secret", "next": None}},
        b"inner secret",
    ),
    "recursion through a map": Leak(
        record(field("v", "string", "PII"), field("kids", {"type": "map", "values": "R"})),
        {"v": "outer", "kids": {"k": {"v": "inner secret", "kids": {}}}},
        b"inner secret",
    ),
    "default of an absent field": Leak(
        record(field("id", "int"), field("v", "string", "PII", default="default secret")),
        {"id": 1},
        b"default secret",
        {"id": 1, "v": "default secret"},
    ),
    # The rules walk the first branch that the row satisfies, the encoder writes the best one.
    "union of records that share a field": Leak(
        record(
            field(
                "u",
                [
                    record(field("id", "string"), name="Short"),
                    record(field("id", "string"), field("v", "string", "PII"), name="Long"),
                ],
            )
        ),
        {"u": {"id": "1", "v": "branch secret"}},
        b"branch secret",
    ),
}


@pytest.fixture(params=LEAKS.values(), ids=list(LEAKS))
def leak(request: pytest.FixtureRequest) -> Leak:
    assert isinstance(request.param, Leak)
    return request.param


class TestATaggedValueIsWrittenInTheClear:
    def test_confluent_kafka_does(self, leak: Leak) -> None:
        assert leak.secret in Subject(leak.schema).theirs.serialize(copy.deepcopy(leak.row))

    def test_csfle_fast_seals_it(self, leak: Leak) -> None:
        with Subject(leak.schema).engine() as engine:
            sent = engine.serialize(TOPIC, [leak.row])
            sent.raise_for_errors()
            [frame] = sent.values
            assert frame is not None
            assert leak.secret not in frame
            received = engine.deserialize(TOPIC, sent.values)
            received.raise_for_errors()
            assert received.values == [leak.read or leak.row]


class TestTheCallersRowIsOverwritten:
    """And then sealed twice when the same dict is sent again, for instance after a full queue."""

    schema = record(field("v", "string", "PII"))

    def test_confluent_kafka_seals_twice(self) -> None:
        theirs = Subject(self.schema).theirs
        row = {"v": "mine"}
        theirs.serialize(row)
        assert row != {"v": "mine"}
        assert theirs.deserialize(theirs.serialize(row)) != {"v": "mine"}

    def test_csfle_fast_leaves_it_alone(self) -> None:
        with Subject(self.schema).engine() as engine:
            row = {"v": "mine"}
            engine.serialize(TOPIC, [row]).raise_for_errors()
            assert row == {"v": "mine"}
            again = engine.serialize(TOPIC, [row])
            assert engine.deserialize(TOPIC, again.values).values == [{"v": "mine"}]


class TestOnFailureNoneOpensTheRestOfTheRow:
    """The field that fails is written as it is, and so is every tagged field behind it."""

    schema = record(field("a", "string", "PII"), field("b", "int", "PII"), field("c", "string", "PII"))
    rule = encrypt_rule(onFailure="NONE,NONE")
    row = {"a": "first", "b": 7, "c": "third secret"}  # noqa: RUF012 - not shared: every test copies it

    def test_confluent_kafka_writes_it_in_the_clear(self) -> None:
        assert b"third secret" in Subject(self.schema, self.rule).theirs.serialize(dict(self.row))

    def test_csfle_fast_fails_the_row(self) -> None:
        with Subject(self.schema, self.rule).engine() as engine:
            sent = engine.serialize(TOPIC, [self.row])
            assert sent.values == [None]
            assert [(error.row, error.field, error.code) for error in sent.errors] == [
                (0, "b", "unsupported_type")
            ]


class TestAnErrorOnWritingNamesNothing:
    schema = record(field("a", "string", "PII"), field("b", "int", "PII"))
    row = {"a": "first", "b": 70707}  # noqa: RUF012 - not shared: every test copies it

    def test_confluent_kafka_says_nothing(self) -> None:
        with pytest.raises(SerializationError) as caught:
            Subject(self.schema).theirs.serialize(dict(self.row))
        assert str(caught.value) == ""

    def test_csfle_fast_names_row_field_and_code_but_no_value(self) -> None:
        with Subject(self.schema).engine() as engine:
            [error] = engine.serialize(TOPIC, [self.row]).errors
        assert (error.row, error.field, error.code) == (0, "b", "unsupported_type")
        assert "row 0" in str(error)
        assert "field b" in str(error)
        assert "70707" not in str(error)


class TestEqualTagSetsInAnotherOrderSealTwice:
    schema = record(field("v", "string", "A", "B"))
    rules = (encrypt_rule(name="one", tags=["A", "B"]), encrypt_rule(name="two", tags=["B", "A"]))
    once = 4 * -(-(24 + 28) // 3)  # base64 of nonce, 24 bytes, and the tag of AES-GCM

    def test_confluent_kafka_does(self) -> None:
        subject = Subject(self.schema, *self.rules)
        wire = subject.on_the_wire(subject.theirs.serialize({"v": "x" * 24}))
        assert len(wire["v"]) > self.once

    @pytest.mark.filterwarnings("ignore:.*tag:UserWarning")  # ours says that other clients run both
    def test_csfle_fast_seals_once(self) -> None:
        subject = Subject(self.schema, *self.rules)
        with subject.engine() as engine:
            [frame] = engine.serialize(TOPIC, [{"v": "x" * 24}]).values
        assert len(subject.on_the_wire(frame)["v"]) == self.once


UUID = {"type": "string", "logicalType": "uuid"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
VALUES = {
    "uuid object": (UUID, uuid.UUID(int=7)),
    "uuid text": (UUID, str(uuid.UUID(int=7))),
    "decimal": (DECIMAL, decimal.Decimal("12.30")),
    "int of a union": (["null", "string", "int"], 7),
}


@pytest.mark.parametrize(("kind", "value"), VALUES.values(), ids=list(VALUES))
class TestATypeCannotGoThere:
    def test_confluent_kafka_cannot_bring_it_back(self, kind: Any, value: Any) -> None:
        theirs = Subject(record(field("v", kind, "PII"))).theirs
        with pytest.raises((SerializationError, ValueError)):
            theirs.deserialize(theirs.serialize({"v": value}))

    def test_csfle_fast_does(self, kind: Any, value: Any) -> None:
        with Subject(record(field("v", kind, "PII"))).engine() as engine:
            sent = engine.serialize(TOPIC, [{"v": value}])
            sent.raise_for_errors()
            received = engine.deserialize(TOPIC, sent.values)
            received.raise_for_errors()
            assert [str(row["v"]) for row in received.values] == [str(value)]


NEITHER_TEXT_NOR_BYTES = {
    "enum": ({"type": "enum", "name": "Letter", "symbols": ["X", "Y"]}, "X"),
    "fixed": ({"type": "fixed", "name": "Pair", "size": 2}, b"ab"),
    "int": ("int", 7),
    "date": ({"type": "int", "logicalType": "date"}, dt.date(2024, 2, 29)),
}


@pytest.mark.parametrize(("kind", "value"), NEITHER_TEXT_NOR_BYTES.values(), ids=list(NEITHER_TEXT_NOR_BYTES))
class TestATypeThatCannotBeSealedIsNotNamed:
    """Both refuse to write it, and leave it alone on reading: it may stem from before the tag."""

    def test_confluent_kafka_names_nothing(self, kind: Any, value: Any) -> None:
        subject = Subject(record(field("v", kind, "PII")))
        with pytest.raises(SerializationError) as caught:
            subject.theirs.serialize({"v": value})
        assert str(caught.value) == ""
        assert subject.theirs.deserialize(subject.frame_of({"v": value})) == {"v": value}

    def test_csfle_fast_names_the_field(self, kind: Any, value: Any) -> None:
        subject = Subject(record(field("v", kind, "PII")))
        with subject.engine() as engine:
            sent = engine.serialize(TOPIC, [{"v": value}])
            assert sent.values == [None]
            assert [(error.field, error.code) for error in sent.errors] == [("v", "unsupported_type")]
            received = engine.deserialize(TOPIC, [subject.frame_of({"v": value})])
            received.raise_for_errors()
        assert received.values == [{"v": value}]
