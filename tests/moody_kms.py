"""A KMS in the tests' own process that can be made slow, or to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsClient
from csfle_fast.kms.local import LocalKmsClient
from incumbent import SECRET
from own_drivers import registered

__all__ = ["MoodyKms", "moody_kms"]

PATIENCE = 30.0


class MoodyKms:
    """Stands for the local KMS; all its clients follow it.

    Attributes:
        failure: raised by every call while it is set.
        calls: calls of ``unwrap`` that began.
        held: while it is not set, calls of ``unwrap`` wait in the midst of it.
        entered: set by a call of ``unwrap`` that begins.
    """

    scheme = "local-kms"

    def __init__(self) -> None:
        self.failure: KmsError | None = None
        self.calls = 0
        self.held = threading.Event()
        self.held.set()
        self.entered = threading.Event()
        self._local = LocalKmsClient(SECRET)

    def client(self, uri: str, conf: Mapping[str, object]) -> KmsClient:
        del uri, conf
        return self

    def wrap(self, plaintext: bytes) -> bytes:
        return self._local.wrap(plaintext)

    def unwrap(self, ciphertext: bytes) -> bytes:
        self.calls += 1
        self.entered.set()
        assert self.held.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        return self._local.unwrap(ciphertext)

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def moody_kms() -> Iterator[MoodyKms]:
    """Takes the local KMS's place for a while."""
    with registered(MoodyKms()) as kms:
        try:
            yield kms
        finally:
            kms.held.set()
