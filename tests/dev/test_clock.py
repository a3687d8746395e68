from __future__ import annotations

import time

from csfle_fast.dev.clock import Clock

DAY_MS = 86_400_000


def test_starts_at_wall_clock_time() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= Clock().now_ms() <= time.time_ns() // 1_000_000


def test_advances_forward_and_back_and_adds_up() -> None:
    clock = Clock()
    clock.advance(days=2, hours=1)
    clock.advance(days=-1, minutes=-60)
    moved = clock.now_ms() - time.time_ns() // 1_000_000
    assert abs(moved - DAY_MS) < 60_000  # the time between the two readings


def test_reset_returns_to_wall_clock_time() -> None:
    clock = Clock()
    clock.advance(days=-400)
    clock.reset()
    assert clock.now_ms() >= time.time_ns() // 1_000_000 - 60_000
