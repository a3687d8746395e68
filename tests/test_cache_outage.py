"""The loading cache in an outage: what is served, who makes the next attempt, and when it ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cache_world import MISSING, OUTAGE, STALE, TTL, World
from csfle_fast.errors import CsfleError, KmsError, RegistryError
from csfle_fast.leases import Limits


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
        world = World.in_outage(TTL + 1)
        assert world.get() == 1
        world.failure = None
        world.later(MISSING)
        assert world.get() == 1, "the next attempt is made in the background"
        loads = world.loads
        world.refresher.run()
        assert world.get() == loads + 1

    def test_a_caller_waits_for_a_vain_attempt_once(self) -> None:
        world = World.in_outage(TTL + 1)
        by_callers = 0
        for _ in range(20):
            before = world.loads
            world.get()
            by_callers += world.loads - before
            world.refresher.run()
            world.later(1)
        assert by_callers == 1, "the others are the refresher's"
        assert world.loads == 2 + 3

    def test_traffic_does_not_put_off_an_attempt_that_waits_for_a_busy_refresher(self) -> None:
        world = World.in_outage(0.9 * TTL)
        world.get()
        world.refresher.run()
        world.failure = KmsError("kms_key_disabled", "disabled")
        for _ in range(int(0.1 * TTL * 10) + 1):  # ten times a second, up to the end of its time
            world.get()
            world.later(0.1)
        with pytest.raises(KmsError):
            world.get()

    def test_attempts_in_the_background_are_spaced(self) -> None:
        world = World.in_outage(0.9 * TTL)
        attempts = 0
        for _ in range(200):
            world.get()
            attempts += world.refresher.run()
            world.later(0.1)
        assert attempts == 4

    def test_after_a_pause_nobody_is_served_before_there_was_another_attempt(self) -> None:
        world = World.in_outage(TTL + 1)
        assert world.get() == 1
        world.failure = KmsError("kms_key_disabled", "disabled")
        world.later(MISSING + 2)
        with pytest.raises(KmsError):
            world.get()

    def test_nor_where_the_attempt_waits_for_a_busy_refresher(self) -> None:
        world = World.in_outage(TTL + 1)
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
        world = World.in_outage(TTL + 1)
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
        world = World.in_outage(TTL + 1, stale=0.0)
        with caplog.at_level("WARNING"), pytest.raises(RegistryError):
            world.get()
        assert (caplog.records, world.cache.bridged) == ([], 0)

    def test_where_failures_are_not_remembered_attempts_are_a_second_apart(self) -> None:
        world = World.in_outage(0.9 * TTL, missing_ttl=0.0)
        attempts = 0
        for _ in range(100):
            world.get()
            attempts += world.refresher.run()
            world.later(0.05)
        assert attempts == 5

    def test_a_refusal_ends_it_at_once(self) -> None:
        world = World.in_outage(TTL + 1)
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
        world = World.in_outage(TTL + 1, ahead=False)
        assert [world.get(), world.get(), world.loads] == [1, 1, 2]
        world.later(MISSING)
        assert [world.get(), world.loads] == [1, 3]
        world.failure = None
        world.later(MISSING)
        assert world.get() == 4

    def test_nothing_is_stale_where_no_time_is_stated(self) -> None:
        world = World.in_outage(0.9 * TTL, stale=0.0)
        world.get()
        world.refresher.run()
        assert world.get() == 1
        world.later(0.1 * TTL)
        with pytest.raises(RegistryError):
            world.get()
