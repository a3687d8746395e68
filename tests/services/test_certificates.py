"""The certificates of a test run: trusted under their names, and by nobody who trusts another authority."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from services.certificates import Certificates


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "kv1.vault.azure.net", "cloudkms.googleapis.com"])
def test_the_server_is_trusted_under_its_names(certificates: Certificates, name: str) -> None:
    assert shake_hands(certificates, name, str(certificates.authority)) is None


def test_nothing_else_is_trusted(certificates: Certificates) -> None:
    assert "self-signed" in str(shake_hands(certificates, "localhost", str(certificates.stranger)))
    assert "mismatch" in str(shake_hands(certificates, "example.com", str(certificates.authority)))


def shake_hands(certificates: Certificates, name: str, trusted: str) -> ssl.SSLError | None:
    """One TLS handshake with mTLS in memory: None, or why the client refused."""
    server_side, client_side = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.server.certificate, certificates.server.key)
    server.load_verify_locations(certificates.authority)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=trusted)
    client.load_cert_chain(certificates.client.certificate, certificates.client.key)

    def serve() -> None:
        try:
            with server.wrap_socket(server_side, server_side=True) as connection:
                connection.recv(1)
        except (ssl.SSLError, OSError):
            server_side.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(client_side, server_hostname=name) as connection:
            connection.send(b"x")
    except ssl.SSLError as error:
        return error
    finally:
        client_side.close()
        thread.join(10)
    return None
