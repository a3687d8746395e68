"""A stand-in for Google's Security Token Service: HTTP on loopback, a new token for every exchange."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from services.ports import LOOPBACK

HOLD_SECONDS = 30.0


class GcpTokens:
    """Exchanges every subject token, as a context manager.

    Attributes:
        url: what ``token_url`` of a workload identity is.
        lifetime: seconds that its tokens are good for.
        refuse: the HTTP status that is answered in place of a token; 0 for none.
        subjects: the subject tokens that were brought, in order.
    """

    def __init__(self, given: Callable[[str], None]) -> None:
        """Listen; nothing is served before the block is entered.

        Args:
            given: is told of every token that is given out.
        """
        self.lifetime = 3600
        self.refuse = 0
        self.subjects: list[str] = []
        self._given = given
        self._go = threading.Event()
        self._go.set()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="gcp-tokens")
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}/v1/token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for the threads of requests

    def hold(self) -> None:
        """Answer nobody until the end of the block."""
        self._go.clear()

    def exchange(self, subject: str) -> tuple[int, dict[str, object]]:
        """Status and body of an answer."""
        self._go.wait(HOLD_SECONDS)
        self.subjects.append(subject)
        if self.refuse:
            return self.refuse, {"error": "invalid_grant", "error_description": f"of {subject}"}
        token = f"token-{len(self.subjects)}"
        self._given(token)
        return 200, {
            "access_token": token,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, tokens: GcpTokens) -> None:
        self.tokens = tokens
        super().__init__((LOOPBACK, 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        status, answer = self.server.tokens.exchange(form["subject_token"][0])
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing goes to standard error."""
