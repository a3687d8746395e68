"""Bytes and rows that are not what they should be: each cause has its code, and harms no other row."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from csfle_fast import Engine
from csfle_fast._core import row_codes
from csfle_fast.dev import DevRegistry
from incumbent import SECRET, field, record
from leaks import MARK, assert_silent
from wire import number, seal, text
from worlds import World, decode, encode, framed, rule, world

__all__ = ["world"]  # a fixture

SCHEMA = record(
    field("n", "long"), field("i", "int"), field("e", {"type": "enum", "name": "E", "symbols": ["X", "Y"]}),
    field("u", ["null", "string"]), field("b", "boolean"), field("a", {"type": "array", "items": "long"}),
    field("z", {"type": "array", "items": "null"}), field("m", {"type": "map", "values": "bytes"}),
    field("s", "string"), field("v", "string", "PII"), field("w", "bytes", "PII"),
)  # fmt: skip
ROW: dict[str, Any] = {
    "n": 1, "i": 2, "e": "Y", "u": MARK, "b": True, "a": [1, 2], "z": [None], "m": {MARK: MARK.encode()},
    "s": MARK, "v": f"{MARK} secret", "w": f"{MARK} bytes".encode(),
}  # fmt: skip
PIECES = {name: encode(part["type"], ROW[name]) for name, part in zip(ROW, SCHEMA["fields"], strict=True)}


def body(**pieces: bytes) -> bytes:
    """The Avro body of ROW with some fields' bytes replaced."""
    return b"".join((PIECES | pieces).values())


class Stage:
    """A subject with its engine, a good row in all forms, and its key."""

    def __init__(self, world: World, days: int) -> None:
        self.id = world.put(SCHEMA, rule(days=days)).id
        self.engine: Engine = world.engine()
        self.good_frame = self.engine.serialize("t", [ROW]).values[0] or b""
        self.good_body = body()
        self.key = world.key()
        self.version = 1 if days else None

    def sealed(self, **pieces: bytes) -> bytes:
        """A frame whose tagged values are sealed, with some fields' bytes replaced."""
        v = text(seal("AES256_GCM", self.key, ROW["v"].encode(), "string", self.version))
        w = text(seal("AES256_GCM", self.key, ROW["w"], version=self.version))
        return framed(self.id, body(**({"v": v, "w": w} | pieces)))

    def expect(self, call: str, bad: Any, code: str, at: str | None = None) -> None:
        """One bad row between two good ones fails with ``code`` and without a word of what is in it."""
        good: Any = {"serialize": ROW, "encrypt": self.good_body}.get(call, self.good_frame)
        result = getattr(self.engine, call)("t", [good, bad, good])
        assert [(error.row, error.code) for error in result.errors] == [(1, code)]
        [error] = result.errors
        if at is not None:
            assert error.field == at
        assert_silent(error, self.key)
        assert "row 1" in error.message
        first, failed, last = result.values
        assert failed is None
        match call:
            case "decrypt":
                assert first == last == self.good_body
            case "deserialize":
                assert first == last == ROW
            case _:
                assert self.engine.decrypt("t", [first, last]).values == [self.good_body] * 2


@pytest.fixture(scope="module")
def stages() -> Iterator[Callable[[int], Stage]]:
    with ExitStack() as stack:
        made: dict[int, Stage] = {}

        def stage(days: int = 0) -> Stage:
            if days not in made:
                made[days] = Stage(World(stack.enter_context(DevRegistry(secret=SECRET)), stack), days)
            return made[days]

        yield stage


@pytest.fixture(scope="module")
def stage(stages: Callable[[int], Stage]) -> Stage:
    return stages(0)


@pytest.fixture(scope="module")
def rotated(stages: Callable[[int], Stage]) -> Stage:
    return stages(30)


