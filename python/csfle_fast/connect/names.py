"""From the name that somebody wrote to the property that it is, or to the nearest one."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from csfle_fast.connect.table import CONVERTER_GROUPS, PROPERTIES, Part, Property

__all__ = ["Place", "locate", "nearest"]

_PREFIXES: dict[str, tuple[Part, ...]] = {"key.converter.": ("key",), "value.converter.": ("value",)}
_BOTH: tuple[Part, ...] = ("key", "value")

_EXACT = {row.name: row for row in PROPERTIES if not row.is_pattern}
# Longest first, so that the most particular one is found.
_PATTERNS = [
    (re.compile(re.escape(row.name).replace(r"\*", ".+").replace("<who>", ".+")), row)
    for row in sorted(PROPERTIES, key=lambda row: -len(row.name.replace("<who>", "")))
    if row.is_pattern
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name belongs.

    Attributes:
        row: its row in the table.
        sets: the property that it gives a value, without ``key.converter.`` and ``value.converter.``.
        parts: the converters that it is for; empty for a property of the connector.
    """

    row: Property
    sets: str
    parts: tuple[Part, ...]


def locate(name: str) -> Place | None:
    """Where ``name`` belongs; None where there is no such property."""
    for prefix, parts in _PREFIXES.items():
        if name.startswith(prefix):
            below = name.removeprefix(prefix)
            row = _row(below)
            return _place(row, below, parts) if row and row.group in CONVERTER_GROUPS else None
    row = _row(name)
    if row is None:
        return None
    return _place(row, name, _BOTH if row.group in CONVERTER_GROUPS else ())


def nearest(name: str) -> str:
    """The known name that is most like ``name``, in the form in which that was written."""
    candidates = [_filled(row.name, name) for row in PROPERTIES]
    for prefix in _PREFIXES:
        candidates += [
            prefix + _filled(row.name, name) for row in PROPERTIES if row.group in CONVERTER_GROUPS
        ]
    return difflib.get_close_matches(name, candidates, n=1, cutoff=0.0)[0]


def _row(name: str) -> Property | None:
    if name in _EXACT:
        return _EXACT[name]
    return next((row for pattern, row in _PATTERNS if pattern.fullmatch(name)), None)


def _place(row: Property, name: str, parts: tuple[Part, ...]) -> Place:
    if row.part is not None:
        parts = tuple(part for part in parts if part == row.part)
    return Place(row, row.sets or name, parts)


def _filled(pattern: str, name: str) -> str:
    """A pattern with the words of ``name`` for what it leaves open."""
    who = name.partition("rule.executors.")[2].partition(".")[0] or "_default_"
    return pattern.replace("<who>", who).replace("*", name.rpartition(".")[2] or "name")
