"""The tables under the KEK and DEK stores, their lock, and the KMS of shared KEKs."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.local_kms import KMS_TYPE, LocalKms, LocalKmsError, generate_key_proto
from csfle_fast.dev.models import Dek, Kek
from csfle_fast.dev.refusal import Refusal

__all__ = ["MAX_KEYS", "DekId", "KekId", "KeyTables"]

# Confluent's default limit for each kind of key.
MAX_KEYS = 20_000


@dataclass(frozen=True, slots=True, order=True)
class KekId:
    """A KEK's name is unique within its context."""

    context: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class DekId:
    """The algorithm is a part of a DEK's identity, so each has its own versions."""

    kek: KekId
    subject: str
    algorithm: str
    version: int


class KeyTables:
    """KEKs and DEKs by identity. Hold ``lock`` around what must be atomic.

    Args:
        clock: gives the ``ts`` of every write.
        secret: of the local KMS; without one shared KEKs cannot be used.
    """

    def __init__(self, clock: Clock, secret: str | None) -> None:
        self.lock = threading.RLock()
        self.keks: dict[KekId, Kek] = {}
        self.deks: dict[DekId, Dek] = {}
        self._clock = clock
        self._kms = LocalKms(secret) if secret else None

    def store_kek(self, kek_id: KekId, kek: Kek, ts: int | None = None) -> Kek:
        """Write a KEK, stamped now unless ``ts`` (milliseconds) is given."""
        stored = kek.model_copy(update={"ts": self._clock.now_ms() if ts is None else ts})
        self.keks[kek_id] = stored
        return stored

    def store_dek(self, dek_id: DekId, dek: Dek, ts: int | None = None) -> Dek:
        """Write a DEK, stamped now unless ``ts`` (milliseconds) is given."""
        stored = dek.model_copy(update={"ts": self._clock.now_ms() if ts is None else ts})
        self.deks[dek_id] = stored
        return stored

    def wrap(self, kek: Kek, key_proto: bytes) -> str:
        """Wrap a key under a shared KEK, as base64.

        Raises:
            Refusal: 500/50070, the KMS cannot be used.
        """
        return base64.b64encode(self._usable_kms(kek).wrap(key_proto)).decode()

    def unwrap(self, kek: Kek, dek: Dek) -> bytes:
        """The key of a shared KEK's DEK.

        Raises:
            Refusal: 500/50070, the KMS cannot be used, or does not open it.
        """
        try:
            wrapped = base64.b64decode(dek.encrypted_key_material, validate=True)
            return self._usable_kms(kek).unwrap(wrapped)
        except (ValueError, LocalKmsError):
            raise _kms_failure(kek, "it does not unwrap the key") from None

    def try_sharing(self, kek: Kek) -> None:
        """Wrap and unwrap a throw-away key, and store nothing.

        Raises:
            Refusal: 500/50070.
        """
        proto = generate_key_proto("AES256_GCM")
        trial = Dek(kek_name=kek.name, subject="", encrypted_key_material=self.wrap(kek, proto))
        if self.unwrap(kek, trial) != proto:
            raise _kms_failure(kek, "it does not return the key it wrapped")

    def _usable_kms(self, kek: Kek) -> LocalKms:
        if kek.kms_type != KMS_TYPE:
            raise _kms_failure(kek, f"this registry shares keys of '{KMS_TYPE}' only")
        if self._kms is None:
            raise _kms_failure(kek, "the registry was started without a secret")
        return self._kms


def _kms_failure(kek: Kek, reason: str) -> Refusal:
    return Refusal(500, 50070, f"Could not use the KMS of the shared key '{kek.name}': {reason}")
