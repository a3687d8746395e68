"""The loading cache ahead of a TTL's end, and in an outage: what is served, who loads, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from csfle_fast.cache import LoadingCache
from csfle_fast.errors import CsfleError, KmsError, RegistryError
from csfle_fast.leases import Limits
from csfle_fast.refresher import Refresher
from manual_clock import ManualClock

TTL, STALE, MISSING = 100.0, 50.0, 5.0


class HeldRefresher(Refresher):
    """Runs what it was given when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Callable[[], None]] = []

    def submit(self, run: Callable[[], None], drop: Callable[[], None]) -> None:
        self.jobs.append(run)

    def run(self) -> int:
        """Run all that waits; how many."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()
        return len(jobs)


class World:
    """A cache with a source that can be made to fail.

    Attributes:
        failure: raised by loads while it is set.
        loads: how many loads there were.
    """

    def __init__(self, *, ahead: bool = True, **changes: float) -> None:
        self.clock = ManualClock()
        self.refresher = HeldRefresher()
        self.failure: CsfleError | None = None
        self.loads = 0
        self.limits: Limits | None = None
        times = {"ttl": TTL, "stale": STALE, "missing_ttl": MISSING} | changes
        self.cache: LoadingCache[str, int] = LoadingCache(
            size=10,
            ttl=times["ttl"],
            stale=times["stale"],
            missing_ttl=times["missing_ttl"],
            clock=self.clock,
            limits=lambda _: self.limits or Limits(float("inf"), float("inf")),
            refresher=self.refresher if ahead else None,
        )

    def load(self) -> int:
        self.loads += 1
        if self.failure is not None:
            raise self.failure
        return self.loads

    def get(self) -> int:
        return self.cache.get("k", self.load)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds


OUTAGE = RegistryError("unreachable", "down")


class TestAhead:
    def test_what_is_in_use_is_loaded_anew_before_its_end_and_nobody_waits(self) -> None:
        world = World()
        assert world.get() == 1
        world.later(0.74 * TTL)
        assert (world.get(), world.refresher.jobs) == (1, [])
        world.later(0.12 * TTL)
        assert world.get() == 1
        assert world.loads == 1, "the caller did not load"
        assert world.refresher.run() == 1
        assert world.get() == 2
        world.later(0.7 * TTL)
        assert world.get() == 2, "its time counts from the second load"

    def test_one_load_is_under_way_whoever_comes_meanwhile(self) -> None:
        world = World()
        world.get()
        world.later(0.9 * TTL)
        for _ in range(5):
            assert world.get() == 1
            world.later(0.06)
        assert len(world.refresher.jobs) == 1
        lease = world.cache.lease("k", world.load)
        assert lease.renew == pytest.approx(world.clock.now, abs=0.051), "look again soon"

    def test_what_nobody_uses_is_not_loaded_anew(self) -> None:
        world = World()
        world.get()
        world.later(TTL)
        assert world.refresher.jobs == []
        assert world.get() == 2

    def test_who_comes_behind_the_end_waits_for_the_load_under_way(self) -> None:
        world = World()
        world.get()
        world.later(0.9 * TTL)
        world.get()
        world.later(0.1 * TTL)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(world.get)
            threading.Timer(0.1, world.refresher.run).start()
            assert waiting.result(30) == 2
        assert world.loads == 2

    def test_keys_do_not_all_come_at_once(self) -> None:
        world = World()
        renewals = {world.cache.lease(f"k{n}", world.load).renew for n in range(10)}
        start = world.clock.now
        assert len(renewals) == 10
        assert all(start + 0.75 * TTL <= at <= start + 0.85 * TTL for at in renewals)

    def test_a_closed_refresher_leaves_loading_to_the_caller(self) -> None:
        world = World()
        world.cache = LoadingCache(size=1, ttl=TTL, clock=world.clock, refresher=Refresher())
        assert world.cache._refresher is not None
        world.cache._refresher.close()
        world.get()
        world.later(0.9 * TTL)
        assert world.get() == 1
        world.later(0.1 * TTL)
        assert world.get() == 2

    def test_who_waits_for_a_load_that_a_close_has_dropped_loads_for_itself(self) -> None:
        world, refresher, release = World(), Refresher(), threading.Event()
        world.cache = LoadingCache(size=1, ttl=TTL, clock=world.clock, refresher=refresher)

        def slow() -> None:
            release.wait(30)

        for _ in range(4):
            refresher.submit(slow, slow)
        world.get()
        world.later(0.9 * TTL)
        world.get()  # behind four jobs that take their time
        world.later(0.1 * TTL)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(world.get)
            threading.Timer(0.1, refresher.close).start()
            assert waiting.result(30) == 2
        release.set()

    def test_a_value_of_no_time_is_asked_for_every_time(self) -> None:
        world = World(ttl=0.0)
        assert [world.get(), world.get()] == [1, 2]

    def test_what_another_value_is_built_on_is_young(self) -> None:
        world = World()
        world.get()
        world.later(0.49 * TTL)
        assert world.cache.lease("k", world.load, settled=True).value == 1
        world.later(0.02 * TTL)
        assert world.get() == 1
        assert world.cache.lease("k", world.load, settled=True).value == 2

    def test_a_bug_in_the_background_leaves_the_next_to_try(self) -> None:
        world = World()
        world.get()
        world.later(0.9 * TTL)
        world.cache.get("k", bug)
        world.refresher.run()
        world.later(MISSING)
        assert world.get() == 1
        assert world.refresher.run() == 1
        assert world.get() == 2

    def test_a_bug_in_the_background_is_not_tried_with_every_batch(self) -> None:
        world = World()
        world.get()
        world.later(0.8 * TTL)
        tries = 0
        for _ in range(100):
            world.cache.get("k", bug)
            tries += world.refresher.run()
            world.later(0.1)
        assert 1 <= tries <= 3


def bug() -> int:
    raise ZeroDivisionError


class TestOutage:
    def test_a_value_serves_beyond_its_end_for_the_stated_time_and_no_longer(self) -> None:
        world = World()
        start = world.clock.now
        world.get()
        world.failure = OUTAGE
        served_until = start
        while world.clock.now < start + TTL + STALE + 20:
            world.refresher.run()
            try:
                assert world.get() == 1
                served_until = world.clock.now
            except RegistryError as error:
                assert error.code == "unreachable"  # noqa: PT017 - when it ends is what is looked for
                assert world.clock.now >= start + TTL + STALE
            world.later(1)
        assert served_until == start + TTL + STALE - 1

    def test_it_ends_when_there_is_an_answer_again(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        assert world.get() == 1
        world.failure = None
        world.later(MISSING)
        assert world.get() == 1, "the next attempt is made in the background"
        loads = world.loads
        world.refresher.run()
        assert world.get() == loads + 1

    def test_a_caller_waits_for_a_vain_attempt_once(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        for _ in range(20):
            world.get()
            world.later(1)
        assert world.loads == 2, "the second was the first caller's; the others are the refresher's"
        assert len(world.refresher.jobs) == 1

    def test_attempts_in_the_background_are_spaced(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(0.9 * TTL)
        attempts = 0
        for _ in range(200):
            world.get()
            attempts += world.refresher.run()
            world.later(0.1)
        assert attempts == 4

    def test_after_a_pause_nobody_is_served_before_there_was_another_attempt(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        assert world.get() == 1
        world.failure = KmsError("kms_key_disabled", "disabled")
        world.later(MISSING + 2)
        with pytest.raises(KmsError):
            world.get()

    def test_nor_where_the_attempt_waits_for_a_busy_refresher(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        world.get()
        world.later(MISSING)
        world.get()
        assert len(world.refresher.jobs) == 1
        world.failure = KmsError("kms_key_disabled", "disabled")
        world.later(2)
        with pytest.raises(KmsError):
            world.get()
        loads = world.loads
        world.refresher.run()
        assert world.loads == loads, "whoever could not wait has made it"

    def test_after_a_pause_in_an_outage_that_goes_on_it_serves(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        for pause in (TTL + 1, 20, 20):
            world.later(pause)
            assert world.get() == 1
        assert world.loads == 4, "each of them waited for an attempt"
        world.later(STALE)
        with pytest.raises(RegistryError):
            world.get()

    def test_its_beginning_is_told_once_and_its_loads_are_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        with caplog.at_level("WARNING"):
            for _ in range(100):
                world.get()
                world.refresher.run()
                world.later(0.1)
        assert [record.message for record in caplog.records] == [
            f"{OUTAGE.message}; what was answered before serves for at most {STALE - 1:.0f} s longer"
        ]
        assert world.cache.bridged == world.loads - 1 == 2
        caplog.clear()
        world.failure = None
        world.later(MISSING)
        world.get()
        world.refresher.run()
        assert world.get() == world.loads
        world.failure = OUTAGE
        world.later(TTL + 1)
        with caplog.at_level("WARNING"):
            world.get()
        assert len(caplog.records) == 1, "another one is told of again"

    def test_it_is_not_told_of_where_nothing_is_left_to_serve(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World(stale=0.0)
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        with caplog.at_level("WARNING"), pytest.raises(RegistryError):
            world.get()
        assert (caplog.records, world.cache.bridged) == ([], 0)

    def test_a_refusal_ends_it_at_once(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        assert world.get() == 1
        world.failure = KmsError("kms_key_disabled", "disabled")
        world.later(MISSING)
        world.get()
        world.refresher.run()
        with pytest.raises(KmsError):
            world.get()
        assert len(world.cache) == 0

    def test_a_refusal_ahead_of_the_end_is_the_end(self) -> None:
        world = World()
        world.get()
        world.failure = KmsError("kms_denied", "denied")
        world.later(0.9 * TTL)
        assert world.get() == 1
        world.refresher.run()
        with pytest.raises(KmsError):
            world.get()

    @pytest.mark.parametrize("code", ["bad_answer", "kms_failed"])
    def test_what_cannot_be_told_leaves_the_ttl_and_gives_no_more(self, code: str) -> None:
        world = World()
        world.get()
        world.failure = CsfleError(code, "?")
        world.later(0.9 * TTL)
        world.get()
        world.refresher.run()
        assert world.get() == 1
        world.later(0.1 * TTL)
        with pytest.raises(CsfleError, match=code):
            world.get()

    @pytest.mark.parametrize("code", ["bad_answer", "kms_failed"])
    def test_nor_do_those_who_hold_it_look_again_only_later(self, code: str) -> None:
        world = World(missing_ttl=TTL)
        world.get()
        end = world.clock.now + TTL
        world.failure = CsfleError(code, "?")
        world.later(0.9 * TTL)
        world.get()
        world.refresher.run()
        assert world.cache.lease("k", world.load).renew == end

    def test_who_insists_on_a_fresh_one_is_told(self) -> None:
        world = World()
        world.get()
        world.failure = OUTAGE
        for _ in range(3):
            with pytest.raises(RegistryError):
                world.cache.get("k", world.load, max_age=0)
        assert world.loads == 2, "a failure is remembered for those who insist, too"
        assert world.get() == 1

    def test_who_waits_for_one_who_insists_is_served_what_there_is(self) -> None:
        world = World()
        world.get()
        world.later(TTL + 1)
        begun, go_on = threading.Event(), threading.Event()

        def fail() -> int:
            begun.set()
            go_on.wait(30)
            raise OUTAGE

        with ThreadPoolExecutor(2) as pool:
            insisting = pool.submit(world.cache.get, "k", fail, max_age=0)
            begun.wait(30)
            waiting = pool.submit(world.get)
            threading.Timer(0.1, go_on.set).start()
            assert insisting.exception(30) is not None
            assert waiting.result(30) == 1

    def test_its_own_limits_end_a_value_too(self) -> None:
        world = World()
        world.limits = Limits(world.clock.now + 10, world.clock.now + 20)
        world.get()
        world.failure = OUTAGE
        world.later(15)
        assert world.get() == 1
        world.later(5)
        with pytest.raises(RegistryError):
            world.get()

    def test_without_a_refresher_the_caller_makes_the_attempts(self) -> None:
        world = World(ahead=False)
        world.get()
        world.failure = OUTAGE
        world.later(TTL + 1)
        assert [world.get(), world.get(), world.loads] == [1, 1, 2]
        world.later(MISSING)
        assert [world.get(), world.loads] == [1, 3]
        world.failure = None
        world.later(MISSING)
        assert world.get() == 4

    def test_nothing_is_stale_where_no_time_is_stated(self) -> None:
        world = World(stale=0.0)
        world.get()
        world.failure = OUTAGE
        world.later(0.9 * TTL)
        world.get()
        world.refresher.run()
        assert world.get() == 1
        world.later(0.1 * TTL)
        with pytest.raises(RegistryError):
            world.get()
