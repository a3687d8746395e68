"""Schemas of every shape through the Engine: root types, recursion, references."""

from __future__ import annotations

import json
from typing import Any

import pytest

from incumbent import field, record
from worlds import FLAT, World, decode, encode, rule, world

__all__ = ["world"]  # a fixture

ROOTS: dict[str, tuple[Any, list[Any], set[str]]] = {
    "bytes": ("bytes", [b"", b"raw bytes"], {"raw bytes"}),
    "string": ("string", ["", "text"], {"text"}),
    "long": ("long", [-1, 2**60], set()),
    "union": (
        ["null", "string", record(field("v", "string", "PII"))],
        ["plain text", {"v": "secret"}],
        {"plain text"},
    ),
    "array": (
        {"type": "array", "items": record(field("v", "string", "PII"))},
        [[], [{"v": "one"}, {"v": "two"}]],
        set(),
    ),
    "map": ({"type": "map", "values": ["null", "bytes"]}, [{"key": b"untagged", "k": None}], {"untagged"}),
}


@pytest.mark.parametrize(("schema", "rows", "clear"), ROOTS.values(), ids=list(ROOTS))
def test_root_types(world: World, schema: Any, rows: list[Any], clear: set[str]) -> None:
    world.put(schema, rule())
    engine = world.engine()
    sent = engine.serialize("t", rows)
    sent.raise_for_errors()
    for found in clear:
        assert any(found.encode() in (frame or b"") for frame in sent.values)
    assert not any(word in (frame or b"") for frame in sent.values for word in (b"secret", b"one", b"two"))
    assert engine.deserialize("t", sent.values).values == rows
    bodies = engine.decrypt("t", sent.values).values
    if schema == "bytes":
        assert bodies == rows == [(frame or b"")[5:] for frame in sent.values]
    else:
        assert [decode(schema, body or b"") for body in bodies] == rows
    assert engine.deserialize("t", engine.encrypt("t", bodies).values).values == rows


class TestSchemas:
    def test_recursion_is_sealed_at_every_level(self, world: World) -> None:
        node = record(field("v", "string", "PII"), field("next", ["null", "R"]))
        world.put(node, rule())
        engine = world.engine()
        row: dict[str, Any] = {"v": "level 0", "next": None}
        for level in range(1, 100):
            row = {"v": f"level {level}", "next": row}
        sent = engine.serialize("t", [row])
        assert b"level" not in (sent.values[0] or b"")
        assert engine.deserialize("t", sent.values).values == [row]

    def test_types_of_references_are_sealed(self, world: World) -> None:
        inner = record(field("v", "string", "PII"), name="ns.Inner")
        world.put(inner, subject="inner")
        outer = record(field("one", "ns.Inner"), field("two", ["null", "ns.Inner"]), name="ns.Outer")
        reference = {"name": "ns.Inner", "subject": "inner", "version": 1}
        number = world.put(outer, rule(), references=[reference]).id
        engine = world.engine()
        row = {"one": {"v": "secret 1"}, "two": {"v": "secret 2"}}
        sent = engine.serialize("t", [row])
        assert b"secret" not in (sent.values[0] or b"")
        assert engine.deserialize("t", sent.values).values == [row]
        schema_id, text_of = engine.writer_schema("t")
        assert schema_id == number
        body = encode(json.loads(text_of), row)  # complete: no reference is left in it
        assert engine.decrypt("t", engine.encrypt("t", [body], schema_id=schema_id).values).values == [body]

    def test_writer_schema_is_the_latest_pair(self, world: World) -> None:
        first = world.put(FLAT, rule())
        second = world.put(record(field("v", "string", "PII")), rule())
        assert first.id != second.id
        schema_id, schema = world.engine().writer_schema("t")
        assert (schema_id, json.loads(schema)) == (second.id, record(field("v", "string", "PII")))
