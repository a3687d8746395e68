"""The counters: their table is complete, and they count."""

from __future__ import annotations

import re
import threading

import pytest

from csfle_fast._core import Tally
from csfle_fast.metrics import DEK_BYTES_PREFIX, DEK_SEALS_PREFIX, METRICS
from incumbent import KEK, field, record
from worlds import FLAT, World, encode, flat, framed, rule, world

__all__ = ["world"]  # a fixture


def test_every_key_of_stats_is_in_the_table_and_the_other_way_round(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    assert set(engine.stats()) == set(METRICS)
    assert set(engine.stats().values()) == {0}
    engine.deserialize("t", engine.serialize("t", [flat(1)]).values)
    stats = engine.stats()
    beyond = set(stats) - set(METRICS)
    assert set(METRICS) <= set(stats)
    name = f"{KEK}/t-value/AES256_GCM/1"
    assert beyond == {DEK_SEALS_PREFIX + name, DEK_BYTES_PREFIX + name}
    assert all(type(count) is int for count in stats.values())
    assert all(METRICS.values())


@pytest.mark.parametrize("path", ["/subjects/", "/associations/", "/keks/", "/deks/"])
def test_failures_are_bridged_while_nobody_can_be_asked(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    world.put(FLAT, rule())
    ttls = ("latest.cache.ttl.sec", "kek.cache.ttl.sec", "dek.cache.ttl.sec", "missing.cache.ttl.sec")
    engine = world.engine(dict.fromkeys(ttls, 0))
    engine.serialize("t", [flat(1)]).raise_for_errors()
    world.http.faults.add("GET", path, status=503)
    engine.serialize("t", [flat(1)]).raise_for_errors()
    assert engine.stats()["failures_bridged"] >= 1
    assert re.search(r"serves for at most \d+ s longer", caplog.text)


def test_they_count(world: World) -> None:
    schema = record(field("u", ["null", "string", "int"], "PII"))
    registered = world.put(schema, rule())
    engine = world.engine()
    frames = engine.serialize("t", [{"u": "secret"}, {"u": 5}, {"u": None}, None, {"u": b"no fit"}]).values
    engine.encrypt("t", [encode(schema, {"u": "x"}), b"\xff"])
    engine.deserialize("t", [*frames[:4], b"no frame"])
    engine.decrypt("t", [framed(registered.id + 1, b"")])
    stats = engine.stats()
    found = {
        name: stats[name]
        for name in METRICS
        if name not in {"key_cache_hits", "key_loads", "registry_requests"}
    }
    assert found == {
        "batches": 4,
        "rows_encrypted": 4,
        "rows_decrypted": 3,
        "rows_failed": 4,
        "tombstones": 2,
        "rows_by_fast_codec": 6,
        "rows_by_fastavro": 1,
        "values_sealed": 2,
        "values_opened": 1,
        "values_passed": 1,
        "misses": 3,  # a schema, a DEK, and an unknown id
        "background_refreshes": 0,
        "failures_bridged": 0,
        "dek_registry_requests": found["dek_registry_requests"],
        "kms_calls": found["kms_calls"],
        "provider_fallbacks": 0,
        "keks_created": 1,
        "deks_created": 1,
    }
    assert stats[f"{DEK_SEALS_PREFIX}{KEK}/t-value/AES256_GCM/1"] == 2


def test_requests_are_those_that_the_registry_saw(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    frames = engine.serialize("t", [flat(1)]).values
    assert engine.stats()["kms_calls"] == 2  # a DEK is wrapped when it is made, and unwrapped again
    engine.deserialize("t", frames)
    engine.decrypt("t", [framed(999, b"")])
    stats = engine.stats()
    assert stats["dek_registry_requests"] == len(world.requests("/dek-registry/")) > 0
    assert stats["registry_requests"] == len(world.requests()) - len(world.requests("/dek-registry/"))


def test_many_threads_add_up() -> None:
    tally = Tally()

    def add() -> None:
        for _ in range(1_000):
            tally.encrypted(10, 1, 2, 14, 3)
            tally.decrypted(5, 1, 1, 6, 2)
            tally.coded(7, 2)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.read() == {
        "batches": 16_000,
        "rows_encrypted": 56_000,
        "rows_decrypted": 24_000,
        "rows_failed": 16_000,
        "tombstones": 24_000,
        "values_sealed": 112_000,
        "values_opened": 48_000,
        "values_passed": 24_000,
        "misses": 16_000,
        "rows_by_fast_codec": 40_000,
        "rows_by_fastavro": 16_000,
    }
