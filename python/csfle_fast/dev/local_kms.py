"""What the registry itself needs of the local KMS: DEKs of shared KEKs.

Written apart from the package's own KMS drivers on purpose: the registry stands for
another party, and code shared with its clients could hide a fault in both.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["ALGORITHMS", "KMS_TYPE", "LocalKms", "LocalKmsError", "generate_key_proto"]

KMS_TYPE = "local-kms"
_NONCE_BYTES = 12
# Serialised Tink key protos: field 3 of AesGcmKey, field 2 of AesSivKey, each with its length.
ALGORITHMS = {
    "AES128_GCM": (b"\x1a\x10", 16),
    "AES256_GCM": (b"\x1a\x20", 32),
    "AES256_SIV": (b"\x12\x40", 64),
}


class LocalKmsError(Exception):
    """A wrapped key cannot be opened with this secret."""


class LocalKms:
    """AES-128-GCM under a key derived from a secret; the KMS key id plays no part."""

    def __init__(self, secret: str) -> None:
        kdf = HKDF(algorithm=SHA256(), length=16, salt=None, info=None)
        self._aead = AESGCM(kdf.derive(secret.encode()))

    def wrap(self, key_proto: bytes) -> bytes:
        """12 bytes of nonce, then ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key_proto, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key proto.

        Raises:
            LocalKmsError: it was wrapped under another secret, or changed.
        """
        try:
            return self._aead.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            raise LocalKmsError("the wrapped key cannot be opened with this secret") from None


def generate_key_proto(algorithm: str) -> bytes:
    """A new DEK as the Tink key proto that is wrapped."""
    prefix, size = ALGORITHMS[algorithm]
    return prefix + secrets.token_bytes(size)
