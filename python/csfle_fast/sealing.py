"""Sealing a batch within the budgets of its DEKs: rows that one has no room for go on under the next."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from csfle_fast import fork
from csfle_fast._core import Bodies
from csfle_fast.batches import Fault, packed_rows
from csfle_fast.writing import WriteSnapshot, WriteSnapshots

__all__ = ["Done", "Sealed", "seal"]

_logger = logging.getLogger(__name__)

#: Values sealed, opened, and let pass; tombstones; times that a budget was passed or had no room.
Done = tuple[int, int, int, int, int]
_NO_ROOM = "dek_exhausted"


#: What came of a batch of bodies, as the core gives it: a list of frames or a pair (buffer, offsets); the
#: rows that failed, in row order; what was done.
Sealed = tuple[Any, list[Fault], Done]


def seal(
    snapshots: WriteSnapshots,
    snapshot: WriteSnapshot,
    batch: Any,
    threads: int,
    packed: bool,
) -> Sealed:
    """Bodies to frames, by one snapshot; another one's keys are used only behind the end of a budget.

    Args:
        snapshots: where the snapshot with the next keys comes from.
        snapshot: the snapshot.
        batch: a list of bodies, a pair (buffer, offsets), or Bodies.
        threads: how many may work on the batch.
        packed: whether the result is to be packed.

    Raises:
        KeyServiceError: dek_exhausted, a budget is used up and its rule has to stay with its key.
        CsfleError: another key cannot be had. Nothing is given back of the batch then.
    """
    values, faults, _, _, done = snapshot.writer.encrypt(batch, fork.pool(), threads, packed)
    if done[4]:
        _warn(snapshot)
        waiting = [fault[0] for fault in faults if fault[2] == _NO_ROOM]
        if waiting:
            return _go_on(snapshots, snapshot, batch, threads, (values, faults, done), waiting, packed)
    return values, faults, done


def _go_on(
    snapshots: WriteSnapshots,
    snapshot: WriteSnapshot,
    batch: Any,
    threads: int,
    begun: Sealed,
    waiting: list[int],
    packed: bool,
) -> Sealed:
    """Seals what waits under the next keys, until nothing does, and puts everything in its place."""
    bodies = _rows(batch)
    given, failed, done = begun
    values = _rows(packed_rows(given)) if packed else given
    faults = [fault for fault in failed if fault[2] != _NO_ROOM]
    while waiting:
        snapshot = snapshots.after(snapshot)
        rest = [bodies[row] for row in waiting]
        sealed, failed, _, _, more = snapshot.writer.encrypt(rest, fork.pool(), threads, False)
        for row, value in zip(waiting, sealed, strict=True):
            values[row] = value
        faults += [(waiting[fault[0]], *fault[1:]) for fault in failed if fault[2] != _NO_ROOM]
        done = (done[0] + more[0], done[1], done[2] + more[2], done[3], done[4] + more[4])
        waiting = [waiting[fault[0]] for fault in failed if fault[2] == _NO_ROOM]
    faults.sort(key=lambda fault: fault[0])
    return _packed(values) if packed else values, faults, done


def _rows(batch: Any) -> list[Any]:
    """The rows of any form of a batch."""
    if isinstance(batch, list):
        return batch
    if isinstance(batch, Bodies):
        return list(batch)
    buffer, offsets = (memoryview(part) for part in batch)
    return [bytes(buffer[start:end]) for start, end in pairwise(offsets.tolist())]


def _packed(rows: Sequence[bytes | None]) -> tuple[bytes, bytes]:
    parts = [row or b"" for row in rows]
    offsets = array("q", accumulate((len(part) for part in parts), initial=0))
    return b"".join(parts), offsets.tobytes()


def _warn(snapshot: WriteSnapshot) -> None:
    """Tells of budgets that were passed, where their rules go on with the same key."""
    for rule, key in zip(snapshot.compiled.rules, snapshot.keys, strict=True):
        if key.cipher.take_passed():
            _logger.warning(
                "rule %s, subject %s: DEK version %d under Kek:%s has sealed more than dek.max.seals%s",
                rule.name, snapshot.compiled.subject, key.version, rule.kek_name,
                "" if rule.rotated else "; with encrypt.dek.expiry.days it would rotate",
            )  # fmt: skip
