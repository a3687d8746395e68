"""The differential test: random schemas and rows through confluent-kafka and us, in both directions."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csfle_fast.dev import DevRegistry
from incumbent import SECRET, Incumbent
from wire import PROTO_HEADS, Leaf, leaves, unseal, version_of
from worlds import World, encode, rule

RULES = ("PII", "GDPR")
KEKS = ("one", "two")

# What a schema may be made of, with its values: confluent-kafka handles all of it. Recursion, uuid,
# decimal, defaults and named types in other namespaces are left out, because there it leaks or fails.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("string", _TEXT),
    ("bytes", st.binary(max_size=20)),
    (["null", "string"], st.none() | _TEXT),
    (["bytes", "null"], st.none() | st.binary(max_size=20)),
    (["null", "string", "bytes"], st.none() | _TEXT | st.binary(max_size=20)),
    ({"type": "array", "items": "string"}, st.lists(_TEXT, max_size=4)),
    ({"type": "map", "values": "bytes"}, st.dictionaries(_TEXT, st.binary(max_size=9), max_size=3)),
    (
        {"type": "array", "items": {"type": "map", "values": ["null", "string"]}},
        st.lists(st.dictionaries(_TEXT, st.none() | _TEXT, max_size=2), max_size=2),
    ),
    (["null", {"type": "array", "items": "bytes"}], st.none() | st.lists(st.binary(max_size=9), max_size=3)),
]
_UNTAGGED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    *_LEAVES,
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32, allow_nan=False)),
    ("double", st.floats(allow_nan=False)),
    ("boolean", st.booleans()),
    ("null", st.none()),
    (["null", "long"], st.none() | st.integers(-9, 9)),
]
_TAGS = st.lists(st.sampled_from([*RULES, "OTHER"]), min_size=1, max_size=2, unique=True)

Field = tuple[dict[str, Any], st.SearchStrategy[Any]]


@st.composite
def _leaf(draw: st.DrawFn) -> Field:
    if draw(st.booleans()):
        kind, values = draw(st.sampled_from(_LEAVES))
        return {"type": kind, "confluent:tags": draw(_TAGS)}, values
    kind, values = draw(st.sampled_from(_UNTAGGED))
    return {"type": kind}, values


@st.composite
def _record(
    draw: st.DrawFn, depth: int, names: Iterator[int]
) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    fields: list[Field] = [({"type": "string"}, _TEXT)]  # a body of no bytes cannot be read by them
    for _ in range(draw(st.integers(1, 5))):
        if depth and draw(st.integers(0, 2)) == 0:
            kind: Any
            values: st.SearchStrategy[Any]
            kind, values = draw(_record(depth - 1, names))
            match draw(st.sampled_from(["record", "nullable", "array", "map"])):
                case "nullable":
                    kind, values = ["null", kind], st.none() | values
                case "array":
                    kind, values = {"type": "array", "items": kind}, st.lists(values, max_size=3)
                case "map":
                    kind, values = {"type": "map", "values": kind}, st.dictionaries(_TEXT, values, max_size=2)
            fields.append(({"type": kind}, values))
        else:
            fields.append(draw(_leaf()))
    named = {f"f{place}": values for place, (_, values) in enumerate(fields)}
    schema = {
        "type": "record",
        "name": f"R{next(names)}",
        "namespace": "ns",
        "fields": [{"name": f"f{place}"} | field for place, (field, _) in enumerate(fields)],
    }
    return schema, st.fixed_dictionaries(named)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """A schema, its rules, and rows."""
    schema, values = draw(_record(2, itertools.count()))
    rules = [
        rule(
            draw(st.sampled_from(list(PROTO_HEADS))),
            draw(st.sampled_from([0, 30])),
            kek,
            name=tag,
            tags=[tag],
        )
        for tag, kek in zip(RULES, KEKS, strict=True)
    ]
    return schema, rules, draw(st.lists(values, min_size=1, max_size=4))


class Stage:
    """One registry for all examples; each has a topic of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = world.client()
        self.ours = world.engine()
        self.topics = (f"topic{number}" for number in itertools.count())

    def open(self, leaf: Leaf, rules: list[dict[str, Any]], topic: str) -> bytes:
        """The plaintext of a leaf, by ``cryptography``: layer by layer, the last rule's first."""
        value = leaf.value
        for one in reversed(rules):
            if leaf.tags & set(one["tags"]):
                params = one["params"]
                algorithm, prefixed = params["encrypt.dek.algorithm"], "encrypt.dek.expiry.days" in params
                version = version_of(value, leaf.kind) if prefixed else 1
                key = self.world.key(params["encrypt.kek.name"], f"{topic}-value", algorithm, version)
                value = unseal(algorithm, key, value, leaf.kind, prefixed=prefixed)
        return value


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(World(stack.enter_context(DevRegistry(secret=SECRET)), stack))


@settings(max_examples=150)
@given(case=cases())
def test_same_fields_same_plaintext_both_directions(
    stage: Stage, case: tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    schema, rules, rows = case
    topic = next(stage.topics)
    registered = stage.world.put(schema, *rules, subject=f"{topic}-value")
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
    bodies = [encode(parsed, row) for row in rows]
    theirs = Incumbent(stage.client, topic)
    try:
        ours = stage.ours.serialize(topic, rows)
        ours.raise_for_errors()
        others = [theirs.serialize(copy.deepcopy(row)) for row in rows]
        head = b"\x00" + registered.id.to_bytes(4, "big")
        for frame, other, body in zip(ours.values, others, bodies, strict=True):
            assert frame is not None
            assert frame[:5] == other[:5] == head
            parts = [leaves(schema, part) for part in (body, frame[5:], other[5:])]
            for plain, our, their in zip(*parts, strict=True):
                assert stage.open(our, rules, topic) == stage.open(their, rules, topic) == plain.value
        for frames in (ours.values, others, stage.ours.encrypt(topic, bodies).values):
            received = stage.ours.deserialize(topic, frames)
            received.raise_for_errors()
            assert received.values == rows == [theirs.deserialize(frame) for frame in frames if frame]
            assert stage.ours.decrypt(topic, frames).values == bodies
    finally:
        theirs.close()
