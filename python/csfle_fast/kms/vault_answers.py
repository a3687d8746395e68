"""What Vault's answers mean, and what it means when there is none."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

__all__ = ["json_object", "meaning_of_answer", "meaning_of_failure", "refuses_token"]

# Where a policy refuses, the server counts: "1 error occurred: permission denied". A token that it does not
# accept gets no such count: a bare "permission denied", from HashiCorp's newer ones with "invalid token".
_POLICY_REFUSES = "1 error occurred"
# Status, words of the server, code, detail; the first line that fits counts. Most refusals have status 400
# and differ in words only.
_MEANINGS = (
    (HTTPStatus.TOO_MANY_REQUESTS, "", "kms_throttled", ""),
    (HTTPStatus.NOT_FOUND, "namespace not found", "kms_wrong_location", ", there is no such namespace"),
    (HTTPStatus.NOT_FOUND, "", "kms_wrong_location", ", there is no such mount"),
    (
        HTTPStatus.FORBIDDEN,
        _POLICY_REFUSES,
        "kms_denied",
        ", by policy; on encrypt also where there is no such key",
    ),
    (HTTPStatus.FORBIDDEN, "", "kms_unauthenticated", ", the token is unknown, expired or used up"),
    (HTTPStatus.BAD_REQUEST, "encryption key not found", "kms_key_unknown", ""),
    (HTTPStatus.BAD_REQUEST, "by policy (too old)", "kms_key_disabled", ", the key's version is too old"),
    (HTTPStatus.BAD_REQUEST, "soft-deleted key", "kms_key_disabled", ", the key is deleted"),
    (HTTPStatus.BAD_REQUEST, "message authentication failed", "unwrap_refused", ""),
    (HTTPStatus.BAD_REQUEST, "invalid ciphertext", "unwrap_refused", ""),
    (HTTPStatus.INTERNAL_SERVER_ERROR, "RSA decrypt the ciphertext", "unwrap_refused", ""),
)


def refuses_token(answer: Any) -> bool:
    """Whether it is the token, expired or revoked, that is refused, and not what it wants to do."""
    return answer.status_code == HTTPStatus.FORBIDDEN and _POLICY_REFUSES not in _said(answer)


def meaning_of_answer(answer: Any, *, login: bool) -> tuple[str, str]:
    """Code and detail for a status that is none of success.

    Args:
        answer: a ``Response`` of requests.
        login: whether it answers a login.
    """
    status, said = answer.status_code, _said(answer)
    shown = f"HTTP {status}"
    if login and status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN):
        return "kms_unauthenticated", shown
    for its_status, words, code, detail in _MEANINGS:
        if its_status == status and words in said:
            return code, shown + detail
    return "kms_unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "kms_failed", shown


def meaning_of_failure(error: Exception, before: BaseException | None = None) -> tuple[str, str]:
    """Code and detail for a request that has no answer.

    Args:
        error: what requests raised; its text is not looked at.
        before: what was being handled when the call began. It hangs on the error and is none of its causes.
    """
    from requests import exceptions  # noqa: PLC0415 - comes with hvac
    from urllib3.exceptions import ProtocolError, ReadTimeoutError  # noqa: PLC0415 - comes with requests

    causes = list(_causes(error, before))
    of_tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if any(isinstance(cause, exceptions.Timeout | ReadTimeoutError) for cause in causes):
        found = "kms_timeout", type(error).__name__
    elif any(isinstance(cause, ProtocolError | ssl.SSLEOFError | ssl.SSLZeroReturnError) for cause in causes):
        # It was there, most often for a while without use. The next call makes a new one.
        found = (
            "kms_unavailable",
            "the connection broke, as it also does where a client certificate is wanted",
        )
    elif of_tls is not None:
        found = _meaning_of_tls(of_tls)
    elif isinstance(error, exceptions.ConnectionError):
        found = "kms_unreachable", type(causes[-1]).__name__
    elif isinstance(error, exceptions.InvalidHeader | UnicodeError):
        found = "missing_credentials", "the token or the namespace has characters that no header may have"
    else:
        found = "kms_failed", type(error).__name__
    return found


def _meaning_of_tls(error: ssl.SSLError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "kms_unreachable", "its certificate is not trusted"
    reason = getattr(error, "reason", None) or type(error).__name__  # not every one has it
    of_ours = "_ALERT_" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)
    return ("kms_unauthenticated" if of_ours else "kms_unreachable"), f"TLS: {reason}"


def _causes(error: BaseException, before: BaseException | None) -> Iterator[BaseException]:
    """The exception and what it came from; urllib3 has some of them as an argument only."""
    cause: BaseException | None = error
    while cause is not None and cause is not before:
        yield cause
        inner = next((one for one in cause.args if isinstance(one, BaseException)), None)
        context = None if cause.__context__ is before else cause.__context__
        cause = cause.__cause__ or context or inner


def _said(answer: Any) -> str:
    errors = json_object(answer).get("errors")
    return "\n".join(one for one in errors if isinstance(one, str)) if isinstance(errors, list) else ""


def json_object(answer: Any) -> dict[str, Any]:
    """The answer's JSON object; an empty one where it is something else."""
    try:
        told = answer.json()
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
