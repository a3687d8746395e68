"""The facade: the forms of a batch, tombstones, keys and values, header framing, root types, its own life."""

from __future__ import annotations

import json
import threading
import uuid
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from csfle_fast import BatchError, ConfigError, CsfleError, Engine, PackedRows, RegistryError
from incumbent import SECRET, field, mock_registry, record, register
from wire import leaves
from worlds import FLAT, World, encode, flat, framed, rule, world

__all__ = ["world"]  # a fixture

ROWS = [flat(number) for number in range(7)]
BODIES = [encode(FLAT, row) for row in ROWS]


def pack(rows: list[bytes]) -> tuple[bytes, npt.NDArray[np.int64]]:
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return b"".join(rows), offsets


def unpack(packed: PackedRows) -> list[bytes]:
    return [packed.buffer[a:b] for a, b in pairwise(packed.offsets)]


@pytest.fixture
def engine(world: World) -> Engine:
    world.put(FLAT, rule())
    return world.engine()


class TestForms:
    def test_lists(self, engine: Engine) -> None:
        frames = engine.encrypt("t", BODIES)
        assert engine.decrypt("t", frames.values).values == BODIES
        assert engine.deserialize("t", frames.values).values == ROWS
        assert engine.decrypt("t", engine.serialize("t", ROWS).values).values == BODIES

    def test_other_sequences_are_lists_too(self, engine: Engine) -> None:
        # A tuple of two is a packed batch, so it is no list.
        frames = engine.encrypt("t", Rows(BODIES))
        assert engine.decrypt("t", Rows(frames.values)).values == BODIES
        assert engine.deserialize("t", Rows(engine.serialize("t", Rows(ROWS)).values)).values == ROWS

    @pytest.mark.parametrize(
        "buffer", [bytes, bytearray, memoryview, lambda raw: np.frombuffer(raw, np.uint8)]
    )
    @pytest.mark.parametrize("offsets", [np.asarray, memoryview, lambda given: array("q", given.tolist())])
    def test_packed(
        self, engine: Engine, buffer: Callable[[bytes], Any], offsets: Callable[[Any], Any]
    ) -> None:
        raw, ends = pack(BODIES)
        sealed = engine.encrypt("t", (buffer(raw), offsets(ends)))
        assert isinstance(sealed.values, PackedRows)
        assert len(sealed.values.offsets) == len(BODIES) + 1
        assert sealed.values.offsets.format == "q"
        assert sealed.values.offsets[0] == 0
        assert sealed.values.offsets[-1] == len(sealed.values.buffer)
        opened = engine.decrypt("t", sealed.values)
        assert unpack(opened.values) == BODIES == engine.decrypt("t", unpack(sealed.values)).values

    def test_a_packed_result_unpacks_and_goes_into_numpy(self, engine: Engine) -> None:
        buffer, offsets = engine.encrypt("t", pack(BODIES)).values
        assert np.asarray(offsets).dtype == np.int64
        assert engine.decrypt("t", (np.frombuffer(buffer, np.uint8), np.asarray(offsets))).errors == []

    def test_packed_rows_need_not_begin_at_zero(self, engine: Engine) -> None:
        raw, ends = pack([b"before", *BODIES, b"behind"])
        sealed = engine.encrypt("t", (raw, ends[1:-1]))
        assert unpack(engine.decrypt("t", sealed.values).values) == BODIES

    def test_a_failed_row_is_none_or_empty_and_its_neighbours_are_well(self, engine: Engine) -> None:
        rows = [*BODIES[:4], b"\xff", *BODIES[4:]]
        listed = engine.encrypt("t", rows)
        packed = engine.encrypt("t", pack(rows))
        for errors in (listed.errors, packed.errors):
            assert [error.row for error in errors] == [4]
        assert listed.values[4] is None
        assert unpack(packed.values)[4] == b""
        assert engine.decrypt("t", [f for f in listed.values if f]).values == BODIES
        assert engine.decrypt("t", [f for f in unpack(packed.values) if f]).values == BODIES

    @pytest.mark.parametrize("good", [BODIES[:0], BODIES], ids=["alone", "last"])
    @pytest.mark.parametrize("threads", [1, 2])
    def test_both_forms_give_the_same_errors(self, engine: Engine, good: list[bytes], threads: int) -> None:
        for bad in (b"\xff", b"\x02\x08", BODIES[1] + b"\x04", BODIES[1][:-9], b""):
            rows = [*good, bad]
            frames = [framed(1, row) for row in rows]
            for call, batch in ((engine.encrypt, rows), (engine.decrypt, frames)):
                listed = call("t", batch, threads=threads).errors
                packed = call("t", pack(batch), threads=threads).errors
                told = [[(e.row, e.field, e.code, e.offset) for e in errors] for errors in (listed, packed)]
                assert told[0] == told[1]
                assert told[0][-1][0] == len(good)

    def test_writable_buffers_are_copied_before_others_may_run(self, engine: Engine) -> None:
        raw, ends = pack(BODIES)
        buffer, offsets = bytearray(raw), ends.copy()
        sealed = engine.encrypt("t", (buffer, offsets))
        buffer[:] = bytes(len(buffer))
        offsets[:] = 0
        assert unpack(engine.decrypt("t", sealed.values).values) == BODIES

    @pytest.mark.parametrize(
        "offsets",
        [[], [0, 5, 3], [-1, 4], [0, 10**9], [2**62, 2**62]],
        ids=["none", "fall", "neg", "far", "big"],
    )
    def test_bad_offsets(self, engine: Engine, offsets: list[int]) -> None:
        for call in (engine.encrypt, engine.decrypt):
            with pytest.raises(BatchError) as caught:
                call("t", (b"0123456789", np.array(offsets, np.int64)))
            assert caught.value.code == "bad_offsets"

    @pytest.mark.parametrize("offsets", [np.array([0, 1], np.int32), [0, 1], b"\x00" * 16])
    def test_offsets_of_another_type(self, engine: Engine, offsets: Any) -> None:
        with pytest.raises(TypeError, match="int64"):
            engine.encrypt("t", (b"0", offsets))

    @pytest.mark.parametrize("item", ["text", 7, bytearray(b"x"), memoryview(b"x")])
    def test_an_item_that_is_not_bytes_is_named_by_its_row(self, engine: Engine, item: Any) -> None:
        for call in (engine.encrypt, engine.decrypt, engine.deserialize):
            with pytest.raises(TypeError, match="row 1 is "):
                call("t", [BODIES[0], item])

    def test_deserialize_takes_lists_only(self, engine: Engine) -> None:
        with pytest.raises(BatchError) as caught:
            engine.deserialize("t", engine.encrypt("t", pack(BODIES)).values)  # type: ignore[arg-type]
        assert caught.value.code == "bad_batch"


