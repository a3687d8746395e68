"""The development registry as a server on loopback, run by a thread or by a command."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from csfle_fast.dev.app import build_app
from csfle_fast.dev.association_routes import association_routes
from csfle_fast.dev.associations import AssociationStore
from csfle_fast.dev.clock import Clock
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.faults import Faults
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.key_routes import key_routes
from csfle_fast.dev.key_tables import KeyTables
from csfle_fast.dev.policies import Policies
from csfle_fast.dev.policy_routes import policy_routes
from csfle_fast.dev.requests import Request, RequestLog
from csfle_fast.dev.schema_routes import schema_routes
from csfle_fast.dev.schemas import SchemaStore
from csfle_fast.errors import ConfigError

__all__ = ["DevRegistry"]

_START_TIMEOUT_S = 10.0
# Open requests (a client held by an injected delay) get this long when the server stops.
_STOP_GRACE_S = 1


class DevRegistry:
    """A Schema Registry with a DEK registry, in memory, on a loopback address.

    As a context manager it serves from its own thread: ready when the block starts,
    stopped when it ends. What it holds outlives ``stop``, so that a test can take the
    registry away and bring it back, on the same port, with ``start``.

    Args:
        host: a loopback address; the registry knows no authentication and hands out keys
            of shared KEKs, so it serves nobody else.
        port: TCP port, 0 for a free one.
        secret: of the local KMS, for DEKs of shared KEKs.

    Attributes:
        store: subjects and schemas; ``store.register(subject, payload, schema_id=7)``.
        keks: KEKs; ``keks.put(...)`` seeds one as it is.
        deks: DEKs; ``deks.put(...)`` seeds one as it is.
        policies: configuration and modes.
        associations: subjects of topics.
        clock: gives the ``ts`` of KEKs and DEKs; ``clock.advance(days=2)``.
        faults: ``faults.add("GET", "/subjects/", status=503, count=1)``.

    Raises:
        ConfigError: ``host`` is not a loopback address.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, secret: str | None = None) -> None:
        self._host = _checked_loopback(host)
        self._port = port
        self.clock = Clock()
        self.faults = Faults()
        self.policies = Policies()
        self.store = SchemaStore(self.policies.effective_config)
        self.associations = AssociationStore()
        tables = KeyTables(self.clock, secret)
        self.keks = KekStore(tables)
        self.deks = DekStore(tables)
        self._log = RequestLog()
        self._app = build_app(
            [
                schema_routes(self.store, self.policies),
                policy_routes(self.store, self.policies),
                association_routes(self.associations, self.store),
                key_routes(self.keks, self.deks),
            ],
            self.faults,
            self._log,
        )
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://host:port``, without a slash at the end. The port is known once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

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
            RuntimeError: it is running already, or did not come up.
        """
        if self._thread is not None:
            raise RuntimeError("the registry is running already")
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

    def serve_forever(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Serve from the calling thread until SIGINT or SIGTERM.

        Args:
            on_ready: called with the URL once requests are answered.

        Raises:
            OSError: the port is taken.
        """
        listener = self._bind()
        notify = (lambda: on_ready(self.url)) if on_ready else None
        _Server(self._config(), notify).run([listener])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

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
