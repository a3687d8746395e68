"""How paths are read: contexts as a prefix, and names that stay encoded until they are matched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote, unquote

from fastapi import Depends, Path, Query, Request
from starlette.convertors import Convertor, register_url_convertor

from csfle_fast.dev.names import normalize_context, qualify

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ContextName", "Page", "Paged", "PathMiddleware", "SubjectName", "prefix_context"]

_T = TypeVar("_T")

_PREFIX = "/contexts/"
_CONTEXT = "csfle_fast.dev.context"


class _Quoted(Convertor[str]):
    """One path segment, decoded after the routes were matched: a name may hold ``%2F``."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


register_url_convertor("quoted", _Quoted())


class PathMiddleware:
    """Takes ``/contexts/<context>`` off a path, and has routes match what was really sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the path as it was sent, the context aside."""
        if scope["type"] == "http":
            path = scope["raw_path"].decode("latin-1")
            context = None
            if path.startswith(_PREFIX) and "/" in path.removeprefix(_PREFIX):
                name, _, rest = path.removeprefix(_PREFIX).partition("/")
                context, path = normalize_context(unquote(name)), f"/{rest}"
            scope = {**scope, "path": path, _CONTEXT: context}
        await self._app(scope, receive, send)


def prefix_context(request: Request) -> str:
    """The context in front of the path, or else the default one."""
    return normalize_context(request.scope[_CONTEXT])


async def _context(request: Request, context: Annotated[str | None, Query()] = None) -> str:
    return normalize_context(context) if request.scope[_CONTEXT] is None else prefix_context(request)


async def _subject(subject: Annotated[str, Path()], request: Request) -> str:
    return qualify(prefix_context(request), subject)


class Page:
    """A part of a list, as ``offset`` and ``limit`` ask for it."""

    def __init__(self, offset: int = 0, limit: int = -1) -> None:
        self._start = max(offset, 0)
        self._stop = None if limit < 0 else self._start + limit

    def of(self, items: list[_T]) -> list[_T]:
        """The items of this part."""
        return items[self._start : self._stop]


async def _page(offset: int = 0, limit: int = -1) -> Page:
    return Page(offset, limit)


ContextName = Annotated[str, Depends(_context)]
SubjectName = Annotated[str, Depends(_subject)]
Paged = Annotated[Page, Depends(_page)]
