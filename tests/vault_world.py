"""What the tests of the Vault driver share: settings, refusals, and a stand-in for rare answers."""

from __future__ import annotations

import itertools
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from csfle_fast.errors import KmsError
from csfle_fast.kms.vault import VaultClient, VaultDriver
from leaks import chain
from services.certificates import Certificates
from services.openbao import OpenBaoServer
from services.ports import LOOPBACK

PROTO = b"\x1a\x10" + bytes(range(16))
# Of the form that is sent to the server, and what no key opens.
NO_KEYS = b"vault:v1:" + b"QUJD" * 16
_numbers = itertools.count()


def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what could change where a client connects, whom it trusts and who it is."""
    monkeypatch.setattr("hvac.v1.VAULT_CLIENT_CERT", None)  # read from there when hvac was imported
    for name in list(os.environ):
        if name.startswith(("VAULT_", "BAO_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)


def new_name(word: str) -> str:
    """A name that no other test has on the server."""
    return f"{word}{next(_numbers)}"


def new_key(server: OpenBaoServer) -> str:
    """The id of a new key on a new mount."""
    mount = new_name("vault")
    server.mount_transit(mount)
    return server.make_key(mount, "kek")


def mount_of(key_id: str) -> str:
    return key_id.split("/", 3)[3].rpartition("/keys/")[0]


def path(key_id: str, operation: str) -> str:
    """The path of the server that is called for ``encrypt`` and other operations with a key."""
    return f"{mount_of(key_id)}/{operation}/{key_id.rpartition('/')[2]}"


def conf(server: OpenBaoServer, **settings: object) -> dict[str, object]:
    """Settings that work, then others with ``__`` for the dots of their names; None takes one away."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    made = {"ssl.ca.location": str(server.authority), "token.id": server.root_token} | named
    return {name: value for name, value in made.items() if value is not None}


def client(key_id: str, settings: Mapping[str, object]) -> VaultClient:
    return VaultDriver().client(f"hcvault://{key_id}", settings)


def refused(call: Callable[[], object], *secrets: str) -> KmsError:
    """The error of a call, which shows no secret and on which no other exception hangs."""
    with pytest.raises(KmsError) as caught:
        call()
    error = caught.value
    assert list(chain(error)) == [error]
    for secret in secrets:
        assert secret not in str(error)
    return error


class Answer(NamedTuple):
    """What the stand-in answers: a status of 0 is a connection that breaks."""

    status: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}
    length: int | None = None


class VaultStandIn:
    """Answers every request alike, on loopback. It seals nothing and knows no token.

    Args:
        answer: for every request.
        certificates: for TLS; without them it speaks HTTP.

    Attributes:
        url: where it listens.
        seen: path and headers of each request.
    """

    def __init__(self, answer: Answer, certificates: Certificates | None = None) -> None:
        self.answer = answer
        self.seen: list[tuple[str, Mapping[str, str]]] = []
        self._released = threading.Event()
        self._server = HTTPServer((LOOPBACK, 0), self._handler())
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server.certificate, certificates.server.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if certificates is None else "https"
        self.url = f"{scheme}://{LOOPBACK}:{self._server.server_port}"
        self.key_id = f"{self.url}/transit/keys/kek"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                stand_in.seen.append((self.path, dict(self.headers)))
                answer = stand_in.answer
                if not answer.status:
                    return
                self.send_response(answer.status)
                length = len(answer.body) if answer.length is None else answer.length
                for name, value in {"Content-Length": str(length), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
                if length > len(answer.body):  # the rest never comes
                    stand_in._released.wait()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
