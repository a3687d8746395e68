"""A cache whose clock, source and background loads do what a test says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from csfle_fast.cache import LoadingCache
from csfle_fast.errors import CsfleError, RegistryError
from csfle_fast.leases import Limits
from csfle_fast.refresher import Refresher
from manual_clock import ManualClock

__all__ = ["MISSING", "OUTAGE", "STALE", "TTL", "HeldRefresher", "World"]

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
            with contextlib.suppress(BaseException):  # as its threads do
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

    @classmethod
    def in_outage(cls, after: float, *, ahead: bool = True, **changes: float) -> World:
        """One with a value, so many seconds later, from when on nobody can be asked."""
        world = cls(ahead=ahead, **changes)
        world.get()
        world.failure = OUTAGE
        world.later(after)
        return world

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
