"""For how long a value serves: what a cache keeps of it, and what it gives to its users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Entry", "Lease", "Limits"]

V = TypeVar("V")


class Limits(NamedTuple):
    """When a value ends of its own, whatever the TTL of the cache.

    Attributes:
        until: the moment from which it has to be asked for again.
        end: the moment from which it may not be used, even if nobody can be asked.
    """

    until: float
    end: float


class Lease(NamedTuple, Generic[V]):
    """A value and for how long, on the clock of its cache.

    Attributes:
        value: the value.
        renew: ask again from then on; the answer is at hand, or a better one.
        until: what is built on it must be built anew from then on.
        end: it may not be used from then on.
    """

    value: V
    renew: float
    until: float
    end: float


@dataclass(slots=True)
class Entry(Generic[V]):
    """What a cache keeps of a value, on its clock.

    Attributes:
        value: the value.
        loaded: when its load began.
        renew: from then on it is loaded anew when it is used.
        until: from then on it has to be loaded before it is used.
        end: from then on it is not used, even if nobody can be asked.
        failing: nobody could be asked the last time.
        due: when the attempt behind a failed one is to be made.
    """

    value: V
    loaded: float
    renew: float
    until: float
    end: float
    failing: bool = False
    due: float = 0.0

    @property
    def age(self) -> float:
        """The seconds that it may reach before it has to be asked for again."""
        return self.until - self.loaded

    @property
    def served_until(self) -> float:
        """The moment from which it does not serve, as things stand."""
        return self.end if self.failing else self.until

    def lease(self, now: float) -> Lease[V]:
        """What a user is given of it."""
        renew = min(self.renew, self.served_until)
        # One that is past its time, in an outage, is built on until the next attempt.
        until = self.until if now < self.until else renew
        return Lease(self.value, renew, min(until, self.end), self.end)
