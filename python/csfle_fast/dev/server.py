"""The development registry as a server on loopback, run by a thread or by a command."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import uvicorn

from csfle_fast.dev.accounts import Accounts
from csfle_fast.dev.app import build_app
from csfle_fast.dev.clock import Clock
from csfle_fast.dev.faults import Faults
from csfle_fast.dev.permissions import Permissions
from csfle_fast.dev.requests import Request, RequestLog
from csfle_fast.dev.sharing import Kms, Sharing
from csfle_fast.dev.state import State
from csfle_fast.dev.state_file import StateFile
from csfle_fast.dev.stores import Stores
from csfle_fast.dev.tls import Tls
from csfle_fast.errors import ConfigError

__all__ = ["DevRegistry"]

_START_TIMEOUT_S = 10.0
# Open requests (a client held by an injected delay) get this long when the server stops.
_STOP_GRACE_S = 1


class DevRegistry:
    """A Schema Registry with a DEK registry, on a loopback address, in memory or with a state file.

    As a context manager it serves from its own thread: ready when the block starts,
    closed when it ends. What it holds outlives ``stop``, so that a test can take the
    registry away and bring it back, on the same port, with ``start``.

    Args:
        host: a loopback address; the registry hands out keys of shared KEKs, so it serves nobody else.
        port: TCP port, 0 for a free one.
        secret: of the local KMS, for DEKs of shared KEKs.
        kms: other KMS for DEKs of shared KEKs, by KMS type.
        tls: serve https with these files.
        users: passwords by user; with them, or with tokens, nobody else is answered.
        tokens: bearer tokens by the name of who has them.
        state: a file that keeps everything stored; without one it is gone with the process.

    Attributes:
        store: subjects and schemas; ``store.register(subject, payload, schema_id=7)``.
        keks: KEKs; ``keks.put(...)`` seeds one as it is.
        deks: DEKs; ``deks.put(...)`` seeds one as it is.
        policies: configuration and modes.
        associations: subjects of topics.
        permissions: ``permissions.deny("alice", "Subject:s", "write")``.
        clock: gives the ``ts`` of KEKs and DEKs; ``clock.advance(days=2)``.
        faults: ``faults.add("GET", "/subjects/", status=503, count=1)``.

    Raises:
        ConfigError: ``host`` is not a loopback address, a file of ``tls`` or ``state`` cannot be used, or an
            account is incomplete.
        OSError: the state file cannot be read or written.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        secret: str | None = None,
        kms: Mapping[str, Kms] | None = None,
        tls: Tls | None = None,
        users: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        self._host = _checked_loopback(host)
        self._port = port
        self._tls = tls
        if tls is not None:
            tls.check()
        accounts = Accounts(users, tokens)
        self.clock = Clock()
        self.faults = Faults()
        self.permissions = Permissions()
        self._log = RequestLog()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        # Last, because it is opened.
        self._state = State() if state is None else StateFile(state)
        try:
            stores = Stores(self.clock, Sharing(secret, kms), self._state)
        except BaseException:
            self._state.close()
            raise
        self.store = stores.schemas
        self.policies = stores.policies
        self.associations = stores.associations
        self.keks = stores.keks
        self.deks = stores.deks
        self._app = build_app(stores.routers(), accounts, self.permissions, self.faults, self._log)

    @property
    def url(self) -> str:
        """``http(s)://host:port``, without a slash at the end. The port is known once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host}:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """What clients asked for, oldest first: at most the last 100,000 requests."""
        return self._log.snapshot()

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._log.clear()

    def start(self) -> None:
        """Serve from a thread of its own; returns when requests are answered.

        Raises:
            OSError: the port is taken.
            RuntimeError: it is running already, its state file is closed, or it did not come up.
        """
        if self._thread is not None:
            raise RuntimeError("the registry is running already")
        if self._state.closed:
            raise RuntimeError("the registry is closed; one of the same state file can be made anew")
        listener = self._bind()
        ready = threading.Event()
        server = _Server(self._config(), ready.set)
        thread = threading.Thread(
            target=server.run, args=([listener],), name="csfle-fast-dev-registry", daemon=True
        )
        thread.start()
        self._server, self._thread = server, thread
        if not ready.wait(_START_TIMEOUT_S):
            self.stop()
            raise RuntimeError("the development registry did not start")

    def stop(self) -> None:
        """Stop serving and free the port; what is stored stays. Stopping twice is no error."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.should_exit = True
        thread.join()

    def close(self) -> None:
        """Stop, and let go of the state file: what is stored can be read, and no longer be changed.

        Without a state file this is ``stop``. Closing twice is no error.
        """
        self.stop()
        self._state.close()

    def serve_forever(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Serve from the calling thread until SIGINT or SIGTERM, and close.

        Args:
            on_ready: called with the URL once requests are answered.

        Raises:
            OSError: the port is taken.
        """
        try:
            listener = self._bind()
            notify = (lambda: on_ready(self.url)) if on_ready else None
            _Server(self._config(), notify).run([listener])
        finally:
            self.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Connections inherit it; without it a small answer waits for the client's ACK.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind((self._host, self._port))
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        return listener

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            lifespan="off",
            ws="none",
            access_log=False,
            # Logging is the program's to set up, not ours.
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_STOP_GRACE_S,
            **({} if self._tls is None else self._tls.settings()),
        )


class _Server(uvicorn.Server):
    """uvicorn's server, telling when it accepts connections."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self._on_ready is not None:
            self._on_ready()


def _checked_loopback(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ConfigError(f"the development registry serves loopback addresses only, not {host!r}")
