"""Whatever comes: each row ends well or with a code, the four calls agree, and nothing is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csfle_fast import Engine, Result
from csfle_fast._core import row_codes
from incumbent import SECRET, encrypt_rule, field, mock_registry, record, register
from leaks import MARK, assert_silent
from wire import text
from worlds import framed

TREE = record(
    field("v", ["null", "string", "long"], "PII"),
    field("kids", {"type": "array", "items": ["null", "R"]}),
    field("named", {"type": "map", "values": "bytes"}, "PII"),
    field("e", {"type": "enum", "name": "E", "symbols": ["X", "Y"]}),
    field("last", "string", "PII"),
)
CODES = {code for code, _ in row_codes()} | {
    "row_does_not_fit",
    "not_decodable",
    "unknown_schema_id",
    "unknown_schema_guid",
}


def tree(kids: list[Any], number: int = 0) -> dict[str, Any]:
    return {
        "v": MARK if number % 2 else number,
        "kids": kids,
        "named": {f"k{n}": MARK.encode() for n in range(number % 3)},
        "e": "Y",
        "last": f"{MARK} {number}",
    }


GOOD = [tree([tree([None, tree([])], 5), None], number) for number in range(4)]


class Stage:
    """An engine that has written the rows of GOOD."""

    def __init__(self, engine: Engine, schema_id: int) -> None:
        self.engine = engine
        self.id = schema_id
        self.frames = [frame or b"" for frame in engine.serialize("t", GOOD).values]
        self.bodies = [body or b"" for body in engine.decrypt("t", self.frames).values]

    def read(self, frames: list[bytes]) -> tuple[Result[Any], Result[Any]]:
        """Both ways to read; what makes a row makes a body too."""
        bodies, rows = self.engine.decrypt("t", frames), self.engine.deserialize("t", frames)
        check(bodies, len(frames))
        check(rows, len(frames))
        for body, row in zip(bodies.values, rows.values, strict=True):
            assert row is None or body is not None
        whole = [(body, row) for body, row in zip(bodies.values, rows.values, strict=True) if row is not None]
        # And what was opened can be sealed and opened again.
        again = self.engine.encrypt("t", [body for body, _ in whole])
        assert again.errors == []
        assert self.engine.deserialize("t", again.values).values == [row for _, row in whole]
        return bodies, rows


def check(result: Result[Any], rows: int) -> None:
    """Every row has a value or an error with a known code and without a value."""
    assert len(result.values) == rows
    assert [error.row for error in result.errors] == [
        n for n, value in enumerate(result.values) if value is None
    ]
    for error in result.errors:
        assert error.code in CODES
        assert_silent(error)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    client = mock_registry()
    number = register(client, json.dumps(TREE), [encrypt_rule()])
    with Engine(client, rule_conf={"secret": SECRET}, conf={"missing.cache.ttl.sec": 10}) as engine:
        yield Stage(engine, number)


@st.composite
def _damage(draw: st.DrawFn, lengths: list[int]) -> tuple[int, list[tuple[int, int, bytes]]]:
    """Which datum to take, and what to do to it: from, to, in its place."""
    which = draw(st.integers(0, len(lengths) - 1))
    places = st.integers(0, lengths[which])
    edits = st.tuples(places, st.integers(0, 12), st.binary(max_size=12))
    return which, [(at, at + gone, put) for at, gone, put in draw(st.lists(edits, min_size=1, max_size=3))]


def damaged(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for start, end, put in edits:
        data = data[:start] + put + data[end:]
    return data


@settings(max_examples=300)
@given(edits=_damage([60] * len(GOOD)), header=st.booleans())
def test_damaged_frames(stage: Stage, edits: tuple[int, list[tuple[int, int, bytes]]], header: bool) -> None:
    which, changes = edits
    frame = stage.frames[which]
    bad = damaged(frame, changes) if header else frame[:5] + damaged(frame[5:], changes)
    stage.read([stage.frames[0], bad, stage.frames[1]])


@settings(max_examples=300)
@given(body=st.binary(max_size=80))
def test_any_bytes_as_frames_and_bodies(stage: Stage, body: bytes) -> None:
    bodies, _ = stage.read([framed(stage.id, body), body, stage.frames[0]])
    assert bodies.values[2] == stage.bodies[0]
    sealed = stage.engine.encrypt("t", [body, stage.bodies[0]])
    check(sealed, 2)
    if sealed.values[0] is not None:
        assert stage.engine.decrypt("t", sealed.values).values == [body, stage.bodies[0]]


@settings(max_examples=300)
@given(edits=_damage([40] * len(GOOD)))
def test_damaged_bodies(stage: Stage, edits: tuple[int, list[tuple[int, int, bytes]]]) -> None:
    which, changes = edits
    body = damaged(stage.bodies[which], changes)
    sealed = stage.engine.encrypt("t", [body, stage.bodies[0]])
    check(sealed, 2)
    opened = stage.engine.decrypt("t", [frame for frame in sealed.values if frame is not None])
    assert opened.errors == []


@settings(max_examples=200)
@given(plain=st.binary(max_size=60), prefix=st.binary(max_size=40))
def test_any_text_where_ciphertext_should_be(stage: Stage, plain: bytes, prefix: bytes) -> None:
    tail = b"\x00\x00\x00" + text(plain)
    bodies, _ = stage.read(
        [framed(stage.id, b"\x00" + tail), framed(stage.id, b"\x02" + text(prefix) + tail)]
    )
    assert bodies.values == [None, None]  # nothing that was not sealed with our key is ever handed out


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9)
)
_NAMES = st.sampled_from(["v", "kids", "named", "e", "last", "other"])
_OBJECTS = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=5)
        | st.tuples(st.sampled_from(["R", "null", "string"]) | inner, inner)
        | st.just(object())
    ),
    max_leaves=12,
)


@settings(max_examples=400)
@given(row=_OBJECTS, part=_NAMES, value=_OBJECTS)
def test_any_objects_as_rows(stage: Stage, row: Any, part: str, value: Any) -> None:
    rows = [GOOD[0], row, GOOD[1] | {part: value}, GOOD[2] | {"kids": [value]}, GOOD[3]]
    result = stage.engine.serialize("t", rows)
    assert [value is None for value in (result.values[0], result.values[-1])] == [False, False]
    for error in result.errors:
        assert error.code in CODES
        assert_silent(error)
    received = stage.engine.deserialize("t", result.values)
    assert received.errors == []
    assert received.values[0] == GOOD[0]
    assert received.values[-1] == GOOD[3]