NO_FRAMES = {
    "empty": b"", "magic byte alone": b"\x00", "short id": b"\x00\x00\x00\x00", "short GUID": b"\x01" * 16,
    "another magic byte": b"\x02\x00\x00\x00\x01abc", "text": MARK.encode(),
}  # fmt: skip


@pytest.mark.parametrize("call", ["decrypt", "deserialize"])
@pytest.mark.parametrize("frame", NO_FRAMES.values(), ids=list(NO_FRAMES))
def test_what_is_not_a_frame(stage: Stage, call: str, frame: bytes) -> None:
    stage.expect(call, frame, "not_a_frame")


@pytest.mark.parametrize("call", ["decrypt", "deserialize"])
@pytest.mark.parametrize("schema_id", [0, 4_711_000, 2**31 - 1])
def test_an_unknown_schema(stage: Stage, call: str, schema_id: int) -> None:
    head = b"\x00" + schema_id.to_bytes(4, "big", signed=True)
    stage.expect(call, head + stage.good_body, "unknown_schema_id")
    stage.expect(call, b"\x01" + MARK.encode().ljust(16) + stage.good_body, "unknown_schema_guid")


# Fields of the datum in disorder, as {field: its bytes}: the same for all calls that walk bytes.
DATUM: dict[str, tuple[str, dict[str, bytes]]] = {
    "a varint of eleven bytes": ("varint_too_long", {"n": b"\x80" * 10 + b"\x00"}),
    "a varint of 65 bits": ("varint_too_long", {"n": b"\xff" * 9 + b"\x02"}),
    "an endless varint": ("varint_too_long", {"s": b"\xff" * 64}),
    "an int of 33 bits": ("int_out_of_range", {"i": number(2**31)}),
    "an enum index of -1": ("enum_index_out_of_range", {"e": number(-1)}),
    "an enum index too large": ("enum_index_out_of_range", {"e": number(2)}),
    "an enum index of 2^62": ("enum_index_out_of_range", {"e": number(2**62)}),
    "a union index of -1": ("union_index_out_of_range", {"u": number(-1)}),
    "a union index too large": ("union_index_out_of_range", {"u": number(2)}),
    "a boolean of 2": ("bad_boolean", {"b": b"\x02"}),
    "a negative length": ("negative_length", {"s": number(-1)}),
    "the most negative length": ("negative_length", {"s": number(-(2**63))}),
    "a negative length in a map": ("negative_length", {"m": number(1) + number(-5)}),
    "a negative length of a value": ("negative_length", {"v": number(-1)}),
    "a length beyond the end": ("truncated", {"s": number(2**40) + MARK.encode()}),
    "a length of 2^63 - 1": ("truncated", {"s": number(2**63 - 1)}),
    "2^62 longs": ("too_many_items", {"a": number(2**62)}),
    "2^62 nulls": ("too_many_items", {"z": number(2**62) + b"\x00"}),
    "2^62 nulls with a size": ("too_many_items", {"z": number(-(2**62)) + b"\x00\x00"}),
    "65,536 nulls a hundred times": ("too_many_items", {"z": number(65_536) * 100 + b"\x00"}),
    "2^62 map entries": ("too_many_items", {"m": number(2**62)}),
    "a count without a positive twin": ("bad_block_count", {"a": number(-(2**63)) + b"\x00\x00"}),
    "a block size too small": ("block_size_mismatch", {"a": number(-2) + number(1) + b"\x02\x02\x00"}),
    "a block size too large": ("block_size_mismatch", {"a": number(-1) + number(5) + b"\x02\x00"}),
    "a negative block size": ("negative_length", {"a": number(-1) + number(-1) + b"\x02\x00"}),
}


@pytest.mark.parametrize("call", ["encrypt", "decrypt", "deserialize"])
@pytest.mark.parametrize(("code", "pieces"), DATUM.values(), ids=list(DATUM))
def test_a_datum_in_disorder(stage: Stage, call: str, code: str, pieces: dict[str, bytes]) -> None:
    bad = body(**pieces) if call == "encrypt" else stage.sealed(**pieces)
    stage.expect(call, bad, code)


