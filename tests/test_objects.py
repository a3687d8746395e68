"""The dict codec: rows in and out are fastavro's, and its exceptions stay inside."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from typing import Any

import pytest

from csfle_fast import objects
from csfle_fast._core import Schema
from csfle_fast.errors import RowError
from csfle_fast.objects import Codec
from incumbent import field, record
from worlds import decode, encode

EVERYTHING = record(
    field("n", "null"), field("b", "boolean"), field("i", "int"), field("l", "long"), field("f", "float"),
    field("d", "double"), field("s", "string"), field("y", "bytes"),
    field("e", {"type": "enum", "name": "E", "symbols": ["A", "B"]}),
    field("x", {"type": "fixed", "name": "F", "size": 3}),
    field("a", {"type": "array", "items": ["null", "long"]}), field("m", {"type": "map", "values": "string"}),
    field("r", ["null", record(field("s", "string"), name="I")]),
    field("uuid", {"type": "string", "logicalType": "uuid"}),
    field("dec", {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 3}),
    field("day", {"type": "int", "logicalType": "date"}),
    field("at", {"type": "long", "logicalType": "timestamp-micros"}),
    field("given", "string", default="default"),
)  # fmt: skip
ROW = {
    "n": None, "b": True, "i": -1, "l": 2**62, "f": 0.5, "d": 1e300, "s": "\u2603", "y": b"\x00\xff",
    "e": "B", "x": b"abc", "a": [None, 3], "m": {"k": "v"}, "r": {"s": ""}, "uuid": uuid.UUID(int=5),
    "dec": decimal.Decimal("-1.250"), "day": dt.date(2026, 1, 2),
    "at": dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC), "given": "given",
}  # fmt: skip


def codec(schema: Any) -> Codec:
    return Codec(Schema(json.dumps(schema)), "subject t-value")


def bodies(encoded: Any) -> list[bytes]:
    return list(encoded.bodies)


def test_bodies_and_rows_are_fastavros() -> None:
    one = codec(EVERYTHING)
    defaulted = {name: value for name, value in ROW.items() if name != "given"}
    encoded = one.encode([ROW, defaulted])
    assert bodies(encoded) == [encode(EVERYTHING, ROW), encode(EVERYTHING, defaulted)]
    rows, errors, _ = objects.decode(bodies(encoded), [one, one], None)
    assert errors == []
    assert rows == [ROW, ROW | {"given": "default"}] == [decode(EVERYTHING, body) for body in bodies(encoded)]


def test_named_branches() -> None:
    two = ["null", record(field("v", "string"), name="A"), record(field("v", "string"), name="B")]
    schema = record(field("u", two))
    one = codec(schema)
    rows = [{"u": ("B", {"v": "x"})}, {"u": {"-type": "B", "v": "x"}}]
    assert [body[0] for body in bodies(one.encode(rows))] == [4, 4]


def test_tombstones_and_misfits_have_no_body() -> None:
    one = codec(record(field("v", "string")))
    encoded = one.encode([{"v": "a"}, None, {"v": 7}, {"v": "b"}])
    assert bodies(encoded) == [b"\x02a", b"\x02b"]
    assert (encoded.rows, encoded.tombstones) == ([0, 3], 1)
    assert [(error.row, error.field, error.code) for error in encoded.errors] == [
        (2, "v", "row_does_not_fit")
    ]
    assert one.encode([{"v": "a"}]).rows is None


MISFITS: dict[str, tuple[Any, str | None]] = {
    "wrong type": (ROW | {"i": "marker 4711"}, "i"),
    "too large": (ROW | {"l": 2**64}, "l"),
    "wrong type inside": (ROW | {"r": {"s": 4711}}, "r.s"),
    "unknown symbol": (ROW | {"e": "marker 4711"}, "e"),
    "wrong size": (ROW | {"x": b"marker 4711"}, "x"),
    "no branch": (ROW | {"a": ["marker 4711"]}, None),
    "missing": ({name: value for name, value in ROW.items() if name != "s"}, "s"),
    "not a dict": ("marker 4711", None),
    "a list": ([ROW], None),
    "surrogate": (ROW | {"s": "marker 4711 \ud800"}, None),
    "decimal too long": (ROW | {"dec": decimal.Decimal("123456789.4711")}, None),
}


@pytest.mark.parametrize(("row", "path"), MISFITS.values(), ids=list(MISFITS))
def test_what_does_not_fit_fails_alone_and_quotes_nothing(row: Any, path: str | None) -> None:
    one = codec(EVERYTHING)
    encoded = one.encode([ROW, row, ROW])
    assert bodies(encoded) == [encode(EVERYTHING, ROW)] * 2
    [error] = encoded.errors
    assert (error.row, error.code) == (1, "row_does_not_fit")
    if path is not None:
        assert error.field == path
    assert_quotes_nothing(error)


def assert_quotes_nothing(error: RowError) -> None:
    assert "4711" not in f"{error} {error!r} {error.args}"
    assert error.__cause__ is None
    assert error.__context__ is None


def test_what_cannot_be_decoded_fails_alone_and_quotes_nothing() -> None:
    # The datum is whole, so only its meaning is at fault: the text is no UUID.
    one = codec(record(field("u", {"type": "string", "logicalType": "uuid"})))
    good = encode("string", str(uuid.UUID(int=1)))
    rows, errors, _ = objects.decode(
        [good, encode("string", "marker 4711"), None, good], [one, one, None, one], None
    )
    assert rows == [{"u": uuid.UUID(int=1)}, None, None, {"u": uuid.UUID(int=1)}]
    assert [(error.row, error.code) for error in errors] == [(1, "not_decodable")]
    assert_quotes_nothing(errors[0])


def test_rows_take_the_shape_of_a_reader() -> None:
    writer, reader = (
        codec(record(field("a", "int"))),
        codec(record(field("b", "long", aliases=["a"]), field("c", "int", default=3))),
    )
    rows, errors, _ = objects.decode([b"\x02"], [writer], reader)
    assert (rows, errors) == ([{"b": 1, "c": 3}], [])


def test_bodies_of_several_writers() -> None:
    one, two = codec(record(field("a", "int"))), codec(record(field("b", "string")))
    rows, _, _ = objects.decode([b"\x02", b"\x02x"], [one, two], None)
    assert rows == [{"a": 1}, {"b": "x"}]


@pytest.mark.parametrize("row", [7, "text", None.__class__, {}])
def test_a_root_bytes_row_is_raw(row: Any) -> None:
    one = codec("bytes")
    encoded = one.encode([b"raw", row, b""])
    assert bodies(encoded) == [b"raw", b""]
    assert [error.code for error in encoded.errors] == ["row_does_not_fit"]
    assert objects.decode([b"raw"], [one], None) == ([b"raw"], [], 0)


def test_the_row_is_not_changed() -> None:
    row = {"v": ["a"], "given": None}
    schema = record(field("v", {"type": "array", "items": "string"}), field("given", ["null", "string"]))
    codec(schema).encode([row])
    assert row == {"v": ["a"], "given": None}


def test_bodies_are_a_sequence_and_a_batch() -> None:
    one = codec(EVERYTHING)
    encoded = one.encode([ROW, None, ROW])
    assert len(encoded.bodies) == 2
    assert list(encoded.bodies) == [encoded.bodies[0], encoded.bodies[1]] == bodies(encoded)
    with pytest.raises(IndexError):
        encoded.bodies[2]
    assert (list(one.encode([]).bodies), list(one.encode([None]).bodies)) == ([], [])
