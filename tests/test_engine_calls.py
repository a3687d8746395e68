"""Requests: none after warm-up, changes seen within their TTL, and no hostile frame multiplies them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from csfle_fast import Engine, KeyServiceError, RegistryError
from incumbent import KEK, field, record
from wire import leaves, seal, text
from worlds import FLAT, World, encode, flat, framed, rule, world

__all__ = ["world"]  # a fixture

CALLS = ("registry_requests", "dek_registry_requests", "kms_calls", "key_loads", "misses")


def calls(engine: Engine) -> dict[str, int]:
    stats = engine.stats()
    return {name: stats[name] for name in CALLS}


def sealed_row(key: bytes, version: int | None) -> bytes:
    """A body of FLAT whose value is labelled with a DEK version."""
    return b"\x02" + text(seal("AES256_GCM", key, b"x", "string", version)) + text("n") + b"\x00"


@pytest.mark.parametrize("days", [0, 30])
def test_a_million_rows_after_warm_up_cost_no_call(world: World, days: int) -> None:
    small = record(field("id", "int"), field("v", "string", "PII"))
    world.put(small, rule(days=days))
    engine = world.engine()
    engine.warm_up("t")
    batch, wanted = 5_000, 1_000_000
    rows = [{"id": n, "v": "secret"} for n in range(batch)]
    bodies = [encode(small, row) for row in rows]
    offsets = np.cumsum([0, *map(len, bodies)], dtype=np.int64)
    world.http.clear_requests()
    before = calls(engine)
    by_codec = 10
    for _ in range(by_codec):
        assert engine.deserialize("t", engine.serialize("t", rows).values).values == rows
    for _ in range(wanted // batch - by_codec):
        sealed = engine.encrypt("t", (b"".join(bodies), offsets))
        assert engine.decrypt("t", sealed.values).values.buffer == b"".join(bodies)
    stats = engine.stats()
    assert stats["values_sealed"] == stats["values_opened"] == stats["rows_decrypted"] == wanted
    assert calls(engine) == before
    assert world.http.requests == []


class TestWarmUp:
    def test_afterwards_the_first_batches_cost_nothing(self, world: World) -> None:
        world.put(FLAT, rule(days=30))
        engine = world.engine()
        engine.warm_up("t")
        world.http.clear_requests()
        sent = engine.serialize("t", [flat(1)])
        assert engine.deserialize("t", sent.values).values == [flat(1)]
        assert engine.decrypt("t", engine.encrypt("t", [encode(FLAT, flat(1))]).values).errors == []
        assert world.http.requests == []

    def test_reading_registers_nothing(self, world: World) -> None:
        world.put(FLAT, rule())
        world.engine().warm_up("t", mode="READ")
        assert all(request.startswith("GET") for request in world.requests())
        with pytest.raises(Exception, match=KEK):
            world.http.keks.get(KEK)

    def test_reading_loads_the_newest_dek(self, world: World) -> None:
        world.put(FLAT, rule(days=30))
        frames = world.engine().serialize("t", [flat(1)]).values
        reader = world.engine()
        reader.warm_up("t", mode="READ")
        world.http.clear_requests()
        assert reader.deserialize("t", frames).values == [flat(1)]
        assert world.http.requests == []

    def test_writing_alone_loads_no_reader(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        engine.warm_up("t", mode="WRITE")
        assert world.http.deks.versions(KEK, "t-value") == [1]
        world.http.clear_requests()
        engine.serialize("t", [flat(1)]).raise_for_errors()
        assert world.http.requests == []


class TestTogether:
    def test_cold_readers_ask_once(self, world: World) -> None:
        world.put(FLAT, rule())
        frames = world.engine().serialize("t", [flat(1)]).values
        world.http.clear_requests()
        reader, start = world.engine(), threading.Barrier(8)

        def read(_: int) -> Any:
            start.wait()
            return reader.deserialize("t", frames).values

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, range(8))) == [[flat(1)]] * 8
        assert reader.stats()["kms_calls"] == 1
        asked = world.requests()
        assert len(asked) == len(set(asked))

    def test_cold_writers_make_one_dek(self, world: World) -> None:
        world.put(FLAT, rule(days=30))
        writer, start = world.engine(), threading.Barrier(8)

        def write(number: int) -> Any:
            start.wait()
            return writer.serialize("t", [flat(number)]).values

        with ThreadPoolExecutor(8) as pool:
            frames = [frame for [frame] in pool.map(write, range(8))]
        assert writer.deserialize("t", frames).values == [flat(number) for number in range(8)]
        assert writer.stats()["deks_created"] == writer.stats()["keks_created"] == 1

    def test_writers_of_two_processes_agree_on_one_dek(self, world: World) -> None:
        world.put(FLAT, rule(days=30))
        engines, start = [world.engine() for _ in range(4)], threading.Barrier(4)

        def write(engine: Engine) -> Any:
            start.wait()
            return engine.serialize("t", [flat(1)]).values

        with ThreadPoolExecutor(4) as pool:
            frames = [frame for [frame] in pool.map(write, engines)]
        assert world.http.deks.versions(KEK, "t-value") == [1]
        for engine in engines:
            assert engine.deserialize("t", frames).values == [flat(1)] * 4


class TestFreshness:
    """Over a client with its default settings, which keeps the latest version for ever if it is asked."""

    def test_a_new_version_and_its_rule_are_seen_within_the_ttl(self, world: World) -> None:
        old = world.put(FLAT)
        engine = world.engine({"latest.cache.ttl.sec": 0.5})
        assert b"secret" in (engine.serialize("t", [flat(1)]).values[0] or b"")
        new = world.put(FLAT, rule())
        frame = until(
            lambda: engine.serialize("t", [flat(1)]).values[0] or b"", lambda f: f[:5] != framed(old.id, b"")
        )
        assert frame[:5] == framed(new.id, b"")
        assert b"secret" not in frame
        assert engine.writer_schema("t")[0] == new.id
        assert {plan.decision for plan in engine.explain("t")} == {"encrypt"}

    def test_without_a_ttl_at_once(self, world: World) -> None:
        world.put(FLAT)
        engine = world.engine({"latest.cache.ttl.sec": 0})
        engine.serialize("t", [flat(1)])
        new = world.put(FLAT, rule())
        assert (engine.serialize("t", [flat(1)]).values[0] or b"")[:5] == framed(new.id, b"")

    def test_within_the_ttl_nobody_asks(self, world: World) -> None:
        old = world.put(FLAT)
        engine = world.engine({"latest.cache.ttl.sec": 3_600})
        engine.serialize("t", [flat(1)])
        world.put(FLAT, rule())
        assert (engine.serialize("t", [flat(1)]).values[0] or b"")[:5] == framed(old.id, b"")

    def test_readers_by_the_latest_see_it_too(self, world: World) -> None:
        world.put(FLAT, rule())
        frames = world.engine().serialize("t", [flat(1)]).values
        reader = world.engine({"use.latest.version": True, "latest.cache.ttl.sec": 0.5})
        assert reader.deserialize("t", frames).values == [flat(1)]
        world.put(FLAT)
        row = until(lambda: reader.deserialize("t", frames).values[0], lambda row: bool(row != flat(1)))
        assert row["v"].encode() == leaves(FLAT, (frames[0] or b"")[5:])[0].value

    def test_a_revoked_kek_stops_writers_and_readers_within_the_ttl(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine(
            {"dek.cache.ttl.sec": 0.5, "kek.cache.ttl.sec": 0.5, "missing.cache.ttl.sec": 0}
        )
        frames = engine.serialize("t", [flat(1)]).values
        assert engine.deserialize("t", frames).errors == []
        world.http.faults.add("GET", "/dek-registry/", status=403)
        errors = until(lambda: engine.deserialize("t", frames).errors, bool)
        assert [error.code for error in errors] == ["forbidden"]
        with pytest.raises(RegistryError) as caught:
            until(lambda: engine.serialize("t", [flat(1)]), lambda _: False)
        assert caught.value.code == "forbidden"


def until(act: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    """Repeats ``act`` until its result is ``done``; the limit is far beyond every TTL of these tests."""
    limit = time.monotonic() + 30
    while not done(result := act()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    return result


KEY = bytes(32)


class TestTheWireIsNoAmplifier:
    def test_unknown_ids_cost_64_requests_a_batch_and_are_remembered(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine({"missing.cache.ttl.sec": 10})
        good = engine.serialize("t", [flat(1)]).values
        assert engine.deserialize("t", good).errors == []
        hostile = [framed(1_000 + n, b"x") for n in range(1_000)]
        world.http.clear_requests()
        result = engine.deserialize("t", hostile + good)
        assert [error.code for error in result.errors] == ["unknown_schema_id"] * 64 + [
            "too_many_misses"
        ] * 936
        assert result.values == [None] * 1_000 + [flat(1)]
        assert len(world.http.requests) <= 64
        world.http.clear_requests()
        again = engine.deserialize("t", hostile[:64] + good)
        assert [error.code for error in again.errors] == ["unknown_schema_id"] * 64
        assert world.http.requests == []

    def test_unknown_guids_alike(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine({"missing.cache.ttl.sec": 10})
        hostile = [b"\x01" + uuid.UUID(int=n).bytes + b"x" for n in range(100)]
        result = engine.decrypt("t", hostile)
        codes = [error.code for error in result.errors]
        assert codes == ["unknown_schema_guid"] * 64 + ["too_many_misses"] * 36
        assert len(world.requests("/schemas")) <= 64
        world.http.clear_requests()
        engine.decrypt("t", hostile[:64])
        assert world.http.requests == []

    def test_the_same_unknown_id_is_one_miss(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        world.http.clear_requests()
        result = engine.decrypt("t", [framed(77, b"x")] * 500)
        assert [error.code for error in result.errors] == ["unknown_schema_id"] * 500
        assert len(world.requests("/schemas")) == 1
        assert engine.stats()["misses"] == 1

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize("threads", [1, 2])
    def test_unknown_dek_versions_cost_no_request_beyond_the_newest_plus_one(
        self, world: World, packed: bool, threads: int
    ) -> None:
        registered = world.put(FLAT, rule(days=30))
        engine = world.engine({"missing.cache.ttl.sec": 10})
        good = engine.serialize("t", [flat(1)]).values[0] or b""
        assert engine.decrypt("t", [good]).errors == []
        engine.decrypt("t", [framed(registered.id, sealed_row(KEY, 999_999))])  # the newest is asked for once
        world.http.clear_requests()
        versions = [*range(3, 1_000), 0, -1, -(2**31), 2**31 - 1]
        frames = [framed(registered.id, sealed_row(KEY, version)) for version in versions] + [good]
        batch: Any = frames
        if packed:
            batch = (b"".join(frames), np.cumsum([0, *map(len, frames)], dtype=np.int64))
        for _ in range(3):
            result = engine.decrypt("t", batch, threads=threads)
            assert {error.code for error in result.errors} <= {"unknown_dek_version", "too_many_misses"}
            assert [error.row for error in result.errors] == list(range(len(versions)))
            assert len(world.http.requests) <= 2
        assert engine.decrypt("t", [good]).errors == []

    def test_several_missing_kinds_share_the_64(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        frames = [framed(1_000 + n, b"x") for n in range(50)]
        frames += [b"\x01" + uuid.UUID(int=n).bytes + b"x" for n in range(50)]
        codes = [error.code for error in engine.decrypt("t", frames).errors]
        assert codes.count("too_many_misses") == 36
        assert len(world.requests("/schemas")) <= 64

    def test_a_forgotten_refusal_is_asked_for_again(self, world: World) -> None:
        registered = world.put(FLAT, rule())
        engine = world.engine({"missing.cache.ttl.sec": 0.2})
        frame = framed(registered.id + 1, encode(record(field("x", "string")), {"x": "y"}))
        assert [error.code for error in engine.deserialize("t", [frame]).errors] == ["unknown_schema_id"]
        world.put(record(field("x", "string")), subject="other-value", schema_id=registered.id + 1)
        assert until(lambda: engine.deserialize("t", [frame]).values, lambda values: values != [None]) == [
            {"x": "y"}
        ]


class TestRegistryAway:
    def test_what_is_loaded_goes_on(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        engine.warm_up("t")
        world.http.stop()
        sent = engine.serialize("t", [flat(1)])
        assert engine.deserialize("t", sent.values).values == [flat(1)]

    def test_what_is_not_is_an_error_with_a_code(self, world: World) -> None:
        world.put(FLAT, rule())
        frames = world.engine().serialize("t", [flat(1)]).values
        cold = world.engine({"subject.name.strategy": "TOPIC"})
        world.http.stop()
        writes: tuple[Callable[[], object], ...] = (
            lambda: cold.serialize("t", [flat(1)]),
            lambda: cold.encrypt("t", [b""]),
        )
        for write in writes:
            with pytest.raises(RegistryError) as caught:
                write()
            assert caught.value.code == "unreachable"
        for read in (cold.deserialize, cold.decrypt):
            assert [error.code for error in read("t", frames).errors] == ["unreachable"]

    def test_a_key_that_cannot_be_had_fails_only_its_rows(self, world: World) -> None:
        world.put(FLAT, rule())
        sealed = world.engine().serialize("t", [flat(1)]).values
        other = record(field("x", "string"))
        plain = world.put(other)
        world.http.faults.add("GET", "/dek-registry/", status=500)
        result = world.engine().deserialize("t", [*sealed, framed(plain.id, encode(other, {"x": "y"}))])
        assert result.values == [None, {"x": "y"}]
        assert [(error.row, error.code) for error in result.errors] == [(0, "registry_failed")]

    def test_a_writer_without_its_key_is_an_error(self, world: World) -> None:
        world.put(FLAT, rule())
        world.http.faults.add("POST", "/dek-registry/", status=503)
        with pytest.raises((RegistryError, KeyServiceError)) as caught:
            world.engine().serialize("t", [flat(1)])
        assert caught.value.code == "registry_failed"