@pytest.mark.parametrize("call", ["encrypt", "decrypt", "deserialize"])
def test_a_datum_cut_short_anywhere(stage: Stage, call: str) -> None:
    whole = stage.good_body if call == "encrypt" else stage.sealed()
    start = 0 if call == "encrypt" else 5
    cut = [whole[:end] for end in range(start, len(whole))]
    result = getattr(stage.engine, call)("t", cut)
    assert len(result.errors) == len(cut)
    # Where the cut leaves a count of items without the items, that is what is said.
    assert {error.code for error in result.errors} == {"truncated", "too_many_items"}
    for error in result.errors:
        assert_silent(error, stage.key)


@pytest.mark.parametrize("call", ["encrypt", "decrypt", "deserialize"])
@pytest.mark.parametrize("tail", [b"\x00", MARK.encode(), bytes(100_000)], ids=["zero", "text", "much"])
def test_bytes_behind_the_datum(stage: Stage, call: str, tail: bytes) -> None:
    whole = stage.good_body if call == "encrypt" else stage.sealed()
    stage.expect(call, whole + tail, "trailing_bytes")


def test_what_stands_behind_the_last_tagged_field_is_handed_on_unseen(world: World) -> None:
    schema = record(field("v", "string", "PII"), field("n", "long"))
    number_of = world.put(schema, rule()).id
    engine = world.engine()
    tail = b"\x02" + MARK.encode()
    good = engine.serialize("t", [{"v": "x", "n": 1}]).values[0] or b""
    [sealed] = engine.encrypt("t", [text("x") + tail]).values
    assert (sealed or b"").endswith(tail)
    assert engine.decrypt("t", [sealed, good[:-1] + tail]).values == [text("x") + tail] * 2
    [error] = engine.deserialize("t", [good + MARK.encode()]).errors
    assert (error.code, good[:5]) == ("trailing_bytes", framed(number_of, b""))
    assert_silent(error)


def test_text_that_is_not_utf8(stage: Stage) -> None:
    broken = b"\xff" + MARK.encode()
    stage.expect("encrypt", body(v=text(broken)), "invalid_utf8", "v")
    for call in ("decrypt", "deserialize"):
        sealed = text(seal("AES256_GCM", stage.key, broken, "string"))
        stage.expect(call, stage.sealed(v=sealed), "invalid_utf8", "v")
    # Untagged text is not ours to judge where bodies are wanted; a row cannot be made of it.
    clear = stage.sealed(s=text(broken))
    assert stage.engine.decrypt("t", [clear]).values == [body(s=text(broken))]
    stage.expect("deserialize", clear, "invalid_utf8", "s")


LONG = (
    f"{MARK} a plain text that is longer than any overhead of a cipher, so its length tells nothing".encode()
)
SEALED_TEXTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plaintext": ("not_ciphertext", lambda _: LONG),
    "short plaintext": ("not_ciphertext", lambda _: b"x"),
    "nothing": ("not_ciphertext", lambda _: b""),
    "plaintext in base64": ("not_ciphertext", lambda _: base64.b64encode(b"short")),
    "a line feed": ("invalid_base64", lambda good: good[:8] + b"\n" + good[8:]),
    "no padding": ("invalid_base64", lambda good: good.rstrip(b"=")),
    "text behind the padding": ("invalid_base64", lambda good: good + b"AAAA"),
    "URL-safe": ("invalid_base64", lambda good: b"-_-_" + good[4:]),
    "bits behind the end": ("invalid_base64", lambda good: good[:-3] + b"B=="),
    "cut at a whole group": ("authentication_failed", lambda good: good[4:]),
}