class Rows(list[Any]):
    """A sequence that is no plain list."""


class TestNothing:
    def test_tombstones_stay_and_cost_no_request(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        for call in (engine.decrypt, engine.deserialize):
            result = call("t", [None, None])
            assert (result.values, result.errors, result.schema_ids) == ([None, None], [], [None, None])
        assert world.requests("/subjects/t-value") == world.requests("/schemas") == []
        assert world.requests("dek-registry") == []
        mixed = engine.serialize("t", [None, ROWS[0], None])
        assert [value is None for value in mixed.values] == [True, False, True]
        assert engine.encrypt("t", [None, BODIES[0]]).values[0] is None
        assert engine.deserialize("t", mixed.values).values == [None, ROWS[0], None]
        assert engine.stats()["tombstones"] == 4 + 2 + 1 + 2

    def test_empty_batches(self, engine: Engine) -> None:
        for call in (engine.encrypt, engine.decrypt, engine.serialize, engine.deserialize):
            result = call("t", [])
            assert (result.values, result.errors) == ([], [])
        for packed in (engine.encrypt("t", pack([])), engine.decrypt("t", pack([]))):
            assert (packed.values.buffer, list(packed.values.offsets)) == (b"", [0])

    def test_an_empty_slice_is_an_empty_body(self, world: World) -> None:
        world.put(record(), rule())
        engine = world.engine()
        sealed = engine.encrypt("t", pack([b"", b""]))
        assert [len(frame) for frame in unpack(sealed.values)] == [5, 5]
        assert engine.deserialize("t", unpack(sealed.values)).values == [{}, {}]
        # As a frame it is none.
        assert [error.code for error in engine.decrypt("t", pack([b"", b""])).errors] == ["not_a_frame"] * 2


class TestKeysAndHeaders:
    def test_keys_have_a_subject_of_their_own(self, world: World) -> None:
        key = record(field("k", "string", "PII"), name="K")
        world.put(FLAT, rule(), subject="t-value")
        number = world.put(key, rule(), subject="t-key").id
        engine = world.engine()
        [frame] = engine.serialize("t", [{"k": "secret"}], field="key").values
        assert frame is not None
        assert frame[:5] == framed(number, b"")
        assert engine.deserialize("t", [frame], field="key").values == [{"k": "secret"}]
        assert engine.encrypt("t", [encode(key, {"k": "s"})], field="key").errors == []
        assert engine.writer_schema("t", "key")[0] == number
        # Its DEK is that of the other subject.
        assert engine.deserialize("t", [frame]).errors != []

    @pytest.mark.parametrize("call", ["encrypt", "decrypt", "serialize", "deserialize"])
    def test_another_field_is_refused(self, engine: Engine, call: str) -> None:
        with pytest.raises(ConfigError):
            getattr(engine, call)("t", [], field="header")

    @pytest.mark.parametrize("part", ["key", "value"])
    def test_header_framing(self, world: World, part: str) -> None:
        guid = world.put(FLAT, rule(), subject=f"t-{part}").guid
        engine = world.engine()
        for sent in (
            engine.serialize("t", ROWS, field=part, framing="header"),
            engine.encrypt("t", BODIES, field=part, framing="header"),
        ):
            header = (f"__{part}_schema_id", b"\x01" + uuid.UUID(guid).bytes)
            assert sent.headers == [[header]] * len(ROWS)
            assert len(leaves(FLAT, sent.values[0] or b"")) == 2  # no prefix: the datum begins at once
            named = engine.deserialize("t", sent.values, headers=sent.headers, field=part)
            assert (named.values, named.errors) == (ROWS, [])
            assert engine.decrypt("t", sent.values, headers=sent.headers, field=part).values == BODIES
            packed = engine.decrypt(
                "t", pack([f or b"" for f in sent.values]), headers=sent.headers, field=part
            )
            assert unpack(packed.values) == BODIES
        assert engine.serialize("t", ROWS, field=part).headers == []

    def test_both_magic_bytes_are_read_in_both_places(self, world: World) -> None:
        registered = world.put(FLAT, rule())
        engine = world.engine()
        prefix, guid = framed(registered.id, b""), b"\x01" + uuid.UUID(registered.guid).bytes
        body = (engine.encrypt("t", BODIES[:1]).values[0] or b"")[5:]
        for frame, header in ((guid + body, None), (prefix + body, None), (body, prefix), (body, guid)):
            headers = None if header is None else [[("__value_schema_id", header)]]
            result = engine.decrypt("t", [frame], headers=headers)
            assert result.values == BODIES[:1]
            assert result.schema_ids in ([registered.id], [None])

    def test_of_equal_headers_the_last_counts_and_others_do_not(self, world: World) -> None:
        registered = world.put(FLAT, rule())
        engine = world.engine()
        [frame] = engine.encrypt("t", BODIES[:1]).values
        assert frame is not None
        good, bad = framed(registered.id, b""), framed(9_999, b"")
        mine, key = "__value_schema_id", "__key_schema_id"
        naming: list[Any] = [
            [(mine, bad), (mine, good)],
            ((mine, bad), (mine, good), (key, bad), ("x", None)),
            {mine: good, "x": b""},
        ]
        for headers in naming:
            assert engine.decrypt("t", [frame[5:]], headers=[headers]).values == BODIES[:1]
        silent: list[Any] = [[], None, {}, [(key, bad)]]
        for headers in silent:
            assert engine.decrypt("t", [frame], headers=[headers]).values == BODIES[:1]
        broken: list[Any] = [b"", b"\x02", good[:4], good + b"!", None]
        for value in broken:
            [error] = engine.decrypt("t", [frame], headers=[[(mine, value)]]).errors
            assert error.code == "bad_schema_header"

    def test_headers_must_be_as_many_as_rows(self, engine: Engine) -> None:
        for call in (engine.decrypt, engine.deserialize):
            with pytest.raises(BatchError) as caught:
                call("t", [b"", b""], headers=[[]])
            assert caught.value.code == "bad_headers"

    def test_framing_has_two_names(self, engine: Engine) -> None:
        with pytest.raises(ConfigError) as caught:
            engine.encrypt("t", BODIES, framing="footer")  # type: ignore[call-overload]
        assert caught.value.code == "bad_config"


class TestLife:
    def test_a_closed_engine_says_so(self, world: World) -> None:
        world.put(FLAT, rule())
        with world.engine() as engine:
            [frame] = engine.serialize("t", ROWS[:1]).values
        calls: list[Callable[[], object]] = [
            lambda: engine.encrypt("t", BODIES), lambda: engine.decrypt("t", [frame]),
            lambda: engine.serialize("t", ROWS), lambda: engine.deserialize("t", [frame]),
            lambda: engine.writer_schema("t"), lambda: engine.warm_up("t"), lambda: engine.explain("t"),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(CsfleError) as caught:
                call()
            assert caught.value.code == "engine_closed"
        engine.close()  # twice is no error
        assert engine.stats()["rows_encrypted"] == 1

    def test_the_client_stays_the_callers(self, world: World) -> None:
        world.put(FLAT, rule())
        client = world.client()
        with Engine(client, rule_conf={"secret": SECRET}) as engine:
            engine.warm_up("t")
        assert client.get_latest_version("t-value").version == 1

    def test_a_mock_client_does_as_well(self) -> None:
        client = mock_registry()
        register(client, json.dumps(FLAT), [rule()])
        with Engine(client, rule_conf={"secret": SECRET}) as engine:
            assert engine.deserialize("t", engine.serialize("t", ROWS).values).values == ROWS

    def test_what_is_not_a_client_is_refused(self) -> None:
        with pytest.raises(ConfigError):
            Engine("http://127.0.0.1:8081")  # type: ignore[arg-type]

    def test_an_unknown_setting_names_the_nearest(self, world: World) -> None:
        with pytest.raises(ValueError, match=r"use\.latest\.version"):
            world.engine({"use.latest.versions": True})

    def test_no_such_subject(self, world: World) -> None:
        engine = world.engine()
        with pytest.raises(RegistryError, match="t-value") as caught:
            engine.serialize("t", ROWS)
        assert caught.value.code == "unknown_subject"

    def test_the_callers_rows_are_not_changed(self, engine: Engine) -> None:
        rows = [flat(1), flat(2)]
        engine.serialize("t", rows).raise_for_errors()
        assert rows == [flat(1), flat(2)]
        bodies = list(BODIES)
        engine.encrypt("t", bodies).raise_for_errors()
        assert bodies == BODIES

    def test_eight_threads_share_one(self, engine: Engine) -> None:
        start = threading.Barrier(8)

        def work(number: int) -> bool:
            start.wait()
            rows = [flat(number * 1_000 + n) for n in range(50)]
            for _ in range(10):
                frames = engine.serialize("t", rows).values
                if engine.deserialize("t", frames).values != rows:
                    return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))
        stats = engine.stats()
        assert stats["rows_encrypted"] == stats["rows_decrypted"] == 8 * 10 * 50
        assert stats["deks_created"] == stats["keks_created"] == 1

    @pytest.mark.parametrize("threads", [1, 2, 64])
    def test_any_number_of_threads_gives_the_same(self, engine: Engine, threads: int) -> None:
        rows = [flat(number, "x" * 2_000) for number in range(2_500)]  # large enough to be shared out
        bodies = [encode(FLAT, row) for row in rows[:-1]] + [b"\xff"]
        listed = engine.encrypt("t", bodies, threads=threads)
        packed = engine.encrypt("t", pack(bodies), threads=threads)
        for errors in (listed.errors, packed.errors):
            assert [error.row for error in errors] == [2_499]
        assert engine.decrypt("t", listed.values[:-1], threads=threads).values == bodies[:-1]
        opened = engine.decrypt("t", packed.values, threads=threads)
        assert unpack(opened.values)[:-1] == bodies[:-1]
        assert [error.row for error in opened.errors] == [2_499]
        assert engine.deserialize("t", listed.values[:-1], threads=threads).values == rows[:-1]
        assert engine.serialize("t", rows, threads=threads).errors == []
