"""From what confluent-kafka's clients raise to a RegistryError with a stable code.

The server's own text is left out on purpose: it may quote what was sent to it. Status and
error number are enough to look it up.
"""

from __future__ import annotations

from typing import NamedTuple

from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError

from csfle_fast.errors import RegistryError

__all__ = ["NOT_FOUND", "Binding", "bad_answer", "read_subject", "registry_error", "status_of", "use_kek"]

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


class Binding(NamedTuple):
    """What a principal needs for a request, in the words of Confluent's role bindings.

    Attributes:
        role: the least role that is enough.
        resource: ``Subject:<name>`` or ``Kek:<name>``; a DEK has no bindings of its own.
    """

    role: str
    resource: str


def read_subject(subject: str) -> Binding:
    """For reading a subject's versions."""
    return Binding("DeveloperRead", f"Subject:{subject}")


def use_kek(name: str, *, writing: bool) -> Binding:
    """For reading a KEK and its DEKs, or for creating them."""
    return Binding("DeveloperWrite" if writing else "DeveloperRead", f"Kek:{name}")


def status_of(error: BaseException) -> int | None:
    """HTTP status of a registry's refusal, None for any other failure."""
    return error.http_status_code if isinstance(error, SchemaRegistryError) else None


def bad_answer(what: str, why: str) -> RegistryError:
    """The registry answered, but not with what it was asked for."""
    return RegistryError("bad_answer", f"{what}: the registry's answer cannot be used ({why})")


def registry_error(error: Exception, what: str, needs: Binding | None = None) -> RegistryError:
    """The RegistryError for ``error``.

    Args:
        error: what a client of confluent-kafka raised.
        what: what was asked for, naming subject, schema id or ``Kek:<name>``.
        needs: what the client's principal needs for it.

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
        message = f"{what}: the registry refused (HTTP {status}, error {number}){_remedy(code, needs)}"
        return RegistryError(code, message)
    if isinstance(error, OAuthTokenError):
        return RegistryError("unauthorized", f"{what}: no token for the registry could be obtained")
    if isinstance(error, ValueError | TypeError | LookupError | AttributeError | RecursionError):
        # Raised while the client takes an answer apart: not JSON, an unknown rule mode, a list for a dict,
        # more levels than Python has.
        return bad_answer(what, type(error).__name__)
    return RegistryError("unreachable", f"{what}: the registry cannot be reached ({type(error).__name__})")


def _remedy(code: str, needs: Binding | None) -> str:
    """What is missing, and who can give it; empty where that cannot be told."""
    if needs is None:
        return ""
    binding = f"{needs.role} on {needs.resource}"
    if code == "unauthorized":
        return f"; the client's credentials were not accepted; their principal needs {binding}"
    if code == "forbidden":
        return (
            f"; the client's principal lacks {binding}, which who administers access to the registry grants"
        )
    if code == "dek_generation_forbidden":
        return (
            f"; the KEK is shared, and its KMS did not let the registry use the key: who administers the key "
            f"of {needs.resource} in the KMS grants the registry's own identity encrypt and decrypt"
        )
    return ""
