"""An HTTP proxy that leads the names of clouds to local ports, and lets nothing else out."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from fnmatch import fnmatchcase
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Self

from services.ports import LOOPBACK

# Of a request's line and of each header; a client of ours sends far less.
_MAX_LINE = 8192
# A client that does not end its request, or a side that takes nothing, is dropped after so many seconds.
_STUCK_SECONDS = 30.0
_CHUNK = 65_536


class ConnectProxy:
    """Serves ``CONNECT host:port`` on loopback, as a context manager.

    Clients are pointed at it by environment variables (``HTTPS_PROXY``, ``grpc_proxy``); ``NO_PROXY`` and
    ``no_proxy`` must not be set. TLS goes through it untouched.

    Attributes:
        url: what those variables are given.
        opened: every name that was let through, in order, as often as it was.
        refused: every name that was not, in order, as often as it was asked for.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        """Listen; nothing is served before the block is entered.

        Args:
            ports: the local port for each ``host:port``, which may hold a ``*``.
        """
        self.opened: list[str] = []
        self.refused: list[str] = []
        self._ports = dict(ports)
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = False
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="connect-proxy")
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            self._ended = True
        self.drop()
        self._server.server_close()  # waits for the threads of the tunnels

    def open_tunnels(self) -> int:
        """How many there are now."""
        with self._lock:
            return len(self._sockets) // 2

    def drop(self) -> None:
        """Cut every tunnel that is open, as a network that fails does."""
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def port_of(self, name: str) -> int | None:
        """The local port for ``host:port``; noted down either way."""
        name = name.lower()
        for pattern, port in self._ports.items():
            if fnmatchcase(name, pattern):
                self.opened.append(name)
                return port
        self.refused.append(name)
        return None

    def keep(self, one: socket.socket) -> None:
        """A socket is open from now on; it is cut at once when the proxy has ended."""
        with self._lock:
            self._sockets.add(one)
            if self._ended:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def forget(self, one: socket.socket) -> None:
        """A socket is about to be closed."""
        with self._lock:
            self._sockets.discard(one)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, proxy: ConnectProxy) -> None:
        self.proxy = proxy
        super().__init__((LOOPBACK, 0), _Handler)


class _Handler(StreamRequestHandler):
    """One connection of a client: one tunnel, or a refusal."""

    server: _Server
    rbufsize = 0  # nothing that is behind the request may be read with it
    disable_nagle_algorithm = True
    timeout = _STUCK_SECONDS

    def handle(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(suppress(OSError))  # either side may be gone at any time
            self._keep(self.request, stack)
            self._serve(stack)

    def _serve(self, stack: ExitStack) -> None:
        method, _, rest = self._line().partition(" ")
        while self._line():
            pass
        if method != "CONNECT":
            self._answer("405 Method Not Allowed")
            return
        port = self.server.proxy.port_of(rest.partition(" ")[0])
        if port is None:
            self._answer("403 Forbidden")
            return
        try:
            inner = stack.enter_context(socket.create_connection((LOOPBACK, port), _STUCK_SECONDS))
        except OSError:
            self._answer("502 Bad Gateway")
            return
        self._keep(inner, stack)
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        _pump(self.request, inner)

    def _keep(self, one: socket.socket, stack: ExitStack) -> None:
        self.server.proxy.keep(one)
        stack.callback(self.server.proxy.forget, one)

    def _line(self) -> str:
        return self.rfile.readline(_MAX_LINE).decode("latin-1").rstrip("\r\n")

    def _answer(self, status: str) -> None:
        self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                data = _receive(key.fileobj)
                if data:
                    key.data.sendall(data)
                else:
                    selector.unregister(key.fileobj)
                    key.data.shutdown(socket.SHUT_WR)


def _receive(one: socket.socket) -> bytes:
    """Read, and acknowledge at once.

    Some clients leave Nagle's algorithm on towards a proxy. Their second packet then waits for our
    acknowledgement, which the kernel would put off by 40 ms. It forgets the option now and then.
    """
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    data = one.recv(_CHUNK)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return data
