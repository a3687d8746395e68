"""Bounds, TTL, single flight and remembered failures of the loading cache."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from csfle_fast.cache import LoadingCache
from csfle_fast.errors import CsfleError, RegistryError
from csfle_fast.leases import Limits
from manual_clock import ManualClock


class Source:
    """Counts what is loaded."""

    def __init__(self) -> None:
        self.loads = 0

    def __call__(self) -> int:
        self.loads += 1
        return self.loads

    def fail(self) -> int:
        self.loads += 1
        raise RegistryError("unreachable", "down")

    def refuse(self) -> int:
        self.loads += 1
        raise RegistryError("forbidden", "no")

    def mumble(self) -> int:
        self.loads += 1
        raise RegistryError("bad_answer", "?")


def make(clock: ManualClock, **changes: float) -> LoadingCache[str, int]:
    numbers = {"ttl": 10.0, "missing_ttl": 3.0, "stale": 0.0} | changes
    return LoadingCache(
        size=int(numbers.pop("size", 2)),
        ttl=numbers["ttl"],
        stale=numbers["stale"],
        missing_ttl=numbers["missing_ttl"],
        clock=clock,
    )


def test_a_value_is_served_until_its_ttl_is_over() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock)
    assert cache.get("k", source) == 1
    clock.now += 9.9
    assert cache.get("k", source) == 1
    clock.now += 0.1
    assert cache.peek("k") is None
    assert cache.get("k", source) == 2
    assert (cache.hits, cache.loads) == (1, 2)


def test_the_ttl_counts_from_the_start_of_the_load() -> None:
    clock = ManualClock()
    cache = make(clock)

    def slow() -> int:
        clock.now += 8
        return 1

    cache.get("k", slow)
    clock.now += 2
    assert cache.peek("k") is None


def test_a_value_comes_with_the_end_of_its_own_time() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock)
    end = clock.now + 10
    assert cache.get_until("k", source) == (1, end)
    clock.now += 4
    assert cache.get_until("k", source) == (1, end)
    clock.now += 6
    assert cache.get_until("k", source) == (2, end + 10)


def test_who_waits_for_a_load_is_told_the_end_of_that_load() -> None:
    clock = ManualClock()
    cache = make(clock)
    end = clock.now + 10
    flying, waiting = threading.Event(), threading.Event()

    def load() -> int:
        flying.set()
        waiting.wait(30)
        clock.now += 9
        return 1

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_until, "k", load)
        flying.wait(30)
        second = pool.submit(cache.get_until, "k", Source())
        threading.Timer(0.1, waiting.set).start()
        assert first.result(30) == second.result(30) == (1, end)


def test_max_age_is_stricter_than_the_ttl() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock)
    cache.get("k", source)
    clock.now += 1
    assert cache.get("k", source, max_age=2) == 1
    assert cache.get("k", source, max_age=1) == 2


def test_a_value_may_end_before_the_ttl() -> None:
    clock, source = ManualClock(), Source()
    cache: LoadingCache[str, int] = LoadingCache(
        size=2, ttl=10, clock=clock, limits=lambda _: Limits(clock.now + 4, clock.now + 9)
    )
    cache.get("k", source)
    clock.now += 5
    assert cache.peek("k") is None
    end = clock.now + 4
    assert cache.get_until("k", source) == (2, end)


def test_the_least_recently_used_goes_first() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock, size=2)
    cache.get("a", source)
    cache.get("b", source)
    cache.get("a", source)
    cache.get("c", source)
    assert len(cache) == 2
    assert cache.peek("b") is None
    assert cache.peek("a") == 1


def test_a_failure_is_remembered_for_its_own_time() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock)
    for _ in range(2):
        with pytest.raises(RegistryError) as caught:
            cache.get("k", source.fail)
        assert caught.value.code == "unreachable"
    assert source.loads == 1
    clock.now += 3
    assert cache.get("k", source) == 2


def test_failures_do_not_push_values_out_and_are_bounded() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock, size=2)
    cache.get("k", source)
    for n in range(50):
        with pytest.raises(CsfleError):
            cache.get(f"missing{n}", source.fail)
    assert cache.peek("k") == 1
    assert len(cache._failures) == 2


def test_a_refusal_ends_the_old_value_at_once() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock, stale=60)
    cache.get("k", source)
    with pytest.raises(RegistryError):
        cache.get("k", source.refuse, max_age=0)
    assert cache.peek("k") is None
    assert len(cache) == 0


def test_other_exceptions_are_not_remembered() -> None:
    cache = make(ManualClock())

    def bug() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get("k", bug)
    assert cache.get("k", Source()) == 1


def test_a_closed_cache_is_empty_and_answers_without_keeping() -> None:
    cache, source = make(ManualClock()), Source()
    cache.get("k", source)
    with pytest.raises(RegistryError):
        cache.get("missing", source.fail)
    cache.close()
    assert (len(cache), len(cache._failures)) == (0, 0)
    assert [cache.get("k", source), cache.get("k", source)] == [3, 4]
    with pytest.raises(RegistryError):
        cache.get("k", source.fail)
    assert (len(cache), len(cache._failures)) == (0, 0)


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_being_loaded_at_the_close_is_not_kept(fails: bool) -> None:
    cache, source = make(ManualClock()), Source()

    def load() -> int:
        cache.close()
        return source.fail() if fails else source()

    if fails:
        with pytest.raises(RegistryError):
            cache.get("k", load)
    else:
        assert cache.get("k", load) == 1
    assert (len(cache), len(cache._failures)) == (0, 0)


def in_threads(count: int, work: Callable[[], object]) -> list[object]:
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(work) for _ in range(count)]
        return [future.exception(timeout=30) or future.result() for future in futures]


def test_one_flight_for_many_threads() -> None:
    cache = make(ManualClock())
    source, waiting = Source(), threading.Barrier(8)
    arrived = threading.Event()

    def load() -> int:
        arrived.wait(30)
        return source()

    def work() -> int:
        if waiting.wait(30) == 0:
            threading.Timer(0.1, arrived.set).start()  # the others are in the queue by then
        return cache.get("k", load)

    assert in_threads(8, work) == [1] * 8
    assert source.loads == 1


def test_waiters_get_the_failure_of_the_flight_as_their_own() -> None:
    cache = make(ManualClock(), missing_ttl=0)
    source, waiting = Source(), threading.Barrier(4)
    arrived = threading.Event()

    def load() -> int:
        arrived.wait(30)
        return source.fail()

    def work() -> int:
        if waiting.wait(30) == 0:
            threading.Timer(0.1, arrived.set).start()
        return cache.get("k", load)

    errors = in_threads(4, work)
    assert {type(error) for error in errors} == {RegistryError}
    assert len({id(error) for error in errors}) == 4


def test_waiters_try_for_themselves_when_the_flight_is_abandoned() -> None:
    cache = make(ManualClock())
    flying, waiting = threading.Event(), threading.Event()

    def interrupted() -> int:
        flying.set()
        waiting.wait(30)
        raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "k", interrupted)
        flying.wait(30)
        second = pool.submit(cache.get, "k", Source())
        threading.Timer(0.1, waiting.set).start()
        assert isinstance(first.exception(30), KeyboardInterrupt)
        assert second.result(30) == 1


def test_an_interrupt_beside_the_load_leaves_nobody_waiting() -> None:
    class Interrupting(ManualClock):
        def __init__(self) -> None:
            super().__init__()
            self.left = -1

        def __call__(self) -> float:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().__call__()

    clock = Interrupting()
    cache = make(clock)
    interrupts = 0
    for call in range(1, 6):
        clock.left = call
        try:
            cache.get(f"k{call}", Source())
        except KeyboardInterrupt:
            interrupts += 1
        clock.left = -1
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(cache.get, f"k{call}", Source()).result(10) == 1
    assert interrupts >= 2, "at the look and at the start of the load"


def test_an_interrupt_behind_the_load_leaves_nobody_waiting() -> None:
    def limits(_: int) -> Limits:
        raise KeyboardInterrupt

    cache: LoadingCache[str, int] = LoadingCache(size=2, ttl=10.0, clock=ManualClock(), limits=limits)
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(cache.get, "k", Source()).exception(10), KeyboardInterrupt)


def test_an_error_that_cannot_be_copied_leaves_nobody_waiting() -> None:
    class Stubborn(CsfleError):
        def __reduce__(self) -> tuple[object, ...]:
            raise ZeroDivisionError

    def load() -> int:
        raise Stubborn("no", "no")

    cache = make(ManualClock())
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(cache.get, "k", load).exception(10), ZeroDivisionError)
    assert cache.get("k", Source()) == 1


def test_a_failure_that_is_over_is_not_told_of() -> None:
    clock, source = ManualClock(), Source()
    cache = make(clock)
    assert cache.refused_until("k") is None
    with pytest.raises(RegistryError):
        cache.get("k", source.fail)
    assert cache.refused_until("k") == clock.now + 3.0
    clock.now += 3.0
    assert cache.refused_until("k") is None


def test_what_is_evicted_is_told_once() -> None:
    gone: list[int] = []
    source = Source()
    cache: LoadingCache[int, int] = LoadingCache(
        size=2, ttl=float("inf"), clock=ManualClock(), evicted=gone.append
    )
    for key in (1, 2, 1, 3, 4):
        cache.get(key, source)
    assert gone == [2, 1]
    assert sorted(cache.close()) == [3, 4]
    assert gone == [2, 1]


def test_after_a_fork_neither_lock_nor_flight_of_another_thread_is_in_the_way() -> None:
    cache = make(ManualClock())
    flying, done = threading.Event(), threading.Event()

    def load() -> int:
        flying.set()
        done.wait(30)
        return 1

    with ThreadPoolExecutor(1) as pool:
        pool.submit(cache.get, "k", load)
        flying.wait(30)
        cache._lock.acquire()
        cache.reset_locks()
        assert cache.get("k", lambda: 2) == 2
        done.set()
