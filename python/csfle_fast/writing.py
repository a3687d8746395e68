"""WRITE: the snapshot that a batch is sealed with, and when it has to be made anew."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from csfle_fast._core import Writer
from csfle_fast.errors import RegistryError
from csfle_fast.keys import KeyService, WriterKey
from csfle_fast.objects import Codec
from csfle_fast.plans import Compiled, Plans
from csfle_fast.registry import Registry, Version
from csfle_fast.rules import RulesToRun

__all__ = ["WriteSnapshot", "WriteSnapshots", "WriteTarget"]

_MAGIC_ID = b"\x00"
_MAGIC_GUID = b"\x01"


@dataclass(frozen=True)
class WriteSnapshot:
    """All that sealing a batch needs.

    Attributes:
        writer: the compiled plan with its ciphers.
        compiled: the plan with its rules.
        version: the writer schema's version.
        keys: the key of each rule.
        codec: for rows; None where only bodies are wanted.
        header: the header that names the schema, under header framing; None with a prefix.
        fresh_until: monotonic seconds until which it may be used.
    """

    writer: Writer
    compiled: Compiled
    version: Version
    keys: tuple[WriterKey, ...]
    codec: Codec | None
    header: tuple[str, bytes] | None
    fresh_until: float


class WriteTarget(NamedTuple):
    """What a snapshot is for: topic, key or value, pinned schema id, framing, rows or bodies, rules."""

    topic: str
    field: str
    schema_id: int | None
    framing: str
    rows: bool
    rules: RulesToRun = "all"


class WriteSnapshots:
    """The snapshots of an Engine, kept until what they were made of may have changed.

    Args:
        registry: where versions come from.
        keys: where keys come from.
        plans: where plans come from.
        size: most snapshots kept.
    """

    def __init__(self, registry: Registry, keys: KeyService, plans: Plans, size: int) -> None:
        self._registry = registry
        self._keys = keys
        self._plans = plans
        self._size = size
        self._snapshots: OrderedDict[WriteTarget, WriteSnapshot] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, target: WriteTarget, rows: int) -> WriteSnapshot:
        """The snapshot for ``target``, which is about to seal so many rows.

        Raises:
            CsfleError: schema, rules or keys cannot be had.
        """
        snapshot = self._snapshots.get(target)
        if snapshot is None or time.monotonic() >= snapshot.fresh_until or not _affords(snapshot, rows):
            snapshot = self._make(target, snapshot, rows)
        return snapshot

    def all(self) -> list[WriteSnapshot]:
        """Every snapshot that is kept."""
        with self._lock:
            return list(self._snapshots.values())

    def clear(self) -> None:
        """Forget every snapshot."""
        with self._lock:
            self._snapshots.clear()

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()

    def _make(self, target: WriteTarget, old: WriteSnapshot | None, rows: int) -> WriteSnapshot:
        registry = self._registry
        subject, subject_until = registry.subject_until(target.topic, target.field)
        latest, latest_until = registry.latest_until(subject)
        version = latest
        if target.schema_id is not None and target.schema_id != latest.schema_id:
            version = registry.member(subject, target.schema_id)
        # What an old snapshot was compiled from still holds; only its keys are over.
        same = old if old and old.version == version == latest and old.compiled.subject == subject else None
        compiled = (
            same.compiled
            if same
            else self._plans.write(version, latest, exact=target.rows, rules=target.rules)
        )
        # Keys are asked for on every rule run, also where no value will be sealed: Java and Go readers
        # look for the KEK of a record that holds none.
        keys = tuple(
            self._keys.writer_key(rule, subject, rows * places)
            for rule, places in zip(compiled.rules, compiled.places, strict=True)
        )
        codec = None
        if target.rows:
            where = f"subject {subject}, schema id {version.schema_id}"
            codec = same.codec if same else Codec(compiled.schema, where)
        frame, header = _framing(version, target)
        snapshot = WriteSnapshot(
            writer=Writer(compiled.plan, [key.cipher for key in keys], frame),
            compiled=compiled,
            version=version,
            keys=keys,
            codec=codec,
            header=header,
            fresh_until=min([subject_until, latest_until, *(key.fresh_until for key in keys)]),
        )
        with self._lock:
            self._snapshots[target] = snapshot
            self._snapshots.move_to_end(target)
            while len(self._snapshots) > self._size:
                self._snapshots.popitem(last=False)
        return snapshot


def _affords(snapshot: WriteSnapshot, rows: int) -> bool:
    needs = zip(snapshot.keys, snapshot.compiled.places, strict=True)
    return all(key.seals_left >= rows * places for key, places in needs)


def _framing(version: Version, target: WriteTarget) -> tuple[bytes, tuple[str, bytes] | None]:
    """What stands in front of each body, and the header that does instead."""
    if target.framing == "prefix":
        if version.schema_id is None:
            raise RegistryError("no_schema_id", f"subject {version.subject}: the registry tells no schema id")
        return _MAGIC_ID + version.schema_id.to_bytes(4, "big"), None
    if version.guid is None:
        raise RegistryError("no_guid", f"subject {version.subject}: the registry tells no GUID")
    return b"", (f"__{target.field}_schema_id", _MAGIC_GUID + uuid.UUID(version.guid).bytes)
