"""Rows and bodies made to hurt: each ends in a body or an error, and nothing of it stays behind."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csfle_fast._core import Schema
from csfle_fast.objects import Codec, decode
from incumbent import field, record
from random_rows import Lying, Text
from worlds import encode

TREE = record(field("v", "long", default=0), field("kids", {"type": "array", "items": "R"}, default=[]))
CHAIN = record(field("v", "long"), field("next", ["null", "R"], default=None))
MANY = record(
    field("a", {"type": "array", "items": "string"}), field("m", {"type": "map", "values": "R"}, default={})
)


def codec(schema: Any) -> Codec:
    return Codec(Schema(json.dumps(schema)), "a schema")


def chain(records: int) -> dict[str, Any]:
    row: dict[str, Any] | None = None
    for number in range(records):
        row = {"v": number, "next": row}
    assert row is not None
    return row


def alone(one: Codec, row: Any) -> tuple[bytes, list[str]]:
    """The body of a row between two good ones, or what its error says."""
    good = {"v": 1, "next": None, "a": ["x"], "kids": []}
    encoded = one.encode([good, row, good])
    first, *between, last = encoded.bodies
    assert first == last != b""
    assert [error.row for error in encoded.errors] in ([], [1])
    return b"".join(between), [error.code for error in encoded.errors]


def test_rows_that_hold_themselves() -> None:
    itself: dict[str, Any] = {"v": 1, "kids": []}
    itself["kids"].append(itself)
    assert alone(codec(TREE), itself) == (b"", ["too_deep"])
    itself = {"v": 1}
    itself["next"] = itself
    assert alone(codec(CHAIN), itself) == (b"", ["too_deep"])
    itself = {"a": [], "m": {}}
    itself["m"]["me"] = itself
    assert alone(codec(MANY), itself) == (b"", ["too_deep"])
    endless: list[Any] = []
    endless.append(endless)
    assert alone(codec(MANY), {"a": endless})[1] == ["row_does_not_fit"]


@pytest.mark.parametrize("levels", [1, 511, 512, 513, 10_000])
def test_rows_as_deep_as_they_may_be(levels: int) -> None:
    body, codes = alone(codec(CHAIN), chain(levels))
    assert codes == ([] if levels <= 512 else ["too_deep"])
    assert (body == encode(CHAIN, chain(levels))) if levels <= 512 else body == b""


@pytest.mark.parametrize("levels", [512, 1_024, 1_025])
def test_bodies_as_deep_as_they_may_be(levels: int) -> None:
    body = b"\x02\x02" * (levels - 1) + b"\x02\x00"
    rows, errors, by_fastavro = decode([body], [codec(CHAIN)], None)
    assert (errors, by_fastavro) == ([], int(levels > 1_024))  # the walk before it is what refuses them
    depth, row = 0, rows[0]
    while row is not None:
        depth, row = depth + 1, row["next"]
    assert depth == levels


def tree(records: int) -> dict[str, Any]:
    row: dict[str, Any] = {"v": 1, "kids": []}
    for _ in range(records - 1):
        row = {"v": 1, "kids": [row]}
    return row


def alike(records: int, below: int) -> tuple[Any, dict[str, Any]]:
    """A schema with records that look alike in a union, and a row that has some far inside."""
    one, two = (
        record(
            field("n", ["null", {"type": "array", "items": ["null", name]}], default=None),
            field("x", kind),
            name=name,
        )
        for name, kind in (("A", "int"), ("B", "string"))
    )
    more = ["null", {"type": "map", "values": ["null", "R"]}]
    schema = record(field("u", ["null", one, two], default=None), field("next", more, default=None))
    inner: dict[str, Any] | None = None
    for _ in range(below):
        inner = {"n": [inner] if inner else None, "x": "only B has a text"}
    row: dict[str, Any] = {"u": inner, "next": None}
    for _ in range(records):
        row = {"u": None, "next": {"k": row}}
    return schema, row


def on_a_small_stack(run: Callable[[], object]) -> None:
    size = threading.stack_size(1 << 20)  # what the limits promise for the compiled codec
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)


@pytest.mark.parametrize(
    ("schema", "row"),
    [(CHAIN, chain(512)), (TREE, tree(512)), alike(250, 255)],
    ids=["chain", "tree", "alike"],
)
def test_the_deepest_row_needs_little_stack(schema: Any, row: dict[str, Any]) -> None:
    one, found = codec(schema), []

    def there_and_back() -> None:
        encoded = one.encode([row])
        found.append(encoded.by_fastavro)
        found.append(decode(list(encoded.bodies), [one], None).by_fastavro)

    on_a_small_stack(there_and_back)
    assert found == [0, 0]


def test_nor_does_one_that_is_too_deep() -> None:
    schema, row = alike(254, 2_000)
    one = codec(schema)
    codes: list[str] = []
    on_a_small_stack(lambda: codes.extend(error.code for error in one.encode([row]).errors))
    assert codes == ["too_deep"]


@pytest.mark.parametrize(("arrays", "codes"), [(1, []), (2, ["too_deep"]), (100, ["too_deep"])])
@pytest.mark.parametrize("odd", [False, True])
def test_arrays_and_maps_count_beside_records(arrays: int, codes: list[str], odd: bool) -> None:
    items: Any = "R"
    for _ in range(arrays):
        items = {"type": "array", "items": items}
    row: Any = {"n": [], "s": Text("s") if odd else "s"}  # a text that only fastavro takes
    for _ in range(511):
        inner = row
        for _ in range(arrays):
            inner = [inner]
        row = {"n": inner, "s": "s"}
    encoded = codec(record(field("n", items), field("s", "string"))).encode([row])
    assert [error.code for error in encoded.errors] == codes
    assert len(encoded.bodies) == 1 - len(codes)


def test_rows_that_grow_when_they_are_written_out() -> None:
    row: dict[str, Any] = {"v": 1, "kids": []}
    for _ in range(60):
        row = {"v": 1, "kids": [row, row]}
    assert alone(codec(TREE), row) == (b"", ["too_deep"])


@pytest.mark.parametrize(("levels", "codes"), [(12, []), (100, ["too_deep"])])
def test_branches_that_look_alike_all_the_way(levels: int, codes: list[str]) -> None:
    one, two = (
        record(field("r", "R"), field("x", kind), name=name) for name, kind in [("A", "int"), ("B", "string")]
    )
    row: dict[str, Any] = {"u": None}
    for _ in range(levels):
        row = {"u": {"r": row, "x": "only B has a text"}}
    encoded = codec(record(field("u", ["null", one, two]))).encode([row])
    assert [error.code for error in encoded.errors] == codes
    assert encoded.by_fastavro == len(codes)


def test_defaults_that_hold_themselves() -> None:
    schema = record(field("v", "long", default=0), field("r", "R", default={}))
    [error] = codec(schema).encode([{"v": 1}]).errors
    assert error.code == "too_deep"
    two = record(field("v", "long", default=0), field("r", "R", default={}), field("s", "R", default={}))
    [error] = codec(two).encode([{"v": object()}]).errors
    assert error.code == "too_deep"


def test_defaults_are_read_once_however_often_they_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    schema: Any = "long"
    for level in range(12):
        schema = record(
            field("a", schema, default={}),
            field("b", f"L{level - 1}" if level else "long", default={}),
            name=f"L{level}",
        )
    table, loads = Schema(json.dumps(schema)), json.loads
    read: list[str] = []

    def counted(text: str) -> Any:
        read.append(text)
        return loads(text)

    monkeypatch.setattr(json, "loads", counted)
    assert not table.too_deep({})
    assert len(read) == 24


class Key:
    """A key that has the hash of a field's name, and once it is armed does something when it is asked."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self._hash = hash(name)
        self._act = act
        self.armed = False

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self.armed:
            self._act()
        return False


