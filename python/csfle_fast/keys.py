"""The key service: from a rule and a subject to prepared ciphers.

KEK and DEK are read from the DEK registry; what writers create and rotate is ``writer_keys``.
The KMS unwraps a DEK; its bytes go into the compiled core and are dropped here. Nothing is used
for longer than its TTL or that of its KEK's entry, so a revoked KEK stops working; while registry
or KMS cannot be asked at all, for as long again as ``stale.if.error.sec`` says, and not beyond.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast._core import Cipher
from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import LATEST, dek_registry
from csfle_fast.deks import FIRST_VERSION, DekId, Deks
from csfle_fast.errors import KeyServiceError
from csfle_fast.keks import Keks
from csfle_fast.kms.wrapper import DekWrapper
from csfle_fast.leases import Lease, Limits
from csfle_fast.refresher import Refresher
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings
from csfle_fast.writer_keys import WriterKey, WriterKeys

__all__ = ["KeyService", "ReaderKey", "WriterKey"]


@dataclass(frozen=True)
class ReaderKey:
    """The key that values of one DEK version are opened with.

    Attributes:
        cipher: the prepared DEK version.
        limits: when the KEK's entry ends its use, in monotonic seconds.
    """

    cipher: Cipher
    limits: Limits


@dataclass
class _Newest:
    """The newest DEK version that is known: what the registry named, or a later one that was found since.

    One that was found says nothing of the time at which the registry was asked, nor that it is the newest.
    """

    version: int


class KeyService:
    """Keys for one Engine. Safe to share between threads; one flight per key.

    Args:
        client: the user's Schema Registry client, over which the DEK registry is reached.
        rule_conf: KMS credentials and options, by the names that Confluent's clients use.
        settings: cache sizes, TTLs, the budget of seals, the crypto provider.
        clock: monotonic seconds.
        wall: seconds since 1970, against which a DEK's age is measured.
        refresher: loads keys anew ahead of time; None loads them when they are over.
    """

    def __init__(
        self,
        client: SchemaRegistryClient,
        rule_conf: Mapping[str, object] | None,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        refresher: Refresher | None = None,
    ) -> None:
        self._registry = dek_registry(client)
        self._wrapper = DekWrapper(rule_conf, size=settings.kek_cache_size, clock=clock)
        self._keks = Keks(self._registry, settings, clock, refresher)
        self._deks = Deks(self._registry, self._wrapper, settings)
        # Failures are remembered where a caller enters, not further in too: they would last twice as long.
        self._writers = WriterKeys(self._keks, self._deks, settings, clock, wall, refresher)
        self._missing_ttl = settings.missing_cache_ttl_sec
        self._readers: LoadingCache[DekId, ReaderKey] = LoadingCache(
            size=settings.dek_cache_size,
            ttl=settings.dek_cache_ttl_sec,
            stale=settings.stale_if_error_sec,
            missing_ttl=settings.missing_cache_ttl_sec,
            clock=clock,
            limits=lambda key: key.limits,
            refresher=refresher,
        )
        self._latest: LoadingCache[DekId, _Newest] = LoadingCache(
            size=settings.dek_cache_size,
            ttl=settings.dek_cache_ttl_sec,
            stale=settings.stale_if_error_sec,
            missing_ttl=settings.missing_cache_ttl_sec,
            clock=clock,
        )

    def writer_key(self, rule: EncryptRule, subject: str) -> Lease[WriterKey]:
        """The key to seal with; KEK and DEK are created where they do not exist.

        Args:
            rule: the rule that runs.
            subject: the subject, with its context if it has one.

        Raises:
            KeyServiceError: no_kek, kek_mismatch, no_dek, wrong_key_length, bad_key_proto.
            KmsError: the KMS refused (code of its driver), or kms_failed, unknown_kms.
            RegistryError: the DEK registry refused or cannot be reached.
        """
        return self._writers.lease(rule, subject)

    def key_after(self, rule: EncryptRule, subject: str, spent: WriterKey) -> Lease[WriterKey]:
        """The key to go on with where the budget of another has no room left: a version behind it.

        Raises:
            KeyServiceError: dek_exhausted, the rule does not rotate or the settings do not let it; others
                as for ``writer_key``.
            KmsError: as for ``writer_key``.
            RegistryError: as for ``writer_key``.
        """
        return self._writers.after(rule, subject, spent.version)

    def reader_key(self, rule: EncryptRule, subject: str, version: int | None = None) -> Lease[ReaderKey]:
        """The key that opens values of one DEK version. Creates nothing.

        Args:
            rule: the rule that runs.
            subject: the subject.
            version: the number from the value's prefix; None (version 1) where the rule does not rotate.

        Raises:
            KeyServiceError: no_kek, kek_mismatch, no_dek, unknown_dek_version, wrong_key_length,
                bad_key_proto.
            KmsError: as for ``writer_key``.
            RegistryError: as for ``writer_key``.
        """
        number = FIRST_VERSION if version is None else version
        return self._readers.lease(
            DekId.of(rule, subject, number), lambda: self._load_reader(rule, subject, number)
        )

    def reader_key_at_hand(
        self, rule: EncryptRule, subject: str, version: int | None = None
    ) -> Lease[ReaderKey] | None:
        """As ``reader_key``, but None where somebody would have to be asked first."""
        number = FIRST_VERSION if version is None else version
        return self._readers.at_hand(
            DekId.of(rule, subject, number), lambda: self._load_reader(rule, subject, number)
        )

    def reader_refused_until(
        self, rule: EncryptRule, subject: str, version: int | None = None
    ) -> float | None:
        """Up to when a failure of ``reader_key`` is remembered, in monotonic seconds; None where none is."""
        return self._readers.refused_until(
            DekId.of(rule, subject, FIRST_VERSION if version is None else version)
        )

    def latest_known(self, rule: EncryptRule, subject: str) -> int | None:
        """The newest version number that the registry has named and that still holds; asks nobody."""
        newest = self._latest.peek(_latest_id(rule, subject))
        return None if newest is None else newest.version

    def latest_version(self, rule: EncryptRule, subject: str) -> int:
        """Number of the newest DEK version, soft-deleted ones included; 0 where there is none.

        Raises:
            RegistryError: the DEK registry refused or cannot be reached.
        """
        return self._latest_number(rule, subject, None)

    def counters(self) -> dict[str, int]:
        """Requests, KMS calls and cache figures since the start, as plain numbers."""
        return {
            "keks_created": self._keks.created,
            "deks_created": self._deks.created,
            "provider_fallbacks": self._deks.fallbacks,
            "kms_calls": self._wrapper.calls,
            "dek_registry_requests": self._registry.requests,
            "key_cache_hits": self._writers.hits + self._readers.hits,
            "key_loads": self._writers.loads + self._readers.loads,
            "failures_bridged": sum(
                part.bridged for part in (self._keks, self._writers, self._readers, self._latest)
            ),
        }

    def seals(self) -> dict[str, int]:
        """Values and bytes sealed, by the names in ``csfle_fast.metrics``, for each DEK version."""
        return self._deks.seals()

    def reset_locks(self) -> None:
        """To be called in a forked child: replaces every lock."""
        for part in (
            self._registry,
            self._wrapper,
            self._keks,
            self._deks,
            self._writers,
            self._readers,
            self._latest,
        ):
            part.reset_locks()

    def close(self) -> None:
        """Forget every key and every KMS client, and keep none from now on.

        What is being loaded at this moment is given to who waits for it, and kept nowhere.
        """
        for part in (self._writers, self._readers, self._latest, self._keks, self._wrapper):
            part.close()

    def _load_reader(self, rule: EncryptRule, subject: str, number: int) -> ReaderKey:
        if not self._may_exist(rule, subject, number):
            raise _no_dek(rule, subject, number)
        kek = self._keks.lease(rule, subject, writing=False)
        dek = self._deks.find(rule, subject, number, deleted=True)
        if dek is None:
            raise _no_dek(rule, subject, number)
        newest = self._latest.peek(_latest_id(rule, subject))
        if newest is not None:
            newest.version = max(newest.version, number)
        return ReaderKey(self._deks.opener(kek.value, subject, dek), Limits(kek.until, kek.end))

    def _may_exist(self, rule: EncryptRule, subject: str, number: int) -> bool:
        """Whether a version from the wire is worth a request: not below 1, nor above the newest plus one."""
        if number <= FIRST_VERSION:
            return number == FIRST_VERSION
        if number <= self._latest_number(rule, subject, None) + 1:
            return True
        # Several rotations may have happened since; the newest is asked for again, but not for every value.
        return number <= self._latest_number(rule, subject, self._missing_ttl) + 1

    def _latest_number(self, rule: EncryptRule, subject: str, max_age: float | None) -> int:
        def load() -> _Newest:
            dek = self._registry.get_dek(rule.kek_name, subject, rule.algorithm, LATEST, deleted=True)
            return _Newest(0 if dek is None else dek.version)

        return self._latest.get(_latest_id(rule, subject), load, max_age=max_age).version


def _latest_id(rule: EncryptRule, subject: str) -> DekId:
    return DekId(rule.kek_name, None, None, rule.algorithm, subject, 0)


def _no_dek(rule: EncryptRule, subject: str, number: int) -> KeyServiceError:
    code, what = ("unknown_dek_version", f"DEK version {number}") if rule.rotated else ("no_dek", "a DEK")
    return KeyServiceError(
        code, f"rule {rule.name}, subject {subject}: Kek:{rule.kek_name} does not have {what}"
    )
