"""What came of an outage: what was called when, with what result, and whether every record is there once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from csfle_fast.connect.hook import Hook
from csfle_fast.errors import OUTAGE_CODES

__all__ = ["CLOSING", "Outage", "Side"]

#: Kinds of outages that last beyond what is served stale.
CLOSING = ("killed", "kms killed", "throttling")


class Call(NamedTuple):
    """One call of a hook: when, for how long, and what its records failed with."""

    begun: float
    seconds: float
    codes: frozenset[str]


@dataclass
class Side:
    """The producer, or the consumer.

    Attributes:
        name: which.
        calls: of its hook.
        ids: how often it has dealt with each record.
        wrong: records with another content.
        failed: records that it gave up.
    """

    name: str
    calls: list[Call] = field(default_factory=list)
    ids: Counter[int] = field(default_factory=Counter)
    wrong: list[int] = field(default_factory=list)
    failed: int = 0

    def watch(self, hook: Hook, method: str) -> None:
        """Note each call of a hook's method."""
        call = getattr(hook, method)

        def watched(*arguments: Any, **named: Any) -> Any:
            begun = time.monotonic()
            result = call(*arguments, **named)
            codes = frozenset(error.code for error in result.errors)
            self.calls.append(Call(begun, time.monotonic() - begun, codes))
            return result

        setattr(hook, method, watched)

    def good(self, since: float, until: float = float("inf")) -> list[float]:
        """When calls were begun of which every record came through."""
        return [call.begun for call in self.calls if not call.codes and since <= call.begun < until]

    def bad(self, since: float = 0.0) -> list[Call]:
        """The other calls."""
        return [call for call in self.calls if call.codes and call.begun >= since]


@dataclass
class Outage:
    """What happened, in monotonic seconds.

    Attributes:
        kind: what was wrong.
        ttl: of everything that is cached, in seconds.
        stale: how long it serves beyond.
        began: the servers were away from then on.
        ended: they began to come back.
        asked: requests to servers that were there, and misbehaved, meanwhile.
        sides: producer and consumer.
        rows: records that the producer was given.
        topic: how often each record stands in the topic.
        readable: records in the topic that show what was to be sealed.
    """

    kind: str
    ttl: float
    stale: float
    began: float = 0.0
    ended: float = 0.0
    asked: int = 0
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side("producer"), Side("consumer")))
    rows: int = 0
    topic: Counter[int] = field(default_factory=Counter)
    readable: int = 0

    def faults(self) -> list[str]:
        """What does not add up; nothing if all is well."""
        all_once = Counter(range(self.rows))
        checks = {
            "a record is not in the topic exactly once": self.topic != all_once,
            "a record was not handed over exactly once": self.sides[1].ids != all_once,
            "a record was handed over with another content": bool(self.sides[1].wrong),
            "a record was given up": any(side.failed for side in self.sides),
            "plaintext stands in the topic": self.readable > 0,
        }
        found = [fault for fault, is_so in checks.items() if is_so]
        return found + [f"{side.name}: {fault}" for side in self.sides for fault in self._faults_of(side)]

    def _faults_of(self, side: Side) -> Iterator[str]:
        codes = frozenset[str]().union(*(call.codes for call in side.calls))
        if not codes <= OUTAGE_CODES:
            yield f"it failed with {sorted(codes - OUTAGE_CODES)}"
        if not side.good(self.ended):
            yield "it did not come back"
        if self.kind not in CLOSING:
            if codes:
                yield f"it failed with {sorted(codes)}, though it could have asked again"
            return
        if not side.good(self.began + self.ttl, self.ended):
            yield "it did not go on with what it had"
        if not side.bad(self.began):
            yield "it did not stop"
        # No margin: what was learnt before has its time from before.
        if side.good(self.began + self.ttl + self.stale, self.ended):
            yield "it went on for too long"

    def timeline(self) -> Iterator[str]:
        """What happened when, in seconds from the beginning of the outage."""
        yield (
            f"{self.kind}: TTL {self.ttl:g} s, stale for {self.stale:g} s, away for "
            f"{self.ended - self.began:.1f} s, asked {self.asked} times; {self.rows:,} records"
        )
        for side in self.sides:
            served, bad, back = side.good(self.began, self.ended), side.bad(self.began), side.good(self.ended)
            told = []
            if self.kind in CLOSING and served:
                told.append(f"stale from {self.ttl:g} at most until {served[-1] - self.began:.1f}")
            if bad:
                codes = ", ".join(sorted(frozenset[str]().union(*(call.codes for call in bad))))
                told.append(f"closed from {bad[0].begun - self.began:.1f} ({codes}, {len(bad)} calls)")
            if back and bad:
                told.append(f"back at {back[0] - self.began:.1f}")
            told.append(f"longest call {max(call.seconds for call in side.calls):.1f}")
            yield f"  {side.name}: {'; '.join(told)}"
