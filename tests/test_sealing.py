"""Batches at the end of a DEK's budget: every row sealed, none under a key that has no room left."""

from __future__ import annotations

import logging
import time
from array import array
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import pytest

from csfle_fast import KeyServiceError, RegistryError
from incumbent import KEK, field, record
from wire import leaves, version_of
from worlds import FLAT, World, encode, flat, payload_rule, rule, world

__all__ = ["world"]  # a fixture

BUDGET = 7


def rows(count: int) -> list[dict[str, Any]]:
    """Rows with one or two values to seal."""
    return [flat(n) for n in range(count)]


def values_of(row: dict[str, Any]) -> int:
    return 1 if row["w"] is None else 2


def by_version(frames: list[bytes | None]) -> Counter[int]:
    """How many values each DEK version has sealed, read from the frames."""
    found: Counter[int] = Counter()
    for frame in frames:
        v, _, *w = leaves(FLAT, (frame or b"")[5:])
        found.update([version_of(v.value, "string"), *(version_of(value.value) for value in w)])
    return found


def packed(bodies: list[bytes]) -> tuple[bytes, array[int]]:
    return b"".join(bodies), array("q", accumulate((len(body) for body in bodies), initial=0))


@pytest.mark.parametrize("form", ["rows", "list", "packed"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_of_many_budgets_is_sealed_under_many_versions(world: World, form: str, threads: int) -> None:
    world.put(FLAT, rule(days=1))
    engine, batch = world.engine({"dek.max.seals": BUDGET}), rows(60)
    bodies = [encode(FLAT, row) for row in batch]
    frames: list[bytes | None]
    if form == "rows":
        frames = engine.serialize("t", batch, threads=threads).values
    elif form == "list":
        frames = engine.encrypt("t", bodies, threads=threads).values
    else:
        buffer, offsets = engine.encrypt("t", packed(bodies), threads=threads).values
        frames = [bytes(buffer[start:end]) for start, end in pairwise(offsets)]
    assert world.engine().deserialize("t", frames).values == batch
    sealed = by_version(frames)
    assert sum(sealed.values()) == sum(map(values_of, batch)) == engine.stats()["values_sealed"]
    assert max(sealed.values()) <= BUDGET
    assert sorted(sealed) == world.http.deks.versions(KEK, "t-value")
    # A row is not split, so a version may be left with room for half of one.
    assert all(sealed[version] >= BUDGET - 1 for version in sorted(sealed)[:-1])


def test_rows_that_fail_and_tombstones_keep_their_places(world: World) -> None:
    world.put(FLAT, rule(days=1))
    engine = world.engine({"dek.max.seals": 4})
    bodies: list[bytes | None] = [encode(FLAT, row) for row in rows(12)]
    bodies[3], bodies[5], bodies[10] = None, b"\x80", b""
    result = engine.encrypt("t", bodies)
    assert [(error.row, error.code) for error in result.errors] == [(5, "truncated"), (10, "truncated")]
    assert [place for place, value in enumerate(result.values) if value is None] == [3, 5, 10]
    kept = [place for place, value in enumerate(result.values) if value is not None]
    opened = world.engine().deserialize("t", [result.values[place] for place in kept])
    assert opened.values == [rows(12)[place] for place in kept]
    stats = engine.stats()
    assert (stats["rows_encrypted"], stats["rows_failed"], stats["tombstones"]) == (9, 2, 1)


def test_a_row_that_no_dek_may_seal_fails_alone(world: World) -> None:
    world.put(FLAT, rule(days=1))
    result = world.engine({"dek.max.seals": 1}).serialize("t", rows(4))
    assert [(error.row, error.code) for error in result.errors] == [
        (1, "row_over_budget"),
        (3, "row_over_budget"),
    ]
    assert by_version([frame for frame in result.values if frame]) == {1: 1, 2: 1}


def test_threads_with_one_engine_never_overrun_it(world: World) -> None:
    world.put(FLAT, rule(days=1))
    engine, batch = world.engine({"dek.max.seals": 50}), rows(20)
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(engine.serialize, "t", batch) for _ in range(40)]
        results = [one.result(60) for one in sent]
    frames = [frame for result in results for frame in result.values]
    assert world.engine().deserialize("t", frames).values == batch * 40
    assert max(by_version(frames).values()) <= 50


def test_engines_that_share_a_budget_never_overrun_it(world: World) -> None:
    world.put(FLAT, rule(days=1))
    engines = [world.engine({"dek.max.seals": 60, "dek.max.seals.producers": 3}) for _ in range(3)]
    frames = [
        frame for _ in range(10) for engine in engines for frame in engine.serialize("t", rows(5)).values
    ]
    assert world.engine().deserialize("t", frames).values == rows(5) * 30
    assert max(by_version(frames).values()) <= 60


def test_without_rotation_it_warns_once_and_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.put(FLAT, rule())
    engine = world.engine({"dek.max.seals": BUDGET})
    with caplog.at_level(logging.WARNING, "csfle_fast"):
        for _ in range(5):
            engine.serialize("t", rows(10)).raise_for_errors()
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert f"Kek:{KEK}" in warning
    assert "t-value" in warning
    assert "encrypt.dek.expiry.days" in warning
    assert world.http.deks.versions(KEK, "t-value") == [1]


@pytest.mark.parametrize("days", [0, 1])
def test_or_nothing_more_is_sealed(world: World, days: int) -> None:
    world.put(FLAT, rule(days=days))
    engine = world.engine({"dek.max.seals": BUDGET, "dek.max.seals.action": "error"})
    engine.serialize("t", rows(4)).raise_for_errors()
    for _ in range(2):
        with pytest.raises(KeyServiceError, match="t-value") as caught:
            engine.serialize("t", rows(4))
        assert caught.value.code == "dek_exhausted"
    assert engine.stats()[f"dek_seals/{KEK}/t-value/AES256_GCM/1"] <= BUDGET
    assert world.http.deks.versions(KEK, "t-value") == [1]


def test_a_batch_that_cannot_go_on_gives_nothing_and_the_next_try_goes_on(world: World) -> None:
    world.put(FLAT, rule(days=1))
    engine = world.engine({"dek.max.seals": BUDGET, "missing.cache.ttl.sec": 0})
    engine.serialize("t", rows(2)).raise_for_errors()
    world.http.faults.add("POST", "/deks/", status=503)
    with pytest.raises(RegistryError):
        engine.serialize("t", rows(10))
    world.http.faults.clear()
    sent = engine.serialize("t", rows(10))
    assert world.engine().deserialize("t", sent.values).values == rows(10)
    # What was sealed and thrown away has used its nonces, and counts.
    assert engine.stats()[f"dek_seals/{KEK}/t-value/AES256_GCM/1"] == BUDGET


def test_bytes_are_counted(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    engine.serialize("t", rows(3)).raise_for_errors()
    texts = [len(row["v"]) + len(row["w"] or b"") for row in rows(3)]
    assert engine.stats()[f"dek_bytes/{KEK}/t-value/AES256_GCM/1"] == sum(texts)


ARRAY = record(field("a", {"type": "array", "items": "string"}, "PII"))


@pytest.mark.parametrize(("budget", "code"), [(3, "row_over_budget"), (4, None)])
def test_two_rules_with_one_dek_share_its_budget(world: World, budget: int, code: str | None) -> None:
    world.put(ARRAY, rule(days=1), encoding=[payload_rule(days=1)])
    engine = world.engine({"dek.max.seals": budget})
    batch = [{"a": ["x"] * 3}] * 5  # three values and the payload
    result = engine.serialize("t", batch)
    assert [error.code for error in result.errors] == ([] if code is None else [code] * 5)
    assert len(world.http.deks.versions(KEK, "t-value")) == (5 if code is None else 1)
    if code is None:
        assert world.engine().deserialize("t", result.values).values == batch


def test_values_that_are_let_pass_are_counted_once(world: World) -> None:
    schema = record(field("v", "string", "PII"), field("u", ["null", "string", "long"], "PII"))
    world.put(schema, rule(days=1))
    engine = world.engine({"dek.max.seals": 3})
    engine.serialize("t", [{"v": "a", "u": 5}] * 60).raise_for_errors()
    assert (engine.stats()["values_passed"], engine.stats()["values_sealed"]) == (60, 60)


def test_the_next_snapshot_lasts_no_longer_than_the_keys_that_stay(world: World) -> None:
    world.put(FLAT, rule(days=1))
    engine = world.engine({"dek.max.seals": 2})
    engine.serialize("t", rows(1))
    [spent] = engine._writes._snapshots.values()
    soon = time.monotonic() + 1
    after = engine._writes.after(replace(spent, fresh_until=soon))
    assert after.fresh_until <= soon
