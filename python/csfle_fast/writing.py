"""WRITE: the snapshot that a batch is sealed with, and when it has to be made anew."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
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


class WriteTarget(NamedTuple):
    """What a snapshot is for: topic, key or value, pinned schema id, framing, rows or bodies, rules."""

    topic: str
    field: str
    schema_id: int | None
    framing: str
    rows: bool
    rules: RulesToRun = "all"


@dataclass(frozen=True)
class WriteSnapshot:
    """All that sealing a batch needs.

    Attributes:
        target: what it is for.
        writer: the compiled plan with its ciphers.
        compiled: the plan with its rules.
        version: the writer schema's version.
        keys: the key of each rule.
        codec: for rows; None where only bodies are wanted.
        header: the header that names the schema, under header framing; None with a prefix.
        fresh_until: monotonic seconds from which to ask for another, or for the same again.
    """

    target: WriteTarget
    writer: Writer
    compiled: Compiled
    version: Version
    keys: tuple[WriterKey, ...]
    codec: Codec | None
    header: tuple[str, bytes] | None
    fresh_until: float


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
        self._snapshots: OrderedDict[object, WriteSnapshot] = OrderedDict()
        self._closed = False
        self._lock = threading.Lock()

    def get(self, target: WriteTarget) -> WriteSnapshot:
        """The snapshot for ``target``.

        Raises:
            CsfleError: schema, rules or keys cannot be had.
        """
        snapshot = self._snapshots.get(target)
        if snapshot is None or time.monotonic() >= snapshot.fresh_until:
            snapshot = self._make(target, snapshot)
        return snapshot

    def at_hand(self, *target: object) -> WriteSnapshot | None:
        """The snapshot for the parts of a WriteTarget, if it need not be made; they may be of any kind."""
        try:
            snapshot = self._snapshots.get(target)
        except TypeError:  # one that no target can have: whoever makes a snapshot says so
            return None
        return None if snapshot is None or time.monotonic() >= snapshot.fresh_until else snapshot

    def after(self, spent: WriteSnapshot) -> WriteSnapshot:
        """The same snapshot with another key wherever the budget of its key has no room left.

        Raises:
            KeyServiceError: dek_exhausted, a rule has to stay with its key.
            CsfleError: another key cannot be had.
        """
        compiled = spent.compiled
        keys, until = list(spent.keys), spent.fresh_until
        for place, (rule, key) in enumerate(zip(compiled.rules, spent.keys, strict=True)):
            if key.cipher.exhausted:
                lease = self._keys.key_after(rule, compiled.subject, key)
                keys[place], until = lease.value, min(until, lease.renew)
        frame, _ = _framing(spent.version, spent.target)
        writer = Writer(compiled.plan, [key.cipher for key in keys], frame)
        snapshot = replace(spent, writer=writer, keys=tuple(keys), fresh_until=until)
        self._keep(snapshot)
        return snapshot

    def close(self) -> None:
        """Forget every snapshot, and keep none from now on, not even what is being made at this moment."""
        with self._lock:
            self._closed = True
            self._snapshots.clear()

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()

    def _make(self, target: WriteTarget, old: WriteSnapshot | None) -> WriteSnapshot:
        registry = self._registry
        subject, subject_renew = registry.subject_until(target.topic, target.field)
        latest, latest_renew = registry.latest_until(subject)
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
        leases = [self._keys.writer_key(rule, subject) for rule in compiled.rules]
        keys = tuple(lease.value for lease in leases)
        fresh_until = min([subject_renew, latest_renew, *(lease.renew for lease in leases)])
        if same and same.keys == keys:
            snapshot = replace(same, fresh_until=fresh_until)
        else:
            codec = None
            if target.rows:
                where = f"subject {subject}, schema id {version.schema_id}"
                codec = same.codec if same else Codec(compiled.schema, where)
            frame, header = _framing(version, target)
            writer = Writer(compiled.plan, [key.cipher for key in keys], frame)
            snapshot = WriteSnapshot(target, writer, compiled, version, keys, codec, header, fresh_until)
        self._keep(snapshot)
        return snapshot

    def _keep(self, snapshot: WriteSnapshot) -> None:
        with self._lock:
            if not self._closed:
                self._snapshots[snapshot.target] = snapshot
                self._snapshots.move_to_end(snapshot.target)
            while len(self._snapshots) > self._size:
                self._snapshots.popitem(last=False)


def _framing(version: Version, target: WriteTarget) -> tuple[bytes, tuple[str, bytes] | None]:
    """What stands in front of each body, and the header that does instead."""
    if target.framing == "prefix":
        if version.schema_id is None:
            raise RegistryError("no_schema_id", f"subject {version.subject}: the registry tells no schema id")
        return _MAGIC_ID + version.schema_id.to_bytes(4, "big"), None
    if version.guid is None:
        raise RegistryError("no_guid", f"subject {version.subject}: the registry tells no GUID")
    return b"", (f"__{target.field}_schema_id", _MAGIC_GUID + uuid.UUID(version.guid).bytes)
