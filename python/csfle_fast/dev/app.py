"""The registry as one ASGI application."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI
from starlette.types import ASGIApp

from csfle_fast.dev.accounts import Accounts, AccountsMiddleware
from csfle_fast.dev.answers import RegistryResponse, handle_errors
from csfle_fast.dev.faults import FaultMiddleware, Faults
from csfle_fast.dev.paths import PathMiddleware
from csfle_fast.dev.permissions import Permissions
from csfle_fast.dev.requests import RequestLog, RequestLogMiddleware

__all__ = ["build_app"]


def build_app(
    routers: list[APIRouter], accounts: Accounts, permissions: Permissions, faults: Faults, log: RequestLog
) -> ASGIApp:
    """Put the layers together; a request passes them from the log inwards.

    The log is outermost, so that a request met by a fault is logged too. A fault meets a request before
    anybody asks who sent it, as a proxy in front of a registry would.
    """
    # Without the pages that FastAPI would add, an unknown path is a 404 like any other.
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # A body without a Content-Type is JSON, too.
        strict_content_type=False,
        default_response_class=RegistryResponse,
        dependencies=[Depends(permissions.check)],
    )
    handle_errors(app)

    @app.get("/")
    async def root() -> RegistryResponse:
        return RegistryResponse({})

    for router in routers:
        app.include_router(router)
    known = AccountsMiddleware(PathMiddleware(app), accounts)
    return RequestLogMiddleware(FaultMiddleware(known, faults), log)
