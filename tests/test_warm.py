"""A warm engine: no KMS, registries are asked by the refresher alone, and nobody waits for them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from csfle_fast.cache import LoadingCache
from csfle_fast.refresher import Refresher
from incumbent import field as avro_field
from incumbent import record
from manual_clock import ManualClock
from worlds import World, encode, rule, world

__all__ = ["world"]  # a fixture

SUBJECTS = 100
ROWS = 1_000_000
BATCH = 500
REFRESHER = "csfle-fast-refresher"
#: Subjects that are written to, and how long their registry takes for each request.
SLOW = "^/subjects/warm00[123]-"
SLOW_SEC = 1.0

SCHEMA = record(avro_field("id", "int"), avro_field("v", "string", "PII"))
BODIES = [encode(SCHEMA, {"id": number, "v": f"secret {number}"}) for number in range(BATCH)]


@dataclass
class Run:
    """What a run of batches came to.

    Attributes:
        rows: sealed, or opened.
        longest: seconds of the slowest batch.
        requests: how often a thread of that name asked a registry.
    """

    rows: int = 0
    longest: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)


class Warm:
    """An engine that is warm for all subjects, and whose client tells who asks a registry."""

    def __init__(self, world: World, **conf: object) -> None:
        self.http = world.http
        for number in range(SUBJECTS):
            world.put(SCHEMA, rule(), subject=f"{topic(number)}-value")
        self.engine = world.engine({name.replace("_", "."): value for name, value in conf.items()})
        for number in range(SUBJECTS):
            self.engine.warm_up(topic(number))
        self.frames = [self.engine.encrypt(topic(number), BODIES).values for number in range(SUBJECTS)]
        self._asked: Counter[str] = Counter()
        http: Any = self.engine._registry._client._rest_client
        for method in ("get", "post"):
            setattr(http, method, self._told(getattr(http, method)))

    def run(self, rows: int, seconds: float = 0.0) -> Run:
        """Batches over all subjects, every fourth of them opened; at least so many rows and seconds."""
        self._asked.clear()
        self.http.clear_requests()
        run, begin = Run(), time.monotonic()
        while run.rows < rows or time.monotonic() < begin + seconds:
            for number in range(SUBJECTS):
                before = time.monotonic()
                if number % 4 == 0:
                    opened = self.engine.decrypt(topic(number), self.frames[number])
                    assert opened.values == BODIES
                else:
                    sealed = self.engine.encrypt(topic(number), BODIES)
                    assert sealed.errors == []
                run.longest = max(run.longest, time.monotonic() - before)
                run.rows += BATCH
        run.requests = self._asked.copy()
        return run

    def _told(self, call: Any) -> Any:
        def told(*arguments: Any, **named: Any) -> Any:
            self._asked[threading.current_thread().name] += 1
            return call(*arguments, **named)

        return told


def topic(number: int) -> str:
    return f"warm{number:03}"


def test_a_million_rows_cost_no_call_of_a_kms_and_no_request_on_the_way(world: World) -> None:
    warm = Warm(world, latest_cache_ttl_sec=2)
    before = warm.engine.stats()
    run = warm.run(ROWS, seconds=5)
    after = warm.engine.stats()
    assert run.rows >= ROWS
    for unchanged in ("kms_calls", "dek_registry_requests", "key_loads"):
        assert after[unchanged] == before[unchanged]
    assert set(run.requests) == {REFRESHER}
    # Twice at least for each subject: its association and its latest version.
    assert run.requests.total() >= 2 * 2 * SUBJECTS
    assert {request.path.split("/")[1] for request in warm.http.requests} == {"subjects", "associations"}


def test_nobody_waits_for_a_slow_registry(world: World) -> None:
    # Asked for from 9.0 to 10.2 seconds on, and good for 12.
    warm = Warm(world, latest_cache_ttl_sec=12)
    fault = warm.http.faults.add("GET", SLOW, delay=SLOW_SEC)
    run = warm.run(0, seconds=14)
    assert set(run.requests) == {REFRESHER}
    assert fault.hits >= 3
    assert run.longest < SLOW_SEC / 2


def test_without_the_refresher_they_would(world: World) -> None:
    warm = Warm(world, latest_cache_ttl_sec=2)
    warm.engine._refresher.close()
    warm.http.faults.add("GET", SLOW, delay=SLOW_SEC)
    run = warm.run(0, seconds=4)
    assert REFRESHER not in run.requests
    assert run.longest > SLOW_SEC


def test_what_waits_for_a_refresher_is_asked_for_by_who_needs_it() -> None:
    """Slow registries may keep every thread of the refresher busy, and do not hold up the others."""
    refresher, clock, busy, go_on = Refresher(), ManualClock(), threading.Semaphore(0), threading.Event()
    cache: LoadingCache[str, int] = LoadingCache(size=1, ttl=100.0, clock=clock, refresher=refresher)
    loads = iter(range(10))

    def slow() -> None:
        busy.release()
        go_on.wait(60)

    assert cache.get("k", lambda: next(loads)) == 0
    for _ in range(4):
        refresher.submit(slow, slow)
    for _ in range(4):
        assert busy.acquire(timeout=30)
    clock.now += 90
    assert cache.get("k", lambda: next(loads)) == 0, "still good, and to be asked for by the refresher"
    clock.now += 10
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.get, "k", lambda: next(loads))
        try:
            assert waiting.result(5) == 1
        finally:
            go_on.set()
            waiting.result(30)
            refresher.close()
