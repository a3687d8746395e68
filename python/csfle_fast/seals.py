"""Counts of seals that outlive the caches.

AES-GCM with random nonces bounds how much one key may seal, however often its DEK is loaded
again. Counts are held here, apart from ciphers and caches: no TTL, no failure of a KMS and no
eviction from a cache makes one start anew.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple

from csfle_fast._core import Seals
from csfle_fast.metrics import DEK_BYTES_PREFIX, DEK_SEALS_PREFIX

__all__ = ["KeyName", "SealCounts"]

#: Far above the DEKs that one Engine writes with.
_MOST_COUNTS = 100_000


class KeyName(NamedTuple):
    """The key that a count is of.

    Attributes:
        kek_name: name of the KEK.
        subject: the subject, with its context if it has one.
        algorithm: the DEK's algorithm.
        version: the DEK's version.
        digest: SHA-256 of the key. A DEK deleted and made anew is another key; one wrapped anew is the same.
    """

    kek_name: str
    subject: str
    algorithm: str
    version: int
    digest: bytes


class SealCounts:
    """One count for each key that an Engine seals with. Safe to share between threads.

    Args:
        size: most counts held; of more, the one that has sealed least is forgotten.
    """

    def __init__(self, size: int = _MOST_COUNTS) -> None:
        self._size = size
        self._counts: dict[KeyName, Seals] = {}
        self._lock = threading.Lock()

    def of(self, key: KeyName) -> Seals:
        """The count that every cipher of this key adds to."""
        with self._lock:
            count = self._counts.get(key)
            if count is None:
                if len(self._counts) >= self._size:
                    del self._counts[min(self._counts, key=lambda held: self._counts[held].values)]
                count = self._counts[key] = Seals()
            return count

    def read(self) -> dict[str, int]:
        """Values and bytes by the names in ``csfle_fast.metrics``; of keys of one name, together."""
        with self._lock:
            counts = list(self._counts.items())
        found: Counter[str] = Counter()
        for key, seals in counts:
            name = f"{key.kek_name}/{key.subject}/{key.algorithm}/{key.version}"
            found[DEK_SEALS_PREFIX + name] += seals.values
            found[DEK_BYTES_PREFIX + name] += seals.bytes
        return dict(found)

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._counts)
