"""The keys of shared KEKs: the registry itself wraps and unwraps them, with the KMS that it may use."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Protocol

from csfle_fast.dev.local_kms import KMS_TYPE, LocalKms, generate_key_proto
from csfle_fast.dev.models import Kek
from csfle_fast.dev.refusal import Refusal
from csfle_fast.errors import KmsError

__all__ = ["Kms", "Sharing"]


class Kms(Protocol):
    """A KMS that the registry may use, as it uses the local one; a client of one of its keys will do.

    An exception is a failure (500/50070); ``PermissionError``, or a KmsError with the code
    ``kms_denied``, says that the registry may not (403/40370).
    """

    def wrap(self, plaintext: bytes, /) -> bytes:
        """Encrypt a serialised DEK."""

    def unwrap(self, ciphertext: bytes, /) -> bytes:
        """Decrypt what ``wrap`` returned."""


class Sharing:
    """What the registry does for shared KEKs.

    Args:
        secret: of the local KMS; without one its keys cannot be shared.
        kms: further KMS by type; one for the local type goes before the secret's.
    """

    def __init__(self, secret: str | None = None, kms: Mapping[str, Kms] | None = None) -> None:
        local: dict[str, Kms] = {KMS_TYPE: LocalKms(secret)} if secret else {}
        self._kms = {**local, **(kms or {})}

    def wrap(self, kek: Kek, key_proto: bytes) -> str:
        """Wrap a key under a shared KEK, as base64.

        Raises:
            Refusal: 403/40370 (its KMS denies it), 500/50070 (it cannot be used).
        """
        wrapped = _call(kek, self._usable(kek).wrap, key_proto, "it does not wrap the key")
        return base64.b64encode(wrapped).decode()

    def unwrap(self, kek: Kek, material: str) -> bytes:
        """The key of a shared KEK's DEK.

        Raises:
            Refusal: 403/40370 (its KMS denies it), 500/50070 (it cannot be used, or does not open it).
        """
        try:
            wrapped = base64.b64decode(material, validate=True)
        except ValueError:
            wrapped = b""
        return _call(kek, self._usable(kek).unwrap, wrapped, "it does not unwrap the key")

    def try_out(self, kek: Kek) -> None:
        """Wrap and unwrap a throw-away key, and store nothing.

        Raises:
            Refusal: 403/40370, 500/50070.
        """
        proto = generate_key_proto("AES256_GCM")
        if self.unwrap(kek, self.wrap(kek, proto)) != proto:
            raise _failure(kek, "it does not return the key it wrapped")

    def _usable(self, kek: Kek) -> Kms:
        kms = self._kms.get(kek.kms_type)
        if kms is not None:
            return kms
        if kek.kms_type == KMS_TYPE:
            raise _failure(kek, "the registry was started without a secret")
        raise _failure(kek, f"this registry has no access to a KMS of the type '{kek.kms_type}'")


def _call(kek: Kek, call: Callable[[bytes], bytes], text: bytes, failing: str) -> bytes:
    try:
        return call(text)
    except Exception as error:  # noqa: BLE001 - whatever a KMS raises, and its text may quote the key
        denied = isinstance(error, PermissionError) or (
            isinstance(error, KmsError) and error.code == "kms_denied"
        )
    if denied:
        raise Refusal(403, 40370, f"The KMS of the shared key '{kek.name}' denies its use to this registry")
    raise _failure(kek, failing)


def _failure(kek: Kek, reason: str) -> Refusal:
    return Refusal(500, 50070, f"Could not use the KMS of the shared key '{kek.name}': {reason}")
