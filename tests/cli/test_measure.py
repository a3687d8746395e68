"""Turns: who runs when, on what, and what counts."""

from __future__ import annotations

import gc

import pytest

from csfle_fast.cli.measure import Contestant, Seconds, best_seconds, timed


def test_contestants_take_turns_on_fresh_input() -> None:
    seen: list[tuple[str, int]] = []
    made = iter(range(100))
    best_seconds(
        {
            "a": Contestant(lambda work: seen.append(("a", work)), lambda: next(made)),
            "b": Contestant(lambda work: seen.append(("b", work)), lambda: next(made), repeat=2),
        },
        rounds=2,
    )
    assert [name for name, _ in seen] == ["a", "b", "b"] * 3  # the first turn only warms
    assert [work for _, work in seen] == list(range(9))


def test_the_best_run_counts_and_the_warm_up_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    # Runs of 1 (the warm-up), 5, 3 and 4 seconds on a clock of our own.
    times = iter([0.0, 1.0, 10.0, 15.0, 20.0, 23.0, 30.0, 34.0])
    monkeypatch.setattr("csfle_fast.cli.measure.time.perf_counter", lambda: next(times))
    assert best_seconds({"a": Contestant(lambda _: None)}, rounds=3) == {"a": 3.0}


def test_the_median_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # Runs of 1 (the warm-up), 9, 3 and 4 seconds.
    times = iter([0.0, 1.0, 10.0, 19.0, 20.0, 23.0, 30.0, 34.0])
    monkeypatch.setattr("csfle_fast.cli.measure.time.perf_counter", lambda: next(times))
    assert timed({"a": Contestant(lambda _: None)}, rounds=3) == {"a": Seconds(best=3.0, median=4.0)}


def test_the_collector_rests_and_is_put_back() -> None:
    states: list[bool] = []
    assert gc.isenabled()
    best_seconds({"a": Contestant(lambda _: states.append(gc.isenabled()))}, rounds=1)
    assert states == [False, False]
    assert gc.isenabled()

    def fail(_: object) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        best_seconds({"a": Contestant(fail)}, rounds=1)
    assert gc.isenabled()