@pytest.mark.parametrize("call", ["decrypt", "deserialize"])
@pytest.mark.parametrize(("code", "change"), SEALED_TEXTS.values(), ids=list(SEALED_TEXTS))
def test_texts_that_are_no_ciphertext(
    stage: Stage, call: str, code: str, change: Callable[[bytes], bytes]
) -> None:
    good = seal("AES256_GCM", stage.key, b"x" * 24, "string")  # 52 bytes, so two padding signs
    assert good.endswith(b"==")
    stage.expect(call, stage.sealed(v=text(change(good))), code, "v")


@pytest.mark.parametrize("call", ["decrypt", "deserialize"])
@pytest.mark.parametrize("length", [0, 1, 27])
def test_bytes_too_short_for_ciphertext(stage: Stage, call: str, length: int) -> None:
    stage.expect(call, stage.sealed(w=text(bytes(length))), "not_ciphertext", "w")


def test_a_flipped_bit_anywhere(stage: Stage) -> None:
    good = seal("AES256_GCM", stage.key, MARK.encode())
    flipped = [
        bytes(b ^ (1 << bit if at == place else 0) for at, b in enumerate(good))
        for place in range(len(good))
        for bit in range(8)
    ]
    frames = [stage.sealed(w=text(one)) for one in flipped]
    frames += [stage.sealed(v=text(base64.b64encode(one))) for one in flipped]
    for call in (stage.engine.decrypt, stage.engine.deserialize):
        result = call("t", frames)
        assert len(result.errors) == len(frames) == 16 * len(good)
        assert {error.code for error in result.errors} == {"authentication_failed"}
        assert {error.field for error in result.errors} == {"v", "w"}
        for error in result.errors:
            assert_silent(error, stage.key)


def test_a_flipped_bit_in_the_text_itself(stage: Stage) -> None:
    good = seal("AES256_GCM", stage.key, MARK.encode(), "string")
    frames = [
        stage.sealed(v=text(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]))
        for place in range(len(good))
        for bit in range(8)
    ]
    result = stage.engine.decrypt("t", frames)
    assert len(result.errors) == len(frames)
    codes = {"authentication_failed", "invalid_base64", "not_ciphertext", "invalid_utf8"}
    assert {error.code for error in result.errors} <= codes


def test_a_value_moved_to_another_key(stage: Stage) -> None:
    for call in ("decrypt", "deserialize"):
        stage.expect(
            call, stage.sealed(w=text(seal("AES256_GCM", bytes(32), b"x" * 30))), "authentication_failed", "w"
        )


class TestVersionPrefix:
    @pytest.mark.parametrize("call", ["decrypt", "deserialize"])
    @pytest.mark.parametrize(
        ("code", "prefix"),
        [
            ("bad_version_prefix", b"\x01\x00\x00\x00\x01"),
            ("bad_version_prefix", b"\xff" * 5),
            ("unknown_dek_version", b"\x00\x00\x00\x00\x02"),
            ("unknown_dek_version", b"\x00\x00\x00\x00\x00"),
            ("unknown_dek_version", b"\x00\xff\xff\xff\xff"),
            ("unknown_dek_version", b"\x00\x7f\xff\xff\xff"),
        ],
    )
    def test_wrong(self, rotated: Stage, call: str, code: str, prefix: bytes) -> None:
        sealed = prefix + seal("AES256_GCM", rotated.key, MARK.encode())
        rotated.expect(call, rotated.sealed(w=text(sealed)), code, "w")
        rotated.expect(call, rotated.sealed(v=text(base64.b64encode(sealed))), code, "v")

    @pytest.mark.parametrize("call", ["decrypt", "deserialize"])
    def test_missing_where_the_rule_asks_for_it(self, rotated: Stage, call: str) -> None:
        sealed = b""
        while sealed[:1] in (b"", b"\x00"):  # a nonce that begins with 0 looks like a version
            sealed = seal("AES256_GCM", rotated.key, b"long enough to hold a version")
        rotated.expect(call, rotated.sealed(w=text(sealed)), "bad_version_prefix", "w")

    @pytest.mark.parametrize("call", ["decrypt", "deserialize"])
    def test_there_where_the_rule_does_not(self, stage: Stage, call: str) -> None:
        sealed = seal("AES256_GCM", stage.key, b"x", version=1)
        stage.expect(call, stage.sealed(w=text(sealed)), "authentication_failed", "w")


