"""Fair timing: contestants take turns in one process, and the best turn of each counts."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Contestant", "Seconds", "best_seconds", "timed"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something to be timed.

    Attributes:
        run: the work of one turn; gets what ``prepare`` returned.
        prepare: makes the input of one turn, outside the clock. A serializer that changes
            the caller's rows needs fresh ones every time.
        repeat: runs within a turn. Short work repeats, so that a turn is not one lucky or
            unlucky moment; each run is timed on its own.
    """

    run: Callable[[Any], object]
    prepare: Callable[[], Any] = lambda: None
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class Seconds:
    """What the runs of a contestant took: the fastest, and the one in the middle."""

    best: float
    median: float


def best_seconds(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, float]:
    """Seconds of the fastest run by name; see ``timed``."""
    return {name: seconds.best for name, seconds in timed(contestants, rounds).items()}


def timed(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Seconds]:
    """Times of each contestant over ``rounds`` turns, after one turn that only warms.

    The cyclic garbage collector rests while the clock runs, as in ``timeit``: otherwise a
    contestant pays for what another one left behind.
    """
    runs: dict[str, list[float]] = {name: [] for name in contestants}
    collecting = gc.isenabled()
    try:
        for turn in range(rounds + 1):
            for name, contestant in contestants.items():
                for _ in range(contestant.repeat):
                    work = contestant.prepare()
                    gc.collect(0)
                    gc.disable()
                    start = time.perf_counter()
                    contestant.run(work)
                    seconds = time.perf_counter() - start
                    if collecting:
                        gc.enable()
                    if turn > 0:
                        runs[name].append(seconds)
    finally:
        if collecting:
            gc.enable()
    return {name: Seconds(min(found), statistics.median(found)) for name, found in runs.items()}
