"""The key service: from a rule and a subject to prepared ciphers.

KEK and DEK are read from the DEK registry, created when a writer finds none, and rotated by
age or by the number of seals. The KMS unwraps a DEK; its bytes go into the compiled core and
are dropped here. Nothing is used for longer than its TTL, so a revoked KEK stops working.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast._core import Cipher, generate_key
from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import LATEST, Dek, Kek, dek_registry
from csfle_fast.errors import KeyServiceError, RegistryError
from csfle_fast.kms.wrapper import DekWrapper
from csfle_fast.references import context_of
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings

__all__ = ["KeyService", "WriterKey"]

_logger = logging.getLogger(__name__)

_MS_PER_DAY = 86_400_000
_FIRST_VERSION = 1
#: A writer that could not replace an expired DEK uses it and tries again after so many seconds.
_RETRY_AFTER_SEC = 10.0
_UNLIMITED = 2**63


@dataclass(frozen=True)
class WriterKey:
    """The key that new values are sealed with.

    Attributes:
        cipher: the prepared DEK version.
        version: its number.
        fresh_until: monotonic seconds; ask the key service again from then on.
        max_seals: how many values this DEK version may seal in this process.
        provisional: the DEK is past its age and could not be replaced; it is tried again soon.
    """

    cipher: Cipher
    version: int
    fresh_until: float
    max_seals: int = _UNLIMITED
    provisional: bool = False

    @property
    def seals_left(self) -> int:
        """Values that may still be sealed with it."""
        return max(0, self.max_seals - self.cipher.sealed)


@dataclass(frozen=True)
class _DekId:
    """What a key is asked for by. KMS type and key id are part of it, because each rule's are checked."""

    kek_name: str
    kms_type: str | None
    kms_key_id: str | None
    algorithm: str
    subject: str
    #: A version number on READ, the rule's expiry days on WRITE, 0 for the latest version's number.
    which: int


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
        self._wall = wall
        self._lock = threading.Lock()
        self._counts = {"keks_created": 0, "deks_created": 0}
        self._warned: set[_DekId] = set()
        dek_size, dek_ttl = settings.dek_cache_size, settings.dek_cache_ttl_sec
        missing = settings.missing_cache_ttl_sec
        # Failures are remembered where a caller enters, not further in too: they would last twice as long.
        self._writers: LoadingCache[_DekId, WriterKey] = LoadingCache(
            size=dek_size, ttl=dek_ttl, missing_ttl=missing, clock=clock, expires=lambda key: key.fresh_until
        )
        self._readers: LoadingCache[_DekId, Cipher] = LoadingCache(
            size=dek_size, ttl=dek_ttl, missing_ttl=missing, clock=clock
        )
        self._latest: LoadingCache[_DekId, int] = LoadingCache(
            size=dek_size, ttl=dek_ttl, missing_ttl=missing, clock=clock
        )
        self._ciphers: LoadingCache[tuple[str, str, str, int, bytes | None], Cipher] = LoadingCache(
            size=dek_size, ttl=dek_ttl, clock=clock
        )
        self._keks: LoadingCache[tuple[str, str | None, bool], Kek] = LoadingCache(
            size=settings.kek_cache_size, ttl=settings.kek_cache_ttl_sec, clock=clock
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
        wanted = _DekId(
            rule.kek_name, rule.kms_type, rule.kms_key_id, rule.algorithm, subject, rule.expiry_days
        )
        key = self._writers.get(wanted, lambda: self._load_writer(rule, subject, 0))
        if key.seals_left >= seals:
            return key
        # A fresh DEK that cannot afford a whole batch is not made better by another.
        if rule.rotated and not key.provisional and key.seals_left < key.max_seals:
            spent = key.version
            key = self._writers.get(wanted, lambda: self._load_writer(rule, subject, spent), max_age=0.0)
        if key.seals_left < seals:
            self._over_budget(rule, wanted)
        return key

    def reader_key(self, rule: EncryptRule, subject: str, version: int | None = None) -> Cipher:
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
        number = _FIRST_VERSION if version is None else version
        wanted = _DekId(rule.kek_name, rule.kms_type, rule.kms_key_id, rule.algorithm, subject, number)
        known = self._readers.peek(wanted)
        if known is not None:
            return known
        if not self._may_exist(rule, subject, number):
            raise _no_dek(rule, subject, number)
        return self._readers.get(wanted, lambda: self._load_reader(rule, subject, number))

    def reader_fresh_until(self, rule: EncryptRule, subject: str, version: int) -> float:
        """Until when, in monotonic seconds, ``reader_key`` answers for that version without a request."""
        wanted = _DekId(rule.kek_name, rule.kms_type, rule.kms_key_id, rule.algorithm, subject, version)
        return self._readers.fresh_until(wanted)

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
        with self._lock:
            counts = dict(self._counts)
        ends = (self._writers, self._readers)
        counts["kms_calls"] = self._wrapper.calls
        counts["dek_registry_requests"] = self._registry.requests
        counts["key_cache_hits"] = sum(cache.hits for cache in ends)
        counts["key_loads"] = sum(cache.loads for cache in ends)
        return counts

    def reset_locks(self) -> None:
        """To be called in a forked child: replaces every lock."""
        self._lock = threading.Lock()
        self._registry.reset_locks()
        self._wrapper.reset_locks()
        for cache in (self._writers, self._readers, self._latest, self._ciphers, self._keks):
            cache.reset_locks()

    def close(self) -> None:
        """Forget every key and every KMS client. A later call starts anew."""
        for cache in (self._writers, self._readers, self._latest, self._ciphers, self._keks):
            cache.clear()
        self._wrapper.close()

    def _load_writer(self, rule: EncryptRule, subject: str, spent: int) -> WriterKey:
        """The newest DEK of a rotating rule, else version 1; made anew if missing, expired or ``spent``."""
        started = self._clock()
        kek = self._kek(rule, subject, writing=True)
        dek = self._find_dek(rule, subject, LATEST if rule.rotated else _FIRST_VERSION, deleted=False)
        if dek is None or self._is_over(rule, dek, spent):
            dek = self._next_dek(kek, rule, subject, dek)
        provisional = self._is_over(rule, dek, spent)
        cipher = self._cipher(kek, subject, dek)
        return WriterKey(
            cipher=cipher,
            version=dek.version,
            fresh_until=self._clock() + _RETRY_AFTER_SEC
            if provisional
            else self._fresh_until(rule, dek, started),
            max_seals=self._settings.dek_max_seals if rule.algorithm.endswith("_GCM") else _UNLIMITED,
            provisional=provisional,
        )

    def _next_dek(self, kek: Kek, rule: EncryptRule, subject: str, old: Dek | None) -> Dek:
        number = _FIRST_VERSION if old is None else old.version + 1
        wrapped = None if kek.shared else self._wrapper.wrap(kek, generate_key(rule.algorithm))
        try:
            made = self._registry.create_dek(kek.name, subject, rule.algorithm, number, wrapped)
        except RegistryError as error:
            if old is None:
                raise
            _logger.warning(
                "Kek:%s, subject %s: DEK version %d cannot be created (%s); version %d stays in use",
                kek.name, subject, number, error.code, old.version,
            )  # fmt: skip
            return old
        if made is not None:
            self._count("deks_created")
        else:
            # Somebody else was first, and theirs is the key. The registry is asked anew: an answer
            # from before is the very DEK that was found too old.
            made = (
                self._find_dek(rule, subject, LATEST if rule.rotated else _FIRST_VERSION, deleted=False)
                or old
            )
        if made is None:
            raise KeyServiceError(
                "no_dek",
                f"Kek:{kek.name}, subject {subject}: the registry says that the DEK exists and has none",
            )
        return made

    def _load_reader(self, rule: EncryptRule, subject: str, number: int) -> Cipher:
        kek = self._kek(rule, subject, writing=False)
        dek = self._find_dek(rule, subject, number, deleted=True)
        if dek is None:
            raise _no_dek(rule, subject, number)
        latest = _latest_id(rule, subject)
        if number > (self._latest.peek(latest) or 0):
            self._latest.put(latest, number)
        return self._cipher(kek, subject, dek)

    def _may_exist(self, rule: EncryptRule, subject: str, number: int) -> bool:
        """Whether a version from the wire is worth a request: not below 1, nor above the newest plus one."""
        if number <= _FIRST_VERSION:
            return number == _FIRST_VERSION
        if number <= self._latest_number(rule, subject, None) + 1:
            return True
        # Several rotations may have happened since; the newest is asked for again, but not for every value.
        return number <= self._latest_number(rule, subject, self._settings.missing_cache_ttl_sec) + 1

    def _latest_number(self, rule: EncryptRule, subject: str, max_age: float | None) -> int:
        def load() -> int:
            dek = self._registry.get_dek(rule.kek_name, subject, rule.algorithm, LATEST, deleted=True)
            return 0 if dek is None else dek.version

        return self._latest.get(_latest_id(rule, subject), load, max_age=max_age)

    def _find_dek(self, rule: EncryptRule, subject: str, version: int, *, deleted: bool) -> Dek | None:
        dek = self._registry.get_dek(rule.kek_name, subject, rule.algorithm, version, deleted)
        # An entry without material is as good as none: nothing can be opened with it, so the peers say.
        return dek if dek is not None and (dek.wrapped is not None or dek.unwrapped is not None) else None

    def _is_over(self, rule: EncryptRule, dek: Dek, spent: int) -> bool:
        if not rule.rotated:
            return False
        age_days = (int(self._wall() * 1000) - dek.created_ms) // _MS_PER_DAY
        return age_days >= rule.expiry_days or dek.version <= spent

    def _fresh_until(self, rule: EncryptRule, dek: Dek, started: float) -> float:
        cached_until = started + self._settings.dek_cache_ttl_sec
        if not rule.rotated:
            return cached_until
        left_ms = dek.created_ms + rule.expiry_days * _MS_PER_DAY - self._wall() * 1000
        return min(cached_until, self._clock() + left_ms / 1000)

    def _kek(self, rule: EncryptRule, subject: str, *, writing: bool) -> Kek:
        context = context_of(subject)
        kek = self._keks.get(
            (rule.kek_name, context, writing), lambda: self._load_kek(rule, subject, context, writing)
        )
        for name, ours, theirs in (
            ("type", rule.kms_type, kek.kms_type),
            ("key id", rule.kms_key_id, kek.kms_key_id),
        ):
            if ours is not None and ours != theirs:
                raise KeyServiceError(
                    "kek_mismatch",
                    f"rule {rule.name}: its KMS {name} is not that of Kek:{kek.name} in the registry",
                )
        return kek

    def _load_kek(self, rule: EncryptRule, subject: str, context: str | None, writing: bool) -> Kek:
        kek = self._registry.get_kek(rule.kek_name, context, deleted=not writing)
        if kek is not None:
            return kek
        if writing:
            if rule.kms_type is None or rule.kms_key_id is None:
                raise KeyServiceError(
                    "no_kek",
                    f"rule {rule.name}, subject {subject}: Kek:{rule.kek_name} does not exist, and the rule "
                    "lacks encrypt.kms.type or encrypt.kms.key.id to create it",
                )
            kek = self._registry.create_kek(rule.kek_name, context, rule.kms_type, rule.kms_key_id)
            if kek is not None:
                self._count("keks_created")
            else:
                kek = self._registry.get_kek(rule.kek_name, context, deleted=False)
        if kek is None:
            raise KeyServiceError(
                "no_kek", f"rule {rule.name}, subject {subject}: Kek:{rule.kek_name} is not in the registry"
            )
        return kek

    def _cipher(self, kek: Kek, subject: str, dek: Dek) -> Cipher:
        # The wrapped material is part of the key, so a DEK that was deleted and made again is another one.
        key = (kek.name, subject, dek.algorithm, dek.version, dek.wrapped)

        def load() -> Cipher:
            if kek.shared and dek.unwrapped is not None:
                proto = dek.unwrapped
            elif dek.wrapped is not None:
                proto = self._wrapper.unwrap(kek, dek.wrapped)
            else:
                raise KeyServiceError("no_dek", f"Kek:{kek.name}, subject {subject}: the DEK is not wrapped")
            try:
                cipher = Cipher(
                    dek.algorithm, proto, version=dek.version, provider=self._settings.crypto_provider
                )
            except KeyServiceError as error:
                failure = KeyServiceError(
                    error.code,
                    f"Kek:{kek.name}, subject {subject}, DEK version {dek.version}: {error.message}",
                )
            else:
                # The KMS still gives this key. Its cipher is kept, because it knows how much it has sealed.
                old = self._ciphers.stale(key) if dek.wrapped is not None else None
                return cipher if old is None else old
            raise failure

        # Never served from here: a key would outlive its TTL in the mode (READ, WRITE) that asked later.
        return self._ciphers.get(key, load, max_age=0.0)

    def _over_budget(self, rule: EncryptRule, wanted: _DekId) -> None:
        message = (
            f"rule {rule.name}, subject {wanted.subject}: the DEK under Kek:{rule.kek_name} has sealed "
            f"{self._settings.dek_max_seals} values, as many as dek.max.seals allows"
            f"{'' if rule.rotated else '; with encrypt.dek.expiry.days it would rotate'}"
        )
        if self._settings.dek_max_seals_action == "stop":
            raise KeyServiceError("dek_exhausted", message)
        with self._lock:
            told = wanted in self._warned
            self._warned.add(wanted)
        if not told:
            _logger.warning(message)

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def _latest_id(rule: EncryptRule, subject: str) -> _DekId:
    return _DekId(rule.kek_name, None, None, rule.algorithm, subject, 0)


def _no_dek(rule: EncryptRule, subject: str, number: int) -> KeyServiceError:
    code, what = ("unknown_dek_version", f"DEK version {number}") if rule.rotated else ("no_dek", "a DEK")
    return KeyServiceError(
        code, f"rule {rule.name}, subject {subject}: Kek:{rule.kek_name} does not have {what}"
    )
