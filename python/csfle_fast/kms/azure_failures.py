"""What Key Vault and Entra ID refuse, and what azure-core raises, as our codes.

By statuses, by Microsoft's codes and by the types of exceptions. Of a text no more is used than what a strict
pattern finds in it: who was refused, and the number of the error.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

__all__ = ["Failure", "of_exception", "of_token_answer", "of_vault_answer"]

# Through a proxy, the SDK takes these for a connection that it did not get.
_BROKEN = (ConnectionAbortedError, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)

_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_APPLICATION = re.compile(rf"\bappid=({_UUID})(?![\w-])", re.ASCII)
_OBJECT = re.compile(rf"\boid=({_UUID})(?![\w-])", re.ASCII)
_NUMBER = re.compile(r"AKV[0-9]{5}(?=:)")
_NAME = re.compile(r"[A-Za-z0-9]{1,64}")

_DISABLED = {"KeyDisabled", "KeyExpired", "KeyNotYetValid", "KeyNotYetValidOrExpired"}
_WRONG_ISSUER = "AKV10032"
# There is no such tenant; what was given cannot be one.
_NO_TENANT = {90002, 900021, 900023}
_OF_STATUS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "kms_unauthenticated",
    HTTPStatus.FORBIDDEN: "kms_denied",
    HTTPStatus.REQUEST_TIMEOUT: "kms_timeout",
    HTTPStatus.TOO_MANY_REQUESTS: "kms_throttled",
}


class Failure(NamedTuple):
    """Why a call failed; the fields are those of ``csfle_fast.kms.refusal.refusal``."""

    code: str
    detail: str
    principal: str | None = None
    retry_after: float | None = None


def of_vault_answer(answer: Any, *, decrypts: bool) -> Failure:
    """What an answer of Key Vault means that is not 200.

    Args:
        answer: azure-core's HttpResponse.
        decrypts: whether the operation was decrypt.
    """
    status: int = answer.status_code
    told = _object(_body(answer).get("error"))
    code, inner = _name(told.get("code")), _name(_object(told.get("innererror")).get("code"))
    message = str(told.get("message", ""))
    number = _NUMBER.match(message)
    shown = number[0] if number else inner or code
    detail = f"HTTP {status} {shown}".rstrip()
    if status == HTTPStatus.UNAUTHORIZED and shown == _WRONG_ISSUER:
        return Failure("kms_wrong_location", detail)
    if status == HTTPStatus.FORBIDDEN and inner in _DISABLED:
        return Failure("kms_key_disabled", detail)
    if status == HTTPStatus.FORBIDDEN:
        return Failure("kms_denied", detail, _principal(message))
    if status == HTTPStatus.NOT_FOUND and code == "KeyNotFound":
        return Failure("kms_key_unknown", detail)
    if status == HTTPStatus.BAD_REQUEST and decrypts and code == "BadParameter":
        return Failure("unwrap_refused", detail)
    return _of_status(answer, detail)


def of_token_answer(answer: Any) -> Failure:
    """What an answer of Entra ID, or of a managed identity's endpoint, means that is not 200."""
    numbers = _body(answer).get("error_codes")
    number = numbers[0] if isinstance(numbers, list) and numbers and isinstance(numbers[0], int) else None
    detail = f"sign-in: HTTP {answer.status_code}" + (f" AADSTS{number}" if number is not None else "")
    if number in _NO_TENANT:
        return Failure("kms_wrong_location", detail)
    failure = _of_status(answer, detail)
    if failure.code == "kms_denied" or answer.status_code == HTTPStatus.BAD_REQUEST:
        return failure._replace(code="kms_unauthenticated")
    return failure


def of_exception(
    error: Exception, of_answer: Callable[[Any], Failure], before: BaseException | None
) -> Failure:
    """What it means that there is no answer, or one that the SDK raised.

    Args:
        error: what azure-core or azure-identity raised.
        of_answer: tells what an answer means.
        before: what was being handled when the call began. It hangs on the error and is none of its causes.
    """
    from azure.core import exceptions  # noqa: PLC0415 - loaded by who called
    from urllib3.exceptions import ReadTimeoutError  # noqa: PLC0415

    causes = list(_causes(error, before))
    last = type(causes[-1]).__name__

    def has(*types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in causes)

    for cause in causes:
        if isinstance(cause, exceptions.HttpResponseError) and cause.response is not None:
            return of_answer(cause.response)
    if has(
        exceptions.ServiceRequestTimeoutError,
        exceptions.ServiceResponseTimeoutError,
        ReadTimeoutError,
        TimeoutError,
    ):
        found = Failure("kms_timeout", last)
    elif has(ssl.SSLCertVerificationError):
        found = Failure("kms_unreachable", "its certificate is not trusted")
    elif has(exceptions.ServiceResponseError, *_BROKEN):
        # It was there, most often for a while without use. The next call makes a new one.
        found = Failure("kms_unavailable", "the connection broke")
    elif has(exceptions.ServiceRequestError):
        found = Failure("kms_unreachable", last)
    elif has(exceptions.ClientAuthenticationError):
        found = Failure("kms_unauthenticated", type(error).__name__)
    else:
        found = Failure("kms_failed", type(error).__name__)
    return found


def _of_status(answer: Any, detail: str) -> Failure:
    status: int = answer.status_code
    # The endpoint of managed identities says 410 while it is being updated.
    faulty = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.GONE
    code = "kms_unavailable" if faulty else _OF_STATUS.get(status, "kms_failed")
    waits = code in ("kms_unavailable", "kms_throttled")
    return Failure(code, detail, retry_after=_retry_after(answer) if waits else None)


def _retry_after(answer: Any) -> float | None:
    from urllib3 import Retry  # noqa: PLC0415 - comes with azure-core
    from urllib3.exceptions import InvalidHeader  # noqa: PLC0415

    told = answer.headers.get("Retry-After")
    try:
        return None if told is None else float(Retry().parse_retry_after(told))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _principal(message: str) -> str | None:
    found = (("appid", _APPLICATION.search(message)), ("oid", _OBJECT.search(message)))
    return ";".join(f"{name}={match[1]}" for name, match in found if match) or None


def _causes(error: BaseException, before: BaseException | None) -> Iterator[BaseException]:
    """The exception and what it came from; azure-core has it in an attribute."""
    cause: BaseException | None = error
    while cause is not None and cause is not before:
        yield cause
        inner = getattr(cause, "inner_exception", None)
        cause = cause.__cause__ or inner or cause.__context__


def _body(answer: Any) -> dict[str, Any]:
    try:
        return _object(json.loads(answer.text()))
    except (ValueError, RecursionError):
        return {}


def _object(told: object) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _name(told: object) -> str:
    """A code as it may be shown; empty where it is none."""
    return told if isinstance(told, str) and _NAME.fullmatch(told) else ""
