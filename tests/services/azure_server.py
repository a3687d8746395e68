"""The HTTPS server of the stand-in for Azure."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from services.azure_answers import Answer
from services.certificates import Certificates
from services.ports import LOOPBACK


class Request(NamedTuple):
    """What came in.

    Attributes:
        host: of the URL.
        path: of the URL, with the key's name and version.
        query: of the URL.
        body: as it was sent.
        headers: as they were sent.
    """

    method: str
    host: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


class HttpsServer(ThreadingHTTPServer):
    """Ends only with all of its threads.

    Attributes:
        errors: what went wrong in one of them.
    """

    daemon_threads = False

    def __init__(self, answer: Callable[[Request], Answer | None], certificates: Certificates) -> None:
        """Listen.

        Args:
            answer: gives None for a connection that is to break.
            certificates: of the test run.
        """
        self.answer = answer
        self.errors: list[BaseException] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.server.certificate, certificates.server.key)
        super().__init__((LOOPBACK, 0), _Handler)

    def get_request(self) -> tuple[Any, Any]:
        one, address = self.socket.accept()
        # The handshake is made by the thread of the connection, with its first read.
        return self._tls.wrap_socket(one, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):  # a client may go, or not trust us
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: HttpsServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = self.headers["Host"].partition(":")[0]
        path, _, query = self.path.partition("?")
        answer = self.server.answer(Request(self.command, host, path, query, body, dict(self.headers)))
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        length, kind = {"Content-Length": str(len(answer.body))}, {"Content-Type": answer.content_type}
        for name, value in {**length, **kind, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
