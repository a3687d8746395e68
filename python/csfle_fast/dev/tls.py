"""TLS: with which certificate the registry serves, and whose certificates it asks for."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Any

from csfle_fast.errors import ConfigError

__all__ = ["Tls"]


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files that the registry serves with.

    Attributes:
        certificate: the server's certificate, with those between it and its authority.
        key: its private key, not encrypted.
        client_authority: certificates of authorities; with them every client needs a certificate that one of
            them signed (mTLS).
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]
    client_authority: str | os.PathLike[str] | None = None

    def check(self) -> None:
        """See whether the files can be used.

        Raises:
            ConfigError: one cannot be read, or they do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        wrong = None
        try:
            # A password of its own keeps OpenSSL from asking for one at the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError):
            wrong = f"the certificate {self.certificate} with the key {self.key}"
        if wrong is None and self.client_authority is not None:
            try:
                context.load_verify_locations(self.client_authority)
            except (OSError, ValueError):
                wrong = f"the clients' authority {self.client_authority}"
        if wrong is not None:
            raise ConfigError(f"TLS cannot use {wrong}: they must be PEM, readable and fit each other")

    def settings(self) -> dict[str, Any]:
        """What uvicorn is told."""
        return {
            "ssl_certfile": self.certificate,
            "ssl_keyfile": self.key,
            "ssl_ca_certs": self.client_authority,
            "ssl_cert_reqs": ssl.CERT_NONE if self.client_authority is None else ssl.CERT_REQUIRED,
        }
