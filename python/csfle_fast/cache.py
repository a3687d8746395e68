"""A cache that loads: bounded, with a real TTL, one flight per key, and a memory for failures.

Everything the cold path learns from a registry or a KMS is kept in one of these, so that
no answer outlives its TTL, no key is asked for twice at the same time, and a missing
thing is not asked for again with every batch. What is in use is asked for again before its
TTL is over, in the background; and where nobody can be asked, it serves for a stated time longer.
"""

from __future__ import annotations

import copy
import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from csfle_fast.errors import OUTAGE_CODES, CsfleError
from csfle_fast.flight import AbandonedError, Flight
from csfle_fast.leases import Entry, Lease, Limits
from csfle_fast.refresher import Refresher

__all__ = ["LoadingCache"]

_logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

#: The part of its time after which a value in use is loaded anew. Drawn, so that not all keys come at once.
_RENEW_FROM, _RENEW_TO = 0.75, 0.85
#: The part of its time after which a value is too old to build another one on.
_SETTLED = 0.5
#: While a value is loaded anew, its users look again after so many seconds.
_POLL_SEC = 0.05
#: Seconds between two attempts in an outage, where failures are not remembered for longer.
_RETRY_SEC = 1.0
#: How late an attempt may come in an outage. Where nobody was there to make it, whether there still is one
#: is not known, and the next user has to find out before it is served.
_LATE_SEC = 1.0
#: Failures that are neither an outage nor a refusal: the answer, or the driver's exception, cannot be told.
_UNCLEAR_CODES = frozenset({"bad_answer", "kms_failed"})


@dataclass(slots=True)
class _Failure:
    error: CsfleError
    expires: float


