"""Clients of our Google Cloud KMS driver for the stand-in, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from csfle_fast.errors import KmsError
from csfle_fast.kms.gcp import GcpKmsClient, GcpKmsDriver
from services.certificates import Certificates
from services.gcp import Account, GcpKms

KEY = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
EMAIL = "writer@p.iam.gserviceaccount.com"
PROTO = bytes.fromhex("1a2041e5234c24a6a4f85b1d8237e99a12df8722f0c21837556acd0ec7adde5869cf")


class GcpWorld:
    """The stand-in with one key, and one account that may use it.

    Attributes:
        kms: the stand-in.
        certificates: whose authority the clients trust.
        account: may encrypt and decrypt.
    """

    def __init__(self, kms: GcpKms, certificates: Certificates) -> None:
        self.kms = kms
        self.certificates = certificates
        self.account = kms.account(EMAIL)
        kms.create_key(KEY)

    @contextmanager
    def client(
        self,
        account: Account | None = None,
        *,
        key_id: str = KEY,
        options: Mapping[str, object] | None = None,
    ) -> Iterator[GcpKmsClient]:
        """A client for the block.

        Args:
            account: whose key the configuration has; the world's own where there is none.
            key_id: of the KEK.
            options: of the driver, on top of those that lead to the stand-in.
        """
        conf = {**(account or self.account).settings(), **self.options(), **(options or {})}
        client = GcpKmsDriver().client(f"gcp-kms://{key_id}", conf)
        try:
            yield client
        finally:
            client.close()

    def options(self) -> dict[str, object]:
        """What leads a client to the stand-in."""
        return {
            "kms.gcp.endpoint": self.kms.endpoint,
            "kms.gcp.ca.location": str(self.certificates.authority),
        }


def refused(call: Callable[[], object]) -> KmsError:
    """The refusal that a call ends with, which shows nothing of the SDK's own exceptions."""
    with pytest.raises(KmsError) as caught:
        call()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value
