"""From what confluent-kafka's clients raise to a RegistryError with a stable code.

The server's own text is left out on purpose: it may quote what was sent to it. Status and
error number are enough to look it up.
"""

from __future__ import annotations

from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError

from csfle_fast.errors import RegistryError

__all__ = ["NOT_FOUND", "bad_answer", "registry_error", "status_of"]

#: Codes of a 404, whatever error number it came with.
NOT_FOUND = frozenset({"not_found", "unknown_key", "unknown_schema", "unknown_subject", "unknown_version"})

# Error numbers that say more than their HTTP status.
_BY_NUMBER = {
    40401: "unknown_subject",
    40402: "unknown_version",
    40403: "unknown_schema",
    40470: "unknown_key",
    40370: "dek_generation_forbidden",
    50070: "dek_generation_failed",
    40972: "too_many_keys",
}
_BY_STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "rejected",
    429: "throttled",
}


def status_of(error: BaseException) -> int | None:
    """HTTP status of a registry's refusal, None for any other failure."""
    return error.http_status_code if isinstance(error, SchemaRegistryError) else None


def bad_answer(what: str, why: str) -> RegistryError:
    """The registry answered, but not with what it was asked for."""
    return RegistryError("bad_answer", f"{what}: the registry's answer cannot be used ({why})")


def registry_error(error: Exception, what: str) -> RegistryError:
    """The RegistryError for ``error``.

    Args:
        error: what a client of confluent-kafka raised.
        what: what was asked for, naming subject, schema id or ``Kek:<name>``.

    Returns:
        An error to be raised ``from None``; its code is one of unauthorized, forbidden, unknown_subject,
        unknown_version, unknown_schema, unknown_key, not_found, conflict, rejected, throttled,
        dek_generation_forbidden, dek_generation_failed, too_many_keys, registry_failed (a 5xx),
        registry_refused (any other status), bad_answer, unreachable.
    """
    if isinstance(error, SchemaRegistryError):
        status, number = error.http_status_code, error.error_code
        code = _BY_NUMBER.get(number) or _BY_STATUS.get(status)
        if code is None:
            code = "registry_failed" if status >= 500 else "registry_refused"
        return RegistryError(code, f"{what}: the registry refused (HTTP {status}, error {number})")
    if isinstance(error, OAuthTokenError):
        return RegistryError("unauthorized", f"{what}: no token for the registry could be obtained")
    if isinstance(error, ValueError | TypeError | LookupError | AttributeError):
        # Raised while the client takes an answer apart: not JSON, an unknown rule mode, a list for a dict.
        return bad_answer(what, type(error).__name__)
    return RegistryError("unreachable", f"{what}: the registry cannot be reached ({type(error).__name__})")
