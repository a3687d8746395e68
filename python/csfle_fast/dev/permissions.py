"""What somebody may not do: so that tests see how clients take a refusal."""

from __future__ import annotations

import threading
from typing import Final, Literal, TypeAlias

from fastapi import Request

from csfle_fast.dev.accounts import PRINCIPAL
from csfle_fast.dev.names import qualify
from csfle_fast.dev.paths import prefix_context
from csfle_fast.dev.refusal import Refusal

__all__ = ["Operation", "Permissions"]

Operation: TypeAlias = Literal["read", "write"]

EVERYBODY: Final = "*"
_KINDS = ("Subject", "Kek")
_OPERATIONS = ("read", "write")


class Permissions:
    """Everybody may do everything that is not denied here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._denied: list[tuple[str, str, Operation]] = []

    def deny(self, principal: str, resource: str, operation: Operation) -> None:
        """Refuse such requests with 403/40301.

        Args:
            principal: a user, the name of a bearer, or ``*`` for everybody.
            resource: ``Subject:<full name>`` or ``Kek:<name>`` (of every context, and with it its DEKs); a
                ``*`` at the end stands for whatever follows.
            operation: ``read`` or ``write``.

        Raises:
            ValueError: it is no such resource or operation.
        """
        kind, separator, name = resource.partition(":")
        if kind not in _KINDS or not separator or not name or operation not in _OPERATIONS:
            raise ValueError("denied is 'Subject:<name>' or 'Kek:<name>', for 'read' or 'write'")
        with self._lock:
            self._denied.append((principal, resource, operation))

    def clear(self) -> None:
        """Deny nothing any more."""
        with self._lock:
            self._denied.clear()

    async def check(self, request: Request) -> None:
        """Refuse a request that is denied; to be called when its route is known.

        Raises:
            Refusal: 403/40301.
        """
        with self._lock:
            denied = list(self._denied)
        if not denied:
            return
        resource = await _resource(request)
        operation = _operation(request)
        for principal, pattern, denied_operation in denied:
            if (
                principal in (EVERYBODY, request.scope[PRINCIPAL])
                and denied_operation == operation
                and resource is not None
                and _covers(pattern, resource)
            ):
                kind, _, name = resource.partition(":")
                raise Refusal(
                    403, 40301, f"User is denied operation {operation.capitalize()} on {kind}: {name}"
                )


async def _resource(request: Request) -> str | None:
    """What a request is about: the KEK, or the subject, that it names."""
    kek = request.path_params.get("kek")
    if kek is None and request.method == "POST" and request.scope["path"].endswith("/keks"):
        kek = await _name_in_body(request)
    if kek is not None:
        return f"Kek:{kek}"
    subject = request.path_params.get("subject") or request.query_params.get("subject")
    return f"Subject:{qualify(prefix_context(request), subject)}" if subject else None


async def _name_in_body(request: Request) -> str | None:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return None  # the route says what is wrong with it
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def _operation(request: Request) -> Operation:
    path: str = request.scope["path"]
    # The one POST that only looks: a schema, under its subject.
    looks = path.startswith("/subjects/") and path.count("/") == 2
    return "read" if request.method == "GET" or (request.method == "POST" and looks) else "write"


def _covers(pattern: str, resource: str) -> bool:
    if pattern.endswith("*"):
        return resource.startswith(pattern[:-1])
    return resource == pattern
