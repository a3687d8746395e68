"""The request log: what clients asked for, so that "no request at all" can be asserted."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Request", "RequestLog", "RequestLogMiddleware"]

# A registry left running for days must not grow: the oldest entries go.
_MAX_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request. ``path`` is percent-decoded; ``query`` is as it was sent."""

    method: str
    path: str
    query: str
    status: int


class RequestLog:
    """The last 100,000 requests, in the order of their answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Request] = deque(maxlen=_MAX_ENTRIES)

    def add(self, request: Request) -> None:
        """Log one answered request."""
        with self._lock:
            self._entries.append(request)

    def snapshot(self) -> list[Request]:
        """A copy of what is logged, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


class RequestLogMiddleware:
    """Logs each request before its answer leaves, so that a client's next line can see it."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it when its answer starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Taken now: what is further in rewrites the path.
        method, path = scope["method"], scope["path"]
        query = scope["query_string"].decode("latin-1")

        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._log.add(Request(method, path, query, message["status"]))
            await send(message)

        await self._app(scope, receive, logged)
