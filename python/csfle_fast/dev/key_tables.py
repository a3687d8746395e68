"""The tables under the KEK and DEK stores, their lock, and what they share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.models import Dek, Kek
from csfle_fast.dev.sharing import Sharing
from csfle_fast.dev.state import Key, State

__all__ = ["MAX_KEYS", "DekId", "KekId", "KeyTables"]

# Confluent's default limit for each kind of key.
MAX_KEYS = 20_000
_KEKS = "kek"
_DEKS = "dek"


@dataclass(frozen=True, slots=True, order=True)
class KekId:
    """A KEK's name is unique within its context."""

    context: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class DekId:
    """The algorithm is a part of a DEK's identity, so each has its own versions."""

    kek: KekId
    subject: str
    algorithm: str
    version: int


class KeyTables:
    """KEKs and DEKs by identity. Hold ``lock`` around what must be atomic; change them by the methods only.

    Args:
        clock: gives the ``ts`` of every write.
        sharing: the KMS of shared KEKs; by default there is none.
        state: where it is kept.
    """

    def __init__(self, clock: Clock, sharing: Sharing | None = None, state: State | None = None) -> None:
        self.lock = threading.RLock()
        self.sharing = Sharing() if sharing is None else sharing
        self._clock = clock
        self._state = State() if state is None else state
        self.keks: dict[KekId, Kek] = dict(self._state.records(_KEKS, _read_kek))
        self.deks: dict[DekId, Dek] = dict(self._state.records(_DEKS, _read_dek))

    def store_kek(self, kek_id: KekId, kek: Kek, ts: int | None = None) -> Kek:
        """Write a KEK, stamped now unless ``ts`` (milliseconds) is given."""
        stored = kek.model_copy(update={"ts": self._clock.now_ms() if ts is None else ts})
        self._state.save({_kek_key(kek_id): stored.model_dump(by_alias=True)})
        self.keks[kek_id] = stored
        return stored

    def remove_kek(self, kek_id: KekId) -> None:
        """Forget a KEK."""
        self._state.save({_kek_key(kek_id): None})
        del self.keks[kek_id]

    def store_dek(self, dek_id: DekId, dek: Dek, ts: int | None = None) -> Dek:
        """Write a DEK, stamped now unless ``ts`` (milliseconds) is given."""
        stored = dek.model_copy(update={"ts": ts})
        return self.store_deks({dek_id: stored})[dek_id]

    def store_deks(self, deks: Mapping[DekId, Dek]) -> dict[DekId, Dek]:
        """Write DEKs, all or none; one without a ``ts`` is stamped now."""
        now = self._clock.now_ms()
        stored = {
            dek_id: dek.model_copy(update={"ts": now}) if dek.ts is None else dek
            for dek_id, dek in deks.items()
        }
        self._state.save({_dek_key(dek_id): dek.model_dump(by_alias=True) for dek_id, dek in stored.items()})
        self.deks.update(stored)
        return stored

    def remove_deks(self, dek_ids: list[DekId]) -> None:
        """Forget DEKs, all or none."""
        self._state.save({_dek_key(dek_id): None for dek_id in dek_ids})
        for dek_id in dek_ids:
            del self.deks[dek_id]


def _kek_key(kek_id: KekId) -> Key:
    return (_KEKS, kek_id.context, kek_id.name)


def _read_kek(key: Key, value: Any) -> tuple[KekId, Kek]:
    _, context, name = key
    return KekId(context, name), Kek.model_validate(value)


def _dek_key(dek_id: DekId) -> Key:
    return (
        _DEKS,
        dek_id.kek.context,
        dek_id.kek.name,
        dek_id.subject,
        dek_id.algorithm,
        str(dek_id.version),
    )


def _read_dek(key: Key, value: Any) -> tuple[DekId, Dek]:
    _, context, kek, subject, algorithm, version = key
    return DekId(KekId(context, kek), subject, algorithm, int(version)), Dek.model_validate(value)
