"""The registry's clock, which tests can move.

A DEK's age is the client's time minus the ``ts`` that the registry gave it, so a test
of rotation moves this clock back before the DEK is made (or moves both clocks).
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta

__all__ = ["Clock"]


class Clock:
    """Wall-clock time plus an offset. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, moved by what ``advance`` added."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the clock forward, or back with negative values. Calls add up."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        with self._lock:
            self._offset_ms += round(step / timedelta(milliseconds=1))

    def reset(self) -> None:
        """Back to wall-clock time."""
        with self._lock:
            self._offset_ms = 0
