"""The exceptions of csfle_fast: one tree, one stable ``code`` per cause.

Every message names what failed and where (row, field path, rule, KEK, subject);
none quotes a value, a key or a secret. ``code`` is part of the public interface:
programs may branch on it, and it does not change between releases.
"""

from __future__ import annotations

__all__ = [
    "OUTAGE_CODES",
    "BatchError",
    "ConfigError",
    "CsfleError",
    "KeyServiceError",
    "KmsError",
    "RegistryError",
    "RowError",
    "RuleSetError",
    "SchemaError",
]

#: The other side could not be asked, or not now. The same call may succeed later, and no answer was a
#: refusal: what an earlier answer allowed may be used for the time that ``stale.if.error.sec`` states.
OUTAGE_CODES = frozenset(
    {
        "unreachable",
        "throttled",
        "registry_failed",
        "kms_unreachable",
        "kms_timeout",
        "kms_throttled",
        "kms_unavailable",
    }
)


class CsfleError(Exception):
    """Base of every error that csfle_fast raises.

    Attributes:
        code: stable snake_case name of the cause.
        message: one sentence for people; never contains a value or a key.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.code, self.message))


class ConfigError(CsfleError, ValueError):
    """A setting is unknown, has a value that is not allowed, or contradicts another."""

    def __init__(self, message: str, code: str = "bad_config") -> None:
        super().__init__(code, message)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.code))


class BatchError(CsfleError, ValueError):
    """The batch as a whole is malformed: offsets that fall or point outside, lists of unequal length."""


class SchemaError(CsfleError):
    """A schema cannot be used: not valid by Java's rules, too deep, or not Avro."""


class RuleSetError(CsfleError):
    """A rule set cannot be run: a parameter is missing or wrong, or a rule needs another executor."""


class RegistryError(CsfleError):
    """The Schema Registry or the DEK registry refused, or could not be reached."""


class KeyServiceError(CsfleError):
    """A KEK or DEK is missing, cannot be created, or is not a usable key."""


class KmsError(KeyServiceError):
    """A KMS refused to wrap or unwrap, or could not be reached.

    Attributes:
        retry_after: seconds that the KMS asks to wait before the next call; None where it does not say.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.code, self.message, self.retry_after))


class RowError(CsfleError):
    """One row of a batch failed; the other rows are unharmed.

    Attributes:
        row: index in the batch that was handed in.
        field: path of the field from the root of the datum (``a.b[].c``), or None where
            the failure is not at a field.
        code: stable name of the cause.
        message: one sentence, without the value.
        reason: the same without row and field.
        offset: byte offset in the body where walking stopped, or None.
    """

    def __init__(
        self, row: int, field: str | None, code: str, reason: str, offset: int | None = None
    ) -> None:
        where = f"row {row}" if field is None else f"row {row}, field {field}"
        super().__init__(code, f"{where}: {reason}")
        self.row = row
        self.field = field
        self.reason = reason
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.row, self.field, self.code, self.reason, self.offset))
