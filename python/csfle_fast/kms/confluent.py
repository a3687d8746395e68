"""KMS drivers that were registered with confluent-kafka, used through its own driver interface.

confluent-kafka's driver registry imports tink, which not every user has. It is therefore only
looked at when it is loaded already, which it is if anything was ever registered there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["ConfluentDriver", "find_confluent_driver"]

_REGISTRY_MODULE = "confluent_kafka.schema_registry.rules.encryption.kms_driver_registry"
_THEIR_PACKAGE = "confluent_kafka"


class _ConfluentClient:
    """A tink KmsClient as ours."""

    __slots__ = ("_aead",)

    def __init__(self, aead: Any) -> None:
        self._aead = aead

    def wrap(self, plaintext: bytes) -> bytes:
        return bytes(self._aead.encrypt(plaintext, b""))

    def unwrap(self, ciphertext: bytes) -> bytes:
        return bytes(self._aead.decrypt(ciphertext, b""))

    def close(self) -> None:
        """See KmsClient. tink has no way to close a client."""


class ConfluentDriver:
    """One of confluent-kafka's ``KmsDriver`` objects as ours.

    Args:
        driver: the object; its ``new_kms_client`` gives a tink KmsClient.
        scheme: the scheme it was found for.
    """

    __slots__ = ("_driver", "scheme")

    def __init__(self, driver: Any, scheme: str) -> None:
        self._driver = driver
        self.scheme = scheme

    @property
    def by_user(self) -> bool:
        """Whether its class is the user's own and not one that comes with confluent-kafka."""
        return type(self._driver).__module__.partition(".")[0] != _THEIR_PACKAGE

    def client(self, uri: str, conf: Mapping[str, object]) -> _ConfluentClient:
        """See KmsDriver. Not through tink's process-wide list of clients: it keeps the first credentials."""
        return _ConfluentClient(self._driver.new_kms_client(dict(conf), uri).get_aead(uri))


def find_confluent_driver(uri: str) -> ConfluentDriver | None:
    """The first driver registered with confluent-kafka whose prefix fits ``uri``, None if there is none."""
    registry = sys.modules.get(_REGISTRY_MODULE)
    if registry is None:
        return None
    try:
        driver = registry.get_kms_driver(uri)
    except Exception:  # noqa: BLE001 - its way to say that there is none
        return None
    return ConfluentDriver(driver, uri.partition("://")[0])
