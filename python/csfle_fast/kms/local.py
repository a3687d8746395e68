"""The local KMS: a KEK derived from a secret in the configuration. For development and tests only.

The same derivation as Confluent's clients: HKDF-SHA256 without salt and info gives an AES-128-GCM
key; the key id plays no part. Whoever has the secret has every DEK.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from csfle_fast.errors import KmsError

__all__ = ["LocalKmsClient", "LocalKmsDriver"]

_SECRET = "secret"  # noqa: S105 - the name of a setting
_SECRET_VARIABLE = "LOCAL_SECRET"  # noqa: S105
_NONCE_SIZE = 12
_KEK_SIZE = 16
_TAG_SIZE = 16


class LocalKmsClient:
    """Wraps as ``nonce || ciphertext || tag``, no associated data."""

    __slots__ = ("_kek",)

    def __init__(self, secret: str) -> None:
        derive = HKDF(algorithm=SHA256(), length=_KEK_SIZE, salt=None, info=b"")
        self._kek = AESGCM(derive.derive(secret.encode()))

    def wrap(self, plaintext: bytes) -> bytes:
        """See KmsClient."""
        nonce = os.urandom(_NONCE_SIZE)
        return nonce + self._kek.encrypt(nonce, plaintext, None)

    def unwrap(self, ciphertext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: unwrap_refused, another secret or damaged material.
        """
        if len(ciphertext) >= _NONCE_SIZE + _TAG_SIZE:
            try:
                return self._kek.decrypt(ciphertext[:_NONCE_SIZE], ciphertext[_NONCE_SIZE:], None)
            except InvalidTag:
                pass
        raise KmsError("unwrap_refused", "local-kms: the wrapped DEK is damaged or belongs to another secret")

    def close(self) -> None:
        """See KmsClient."""


class LocalKmsDriver:
    """Reads the secret from ``secret``, else from the environment variable LOCAL_SECRET."""

    scheme = "local-kms"

    def client(self, uri: str, conf: Mapping[str, object]) -> LocalKmsClient:
        """See KmsDriver.

        Raises:
            KmsError: missing_credentials, there is no secret.
        """
        secret = conf.get(_SECRET)
        if secret is None:
            secret = os.environ.get(_SECRET_VARIABLE)
        if not isinstance(secret, str) or not secret:
            raise KmsError(
                "missing_credentials", f"local-kms: neither {_SECRET} nor {_SECRET_VARIABLE} is set"
            )
        return LocalKmsClient(secret)
