"""A load that others wait for."""

from __future__ import annotations

import contextlib
import threading
from typing import Generic, TypeVar

from csfle_fast.leases import Lease

__all__ = ["AbandonedError", "Flight"]

V = TypeVar("V")


class AbandonedError(Exception):
    """Whoever was loading gave up without an answer."""


class Flight(Generic[V]):
    """A load under way, or about to be.

    An interrupt may come between any two lines of Python, so there is nothing here that one could leave
    half done: the gate is a plain lock, and opening it twice is no error.

    Attributes:
        queued: it waits for the refresher; whoever cannot wait makes one in its place.
        landed: it is over, well or not.
    """

    __slots__ = ("_error", "_gate", "_lease", "landed", "queued")

    def __init__(self, *, queued: bool = False) -> None:
        self.queued = queued
        self.landed = False
        self._lease: Lease[V] | None = None
        self._error: Exception | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def land(self, lease: Lease[V] | None, error: Exception | None = None) -> None:
        """It is over, with a value or with what its waiters are to raise."""
        self._lease, self._error = lease, error
        self.landed = True
        self.open()

    def open(self) -> None:
        """Let everybody go who waits."""
        with contextlib.suppress(RuntimeError):
            self._gate.release()

    def wait(self) -> Lease[V]:
        """What it landed with, once it has.

        Raises:
            AbandonedError: it is over without having been landed; or what it was landed with.
        """
        with self._gate:  # one after the other goes through
            pass
        if self._lease is None:
            raise self._error or AbandonedError
        return self._lease
