"""A proxy in front of an HTTP server on loopback that answers wrongly, late or not at all, as it is told."""

from __future__ import annotations

import http.client
import random
import re
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from services.ports import LOOPBACK, free_ports

UPSTREAM_SECONDS = 30.0
# Of one connection, not of the message.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True, kw_only=True)
class Which:
    """Which requests are meant; what is empty fits all.

    Attributes:
        method: for instance ``POST``.
        path: a regular expression, searched in path and query.
        header: the name of a header, in any case.
        value: a regular expression, searched in that header.
    """

    method: str = ""
    path: str = ""
    header: str = ""
    value: str = ""

    def fits(self, seen: Seen) -> bool:
        return (
            self.method in ("", seen.method)
            and re.search(self.path, seen.path) is not None
            and (not self.header or self._fits_header(seen.headers.get(self.header.lower())))
        )

    def _fits_header(self, value: str | None) -> bool:
        return value is not None and re.search(self.value, value) is not None


ALL = Which()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a request in place of being passed on; a mere delay is followed by passing it on.

    Attributes:
        status: of the answer; 0 for none.
        headers: of the answer; its length is added.
        body: of the answer.
        delay: seconds before anything else.
        reset: the connection is reset.
        hang: nothing is answered until the proxy goes down.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    reset: bool = False
    hang: bool = False


@dataclass(frozen=True)
class Seen:
    """A request that reached the proxy; the names of its headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Plan:
    fault: Fault
    which: Which
    probability: float
    left: float  # how often it still happens


class FaultProxy:
    """Runs for the block; without faults it passes everything on but bodies without a length.

    Attributes:
        url: what clients are given; it stays the same over ``down`` and ``up``.

    Args:
        upstream: URL of the server, without a path.
        seed: of the probabilities.
    """

    def __init__(self, upstream: str, seed: int = 0) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self.upstream = (parts.hostname, parts.port or 80)
        (self._port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{self._port}"
        self._random = random.Random(seed)  # noqa: S311 - repeatable faults, no secrets
        self._lock = threading.Lock()
        self._plans: list[_Plan] = []
        self._seen: list[Seen] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def add(
        self, fault: Fault, which: Which = ALL, *, times: int | None = None, probability: float = 1.0
    ) -> None:
        """Plan a fault; of several that fit, the first added happens.

        Args:
            fault: what happens.
            which: to these requests.
            times: so often, then no more; None for always.
            probability: of each request that fits.
        """
        with self._lock:
            self._plans.append(_Plan(fault, which, probability, float("inf") if times is None else times))

    def clear(self) -> None:
        """Forget all faults, and the requests so far."""
        with self._lock:
            self._plans.clear()
            self._seen.clear()

    def seen(self, which: Which = ALL) -> list[Seen]:
        """The requests that reached the proxy since the start or ``clear``, in order."""
        with self._lock:
            return [one for one in self._seen if which.fits(one)]

    def down(self) -> None:
        """Close all connections and refuse new ones."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.hang_up()
            self._server = self._thread = None

    def up(self) -> None:
        """Listen on the same port again."""
        assert self._server is None, "the proxy is up"
        self._server = _Server(self._port, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fault-proxy")
        self._thread.start()

    def meet(self, seen: Seen) -> Fault | None:
        """Note a request, and tell what is to happen to it."""
        with self._lock:
            self._seen.append(seen)
            for plan in self._plans:
                # The probability comes last: only requests that fit move the random numbers on.
                if plan.left > 0 and plan.which.fits(seen) and self._random.random() < plan.probability:
                    plan.left -= 1
                    return plan.fault
        return None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.down()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing the server waits for them
    request_queue_size = 128

    def __init__(self, port: int, proxy: FaultProxy) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.proxy = proxy
        self.going_down = threading.Event()
        self._open: set[socket.socket] = set()

    def hang_up(self) -> None:
        """End what is left of a server that accepts no more."""
        self.going_down.set()
        for connection in list(self._open):
            with suppress(OSError):  # it has just ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    # The types of these four are those of socketserver.
    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        # Without the inherited shutdown(), which would end the connection in order before it can be reset.
        self._open.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that give up are what a proxy with faults is for.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.proxy.meet(Seen(self.command, self.path, headers, body))
        if "transfer-encoding" in headers:
            self.close_connection = True  # a body without a length cannot be read here
        elif fault is None:
            self._pass_on(body)
        else:
            self._fail(fault, body)

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815 - as http.server wants it

    def _fail(self, fault: Fault, body: bytes) -> None:
        if fault.delay:
            self.server.going_down.wait(fault.delay)
        if fault.hang:
            self.server.going_down.wait()
        if fault.reset:
            # Closed without lingering, a connection is reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.server.going_down.is_set() or fault.hang or fault.reset:
            self.close_connection = True
        elif fault.status:
            self._answer(fault.status, fault.headers.items(), fault.body)
        else:
            self._pass_on(body)

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=UPSTREAM_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            status, headers, content = answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            status, headers, content = http.client.BAD_GATEWAY, [], b""
        finally:
            connection.close()
        self._answer(status, headers, content)

    def _answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        bodiless = self.command == "HEAD" or status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP and (bodiless or name.lower() != "content-length"):
                self.send_header(name, value)
        if not bodiless:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if not bodiless:
            self.wfile.write(body)
