"""How the registry answers: its media type, and its error bodies."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from csfle_fast.dev.refusal import Refusal

__all__ = ["MEDIA_TYPE", "RegistryResponse", "handle_errors"]

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class RegistryResponse(JSONResponse):
    """A JSON answer with the registry's media type."""

    media_type = MEDIA_TYPE


def handle_errors(app: FastAPI) -> None:
    """Give every failure the body that clients expect: ``error_code`` and ``message``."""
    app.exception_handler(Refusal)(_refused)
    app.exception_handler(RequestValidationError)(_not_valid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_failed)


def _error(status: int, error_code: int, message: str) -> RegistryResponse:
    return RegistryResponse({"error_code": error_code, "message": message}, status_code=status)


async def _refused(request: Request, error: Refusal) -> RegistryResponse:
    return _error(error.status, error.error_code, error.message)


async def _not_valid(request: Request, error: RequestValidationError) -> RegistryResponse:
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return _error(400, 400, "The body is not JSON")
    # Where and why, never what: a body may hold key material.
    where = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['type']}" for p in problems)
    return _error(422, 422, f"Request not valid: {where}")


async def _http_error(request: Request, error: HTTPException) -> RegistryResponse:
    status = error.status_code
    return _error(status, status, f"HTTP {status} {HTTPStatus(status).phrase}")


async def _failed(request: Request, error: Exception) -> RegistryResponse:
    # The server logs the traceback; the client is told nothing of it.
    return _error(500, 50001, "Error in the registry's store")
