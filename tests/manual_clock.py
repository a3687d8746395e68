"""A clock that stands still until a test moves it."""

from __future__ import annotations


class ManualClock:
    """Seconds, as ``time.monotonic`` and ``time.time`` give them.

    Attributes:
        now: the present; tests add to it.
    """

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