def beside(name: str, act: Callable[[], object], **fields: Any) -> dict[Any, Any]:
    """A record with a key that does something when ``name`` is looked up."""
    key = Key(name, act)
    row = {key: 1} | fields
    key.armed = True
    return row


def test_keys_that_change_the_row_while_it_is_read() -> None:
    outer: dict[str, Any] = {}
    changes: list[Callable[[], object]] = [
        outer.clear, lambda: outer.update({str(number): {"a": []} for number in range(99)}),
        lambda: [outer.pop("k"), outer.update({"n": {"a": []}})],
    ]  # fmt: skip
    for change in changes:
        outer.clear()
        outer.update(k=beside("a", change, a=["y"]), l={"a": ["z"]}, m={"a": []})
        body, _ = alone(codec(MANY), {"a": ["x"], "m": outer})
        assert body.startswith(
            encode("long", 1) + b"\x02x\x00" + encode("long", 3)
        )  # as it was when it was met

    items: list[Any] = []
    more = [{"v": 9, "kids": []}] * 50
    for change in (items.clear, lambda: items.extend(more)):
        items[:] = [beside("v", change, v=2, kids=[]), {"v": 3, "kids": []}, {"v": 4, "kids": []}]
        encoded = codec(TREE).encode([{"v": 1, "kids": items}])
        [row] = decode(list(encoded.bodies), [codec(TREE)], None).rows
        assert [kid["v"] for kid in row["kids"]] == [2, 3, 4]


