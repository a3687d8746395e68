"""The loading cache ahead of a TTL's end: what is served, and who loads."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from concurrent.futures import ThreadPoolExecutor

import pytest

from cache_world import MISSING, TTL, World
from csfle_fast.cache import LoadingCache
from csfle_fast.refresher import Refresher


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

    @pytest.mark.parametrize("raised", [ZeroDivisionError, CancelledError, SystemExit])
    def test_a_bug_in_the_background_is_not_tried_with_every_batch(self, raised: type[BaseException]) -> None:
        def bug() -> int:
            raise raised

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