class LoadingCache(Generic[K, V]):
    """Values by key, loaded on demand. Safe to share between threads.

    Args:
        size: most entries kept; the least recently used goes first. Failures are kept in a
            store of their own with the same bound, so that they cannot push values out.
        ttl: seconds from the start of a load until its value has to be asked for again.
        stale: seconds beyond, for which a value serves while loads fail with one of OUTAGE_CODES.
        missing_ttl: seconds for which a failed load is remembered and raised again; 0 = not at all.
        clock: monotonic seconds.
        limits: when one value ends, where that may come before the TTL.
        refresher: loads values anew that are in use and soon over; None loads them when they are over.
        evicted: told of each value that went because there were too many.

    Attributes:
        hits: values that were given without a load.
        loads: loads that came to an end.
        bridged: loads that failed while an older value went on serving, because nobody could be asked.
    """

    def __init__(
        self,
        *,
        size: int,
        ttl: float,
        clock: Callable[[], float],
        stale: float = 0.0,
        missing_ttl: float = 0.0,
        limits: Callable[[V], Limits] | None = None,
        refresher: Refresher | None = None,
        evicted: Callable[[V], None] | None = None,
    ) -> None:
        self._size = size
        self._ttl = ttl
        self._stale = stale
        self._missing_ttl = missing_ttl
        self._clock = clock
        self._limits = limits
        self._refresher = refresher
        self._evicted = evicted
        self._entries: OrderedDict[K, Entry[V]] = OrderedDict()
        self._failures: OrderedDict[K, _Failure] = OrderedDict()
        self._flights: dict[K, Flight[V]] = {}
        self._closed = False
        self._lock = threading.Lock()
        self.hits = 0
        self.loads = 0
        self.bridged = 0

    def get(self, key: K, load: Callable[[], V], *, max_age: float | None = None) -> V:
        """The value of ``key``, as ``lease`` gives it, without its times."""
        return self.lease(key, load, max_age=max_age).value

    def get_until(self, key: K, load: Callable[[], V], *, max_age: float | None = None) -> tuple[V, float]:
        """The value of ``key`` and the moment, on the clock, from which to ask again; as ``lease``."""
        lease = self.lease(key, load, max_age=max_age)
        return lease.value, lease.renew

    def lease(
        self, key: K, load: Callable[[], V], *, max_age: float | None = None, settled: bool = False
    ) -> Lease[V]:
        """The value of ``key``, and for how long.

        ``load`` is called by one thread when there is no value that may be served, and in the
        background when there is one that is soon over.

        Args:
            key: what to look up.
            load: makes the value; only a CsfleError of it is remembered.
            max_age: do not serve a value that is older than so many seconds, whatever the TTL.
            settled: another value will be built on this one: load it anew if half its time is over.

        Raises:
            CsfleError: what ``load`` raised, now or less than ``missing_ttl`` seconds ago.
        """
        while True:
            own: Flight[V] = Flight()
            try:
                lease, flight = self._look(key, own, max_age, settled)
                if lease is not None:
                    if flight is not None:
                        self._renew(key, load, flight)
                    return lease
                assert flight is not None  # noqa: S101 - without a value there is a flight
                insist = max_age is not None
                if flight is own:
                    return self._fly(key, load, own, insist=insist)
                return self._wait(key, flight, insist=insist)
            except AbandonedError:
                continue
            finally:
                self._leave(key, own)

    def at_hand(self, key: K, load: Callable[[], V]) -> Lease[V] | None:
        """As ``lease``, but None where the caller would have to wait, or where a failure is remembered."""
        with self._lock:
            lease, renewal = self._serve(key, self._clock(), None, settled=False)
        if renewal is not None:
            self._renew(key, load, renewal)
        return lease

    def peek(self, key: K) -> V | None:
        """The value of ``key`` if it may be served now, else None. Loads nothing."""
        kept = self._kept(key)
        return None if kept is None else kept.value

    def refused_until(self, key: K) -> float | None:
        """The moment up to which a failed load of ``key`` is remembered; None where none is."""
        failure = self._failures.get(key)
        return None if failure is None or failure.expires <= self._clock() else failure.expires

    def close(self) -> list[V]:
        """Forget everything and keep nothing from now on, not even what is being loaded at this moment.

        Returns:
            The values that were kept, for who has to close them.
        """
        with self._lock:
            self._closed = True
            values = [entry.value for entry in self._entries.values()]
            self._entries.clear()
            self._failures.clear()
            return values

    def reset_locks(self) -> None:
        """In a forked child: other threads are gone, so their lock and their flights are dropped."""
        self._lock = threading.Lock()
        self._flights = {}

    def __len__(self) -> int:
        return len(self._entries)

    def _look(
        self, key: K, own: Flight[V], max_age: float | None, settled: bool
    ) -> tuple[Lease[V] | None, Flight[V] | None]:
        """What may be served, else the flight to wait for: ``own`` where the caller is to make it.

        With a value there is a flight only if it is to be made, in the background.

        Raises:
            CsfleError: a remembered failure.
        """
        with self._lock:
            now = self._clock()
            lease, renewal = self._serve(key, now, max_age, settled)
            if lease is not None:
                return lease, renewal
            failure = self._failures.get(key)
            if failure is not None and now < failure.expires:
                raise copy.copy(failure.error)
            flight = self._flights.get(key)
            if flight is None or flight.queued or flight.landed:
                if flight is not None:
                    flight.queued = False  # the refresher need not make it any more
                self._flights[key] = flight = own
            return None, flight

    def _serve(
        self, key: K, now: float, max_age: float | None, settled: bool
    ) -> tuple[Lease[V] | None, Flight[V] | None]:
        """What may be served, and the flight that is to be made in the background. Under the lock."""
        entry = self._fresh(key, now, max_age, settled)
        if entry is None:
            return None, None
        self.hits += 1
        if self._refresher is None or now < entry.renew:
            return entry.lease(now), None
        entry.renew = now + _POLL_SEC
        under_way = self._flights.get(key)
        if under_way is not None and not under_way.landed:
            return entry.lease(now), None
        flight: Flight[V] = Flight(queued=True)
        self._flights[key] = flight
        return entry.lease(now), flight

    def _fresh(self, key: K, now: float, max_age: float | None, settled: bool) -> Entry[V] | None:
        entry = self._entries.get(key)
        if entry is None or now >= entry.served_until:
            return None
        if max_age is not None and now - entry.loaded >= max_age:
            return None
        if self._refresher is None and now >= max(entry.until, entry.renew):
            return None  # in an outage, and nobody else would make the next attempt
        if entry.failing and now >= max(entry.until, entry.due + _LATE_SEC) and not self._is_flying(key):
            return None
        if settled and now >= (entry.renew if entry.failing else entry.loaded + entry.age * _SETTLED):
            return None
        self._entries.move_to_end(key)
        return entry

    def _is_flying(self, key: K) -> bool:
        flight = self._flights.get(key)
        return flight is not None and not (flight.queued or flight.landed)

    def _kept(self, key: K) -> Lease[V] | None:
        with self._lock:
            entry = self._entries.get(key)
            now = self._clock()
            return None if entry is None or now >= entry.served_until else entry.lease(now)

    def _renew(self, key: K, load: Callable[[], V], flight: Flight[V]) -> None:
        """Load in the background. Whoever comes meanwhile is served what there is."""

        def work() -> None:
            if not self._unqueue(flight):
                return
            try:
                self._fly(key, load, flight, insist=False)
            except CsfleError as error:
                _logger.info("loading anew in the background failed (%s)", error.code)
            except BaseException:  # a bug, of a driver perhaps: not to be met again with the next batch
                self._put_off(key)
                raise
            finally:
                self._leave(key, flight)

        assert self._refresher is not None  # noqa: S101 - who begins a renewal has seen it
        self._refresher.submit(work, lambda: self._leave(key, flight) if self._unqueue(flight) else None)

    def _unqueue(self, flight: Flight[V]) -> bool:
        """Whether it is still the refresher's; from now on it is not."""
        with self._lock:
            still, flight.queued = flight.queued, False
            return still

    def _fly(self, key: K, load: Callable[[], V], flight: Flight[V], *, insist: bool) -> Lease[V]:
        """Load, and land the flight. In an outage an older value is kept, and given unless one insists."""
        started = self._clock()
        try:
            entry = self._entry(load(), started)
        except CsfleError as error:
            kept = self._failed(key, error)
            if kept is None or insist:
                flight.land(None, copy.copy(error))
                raise
            flight.land(kept)
            return kept
        self._loaded(key, entry)
        lease = entry.lease(started)
        flight.land(lease)
        return lease

    def _wait(self, key: K, flight: Flight[V], *, insist: bool) -> Lease[V]:
        try:
            return flight.wait()
        except CsfleError as error:
            kept = None if insist else self._kept(key)
            if kept is not None:
                return kept
            # Each waiter raises its own copy: one exception object in many threads grows one traceback.
            raise copy.copy(error) from None

    def _leave(self, key: K, flight: Flight[V]) -> None:
        """Behind a flight, whatever became of it. Called on every way out, so that nobody waits for ever."""
        if self._flights.get(key) is not flight:
            return
        if not flight.landed:  # an interrupt, a bug: nothing was learnt, and who waits tries for itself
            flight.land(None)
        flight.open()
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _loaded(self, key: K, entry: Entry[V]) -> None:
        gone: list[V] = []
        with self._lock:
            self.loads += 1
            if not self._closed:
                self._entries[key] = entry
                self._entries.move_to_end(key)
                self._failures.pop(key, None)
                gone = [old.value for old in _trim(self._entries, self._size)]
        if self._evicted is not None:
            for value in gone:
                self._evicted(value)

    def _failed(self, key: K, error: CsfleError) -> Lease[V] | None:
        """What an unsuccessful load leaves: the older value where it may go on, else the failure."""
        with self._lock:
            self.loads += 1
            now = self._clock()
            if self._missing_ttl > 0 and not self._closed:
                self._failures[key] = _Failure(copy.copy(error), now + self._missing_ttl)
                self._failures.move_to_end(key)
                _trim(self._failures, self._size)
            entry = self._entries.get(key)
            if entry is None:
                return None
            outage = error.code in OUTAGE_CODES
            serves_until = entry.end if outage else entry.until
            if now >= serves_until or not (outage or error.code in _UNCLEAR_CODES):
                del self._entries[key]
                return None
            begins = outage and not entry.failing
            self.bridged += outage
            entry.failing = outage
            entry.renew = entry.due = now + self._pause
            lease = entry.lease(now)
        if begins:
            _logger.warning(
                "%s; what was answered before serves for at most %.0f s longer",
                error.message,
                lease.end - now,
            )
        return lease

    @property
    def _pause(self) -> float:
        """Seconds from a failed load in the background to the next."""
        return max(self._missing_ttl, _RETRY_SEC)

    def _put_off(self, key: K) -> None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                entry.renew = entry.due = self._clock() + self._pause

    def _entry(self, value: V, started: float) -> Entry[V]:
        until, end = started + self._ttl, started + self._ttl + self._stale
        if self._limits is not None:
            own = self._limits(value)
            until, end = min(until, own.until), min(end, own.end)
        renew = until
        if self._refresher is not None and started < until < float("inf"):
            renew = started + (until - started) * random.uniform(_RENEW_FROM, _RENEW_TO)  # noqa: S311
        return Entry(value, started, renew, until, end)


def _trim(store: OrderedDict[K, T], size: int) -> list[T]:
    """Takes the least recently used out of a store that is too large."""
    return [store.popitem(last=False)[1] for _ in range(len(store) - size)]
