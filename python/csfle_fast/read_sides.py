"""The reading sides of an Engine: one for each topic and use, made anew when something of it is due."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from csfle_fast.keys import KeyService
from csfle_fast.plans import Plans
from csfle_fast.reading import ReadSide
from csfle_fast.registry import Registry
from csfle_fast.rules import RulesToRun
from csfle_fast.settings import Settings

__all__ = ["ReadSides", "ReadTarget"]


class ReadTarget(NamedTuple):
    """What a side is for: topic, key or value, rows or bodies, rules."""

    topic: str
    field: str
    rows: bool
    rules: RulesToRun = "all"


class ReadSides:
    """The sides of an Engine, kept until what they were made of may have changed.

    Args:
        registry: where versions come from.
        keys: where keys come from.
        plans: where plans come from.
        settings: as for ReadSide.
        size: most sides kept.
    """

    def __init__(
        self, registry: Registry, keys: KeyService, plans: Plans, settings: Settings, size: int
    ) -> None:
        self._make = partial(ReadSide, registry, keys, plans, settings)
        self._size = size
        self._sides: OrderedDict[object, ReadSide] = OrderedDict()
        self._closed = False
        self._lock = threading.Lock()

    def at_hand(self, *target: object) -> ReadSide | None:
        """The side for the parts of a ReadTarget, if it need not be made; they may be of any kind."""
        try:
            side = self._sides.get(target)
        except TypeError:  # one that no target can have: whoever makes a side says so
            return None
        return None if side is None or time.monotonic() >= side.fresh_until or side.full else side

    def get(self, target: ReadTarget) -> ReadSide:
        """The side for ``target``. Raises CsfleError: the latest version is needed and cannot be had."""
        side = self._sides.get(target)
        if side is None or time.monotonic() >= side.fresh_until or side.full:
            topic, part, rows, rules = target
            old, side = side, self._make(topic=topic, part=part, rows=rows, rules=rules)
            if old is not None and not old.full:
                side.adopt(old)
            with self._lock:
                if not self._closed:
                    self._sides[target] = side
                    self._sides.move_to_end(target)
                while len(self._sides) > self._size:
                    self._sides.popitem(last=False)
        return side

    def close(self) -> None:
        """Forget every side, and keep none from now on, not even what is being made at this moment."""
        with self._lock:
            self._closed = True
            self._sides.clear()

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()
        for side in self._sides.values():
            side.reset_locks()
