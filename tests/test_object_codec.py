"""The compiled codec gives what fastavro gives, and says which rows it did not take."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import math
import uuid
from collections import OrderedDict
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import datasets
from codec_judge import Differs, Judge, same, try_one
from csfle_fast._core import Schema
from csfle_fast.objects import Codec, decode
from incumbent import field, record
from object_codec_run import run
from random_rows import Lying, Number, Text, Zone

Decimal = decimal.Decimal
NAIVE = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - without a zone on purpose


@settings(max_examples=400)
@given(random=st.randoms(use_true_random=False), odd=st.sampled_from([0, 40, 8]))
def test_any_rows_of_any_schema(random: Random, odd: int) -> None:
    try_one(random, odd)


def test_many_rows_of_many_schemas() -> None:
    done, fast, refused = run(10_000, seed=9)
    assert fast > done / 2
    assert refused > done / 10


@pytest.mark.parametrize("name", datasets.NAMES)
def test_rows_of_the_data_sets_go_the_fast_way(name: str) -> None:
    rows = datasets.load(name).rows
    judge = Judge(json.loads(datasets.load(name).schema))
    bodies = judge.rows_to_bodies(rows)
    judge.bodies_to_rows(bodies)
    again = Judge(json.loads(datasets.load(name).schema))
    again.rows_to_bodies(datasets.load(name).read_back)
    for judged in (judge, again):
        assert judged.refused == 0
        assert judged.fast >= 0.95 * judged.rows


def fixed_decimal(precision: int, scale: int, size: int) -> dict[str, Any]:
    return logical("fixed", "decimal", precision=precision, scale=scale) | {"name": "D", "size": size}


def logical(kind: str, name: str, **more: int) -> dict[str, Any]:
    return {"type": kind, "logicalType": name} | more


BYTES_DECIMAL = logical("bytes", "decimal", precision=8, scale=3)
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "F", "size": 3}
UTC = NAIVE.replace(tzinfo=dt.UTC)
HALF_PAST = dt.timezone(dt.timedelta(hours=5, minutes=30))
ONE, TWO = record(field("a", "long"), name="One"), record(field("a", "long"), field("b", "long"), name="Two")
TWO_GIVEN = record(field("a", "long"), field("b", "long", default=7), name="Two")
INTS = {"type": "array", "items": "int"}

FAST: list[tuple[Any, Any]] = [
    ("null", None), ("boolean", True), ("boolean", False),
    ("int", -(2**31)), ("int", 2**31 - 1), ("long", -(2**63)), ("long", 2**63 - 1),
    ("float", 1e300), ("float", math.nan), ("float", -0.0), ("double", 5e-324), ("double", math.nan),
    ("double", 2**53 + 1), ("float", 2**24 + 1), ("double", -(2**63)),
    ("string", "é☃𝄞\x00"), ("string", "x" * 100_000), ("bytes", b""), ("bytes", b"\x00\xff"),
    (FIXED, b"abc"), (ENUM, "B"), (INTS, []), (INTS, [1, 2]), ({"type": "map", "values": "int"}, {"é": 1}),
    (["null", "string"], None), (["null", "string"], ""), (["null", ENUM, "string"], "B"),
    (["null", ENUM, "string"], "C"), (["int", "long", "double"], 2**31), (["int", "double"], 2**31),
    (["float", "int", "double"], 1), (["float", "double"], 0.1), (["double", "float"], 0.1), (["float"], 0.1),
    (["null", FIXED, "bytes"], b"abc"), (["null", FIXED, "bytes"], b"abcd"), (["boolean", "int"], True),
    (["null", INTS, {"type": "map", "values": "long"}], [1]), (["null", ONE, "string"], {"a": 1}),
    ([ONE, TWO], {"a": 1, "b": 2}), ([TWO, ONE], {"a": 1}), ([ONE, TWO_GIVEN], {"a": 1}),
    ([TWO_GIVEN, ONE], {"a": 1}), ([ONE, TWO], {"a": 1, "b": "x"}), ([ONE, TWO], ("Two", {"a": 1, "b": 2})),
    ([ONE, {"type": "map", "values": "long"}], {"a": 1}), (["null", ONE], ("One", {"a": 1})),
    (logical("int", "date"), dt.date.min), (logical("int", "date"), dt.date.max), (logical("int", "date"), 7),
    (logical("int", "time-millis"), dt.time(23, 59, 59, 999_999)), (logical("int", "time-millis"), 7),
    (logical("long", "time-micros"), dt.time(0, 0, 0, 1, tzinfo=dt.UTC)), (logical("long", "time-micros"), 7),
    (logical("long", "timestamp-millis"), UTC), (logical("long", "timestamp-millis"), 2**62),
    (logical("long", "timestamp-micros"), UTC.replace(tzinfo=HALF_PAST, microsecond=1)),
    (logical("long", "timestamp-micros"), dt.datetime.min.replace(tzinfo=dt.UTC)),
    (logical("long", "timestamp-millis"), UTC.replace(year=1969, microsecond=999_999)),
    (logical("long", "local-timestamp-millis"), NAIVE), (logical("long", "local-timestamp-micros"), NAIVE),
    (logical("long", "timestamp-nanos"), 2**62), (logical("fixed", "x") | FIXED, b"abc"),
    (logical("string", "uuid"), uuid.UUID(int=5)), (logical("string", "uuid"), "no uuid"),
    (BYTES_DECIMAL, Decimal("-1.25")), (BYTES_DECIMAL, Decimal("12345.678")), (BYTES_DECIMAL, Decimal("-0")),
    (BYTES_DECIMAL, Decimal("0.128")), (BYTES_DECIMAL, Decimal("-0.128")), (BYTES_DECIMAL, Decimal("1E+4")),
    (BYTES_DECIMAL, b"any"), (fixed_decimal(4, 2, 2), Decimal("-99.99")),
    (fixed_decimal(4, 2, 2), b"\x01\x00"),
    (fixed_decimal(4, 2, 30), Decimal("-0.01")), (fixed_decimal(4, 2, 30), Decimal("99.99")),
    (logical("bytes", "decimal", precision=38), Decimal("-" + "9" * 38)),
    (record(field("a", "int", default=1), field("b", ["null", "int"])), {}),
    (record(field("a", INTS, default=[1, 2]), field("b", "double", default=1)), {"beside": object()}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value"), FAST, ids=lambda part: repr(part)[:60])
def test_values_that_need_no_fastavro(schema: Any, value: Any) -> None:
    judge = Judge(record(field("v", schema), name="Outer"))
    [body] = judge.rows_to_bodies([{"v": value}])
    assert judge.fast == 1
    judge.bodies_to_rows([body])
    rows, errors, by_fastavro = decode([body], [judge.codec], None)
    # Dates that Python has no day for, and texts that are no UUID, are errors there.
    assert by_fastavro == (1 if errors or rows[0] is None else 0)


SLOW: list[tuple[Any, Any]] = [
    ("null", 5), ("boolean", 1), ("int", True), ("int", 2**31), ("long", 2**63), ("int", Number(3)),
    ("double", "nan"), ("double", True), ("double", 2**63), ("string", Text("x")), ("string", b"x"),
    ("string", "\ud800"), ("bytes", bytearray(b"x")), ("bytes", memoryview(b"x")), (FIXED, b"abcd"),
    (FIXED, bytearray(b"abc")), (ENUM, "C"), (ENUM, Text("A")), (INTS, (1, 2)), (INTS, b"ab"),
    ({"type": "map", "values": "int"}, {1: 1}), ({"type": "map", "values": "int"}, OrderedDict(a=1)),
    ({"type": "map", "values": "int"}, {Text("a"): 1}), (ONE, Lying(a=1)), (ONE, {"a": 1, "-type": "Two"}),
    (["null", ONE], {"a": 1, "-type": "One"}), (["null", ONE], {"a": 1, "-type": "Two"}), (["null", ONE], {}),
    (["null", INTS, "bytes"], b"ab"), (["null", INTS, "bytes"], b""), (["null", "string"], 5),
    (["null", "string"], ("string", "x")), (["null", ONE], ("Two", {"a": 1})), (["null", ONE], ("One", 3)),
    (["null", ENUM], ("E", "A")), ([ONE, TWO], {"a": 1, "b": 2, "-type": "One"}), ([ONE, TWO], {"a": "x"}),
    ([logical("int", "date"), "string"], "2026-01-02"), ([logical("int", "date"), "string"], "text"),
    (logical("int", "date"), "2026-01-02"), (logical("int", "date"), UTC), (logical("int", "date"), 2**31),
    (logical("long", "timestamp-millis"), NAIVE), (logical("long", "timestamp-millis"), dt.date(2026, 1, 2)),
    (logical("long", "timestamp-millis"), NAIVE.replace(tzinfo=Zone())),
    (logical("int", "time-millis"), 2**31), (INTS, range(2)), ("int", 1.0), (["null", ONE], ("One", {}, 3)),
    (logical("long", "local-timestamp-millis"), UTC), (BYTES_DECIMAL, Decimal("NaN")),
    (BYTES_DECIMAL, Decimal("0.1234")), (BYTES_DECIMAL, Decimal("123456.789")),
    (BYTES_DECIMAL, Decimal("1E+5")),
    (BYTES_DECIMAL, Decimal("1E+900")), (BYTES_DECIMAL, 1.5), (fixed_decimal(2, 0, 1), Decimal("-0")),
    (fixed_decimal(4, 2, 2), b"abc"), ([BYTES_DECIMAL, fixed_decimal(4, 2, 2)], Decimal("1.5")),
    (logical("bytes", "decimal", precision=39), Decimal(1)),
    (logical("string", "uuid"), uuid.UUID(int=5).bytes),
    (record(field("a", "int", default="x"), name="In"), {}), (record(field("a", "int"), name="In"), {}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value"), SLOW, ids=lambda part: repr(part)[:60])
def test_values_that_are_left_to_fastavro(schema: Any, value: Any) -> None:
    judge = Judge(record(field("before", "string"), field("v", schema), name="Outer"))
    judge.rows_to_bodies([{"before": "y", "v": value}])
    assert judge.fast == 0


def test_slow_rows_stand_in_their_places() -> None:
    judge = Judge(record(field("s", "string"), field("v", "long")))
    rows = [{"s": "x" * n, "v": n if n % 3 else Number(n)} for n in range(100)]
    rows[10]["v"] = "no long"
    assert len(judge.rows_to_bodies(rows)) == 99
    assert (judge.fast, judge.refused) == (65, 1)


def test_what_it_needs_of_a_body() -> None:
    judge = Judge(record(field("b", "boolean"), field("i", "int"), field("e", ENUM), field("a", INTS)))
    whole = b"\x01\x02\x02\x01\x02\x08\x00"  # the block has a size, which is wrong and of no use
    assert decode([whole], [judge.codec], None) == ([{"b": True, "i": 1, "e": "B", "a": [4]}], [], 0)
    judge.bodies_to_rows(
        [
            whole, whole + b"\x00", whole[:-1], b"", b"\x02" + whole[1:], b"\x01\x80\x80\x80\x80\x10\x00\x00",
            b"\x01\x00\x01\x00", b"\x01\x00\x04\x00", b"\x01\x00\x00\x02\x80\x80\x80\x80\x10\x00",
            b"\x01\x00\x00\x80",
        ]
    )  # fmt: skip
    assert judge.fast == 1


TIMES = [
    0,
    1,
    -1,
    86_399_999,
    86_400_000,
    86_399_999_999,
    86_400_000_000,
    2**31 - 1,
    -(2**31),
    2**40,
    2**63 - 1,
]
POINTS = [
    0,
    -1,
    999,
    -999_999,
    253_402_300_799_999,
    253_402_300_800_000,
    -62_135_596_800_000,
    -62_135_596_800_001,
]


@pytest.mark.parametrize(
    "schema",
    [
        logical("int", "date"), logical("int", "time-millis"), logical("long", "time-micros"),
        logical("long", "timestamp-millis"), logical("long", "timestamp-micros"),
        logical("long", "local-timestamp-millis"), logical("long", "local-timestamp-micros"),
    ],
    ids=lambda schema: schema["logicalType"],
)  # fmt: skip
def test_times_at_their_ends(schema: Any) -> None:
    judge, bare = Judge(schema), Judge(schema["type"])
    points = [point * unit for point in POINTS for unit in (1, 1_000)]
    days = [-719_162, -719_163, 2_932_896, 2_932_897]
    bodies = bare.rows_to_bodies(TIMES + points + days if schema["type"] == "long" else TIMES[:9] + days)
    judge.bodies_to_rows(bodies)
    assert 0 < judge.fast < judge.rows


@pytest.mark.parametrize(("size", "precision"), [(None, 38), (1, 2), (2, 4), (16, 38), (17, 38), (30, 38)])
def test_numbers_of_decimals_at_their_ends(size: int | None, precision: int) -> None:
    number = logical("bytes", "decimal", precision=precision, scale=1)
    judge = Judge(record(field("v", fixed_decimal(precision, 1, size) if size else number)))
    lengths = [size] if size else [0, 1, 2, 15, 16, 17, 40]
    starts = [0x00, 0x01, 0x4B, 0x4C, 0x63, 0x64, 0x7F, 0x80, 0x9C, 0x9D, 0xB4, 0xB5, 0xFF]
    values = [
        bytes([start, *[end] * 50])[:length] for length in lengths for start in starts for end in (0, 0xFF)
    ]
    judge.bodies_to_rows(values if size else [bytes([2 * len(value)]) + value for value in values])
    assert 0 < judge.fast < judge.rows


def test_texts_that_a_uuid_may_be() -> None:
    plain, braced = "12345678123456781234567812345678", "{12345678-1234-5678-1234-567812345678}"
    texts = [plain, braced, f"urn:uuid:{braced}", plain.upper(), plain[:-1], "", "é" * 32, plain[:-1] + "_"]
    Judge(logical("string", "uuid")).bodies_to_rows(Judge("string").rows_to_bodies(texts))


def test_records_of_more_fields_than_a_small_dict_has_room_for() -> None:
    for count in (1, 5, 6, 7, 40):
        judge = Judge(record(*[field(f"f{place}", "long") for place in range(count)]))
        rows = [{f"f{place}": place + row for place in range(count)} for row in range(3)]
        judge.bodies_to_rows(judge.rows_to_bodies(rows))
        received = decode(judge.rows_to_bodies(rows), [judge.codec] * 3, None).rows
        received[0]["more"] = received[0].pop("f0")
        assert received[1:] == rows[1:]  # each has its own


def test_keys_that_come_again_in_a_map() -> None:
    judge = Judge({"type": "map", "values": "int"})
    body = b"\x06\x02a\x02\x02b\x04\x02a\x06\x00"
    judge.bodies_to_rows([body])
    assert decode([body], [judge.codec], None) == ([{"a": 3, "b": 2}], [], 0)


def test_names_of_branches_below_a_namespace() -> None:
    bare = record(field("v", "int"), name="Bare") | {"namespace": ""}
    spaced = record(field("v", "int"), name="Spaced")
    schema = record(field("u", ["null", bare, spaced]), name="ns.Outer")
    judge = Judge(schema)
    judge.rows_to_bodies(
        [{"u": (name, {"v": 1})} for name in ("Bare", ".Bare", "ns.Spaced", "Spaced", "ns.Bare")]
    )
    assert judge.fast == 1


def test_fields_that_may_hold_ciphertext_have_no_logical_type() -> None:
    texts = {"type": "array", "items": logical("string", "uuid")}
    inner = record(field("u", logical("string", "uuid")), name="Inner")
    schema = record(
        field("u", texts), field("open", texts), field("d", BYTES_DECIMAL), field("r", ["null", inner])
    )
    schema["fields"].append(field("w", [logical("string", "uuid"), logical("int", "date")]))
    left = frozenset({"R.u", "R.d", "R.r", "R.w"})
    one = Codec(Schema(json.dumps(schema)), "a schema", left)
    id_ = uuid.UUID(int=1)
    row = {"u": ["sealed"], "open": [id_], "d": b"\x01", "r": {"u": id_}, "w": dt.date(2026, 1, 2)}
    [body] = one.encode([row]).bodies
    assert decode([body], [one], None) == ([row], [], 0)
    assert fastavro.schemaless_reader(io.BytesIO(body), one.parsed, None) == row


def test_a_reader_of_the_same_shape_needs_no_fastavro() -> None:
    writer = Codec(Schema(json.dumps(record(field("a", "int")))), "a schema")
    same_shape = Codec(Schema(json.dumps(record(field("a", "int", "PII")))), "a schema")
    wider = Codec(Schema(json.dumps(record(field("a", "long")))), "a schema")
    text = record(field("a", logical("string", "uuid")))
    sealed = Codec(Schema(json.dumps(text)), "a schema", frozenset({"R.a"}))
    assert decode([b"\x02"], [writer], same_shape) == ([{"a": 1}], [], 0)
    assert decode([b"\x02"], [writer], wider) == ([{"a": 1}], [], 1)
    assert decode([b"\x02x"], [sealed], Codec(Schema(json.dumps(text)), "a schema")).by_fastavro == 1


@pytest.mark.parametrize("name", ["string-shout", "long-timestamp-millis"])
def test_converters_of_the_callers_own_are_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, _, logical_type = name.partition("-")
    good = {"string": ("x", "X!"), "long": (5, 6)}[kind]
    monkeypatch.setitem(
        fastavro.write.LOGICAL_WRITERS, name, lambda value, _: good[1] if value == good[0] else value
    )
    monkeypatch.setitem(fastavro.read.LOGICAL_READERS, name, lambda value, *_: (value, "read"))
    judge = Judge(record(field("v", logical(kind, logical_type)), field("w", kind)))
    [body] = judge.rows_to_bodies([{"v": good[0], "w": good[0]}])
    judge.bodies_to_rows([body])
    assert judge.fast == 0
    assert decode([body], [judge.codec], None).rows == [{"v": (good[1], "read"), "w": good[0]}]
    other = Judge(record(field("w", kind), field("d", logical("int", "date"))))
    other.bodies_to_rows(other.rows_to_bodies([{"w": good[0], "d": dt.date(2026, 1, 2)}]))
    assert other.fast == 2


def test_the_judge_sees_what_is_not_the_same() -> None:
    assert not same(0.0, -0.0)
    assert same(math.nan, math.nan)
    assert not same(1, True)
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not same([Decimal("1.0")], [Decimal("1.00")])
    judge = Judge(record(field("v", "int")))
    judge.codec.parsed = fastavro.parse_schema(record(field("v", "double")))
    with pytest.raises(Differs):
        judge.rows_to_bodies([{"v": 1}])
    with pytest.raises(Differs):
        judge.bodies_to_rows([b"\x02"])
