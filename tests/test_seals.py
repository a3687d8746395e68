"""Counts of seals: one for each key, bounded."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from csfle_fast._core import Cipher, generate_key
from csfle_fast.seals import KeyName, SealCounts
from key_world import spend

ALGORITHM = "AES256_GCM"


def name(subject: str = "s", version: int = 1, digest: bytes = b"d") -> KeyName:
    return KeyName("k", subject, ALGORITHM, version, digest)


def seal(counts: SealCounts, key: KeyName, values: int) -> None:
    """Seal with a cipher that nobody keeps."""
    spend(Cipher(ALGORITHM, generate_key(ALGORITHM), seals=counts.of(key)), values)


def test_ciphers_of_one_key_add_to_one_count() -> None:
    counts = SealCounts()
    seal(counts, name(), 3)
    seal(counts, name(), 4)
    assert counts.of(name()).values == 7


def test_another_key_has_its_own() -> None:
    counts = SealCounts()
    seal(counts, name(), 3)
    others = [name("other"), name(version=2), name(digest=b"e")]
    assert [counts.of(other).values for other in others] == [0, 0, 0]


def test_it_is_bounded_and_the_least_count_goes() -> None:
    counts = SealCounts(size=2)
    seal(counts, name("busy"), 5)
    seal(counts, name("idle"), 1)
    for n in range(20):
        counts.of(name(f"new{n}"))
    assert len(counts) == 2
    assert counts.of(name("busy")).values == 5
    assert counts.of(name("idle")).values == 0


def test_threads_that_ask_at_once_get_one_count() -> None:
    counts, start = SealCounts(), threading.Barrier(8)

    def ask() -> int:
        start.wait(30)
        return id(counts.of(name()))

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(ask) for _ in range(8)]
        assert len({one.result(30) for one in found}) == 1


def test_after_a_fork_no_lock_is_held() -> None:
    counts = SealCounts()
    counts._lock.acquire()
    counts.reset_locks()
    assert counts.of(name()).values == 0
