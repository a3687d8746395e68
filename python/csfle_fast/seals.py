"""Counts of seals that outlive the caches.

AES-GCM with random nonces bounds how much one key may seal, however often its DEK is loaded
again. Counts are held here, apart from ciphers and caches: no TTL, no failure of a KMS and no
eviction from a cache makes one start anew.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from csfle_fast._core import Seals

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
                    del self._counts[min(self._counts, key=lambda held: self._counts[held].count)]
                count = self._counts[key] = Seals()
            return count

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._counts)
