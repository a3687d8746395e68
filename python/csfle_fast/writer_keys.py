"""The keys that new values are sealed with: created, rotated by age or by seals, and budgeted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from csfle_fast._core import Cipher
from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import LATEST, Dek, Kek
from csfle_fast.deks import FIRST_VERSION, DekId, Deks
from csfle_fast.errors import KeyServiceError, RegistryError
from csfle_fast.keks import Keks
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings

__all__ = ["WriterKey", "WriterKeys"]

_logger = logging.getLogger(__name__)

_MS_PER_DAY = 86_400_000
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
        max_seals: how many values this DEK version may seal by one Engine.
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


class WriterKeys:
    """The writer's side of the key service. Safe to share between threads; one flight per key.

    Args:
        keks: the KEKs.
        deks: the DEKs.
        settings: size and TTL of the cache, the budget of seals.
        clock: monotonic seconds.
        wall: seconds since 1970, against which a DEK's age is measured.
    """

    def __init__(
        self,
        keks: Keks,
        deks: Deks,
        settings: Settings,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._keks = keks
        self._deks = deks
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._warned: set[DekId] = set()
        self._lock = threading.Lock()
        self._cache: LoadingCache[DekId, WriterKey] = LoadingCache(
            size=settings.dek_cache_size,
            ttl=settings.dek_cache_ttl_sec,
            missing_ttl=settings.missing_cache_ttl_sec,
            clock=clock,
            expires=lambda key: key.fresh_until,
        )

    @property
    def hits(self) -> int:
        """Keys that were answered without a request."""
        return self._cache.hits

    @property
    def loads(self) -> int:
        """Keys that had to be loaded."""
        return self._cache.loads

    def get(self, rule: EncryptRule, subject: str, seals: int) -> WriterKey:
        """The key to seal with; see ``KeyService.writer_key``."""
        wanted = DekId.of(rule, subject, rule.expiry_days)
        key = self._cache.get(wanted, lambda: self._load(rule, subject, 0))
        if key.seals_left >= seals:
            return key
        # A fresh DEK that cannot afford a whole batch is not made better by another.
        if rule.rotated and not key.provisional and key.seals_left < key.max_seals:
            spent = key.version
            key = self._cache.get(wanted, lambda: self._load(rule, subject, spent), max_age=0.0)
        if key.seals_left < seals:
            self._over_budget(rule, wanted, seals)
        return key

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()
        self._cache.reset_locks()

    def close(self) -> None:
        """Forget every key, and keep none from now on."""
        self._cache.close()

    def __len__(self) -> int:
        return len(self._cache)

    def _load(self, rule: EncryptRule, subject: str, spent: int) -> WriterKey:
        """The newest DEK of a rotating rule, else version 1; made anew if missing, expired or ``spent``."""
        fresh_until = self._clock() + self._settings.dek_cache_ttl_sec
        kek, kek_until = self._keks.get_until(rule, subject, writing=True)
        dek = self._find(rule, subject)
        if dek is None or self._is_over(rule, dek, spent):
            dek = self._next(kek, rule, subject, dek)
        provisional = self._is_over(rule, dek, spent)
        cipher = self._deks.sealer(kek, subject, dek)
        return WriterKey(
            cipher=cipher,
            version=dek.version,
            fresh_until=min(fresh_until, kek_until, self._use_until(rule, dek, provisional)),
            max_seals=self._settings.dek_max_seals if rule.algorithm.endswith("_GCM") else _UNLIMITED,
            provisional=provisional,
        )

    def _find(self, rule: EncryptRule, subject: str) -> Dek | None:
        return self._deks.find(rule, subject, LATEST if rule.rotated else FIRST_VERSION, deleted=False)

    def _next(self, kek: Kek, rule: EncryptRule, subject: str, old: Dek | None) -> Dek:
        number = FIRST_VERSION if old is None else old.version + 1
        try:
            made = self._deks.create(kek, rule, subject, number)
        except RegistryError as error:
            if old is None:
                raise
            _logger.warning(
                "Kek:%s, subject %s: DEK version %d cannot be created (%s); version %d stays in use",
                kek.name, subject, number, error.code, old.version,
            )  # fmt: skip
            return old
        if made is None:
            # Somebody else was first, and theirs is the key. The registry is asked anew: an answer
            # from before is the very DEK that was found too old.
            made = self._find(rule, subject) or old
        if made is None:
            raise KeyServiceError(
                "no_dek",
                f"Kek:{kek.name}, subject {subject}: the registry says that the DEK exists and has none",
            )
        return made

    def _is_over(self, rule: EncryptRule, dek: Dek, spent: int) -> bool:
        if not rule.rotated:
            return False
        age_days = (int(self._wall() * 1000) - dek.created_ms) // _MS_PER_DAY
        return age_days >= rule.expiry_days or dek.version <= spent

    def _use_until(self, rule: EncryptRule, dek: Dek, provisional: bool) -> float:
        if not rule.rotated:
            return float("inf")
        if provisional:
            return self._clock() + _RETRY_AFTER_SEC
        left_ms = dek.created_ms + rule.expiry_days * _MS_PER_DAY - self._wall() * 1000
        return self._clock() + left_ms / 1000

    def _over_budget(self, rule: EncryptRule, wanted: DekId, seals: int) -> None:
        message = (
            f"rule {rule.name}, subject {wanted.subject}: with {seals} more values the DEK under "
            f"Kek:{rule.kek_name} seals more than the {self._settings.dek_max_seals} of dek.max.seals"
            f"{'' if rule.rotated else '; with encrypt.dek.expiry.days it would rotate'}"
        )
        if self._settings.dek_max_seals_action == "stop":
            raise KeyServiceError("dek_exhausted", message)
        with self._lock:
            told = wanted in self._warned
            self._warned.add(wanted)
        if not told:
            _logger.warning(message)
