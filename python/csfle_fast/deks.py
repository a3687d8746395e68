"""DEK versions: found in the registry, made anew, and unwrapped into prepared ciphers."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any

from csfle_fast._core import Cipher, generate_key
from csfle_fast.dek_registry import Dek, DekRegistry, Kek
from csfle_fast.errors import KeyServiceError
from csfle_fast.kms.wrapper import DekWrapper
from csfle_fast.rules import EncryptRule
from csfle_fast.seals import KeyName, SealCounts
from csfle_fast.settings import Settings

__all__ = ["FIRST_VERSION", "DekId", "Deks"]

FIRST_VERSION = 1


@dataclass(frozen=True)
class DekId:
    """What a key is asked for by. KMS type and key id are part of it, because each rule's are checked.

    Attributes:
        kek_name: name of the KEK.
        kms_type: type of the KMS, as the rule has it.
        kms_key_id: id of the key there, as the rule has it.
        algorithm: the DEK's algorithm.
        subject: the subject, with its context if it has one.
        which: a version number on READ, the rule's expiry days on WRITE, 0 for the newest one's number.
    """

    kek_name: str
    kms_type: str | None
    kms_key_id: str | None
    algorithm: str
    subject: str
    which: int

    @classmethod
    def of(cls, rule: EncryptRule, subject: str, which: int) -> DekId:
        """What a rule asks for."""
        return cls(rule.kek_name, rule.kms_type, rule.kms_key_id, rule.algorithm, subject, which)


class Deks:
    """The DEKs of one registry. No DEK is kept, only the counts of what each has sealed.

    Args:
        registry: where they are stored.
        wrapper: the KMS.
        settings: who seals and opens, and the budget of seals.
    """

    def __init__(self, registry: DekRegistry, wrapper: DekWrapper, settings: Settings) -> None:
        self._registry = registry
        self._wrapper = wrapper
        self._provider = settings.crypto_provider
        self._max_seals = settings.seal_budget
        self._counts = SealCounts()
        self._created = 0
        self._fallbacks = 0
        self._lock = threading.Lock()

    @property
    def created(self) -> int:
        """DEK versions registered so far."""
        return self._created

    @property
    def fallbacks(self) -> int:
        """Keys that ring works with so far where another provider was to."""
        return self._fallbacks

    def find(self, rule: EncryptRule, subject: str, version: int, *, deleted: bool) -> Dek | None:
        """A DEK version of a rule, or the newest one; soft-deleted ones only with ``deleted``.

        Raises:
            RegistryError: the DEK registry refused or cannot be reached.
        """
        dek = self._registry.get_dek(rule.kek_name, subject, rule.algorithm, version, deleted)
        # An entry without material is as good as none: nothing can be opened with it, so the peers say.
        return dek if dek is not None and (dek.wrapped is not None or dek.unwrapped is not None) else None

    def create(self, kek: Kek, rule: EncryptRule, subject: str, version: int) -> Dek | None:
        """Register a DEK version with a new key; None where somebody else was first.

        Raises:
            KmsError: the key cannot be wrapped.
            RegistryError: the DEK registry refused or cannot be reached.
        """
        # The registry makes the key of a shared KEK itself.
        wrapped = None if kek.shared else self._wrapper.wrap(kek, generate_key(rule.algorithm))
        made = self._registry.create_dek(kek.name, subject, rule.algorithm, version, wrapped)
        if made is not None:
            with self._lock:
                self._created += 1
        return made

    def opener(self, kek: Kek, subject: str, dek: Dek) -> Cipher:
        """The prepared DEK, to open values with. The KMS is asked.

        Raises:
            KeyServiceError: no_dek, wrong_key_length, bad_key_proto.
            KmsError: the DEK cannot be unwrapped.
        """
        return self._cipher(kek, subject, dek, self._unwrap(kek, subject, dek))

    def sealer(self, kek: Kek, subject: str, dek: Dek, *, strict: bool) -> Cipher:
        """The prepared DEK, to seal values with; it goes on counting for its key. The KMS is asked.

        Args:
            kek: its KEK.
            subject: its subject.
            dek: the DEK.
            strict: whether values beyond its budget are refused, and not only told of.

        Raises:
            KeyServiceError: as for ``opener``.
            KmsError: as for ``opener``.
        """
        proto = self._unwrap(kek, subject, dek)
        key = KeyName(kek.name, subject, dek.algorithm, dek.version, hashlib.sha256(proto).digest())
        # AES-SIV has no nonce that could come twice.
        most = self._max_seals if dek.algorithm.endswith("_GCM") else None
        return self._cipher(
            kek, subject, dek, proto, seals=self._counts.of(key), max_seals=most, strict=strict
        )

    def seals(self) -> dict[str, int]:
        """Values and bytes sealed with each DEK version so far, by the names in ``csfle_fast.metrics``."""
        return self._counts.read()

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()
        self._counts.reset_locks()

    def _unwrap(self, kek: Kek, subject: str, dek: Dek) -> bytes:
        if kek.shared and dek.unwrapped is not None:
            return dek.unwrapped
        if dek.wrapped is not None:
            return self._wrapper.unwrap(kek, dek.wrapped)
        raise KeyServiceError("no_dek", f"Kek:{kek.name}, subject {subject}: the DEK is not wrapped")

    def _cipher(self, kek: Kek, subject: str, dek: Dek, proto: bytes, **budget: Any) -> Cipher:
        try:
            cipher = Cipher(dek.algorithm, proto, version=dek.version, provider=self._provider, **budget)
        except KeyServiceError as error:
            failure = KeyServiceError(
                error.code, f"Kek:{kek.name}, subject {subject}, DEK version {dek.version}: {error.message}"
            )
        else:
            if cipher.fell_back:
                with self._lock:
                    self._fallbacks += 1
            return cipher
        try:
            raise failure
        finally:
            del failure  # it would keep this frame alive, and with it the key
