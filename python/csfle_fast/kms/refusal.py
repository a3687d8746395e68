"""How every driver says what its KMS refused: one code per cause, one shape of message."""

from __future__ import annotations

from csfle_fast.errors import KmsError

__all__ = ["CAUSES", "refusal"]

#: What each code means, in the words of the message.
CAUSES = {
    "bad_key_id": "the key id is not of the form that this KMS has",
    "missing_credentials": "credentials are missing or do not fit together",
    "kms_unauthenticated": "the credentials were not accepted",
    "kms_denied": "access was denied",
    "kms_key_unknown": "there is no such key",
    "kms_key_disabled": "the key is disabled, expired or about to be deleted",
    "kms_wrong_location": "the key is not to be had here (region, location, mount, namespace or tenant)",
    "kms_throttled": "the KMS asks for fewer calls",
    "kms_timeout": "no answer came in time",
    "kms_unreachable": "the KMS cannot be reached",
    "kms_unavailable": "the KMS has a fault of its own",
    "unwrap_refused": "the wrapped DEK is damaged or was wrapped by another key",
    "kms_failed": "the call failed",
}


def refusal(
    code: str,
    kms: str,
    operation: str,
    key_id: str,
    *,
    detail: str | None = None,
    principal: str | None = None,
    retry_after: float | None = None,
) -> KmsError:
    """The error for a call that a KMS did not carry out.

    Args:
        code: one of CAUSES.
        kms: the driver's scheme, ``aws-kms`` and the like.
        operation: what was called, in the KMS's own words: ``Decrypt``.
        key_id: the KEK's id there.
        detail: the KMS's own name of the failure, a status or an exception's type; never its text, which may
            quote what was sent.
        principal: who was refused, where the SDK tells it; never a secret.
        retry_after: seconds, where the KMS told them.
    """
    message = f"{kms}: {operation} with key {key_id}: {CAUSES[code]}"
    if detail:
        message += f" ({detail})"
    if principal:
        message += f", as {principal}"
    return KmsError(code, message, retry_after)
