"""A cache that loads: bounded, with a real TTL, one flight per key, and a memory for failures.

Everything the cold path learns from a registry or a KMS is kept in one of these, so that
no answer outlives its TTL, no key is asked for twice at the same time, and a missing
thing is not asked for again with every batch.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from csfle_fast.errors import CsfleError

__all__ = ["LoadingCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    loaded: float
    expires: float


@dataclass(slots=True)
class _Failure:
    error: CsfleError
    expires: float


class LoadingCache(Generic[K, V]):
    """Values by key, loaded on demand.

    Args:
        size: most entries kept; the least recently used goes first. Failures are kept in a
            store of their own with the same bound, so that they cannot push values out.
        ttl: seconds from the start of a load until its value is no longer served.
        missing_ttl: seconds for which a failed load is remembered and raised again; 0 = not at all.
        clock: monotonic seconds.
        expires: earliest moment, on ``clock``, at which one value must not be served any more,
            where that may come before the TTL.
    """

    def __init__(
        self,
        *,
        size: int,
        ttl: float,
        clock: Callable[[], float],
        missing_ttl: float = 0.0,
        expires: Callable[[V], float] | None = None,
    ) -> None:
        self._size = size
        self._ttl = ttl
        self._missing_ttl = missing_ttl
        self._clock = clock
        self._expires = expires
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._failures: OrderedDict[K, _Failure] = OrderedDict()
        self._flights: dict[K, Future[tuple[V, float]]] = {}
        self._closed = False
        self._lock = threading.Lock()
        self.hits = 0
        self.loads = 0

    def get(self, key: K, load: Callable[[], V], *, max_age: float | None = None) -> V:
        """The value of ``key``, as ``get_until`` gives it, without its time."""
        return self.get_until(key, load, max_age=max_age)[0]

    def get_until(self, key: K, load: Callable[[], V], *, max_age: float | None = None) -> tuple[V, float]:
        """The value of ``key`` and the moment, on ``clock``, from which it is not served any more.

        ``load`` is called by one thread when there is no value that may be served.

        Args:
            key: what to look up.
            load: makes the value; only a CsfleError of it is remembered.
            max_age: do not serve a value that is older than so many seconds, whatever the TTL.

        Raises:
            CsfleError: what ``load`` raised, now or less than ``missing_ttl`` seconds ago.
        """
        while True:
            with self._lock:
                entry = self._fresh(key, max_age)
                if entry is not None:
                    self.hits += 1
                    return entry.value, entry.expires
                failure = self._failures.get(key)
                if failure is not None and self._clock() < failure.expires:
                    raise copy.copy(failure.error)
                flight = self._flights.get(key)
                mine = flight is None
                if flight is None:
                    flight = self._flights[key] = Future()
            if mine:
                return self._fly(key, load, flight)
            try:
                return flight.result()
            except CsfleError as error:
                # Each waiter raises its own copy: one exception object in many threads grows one traceback.
                raise copy.copy(error) from None
            except _AbandonedError:
                continue

    def peek(self, key: K) -> V | None:
        """The value of ``key`` if it may be served now, else None. Loads nothing."""
        with self._lock:
            entry = self._fresh(key, None)
            return None if entry is None else entry.value

    def put(self, key: K, value: V) -> None:
        """Store a value that was learnt on another way; forgets a remembered failure."""
        with self._lock:
            if not self._closed:
                self._store(key, self._entry(value, self._clock()))

    def close(self) -> None:
        """Forget everything and keep nothing from now on, not even what is being loaded at this moment."""
        with self._lock:
            self._closed = True
            self._entries.clear()
            self._failures.clear()

    def reset_locks(self) -> None:
        """In a forked child: other threads are gone, so their lock and their flights are dropped."""
        self._lock = threading.Lock()
        self._flights = {}

    def __len__(self) -> int:
        return len(self._entries)

    def _fresh(self, key: K, max_age: float | None) -> _Entry[V] | None:
        entry = self._entries.get(key)
        now = self._clock()
        if entry is None or now >= entry.expires:
            return None
        if max_age is not None and now - entry.loaded >= max_age:
            return None
        self._entries.move_to_end(key)
        return entry

    def _fly(self, key: K, load: Callable[[], V], flight: Future[tuple[V, float]]) -> tuple[V, float]:
        started = self._clock()
        try:
            entry = self._entry(load(), started)
        except CsfleError as error:
            with self._lock:
                self.loads += 1
                self._entries.pop(key, None)
                if self._missing_ttl > 0 and not self._closed:
                    self._failures[key] = _Failure(copy.copy(error), self._clock() + self._missing_ttl)
                    self._failures.move_to_end(key)
                    _trim(self._failures, self._size)
                self._flights.pop(key, None)
            flight.set_exception(copy.copy(error))
            raise
        except BaseException:
            # Nothing was learnt (an interrupt, a bug): whoever waits tries for itself.
            with self._lock:
                self._flights.pop(key, None)
            flight.set_exception(_AbandonedError())
            raise
        with self._lock:
            self.loads += 1
            if not self._closed:
                self._store(key, entry)
            self._flights.pop(key, None)
        flight.set_result((entry.value, entry.expires))
        return entry.value, entry.expires

    def _entry(self, value: V, started: float) -> _Entry[V]:
        expires = started + self._ttl
        if self._expires is not None:
            expires = min(expires, self._expires(value))
        return _Entry(value, started, expires)

    def _store(self, key: K, entry: _Entry[V]) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        self._failures.pop(key, None)
        _trim(self._entries, self._size)


class _AbandonedError(Exception):
    """The thread that was loading gave up without an answer."""


def _trim(store: OrderedDict[K, _Entry[V]] | OrderedDict[K, _Failure], size: int) -> None:
    while len(store) > size:
        store.popitem(last=False)
