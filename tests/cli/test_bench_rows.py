"""Rows made from a schema: they fit it, whatever it holds, and are the same every time."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest

from csfle_fast.cli.bench_rows import make_rows
from csfle_fast.cli.json_leaves import LOGICAL
from csfle_fast.cli.json_rows import JsonRows
from csfle_fast.errors import ConfigError
from datasets import NAMES, load


def made(schema: Any, count: int = 50) -> list[Any]:
    return make_rows(JsonRows(schema), count)


def record(**fields: Any) -> dict[str, Any]:
    named = [{"name": name, "type": kind} for name, kind in fields.items()]
    return {"type": "record", "name": "R", "fields": named}


def wide(count: int) -> dict[str, Any]:
    return record(**{f"f{n}": "int" for n in range(count)}) | {"name": "Wide"}


def one(kind: Any, count: int = 50) -> list[Any]:
    """Values of one type."""
    return [row["f"] for row in made(record(f=kind), count)]


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_real_schemas_are_written_and_read(name: str) -> None:
    shape = JsonRows(json.loads(load(name).schema))
    for row in make_rows(shape, 30):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, shape.schema, row)
        stream.seek(0)
        fastavro.schemaless_reader(stream, shape.schema, None)
        assert stream.read() == b""


def test_the_same_schema_gives_the_same_rows_and_rows_differ() -> None:
    schema = record(a="string", b="long", c={"type": "array", "items": "bytes"})
    assert made(schema) == made(schema)
    assert len({row["a"] for row in made(schema)}) == 50


def test_texts_are_as_long_as_names_and_addresses() -> None:
    lengths = {len(text) for text in one("string", 500)}
    assert (min(lengths), max(lengths)) == (10, 32)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 2}, Decimal),
        ({"type": "fixed", "name": "F", "size": 8, "logicalType": "decimal", "precision": 15}, Decimal),
        ({"type": "int", "logicalType": "date"}, date),
        ({"type": "int", "logicalType": "time-millis"}, time),
        ({"type": "long", "logicalType": "time-micros"}, time),
        ({"type": "long", "logicalType": "timestamp-millis"}, datetime),
        ({"type": "long", "logicalType": "timestamp-micros"}, datetime),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, datetime),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, datetime),
        ({"type": "string", "logicalType": "uuid"}, UUID),
        ({"type": "string", "logicalType": "of somebody else"}, str),
        ({"type": "fixed", "name": "F", "size": 12, "logicalType": "duration"}, bytes),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, str),
        ({"type": "map", "values": "float"}, dict),
        ("null", type(None)),
        ("boolean", bool),
        ("double", float),
    ],
    ids=str,
)
def test_values_are_of_the_types_that_fastavro_gives(schema: Any, kind: type) -> None:
    for value in one(schema):
        assert type(value) is kind
        stream = io.BytesIO()
        parsed = fastavro.parse_schema(schema if schema != "null" else {"type": "null"})
        fastavro.schemaless_writer(stream, parsed, value)
        stream.seek(0)
        assert fastavro.schemaless_reader(stream, parsed, None) == value


def test_every_logical_type_that_rows_know_can_be_made() -> None:
    for name in LOGICAL:
        kind, _, logical = name.partition("-")
        schema = {"type": kind, "logicalType": logical, "precision": 4, "scale": 1}
        assert len(one(schema | ({"name": "F", "size": 8} if kind == "fixed" else {}))) == 50


def test_a_nullable_value_is_null_at_times() -> None:
    values = one(["null", "string"], 500)
    assert 20 < values.count(None) < 100
    assert {type(value) for value in values} == {str, type(None)}
    assert one(["null"]) == [None] * 50


def test_every_branch_of_a_union_is_taken() -> None:
    branches = ["string", "long", {"type": "record", "name": "S", "fields": []}]
    assert {type(value) for value in one(branches)} == {str, int, tuple}


def test_a_record_that_holds_itself_ends() -> None:
    tree = record(f="string", left=["null", "R"], many={"type": "array", "items": "R"})
    row = made(tree)[0]
    assert row["many"]
    assert row["many"][0]["many"] == []


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (record(f="R"), "without end"),
        (record(f={"type": "array", "items": wide(6_000)}), "10,000 values"),
        (record(f=["null", wide(10_001)]), "10,000 values"),
        (record(f=["R"]), "without end"),
        (record(f={"type": "fixed", "name": "F", "size": 2**31 - 1}), "4,096 bytes"),
        (wide(10_001), "10,000 values"),
        (
            {
                "type": "record",
                "name": "R",
                "fields": [
                    {"name": f"r{n}", "type": {"type": "array", "items": kind}}
                    for n, kind in enumerate(
                        [
                            {
                                "type": "record",
                                "name": f"N{depth}",
                                "fields": [{"name": f"n{k}", "type": ["null", "R"]} for k in range(8)],
                            }
                            for depth in range(8)
                        ]
                    )
                ],
            },
            "10,000 values",
        ),
    ],
    ids=["direct", "wide in an array", "wide in a union", "only branch", "fixed", "wide", "dense"],
)
def test_what_cannot_be_made_asks_for_rows(schema: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"{reason}.*--rows"):
        made(schema, 1)
