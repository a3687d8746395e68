"""Faults by request pattern: a status instead of the answer, a delay before it, or both."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from csfle_fast.dev.answers import RegistryResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Fault", "FaultMiddleware", "Faults"]


class Fault:
    """One fault in place.

    Attributes:
        hits: how many requests it met so far.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        status: int | None,
        delay: float,
        count: int | None,
        rate: float,
        seed: int | None,
        body: object,
        headers: Mapping[str, str] | None,
    ) -> None:
        self._method = re.compile(method, re.IGNORECASE)
        self._path = re.compile(path)
        self._count = count
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311 - it decides no secret
        self.status = status
        self.delay = delay
        self.body = body
        self.headers = headers
        self.hits = 0

    def meets(self, method: str, path: str) -> bool:
        """Whether this request is met; counts the hit."""
        if self._count is not None and self.hits >= self._count:
            return False
        if not (self._method.fullmatch(method) and self._path.search(path)):
            return False
        if self._rate < 1 and self._random.random() >= self._rate:
            return False
        self.hits += 1
        return True


class Faults:
    """The faults in place; the first that meets a request is the one that acts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(
        self,
        method: str = ".*",
        path: str = ".*",
        *,
        status: int | None = None,
        delay: float = 0.0,
        count: int | None = None,
        rate: float = 1.0,
        seed: int | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Put a fault in place.

        Args:
            method: regular expression for the whole method, in any case: ``GET|POST``.
            path: regular expression found anywhere in the percent-decoded path.
            status: answer with this status and leave the registry untouched; None lets the
                request through after the delay.
            delay: seconds to wait first.
            count: how many requests it meets; None for all.
            rate: the share of fitting requests that it meets, more than 0 and at most 1; the others go on to
                the next fault.
            seed: makes the choice of ``rate`` the same in each run.
            body: the answer, anything that JSON can say; by default an error body for ``status``.
            headers: further headers of the answer, for instance Retry-After.

        Raises:
            ValueError: neither a status nor a delay, a pattern that is not one, or no such rate.
        """
        if status is None and delay <= 0:
            raise ValueError("a fault needs a status, a delay, or both")
        if not 0 < rate <= 1:
            raise ValueError("the rate of a fault is more than 0 and at most 1")
        try:
            fault = Fault(
                method,
                path,
                status=status,
                delay=delay,
                count=count,
                rate=rate,
                seed=seed,
                body=body,
                headers=headers,
            )
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def meet(self, method: str, path: str) -> Fault | None:
        """The fault that meets this request, if any."""
        with self._lock:
            return next((fault for fault in self._faults if fault.meets(method, path)), None)


class FaultMiddleware:
    """Acts out the faults in front of the registry."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the registry's place, or pass the request on."""
        fault = self._faults.meet(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.status is not None:
                body = {"error_code": fault.status, "message": "Injected fault"}
                answer = RegistryResponse(
                    body if fault.body is None else fault.body,
                    status_code=fault.status,
                    headers=fault.headers,
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