# Rows that do not fit their schema.
ROWS: dict[str, tuple[str, Any]] = {
    "not a dict": ("row_does_not_fit", MARK),
    "a list": ("row_does_not_fit", [ROW]),
    "a field missing": ("row_does_not_fit", {name: value for name, value in ROW.items() if name != "v"}),
    "text for a number": ("row_does_not_fit", ROW | {"n": MARK}),
    "a number beyond 64 bits": ("row_does_not_fit", ROW | {"n": 2**64}),
    "a number beyond 32 bits": ("int_out_of_range", ROW | {"i": 2**40}),
    "bytes for text": ("row_does_not_fit", ROW | {"v": MARK.encode()}),
    "a number for text": ("row_does_not_fit", ROW | {"v": 4711}),
    "null for text": ("row_does_not_fit", ROW | {"v": None}),
    "an unknown symbol": ("row_does_not_fit", ROW | {"e": MARK}),
    "no branch of the union": ("row_does_not_fit", ROW | {"u": MARK.encode()}),
    "a surrogate": ("row_does_not_fit", ROW | {"v": f"{MARK}\ud800"}),
    "an item that does not fit": ("row_does_not_fit", ROW | {"a": [1, MARK]}),
    "a map key that does not fit": ("row_does_not_fit", ROW | {"m": {4711: b""}}),
    "100,000 nulls": ("too_many_items", ROW | {"z": [None] * 100_000}),
}


@pytest.mark.parametrize(("code", "row"), ROWS.values(), ids=list(ROWS))
def test_rows_that_do_not_fit(stage: Stage, code: str, row: Any) -> None:
    stage.expect("serialize", row, code)


class Spiteful(dict[str, Any]):
    """A row whose every method raises, quoting a value."""

    def get(self, *_: Any) -> Any:
        raise KeyError(MARK)

    __getitem__ = __contains__ = __iter__ = keys = items = get

    def __repr__(self) -> str:
        raise RuntimeError(MARK)


@pytest.mark.parametrize("place", ["row", "field", "map"])
def test_objects_that_raise(stage: Stage, place: str) -> None:
    spiteful = Spiteful(ROW)
    row: Any = {"row": spiteful, "field": ROW | {"v": spiteful}, "map": ROW | {"m": spiteful}}[place]
    result = stage.engine.serialize("t", [ROW, row, ROW])
    for error in result.errors:
        assert (error.row, error.code) == (1, "row_does_not_fit")
        assert_silent(error)
    assert [decode(SCHEMA, b or b"") for b in stage.engine.decrypt("t", result.values[::2]).values] == [
        ROW
    ] * 2
    if place == "field":
        assert result.errors


def test_every_code_of_the_core_is_shown() -> None:
    shown = {code for table in (DATUM, SEALED_TEXTS, ROWS) for code, _ in table.values()}
    shown |= {"not_a_frame", "trailing_bytes", "invalid_utf8"}
    shown |= {"bad_version_prefix", "unknown_dek_version"}
    elsewhere = {"bad_schema_header", "decimal_too_large", "too_many_misses", "too_deep", "unsupported_type"}
    elsewhere |= {"dek_exhausted", "row_over_budget"}
    cannot_be_provoked = {"random_unavailable", "refused", "internal"}
    assert {code for code, _ in row_codes()} == (
        shown - {"row_does_not_fit"}
    ) | elsewhere | cannot_be_provoked
    assert len({sentence for _, sentence in row_codes()}) == len(row_codes())
