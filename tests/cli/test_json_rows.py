"""Rows as JSON and back: every data set, values that JSON lacks, unions, and what is refused."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csfle_fast.cli.json_rows import JsonRows, Misfit
from datasets import Dataset, load_all
from incumbent import field, record

SECRET = "s3cret"
UTC = dt.UTC


def through(schema: Any, row: Any) -> Any:
    """The row, written as a line and read again."""
    shape = JsonRows(schema)
    return shape.from_json(parsed(json.dumps(shape.to_json(row), allow_nan=False)))


def parsed(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def encode(schema: Any, row: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def bare(row: Any) -> Any:
    """The row without the names of the records in its unions."""
    if isinstance(row, tuple):
        row = row[1]
    if isinstance(row, dict):
        return {name: bare(value) for name, value in row.items()}
    return [bare(item) for item in row] if isinstance(row, list) else row


def logical(kind: str, named: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": named, **more}


def decimal(precision: int, scale: int = 0) -> dict[str, Any]:
    return logical("bytes", "decimal", precision=precision, scale=scale)


@pytest.mark.parametrize("dataset", list(load_all()), ids=lambda dataset: dataset.name)
def test_the_rows_of_every_data_set_read_back_equal(dataset: Dataset) -> None:
    schema = json.loads(dataset.schema)
    shape = JsonRows(schema)
    for row, body in zip(dataset.read_back, dataset.bodies, strict=True):
        again = shape.from_json(parsed(json.dumps(shape.to_json(row))))
        assert again == row
        assert dataset.encode(again) == body


@pytest.mark.parametrize(
    ("schema", "row", "text"),
    [
        ("null", None, "null"),
        ("boolean", True, "true"),
        ("long", -(2**63), "-9223372036854775808"),
        ("double", 0.1, "0.1"),
        ("double", 5e-324, "5e-324"),
        ("float", math.inf, '"Infinity"'),
        ("double", -math.inf, '"-Infinity"'),
        ("string", 'a"\u2028\n', '"a\\"\\u2028\\n"'),
        ("bytes", b"\x00a\xff", '"\\u0000a\\u00ff"'),
        ({"type": "fixed", "name": "F", "size": 2}, b"ab", '"ab"'),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", '"B"'),
        ({"type": "array", "items": "int"}, [1, 2], "[1, 2]"),
        ({"type": "map", "values": ["null", "int"]}, {"a": 1, "b": None}, '{"a": 1, "b": null}'),
        (decimal(9, 2), Decimal("-1.50"), '"-1.50"'),
        (
            logical("fixed", "decimal", precision=9, scale=2, name="D", size=5),
            Decimal("12345.60"),
            '"12345.60"',
        ),
        (logical("int", "date"), dt.date(2026, 2, 3), '"2026-02-03"'),
        (logical("int", "time-millis"), dt.time(1, 2, 3, 4000), '"01:02:03.004000"'),
        (logical("long", "time-micros"), dt.time(1, 2, 3, 4), '"01:02:03.000004"'),
        (
            logical("long", "timestamp-millis"),
            dt.datetime(2026, 1, 1, tzinfo=UTC),
            '"2026-01-01T00:00:00+00:00"',
        ),
        (logical("long", "local-timestamp-micros"), dt.datetime(2026, 1, 1), '"2026-01-01T00:00:00"'),  # noqa: DTZ001
        (logical("string", "uuid"), UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
    ],
)
def test_how_values_look(schema: Any, row: Any, text: str) -> None:
    assert json.dumps(JsonRows(schema).to_json(row)) == text
    again = through(schema, row)
    assert again == row
    assert type(again) is type(row)


def test_nan_is_text() -> None:
    assert JsonRows("double").to_json(math.nan) == "NaN"
    assert math.isnan(through("double", math.nan))


@pytest.mark.parametrize(
    ("schema", "text", "row"),
    [
        ("double", "3", 3.0),
        (decimal(30, 2), "12345678901234567890.12", Decimal("12345678901234567890.12")),
        (decimal(4, 2), "7", Decimal(7)),
        (decimal(2, 2), '"0"', Decimal(0)),
        (logical("int", "date"), "20000", 20000),
        (logical("long", "timestamp-micros"), "1700000000000000", 1700000000000000),
        (logical("long", "timestamp-millis"), '"2026-01-01T02:00Z"', dt.datetime(2026, 1, 1, 2, tzinfo=UTC)),
        (["null", "string"], '{"string": "a"}', "a"),
        (["null", "bytes", "string"], '"a"', b"a"),
        (["null", "bytes", "string"], '{"string": "a"}', "a"),
        (["double", "long"], "1", 1),
        (["double", "long"], "1.0", 1.0),
    ],
)  # fmt: skip
def test_what_else_is_read(schema: Any, text: str, row: Any) -> None:
    found = JsonRows(schema).from_json(parsed(text))
    assert found == row
    assert type(found) is type(row)


A = record(field("x", "bytes"), name="n.A")
B = record(field("x", "string"), name="n.B")
TWINS = [record(field("x", "string"), name="n.A"), record(field("x", "string"), name="n.B")]


@pytest.mark.parametrize(
    ("schema", "row", "text"),
    [
        (["string", "bytes"], b"a", {"bytes": "a"}),
        (["string", "bytes"], "a", "a"),
        (["string", "double"], math.inf, {"double": "Infinity"}),
        (["double", "string"], "Infinity", "Infinity"),
        (["double", "bytes"], math.inf, {"double": "Infinity"}),
        (["null", {"type": "map", "values": "int"}], {"map": 1}, {"map": 1}),
        (["string", {"type": "map", "values": "string"}], {"string": "a"}, {"map": {"string": "a"}}),
        ([logical("string", "uuid"), "bytes"], b"a", "a"),
        ([A, B], {"x": "a"}, {"n.B": {"x": "a"}}),
        ([A, B], {"x": b"a"}, {"x": "a"}),
    ],
)
def test_a_branch_is_named_where_another_would_take_the_value(schema: Any, row: Any, text: Any) -> None:
    assert JsonRows(schema).to_json(row) == text
    assert bare(through(schema, row)) == row


def test_a_named_record_keeps_its_name() -> None:
    found = JsonRows(TWINS).from_json({"n.B": {"x": "a"}})
    assert found == ("n.B", {"x": "a"})
    assert encode(TWINS, found)[0] == 2  # the second branch


def test_fields_that_may_be_absent_are_left_to_the_schema() -> None:
    schema = record(field("a", "int", default=7), field("b", ["null", "string"]), field("c", "null"))
    assert JsonRows(schema).from_json({}) == {}
    assert encode(schema, {}) == b"\x0e\x00"


def test_named_types_are_found_again() -> None:
    node = record(field("v", "string"), field("next", ["null", "Node"]), name="Node")
    row = {"v": "a", "next": {"v": "b", "next": None}}
    assert through(node, row) == row


NESTED = record(
    field("a", {"type": "array", "items": record(field("s", "string"), name="I")}),
    field("m", {"type": "map", "values": ["null", "long"]}),
)


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        (NESTED, {"a": [{"s": 1}], "m": {}}, "field a[].s: text is wanted"),
        (NESTED, {"a": [], "m": {SECRET: SECRET}}, "field m{}: a whole number is wanted"),
        (NESTED, {"a": []}, "field m: it is missing"),
        (NESTED, {"a": [], "m": {}, SECRET: 1}, "it has 1 members that the schema does not have"),
        (NESTED, [], "an object is wanted"),
        ("int", True, "a whole number is wanted"),
        ("int", 2**31, "a whole number of 32 bits is wanted"),
        ("long", Decimal("1.0"), "a whole number is wanted"),
        ("float", SECRET, "a number is wanted"),
        ("double", Decimal("1e400"), "the number is too large"),
        ("double", 10**400, "the number is too large"),
        ("bytes", SECRET + "\u0100", "bytes are text of the code points 0 to 255"),
        ({"type": "fixed", "name": "F", "size": 2}, SECRET, "2 bytes are wanted"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, SECRET, "a symbol of the enum is wanted"),
        ({"type": "array", "items": "int"}, {}, "an array is wanted"),
        (decimal(4, 2), SECRET, "a decimal is wanted"),
        (decimal(4, 2), "1.234", "a decimal of at most 2 places is wanted"),
        (decimal(4, 2), 100, "a decimal of at most 4 digits is wanted"),
        (decimal(4), Decimal("1e999999"), "a decimal of at most 4 digits is wanted"),
        (decimal(4), Decimal("NaN"), "a decimal is wanted"),
        (logical("int", "date"), SECRET, "a date in ISO 8601 is wanted, or a whole number"),
        (
            logical("long", "timestamp-millis"), "2026-01-01T00:00:00",
            "a date and time with its offset from UTC, in ISO 8601, is wanted, or a whole number",
        ),
        (logical("string", "uuid"), SECRET, "a UUID is wanted"),
        (["string", "int"], [SECRET], "no branch of the union takes it"),
        ([A, B], {"x": 1}, "field x: text is wanted"),
        (["null"], SECRET, "null is wanted"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_by_path_and_without_the_value(schema: Any, value: Any, told: str) -> None:
    with pytest.raises(Misfit) as misfit:
        JsonRows(schema).from_json(value)
    assert str(misfit.value) == told
    assert misfit.value.__cause__ is None


def test_what_nests_too_deep_does_not_fit() -> None:
    node = record(field("next", ["null", "Node"]), name="Node")
    value: Any = None
    for _ in range(100_000):
        value = {"next": value}
    with pytest.raises(Misfit, match="it nests too deep"):
        JsonRows(node).from_json(value)
    while value is not None:  # so that freeing it does not recurse
        value = value["next"]


@pytest.mark.parametrize(
    ("schema", "row"),
    [
        (record(field("a", "int")), {}),
        (record(field("a", "int")), {"a": 1, "b": 2}),
        (record(field("a", "int")), {"a": "1"}),
        ("bytes", "text"),
        ("string", b"bytes"),
        (["null", "int"], "text"),
    ],
)
def test_rows_of_another_schema_are_not_written(schema: Any, row: Any) -> None:
    with pytest.raises(Misfit):
        JsonRows(schema).to_json(row)


def test_values_that_were_left_encrypted_are_written_as_they_are() -> None:
    schema = record(field("d", decimal(4)), field("u", logical("string", "uuid")))
    row = {"d": b"\xfe\x01", "u": "AAECAw=="}
    assert JsonRows(schema).to_json(row) == {"d": "\xfe\x01", "u": "AAECAw=="}


def unfolded(moment: Any) -> Any:
    return moment.replace(fold=0)


LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("double", st.floats(allow_nan=False)),
    ("string", st.text(max_size=6)),
    ("bytes", st.binary(max_size=6)),
    (logical("int", "date"), st.dates()),
    (logical("long", "time-micros"), st.times().map(unfolded)),
    (logical("long", "timestamp-micros"), st.datetimes(timezones=st.just(UTC)).map(unfolded)),
    (logical("long", "local-timestamp-micros"), st.datetimes().map(unfolded)),
    (logical("string", "uuid"), st.uuids()),
    (decimal(12, 3), st.decimals(-(10**8), 10**8, places=3)),
]


@st.composite
def schemas_with_rows(draw: st.DrawFn, depth: int = 2, name: str = "R") -> tuple[Any, Any]:
    """A schema and a row of it, in the values that fastavro reads."""
    kind = draw(st.sampled_from(["leaf", "record", "array", "map", "union"] if depth else ["leaf"]))
    if kind == "leaf":
        schema, values = draw(st.sampled_from(LEAVES))
        return schema, draw(values)
    if kind == "union":
        leaves = draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=4, unique_by=_physical))
        schema, values = draw(st.sampled_from(leaves))
        row = draw(st.none() | values)
        return ["null", *(leaf for leaf, _ in leaves)], row
    parts = [draw(schemas_with_rows(depth - 1, f"{name}{at}")) for at in range(draw(st.integers(1, 3)))]
    if kind == "record":
        fields = [field(f"f{at}", schema) for at, (schema, _) in enumerate(parts)]
        return record(*fields, name=name), {f"f{at}": row for at, (_, row) in enumerate(parts)}
    (schema, row), key = parts[0], draw(st.text(max_size=6))
    if kind == "array":
        return {"type": "array", "items": schema}, [row]
    return {"type": "map", "values": schema}, {key: row}


def _physical(leaf: tuple[Any, Any]) -> str:
    schema = leaf[0]
    return str(schema["type"] if isinstance(schema, dict) else schema)


@given(schemas_with_rows())
def test_any_row_of_any_schema_reads_back_equal(case: tuple[Any, Any]) -> None:
    schema, row = case
    again = through(schema, row)
    assert repr(again) == repr(row)
