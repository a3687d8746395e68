"""The key service: from a rule and a subject to prepared ciphers.

KEK and DEK are read from the DEK registry; what writers create and rotate is ``writer_keys``.
The KMS unwraps a DEK; its bytes go into the compiled core and are dropped here. Nothing is used
for longer than its TTL or that of its KEK's entry, so a revoked KEK stops working.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast._core import Cipher
from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import LATEST, dek_registry
from csfle_fast.deks import FIRST_VERSION, DekId, Deks
from csfle_fast.errors import KeyServiceError
from csfle_fast.keks import Keks
from csfle_fast.kms.wrapper import DekWrapper
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings
from csfle_fast.writer_keys import WriterKey, WriterKeys

__all__ = ["KeyService", "WriterKey"]


class KeyService:
    """Keys for one Engine. Safe to share between threads; one flight per key.

    Args:
        client: the user's Schema Registry client, over which the DEK registry is reached.
        rule_conf: KMS credentials and options, by the names that Confluent's clients use.
        settings: cache sizes, TTLs, the budget of seals, the crypto provider.
        clock: monotonic seconds.
        wall: seconds since 1970, against which a DEK's age is measured.
    """

    def __init__(
        self,
        client: SchemaRegistryClient,
        rule_conf: Mapping[str, object] | None,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._registry = dek_registry(client)
        self._wrapper = DekWrapper(rule_conf, size=settings.kek_cache_size, clock=clock)
        self._settings = settings
        self._clock = clock
        self._keks = Keks(self._registry, settings, clock)
        self._deks = Deks(self._registry, self._wrapper, settings.crypto_provider)
        # Failures are remembered where a caller enters, not further in too: they would last twice as long.
        self._writers = WriterKeys(self._keks, self._deks, settings, clock, wall)
        size, ttl, missing = (
            settings.dek_cache_size,
            settings.dek_cache_ttl_sec,
            settings.missing_cache_ttl_sec,
        )
        self._readers: LoadingCache[DekId, tuple[Cipher, float]] = LoadingCache(
            size=size, ttl=ttl, missing_ttl=missing, clock=clock, expires=lambda found: found[1]
        )
        self._latest: LoadingCache[DekId, int] = LoadingCache(
            size=size, ttl=ttl, missing_ttl=missing, clock=clock
        )

    def writer_key(self, rule: EncryptRule, subject: str, seals: int = 1) -> WriterKey:
        """The key to seal with; KEK and DEK are created where they do not exist.

        Args:
            rule: the rule that runs.
            subject: the subject, with its context if it has one.
            seals: how many values are about to be sealed, for the budget of the DEK.

        Raises:
            KeyServiceError: no_kek, kek_mismatch, no_dek, wrong_key_length, bad_key_proto, dek_exhausted.
            KmsError: the KMS refused (code of its driver), or kms_failed, unknown_kms.
            RegistryError: the DEK registry refused or cannot be reached.
        """
        return self._writers.get(rule, subject, seals)

    def reader_key(self, rule: EncryptRule, subject: str, version: int | None = None) -> Cipher:
        """The key that opens values of one DEK version, as ``reader_key_until`` gives it."""
        return self.reader_key_until(rule, subject, version)[0]

    def reader_key_until(
        self, rule: EncryptRule, subject: str, version: int | None = None
    ) -> tuple[Cipher, float]:
        """The key that opens values of one DEK version, and until when. Creates nothing.

        Args:
            rule: the rule that runs.
            subject: the subject.
            version: the number from the value's prefix; None (version 1) where the rule does not rotate.

        Returns:
            The prepared key, and the monotonic second from which it may not be used without asking again.

        Raises:
            KeyServiceError: no_kek, kek_mismatch, no_dek, unknown_dek_version, wrong_key_length,
                bad_key_proto.
            KmsError: as for ``writer_key``.
            RegistryError: as for ``writer_key``.
        """
        number = FIRST_VERSION if version is None else version
        wanted = DekId.of(rule, subject, number)
        known = self._readers.peek(wanted)
        if known is not None:
            return known
        if not self._may_exist(rule, subject, number):
            raise _no_dek(rule, subject, number)
        return self._readers.get(wanted, lambda: self._load_reader(rule, subject, number))

    def latest_known(self, rule: EncryptRule, subject: str) -> int | None:
        """The newest version number that the registry has named and that still holds; asks nobody."""
        return self._latest.peek(_latest_id(rule, subject))

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
            "kms_calls": self._wrapper.calls,
            "dek_registry_requests": self._registry.requests,
            "key_cache_hits": self._writers.hits + self._readers.hits,
            "key_loads": self._writers.loads + self._readers.loads,
        }

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

    def _load_reader(self, rule: EncryptRule, subject: str, number: int) -> tuple[Cipher, float]:
        until = self._clock() + self._settings.dek_cache_ttl_sec
        kek, kek_until = self._keks.get_until(rule, subject, writing=False)
        dek = self._deks.find(rule, subject, number, deleted=True)
        if dek is None:
            raise _no_dek(rule, subject, number)
        latest = _latest_id(rule, subject)
        if number > (self._latest.peek(latest) or 0):
            self._latest.put(latest, number)
        return self._deks.opener(kek, subject, dek), min(until, kek_until)

    def _may_exist(self, rule: EncryptRule, subject: str, number: int) -> bool:
        """Whether a version from the wire is worth a request: not below 1, nor above the newest plus one."""
        if number <= FIRST_VERSION:
            return number == FIRST_VERSION
        if number <= self._latest_number(rule, subject, None) + 1:
            return True
        # Several rotations may have happened since; the newest is asked for again, but not for every value.
        return number <= self._latest_number(rule, subject, self._settings.missing_cache_ttl_sec) + 1

    def _latest_number(self, rule: EncryptRule, subject: str, max_age: float | None) -> int:
        def load() -> int:
            dek = self._registry.get_dek(rule.kek_name, subject, rule.algorithm, LATEST, deleted=True)
            return 0 if dek is None else dek.version

        return self._latest.get(_latest_id(rule, subject), load, max_age=max_age)


def _latest_id(rule: EncryptRule, subject: str) -> DekId:
    return DekId(rule.kek_name, None, None, rule.algorithm, subject, 0)


def _no_dek(rule: EncryptRule, subject: str, number: int) -> KeyServiceError:
    code, what = ("unknown_dek_version", f"DEK version {number}") if rule.rotated else ("no_dek", "a DEK")
    return KeyServiceError(
        code, f"rule {rule.name}, subject {subject}: Kek:{rule.kek_name} does not have {what}"
    )
