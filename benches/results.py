"""One line of the table, and the bars that lines are held to."""

from __future__ import annotations

import operator
from dataclasses import dataclass

__all__ = ["Bar", "Line", "faster", "within"]

_HOLDS = {"at least": operator.ge, "at most": operator.le}


@dataclass(frozen=True, slots=True)
class Bar:
    """What a line must reach: ``at least`` or ``at most`` a limit."""

    sense: str
    limit: float

    def holds(self, measured: float) -> bool:
        """Whether the measured ratio or number reaches the bar."""
        return bool(_HOLDS[self.sense](measured, self.limit))


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison.

    Attributes:
        workload: title of the records.
        call: what of ours was measured.
        ours: our number, nanoseconds a message unless the unit says otherwise.
        other: what it is compared with, empty for a bar on our own number.
        theirs: the other number, in the same unit.
        measured: what the bar judges: a ratio where there is another number, else ours.
        bar: None where the line is for information.
        unit: of both numbers.
    """

    workload: str
    call: str
    ours: float
    other: str = ""
    theirs: float | None = None
    measured: float | None = None
    bar: Bar | None = None
    unit: str = "ns"

    @property
    def holds(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        return self.bar.holds(self.ours if self.measured is None else self.measured)


def faster(workload: str, call: str, ours: float, other: str, theirs: float, bar: Bar | None = None) -> Line:
    """A line that says how many times faster ours is."""
    return Line(workload, call, ours, other, theirs, theirs / ours, bar)


def within(workload: str, call: str, ours: float, other: str, theirs: float, bar: Bar | None = None) -> Line:
    """A line that says how many times the other's time ours takes."""
    return Line(workload, call, ours, other, theirs, ours / theirs, bar)
