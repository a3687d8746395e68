from __future__ import annotations

import ssl
from pathlib import Path

import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from csfle_fast.dev import DevRegistry, Tls
from csfle_fast.errors import ConfigError
from dev.implementations import server_tls, trusting
from services.certificates import Certificates


def test_serves_whom_its_authority_is_known_to(certificates: Certificates) -> None:
    with DevRegistry(tls=server_tls(certificates)) as registry:
        assert registry.url.startswith("https://127.0.0.1:")
        assert httpx.get(f"{registry.url}/subjects", verify=trusting(certificates)).json() == []
        stranger = ssl.create_default_context(cafile=certificates.stranger)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{registry.url}/subjects", verify=stranger)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(registry.url.replace("https:", "http:"))


def test_asks_clients_for_a_certificate_of_its_authority(certificates: Certificates) -> None:
    with DevRegistry(tls=server_tls(certificates, clients=True)) as registry:
        known = trusting(certificates)
        known.load_cert_chain(certificates.client.certificate, certificates.client.key)
        assert httpx.get(f"{registry.url}/subjects", verify=known).json() == []
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{registry.url}/subjects", verify=trusting(certificates))
        assert len(registry.requests) == 1


def test_a_certificate_of_another_authority_is_refused(certificates: Certificates) -> None:
    server = certificates.server
    with DevRegistry(tls=Tls(server.certificate, server.key, certificates.stranger)) as registry:
        unknown = trusting(certificates)
        unknown.load_cert_chain(certificates.client.certificate, certificates.client.key)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{registry.url}/subjects", verify=unknown)
        assert registry.requests == []


def encrypted_key(folder: Path) -> Path:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    path = folder / "encrypted.key"
    path.write_bytes(pem)
    return path


def test_files_that_cannot_be_used(certificates: Certificates, tmp_path: Path) -> None:
    server, client = certificates.server, certificates.client
    none, text = tmp_path / "none", tmp_path / "text"
    text.write_text("no PEM")
    for tls, named in (
        (Tls(none, server.key), none),
        (Tls(text, server.key), text),
        (Tls(server.certificate, none), none),
        (Tls(server.certificate, client.key), client.key),
        (Tls(server.certificate, encrypted_key(tmp_path)), tmp_path / "encrypted.key"),
        (Tls(server.certificate, server.key, none), none),
        (Tls(server.certificate, server.key, text), text),
    ):
        with pytest.raises(ConfigError) as refused:
            DevRegistry(tls=tls)
        assert str(named) in refused.value.message
        assert refused.value.__context__ is None
