"""The keys that new values are sealed with: created, rotated by age or by seals, and budgeted."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from csfle_fast._core import Cipher
from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import LATEST, Dek, Kek
from csfle_fast.deks import FIRST_VERSION, DekId, Deks
from csfle_fast.errors import KeyServiceError, RegistryError
from csfle_fast.keks import Keks
from csfle_fast.leases import Lease, Limits
from csfle_fast.refresher import Refresher
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings

__all__ = ["WriterKey", "WriterKeys"]

_logger = logging.getLogger(__name__)

_SEC_PER_DAY = 86_400
_MS_PER_DAY = 1000 * _SEC_PER_DAY
#: A writer that could not replace an expired DEK uses it and tries again after so many seconds.
_RETRY_AFTER_SEC = 10.0
#: By so much the registry's clock may differ from ours before that is told.
_MOST_SKEW_MS = 3_600_000


@dataclass(frozen=True)
class WriterKey:
    """The key that new values are sealed with.

    Attributes:
        cipher: the prepared DEK version, with its budget.
        limits: when the KEK's entry or the DEK's age ends its use, in monotonic seconds.
        provisional: the DEK is past its age and could not be replaced; it is tried again soon.
    """

    cipher: Cipher
    limits: Limits
    provisional: bool = False

    @property
    def version(self) -> int:
        """Number of the DEK version."""
        return self.cipher.version


class WriterKeys:
    """The writer's side of the key service. Safe to share between threads; one flight per key.

    Args:
        keks: the KEKs.
        deks: the DEKs.
        settings: size and TTL of the cache, the budget of seals.
        clock: monotonic seconds.
        wall: seconds since 1970, against which a DEK's age is measured.
        refresher: loads keys anew ahead of time.
    """

    def __init__(
        self,
        keks: Keks,
        deks: Deks,
        settings: Settings,
        clock: Callable[[], float],
        wall: Callable[[], float],
        refresher: Refresher | None,
    ) -> None:
        self._keks = keks
        self._deks = deks
        self._settings = settings
        self._clock = clock
        self._wall = wall
        #: The newest DEK version of each key that was made here, and when, by ``clock``.
        self._made: OrderedDict[DekId, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._cache: LoadingCache[DekId, WriterKey] = LoadingCache(
            size=settings.dek_cache_size,
            ttl=settings.dek_cache_ttl_sec,
            stale=settings.stale_if_error_sec,
            missing_ttl=settings.missing_cache_ttl_sec,
            clock=clock,
            limits=lambda key: key.limits,
            refresher=refresher,
        )

    @property
    def hits(self) -> int:
        """Keys that were answered without a request."""
        return self._cache.hits

    @property
    def loads(self) -> int:
        """Keys that had to be loaded."""
        return self._cache.loads

    @property
    def bridged(self) -> int:
        """Loads that failed in an outage while an older key went on serving."""
        return self._cache.bridged

    def lease(self, rule: EncryptRule, subject: str) -> Lease[WriterKey]:
        """The key to seal with; see ``KeyService.writer_key``."""
        return self._cache.lease(
            DekId.of(rule, subject, rule.expiry_days), lambda: self._load(rule, subject, 0)
        )

    def after(self, rule: EncryptRule, subject: str, spent: int) -> Lease[WriterKey]:
        """The key behind one whose budget is used up; see ``KeyService.key_after``."""
        if not (rule.rotated and self._settings.dek_max_seals_action == "rotate"):
            raise KeyServiceError(
                "dek_exhausted",
                f"rule {rule.name}, subject {subject}: DEK version {spent} under Kek:{rule.kek_name} has "
                f"sealed the {self._settings.seal_budget} values of dek.max.seals",
            )
        wanted = DekId.of(rule, subject, rule.expiry_days)
        lease = self.lease(rule, subject)
        while lease.value.version <= spent:
            # Again where a load that began before was waited for, which may end with the spent one.
            lease = self._cache.lease(wanted, lambda: self._load(rule, subject, spent), max_age=0.0)
        return lease

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
        kek = self._keks.lease(rule, subject, writing=True)
        dek = self._find(rule, subject)
        if dek is None or self._left_sec(rule, subject, dek) <= 0 or dek.version <= spent:
            dek = self._next(kek.value, rule, subject, dek, spent)
        left = self._left_sec(rule, subject, dek)
        provisional = left <= 0
        use_until = self._clock() + (_RETRY_AFTER_SEC if provisional else left)
        return WriterKey(
            cipher=self._deks.sealer(kek.value, subject, dek, strict=self._is_strict(rule)),
            limits=Limits(min(kek.until, use_until), kek.end),
            provisional=provisional,
        )

    def _find(self, rule: EncryptRule, subject: str) -> Dek | None:
        return self._deks.find(rule, subject, LATEST if rule.rotated else FIRST_VERSION, deleted=False)

    def _next(self, kek: Kek, rule: EncryptRule, subject: str, old: Dek | None, spent: int) -> Dek:
        number = FIRST_VERSION if old is None else old.version + 1
        try:
            made = self._deks.create(kek, rule, subject, number)
        except RegistryError as error:
            # What is past its age may be used a little longer; what has sealed its last value may not.
            if old is None or old.version <= spent:
                raise
            _logger.warning(
                "Kek:%s, subject %s: DEK version %d cannot be created (%s); version %d stays in use",
                kek.name, subject, number, error.code, old.version,
            )  # fmt: skip
            return old
        if made is not None:
            self._note_made(kek, rule, subject, made)
        else:
            # Somebody else was first, and theirs is the key. The registry is asked anew: an answer
            # from before is the very DEK that was found too old.
            made = self._find(rule, subject) or old
        if made is None or made.version <= spent:
            raise KeyServiceError(
                "no_dek",
                f"Kek:{kek.name}, subject {subject}: the registry says that DEK version {number} exists, "
                "and does not give it: it may be soft-deleted",
            )
        return made

    def _note_made(self, kek: Kek, rule: EncryptRule, subject: str, made: Dek) -> None:
        """Its age counts from now, by our own clock, whatever the registry dates it."""
        wanted = DekId.of(rule, subject, rule.expiry_days)
        with self._lock:
            self._made[wanted] = (made.version, self._clock())
            self._made.move_to_end(wanted)
            while len(self._made) > self._settings.dek_cache_size:
                self._made.popitem(last=False)
        behind_ms = self._wall() * 1000 - made.created_ms
        if rule.rotated and abs(behind_ms) > _MOST_SKEW_MS:
            _logger.warning(
                "Kek:%s, subject %s: the registry dates DEK version %d, made this moment, %.1f days back; "
                "other writers take its age from that",
                kek.name, subject, made.version, behind_ms / _MS_PER_DAY,
            )  # fmt: skip

    def _left_sec(self, rule: EncryptRule, subject: str, dek: Dek) -> float:
        """Seconds until a DEK is as many whole days old as its rule lets it be; 0 or less: it is."""
        if not rule.rotated:
            return float("inf")
        version, made = self._made.get(DekId.of(rule, subject, rule.expiry_days), (0, 0.0))
        age = self._clock() - made if version == dek.version else self._wall() - dek.created_ms / 1000
        return rule.expiry_days * _SEC_PER_DAY - age

    def _is_strict(self, rule: EncryptRule) -> bool:
        """Whether rows that the budget has no room for are held back."""
        action = self._settings.dek_max_seals_action
        return action == "error" or (action == "rotate" and rule.rotated)
