"""The forms of a batch: what a call takes, checked, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from csfle_fast.errors import BatchError, ConfigError, RowError
from csfle_fast.results import Headers, PackedRows, Result
from csfle_fast.subjects import check_field

__all__ = [
    "Batch",
    "Fault",
    "as_batch",
    "check_call",
    "headers_for",
    "nothing",
    "nothing_in",
    "packed_rows",
    "row_errors",
]

#: A list of bodies or frames, or ``(buffer, int64 offsets)``.
Batch = Sequence[bytes | None] | tuple[Any, Any]

#: Row, field path, code, message and byte offset, as the core tells them.
Fault = tuple[int, str | None, str, str, int | None]


def as_batch(given: Batch) -> tuple[Any, bool, int]:
    """A batch as the core takes it, whether it is packed, and how many rows it has.

    A list is ours alone, whatever becomes of the caller's.
    """
    if not isinstance(given, tuple):
        rows = list(given)
        return rows, False, len(rows)
    if len(given) != 2:
        raise BatchError("bad_batch", "a batch is a list of bytes or a pair (buffer, int64 offsets)")
    pair: tuple[Any, Any] = given
    if len(pair[1]) == 0:
        raise BatchError("bad_offsets", "offsets hold one number more than there are rows, so at least one")
    return pair, True, len(pair[1]) - 1


def nothing_in(rows: Sequence[Any], packed: bool, length: int) -> bool:
    """Whether there is nothing to seal, so that no registry need be asked."""
    return length == 0 if packed else all(row is None for row in rows)


def nothing(length: int, packed: bool, framing: str) -> Result[Any]:
    """The result of a batch with nothing in it."""
    headers: list[Headers] | None = [[] for _ in range(length)] if framing == "header" else None
    return Result(packed_rows((b"", bytes(8))) if packed else [None] * length, [], headers=headers)


def check_call(topic: object, field: str, threads: object, rules: str, framing: str | None = None) -> None:
    """Raise a ConfigError unless a call's arguments are what they should be; asks no registry.

    ``framing`` is None for a call that reads.
    """
    if not (isinstance(topic, str) and topic):
        raise ConfigError("topic is the name of a topic")
    check_field(field)
    if not (isinstance(threads, int) and threads >= 1):
        raise ConfigError("threads is a number of threads, 1 or more")
    if framing not in ("prefix", "header", None):
        raise ConfigError('framing is "prefix" or "header"')
    if rules not in ("all", "none") and not (rules == "own" and framing is None):
        raise ConfigError('rules is "all", "none" or, on READ, "own"')


def headers_for(header: tuple[str, bytes] | None, rows: Iterable[object]) -> list[Headers] | None:
    """Headers for each row, the caller's to change; a row that is None names no schema."""
    return None if header is None else [[] if row is None else [header] for row in rows]


def packed_rows(pair: tuple[bytes, bytes]) -> PackedRows:
    """A packed result of the core."""
    return PackedRows(pair[0], memoryview(pair[1]).cast("q"))


def row_errors(faults: Sequence[Fault], rows: list[int] | None = None) -> list[RowError]:
    """RowErrors of the core's faults; ``rows`` tells which row each of its rows was."""
    return [
        RowError(row if rows is None else rows[row], path, code, message, offset)
        for row, path, code, message, offset in faults
    ]
