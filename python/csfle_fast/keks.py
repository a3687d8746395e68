"""KEKs: their registry entries, created where a writer finds none, and held against the rule."""

from __future__ import annotations

import threading
from collections.abc import Callable

from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import DekRegistry, Kek
from csfle_fast.errors import KeyServiceError
from csfle_fast.leases import Lease
from csfle_fast.references import context_of
from csfle_fast.refresher import Refresher
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings

__all__ = ["Keks"]


class Keks:
    """The KEKs of one registry, each kept for ``kek.cache.ttl.sec``. Safe to share between threads.

    Args:
        registry: where they are stored.
        settings: size and TTL of the cache.
        clock: monotonic seconds.
        refresher: asks again ahead of time.
    """

    def __init__(
        self,
        registry: DekRegistry,
        settings: Settings,
        clock: Callable[[], float],
        refresher: Refresher | None,
    ) -> None:
        self._registry = registry
        self._created = 0
        self._lock = threading.Lock()
        self._cache: LoadingCache[tuple[str, str | None, bool], Kek] = LoadingCache(
            size=settings.kek_cache_size,
            ttl=settings.kek_cache_ttl_sec,
            stale=settings.stale_if_error_sec,
            clock=clock,
            refresher=refresher,
        )

    @property
    def created(self) -> int:
        """KEKs registered so far because a writer found none."""
        return self._created

    @property
    def bridged(self) -> int:
        """Loads that failed in an outage while an older entry went on serving."""
        return self._cache.bridged

    def lease(self, rule: EncryptRule, subject: str, *, writing: bool) -> Lease[Kek]:
        """The KEK of a rule, and for how long a key may be built on it.

        Args:
            rule: the rule that runs; its KMS type and key id, where it has them, must be the entry's.
            subject: the subject, whose context is the KEK's.
            writing: create it where it does not exist; otherwise find it even if it was soft-deleted.

        Raises:
            KeyServiceError: no_kek, kek_mismatch.
            RegistryError: the DEK registry refused or cannot be reached.
        """
        context = context_of(subject)
        lease = self._cache.lease(
            (rule.kek_name, context, writing),
            lambda: self._load(rule, subject, context, writing),
            settled=True,
        )
        kek = lease.value
        for name, ours, theirs in (
            ("type", rule.kms_type, kek.kms_type),
            ("key id", rule.kms_key_id, kek.kms_key_id),
        ):
            if ours is not None and ours != theirs:
                raise KeyServiceError(
                    "kek_mismatch",
                    f"rule {rule.name}: its KMS {name} is not that of Kek:{kek.name} in the registry",
                )
        return lease

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()
        self._cache.reset_locks()

    def close(self) -> None:
        """Forget every KEK, and keep none from now on."""
        self._cache.close()

    def __len__(self) -> int:
        return len(self._cache)

    def _load(self, rule: EncryptRule, subject: str, context: str | None, writing: bool) -> Kek:
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
                with self._lock:
                    self._created += 1
            else:
                kek = self._registry.get_kek(rule.kek_name, context, deleted=False)
        if kek is None:
            raise KeyServiceError(
                "no_kek", f"rule {rule.name}, subject {subject}: Kek:{rule.kek_name} is not in the registry"
            )
        return kek