def test_an_interrupt_is_no_matter_of_the_row() -> None:
    def raises(error: BaseException) -> dict[Any, Any]:
        def act() -> None:
            raise error

        return beside("v", act, v=1, next=None)

    one = codec(CHAIN)
    with pytest.raises(KeyboardInterrupt):
        one.encode([raises(KeyboardInterrupt())])
    assert alone(one, raises(LookupError())) == (b"", ["row_does_not_fit"])


OTHERS: dict[str, Any] = {
    "lying": Lying(v=1), "lying inside": {"v": 1, "next": Lying()}, "numbers as keys": {1: 2}, "a list": [],
    "beside": {1: 2, "v": 1, "next": None, "-type": "R"}, "huge": {"v": 10**5_000}, "a number": 5,
    "large": {"v": -(2**63) - 1}, "class of text": {"v": 1, "next": {"v": Text("1")}},
}  # fmt: skip


@pytest.mark.parametrize("row", OTHERS.values(), ids=list(OTHERS))
def test_rows_of_other_making_are_left_to_fastavro(row: Any) -> None:
    one = codec(CHAIN)
    wanted: tuple[bytes, list[str]]
    try:
        wanted = encode(CHAIN, row), []
    except Exception:  # noqa: BLE001 - whatever fastavro raises
        wanted = b"", ["row_does_not_fit"]
    assert alone(one, row) == wanted
    assert one.encode([row]).by_fastavro == 1


@pytest.mark.parametrize("items", ["null", record(name="Empty"), {"type": "fixed", "name": "F", "size": 0}])
def test_items_without_bytes_are_bounded(items: Any) -> None:
    one = codec({"type": "array", "items": items})
    few = encode("long", 65_536) + b"\x00"
    assert len(decode([few], [one], None).rows[0]) == 65_536
    assert decode([few], [one], None).by_fastavro == 0
    more = encode("long", 65_536 + 16 * 5 + 1) + b"\x00"
    assert decode([more], [one], None).by_fastavro == 1


def test_counts_beyond_the_body_allocate_nothing() -> None:
    for schema in ({"type": "array", "items": "long"}, {"type": "map", "values": "null"}, "string", "bytes"):
        for count in (2**20, 2**62, -(2**40), -(2**63)):
            [error] = decode(
                [b"", encode("long", count)], [codec(record(field("v", schema)))] * 2, None
            ).errors[1:]
            assert error.code == "not_decodable"


def test_codecs_are_as_many_as_bodies() -> None:
    with pytest.raises(RuntimeError, match="as many"):
        decode([b""], [], None)


ROW = {"v": 7, "kids": [{"v": n, "kids": []} for n in range(5)]}
STRINGS = record(*[field(f"f{place}", "string") for place in range(10)])


def _resident() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_million_rows_leave_nothing_behind() -> None:
    one, slow = codec(TREE), {"v": 1, "kids": [{"v": True, "kids": []}]}
    rows = [ROW] * 995 + [slow, None, {"v": "no fit"}, {"v": 2**63}, {"v": 1, "kids": [5]}]

    def run(rounds: int) -> None:
        for _ in range(rounds):
            encoded = one.encode(rows)
            assert len(encoded.errors) == 3
            decode([encoded.bodies[0]] * 500 + [b"\x02"], [one] * 501, None)

    gc.disable()  # nothing here waits for a collection, which would look at all the suite's objects
    try:
        run(50)
        before = _resident()
        run(1_000)
        assert _resident() - before < 2_048  # KiB
    finally:
        gc.enable()


def test_a_field_costs_no_object_of_its_own() -> None:
    one, rows = codec(STRINGS), [{f"f{place}": "x" * 24 for place in range(10)}] * 1_000
    one.encode(rows)
    tracemalloc.start()
    try:
        encoded = one.encode(rows)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < sum(map(len, encoded.bodies)) + 40 * len(rows) + 10_000
