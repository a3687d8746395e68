"""What botocore raises, as our errors: by AWS's codes and by the types of exceptions, never by their text.

The text is looked at for two things alone, each by a strict pattern: who was refused, and whether another
region was asked than the key's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from csfle_fast.errors import KmsError
from csfle_fast.kms.refusal import refusal

__all__ = ["SCHEME", "failure_of"]

SCHEME = "aws-kms"

_CODES = {
    "kms_denied": ("AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired"),
    "kms_unauthenticated": (
        "ExpiredToken",
        "ExpiredTokenException",
        "IDPRejectedClaim",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    "kms_key_unknown": ("NotFoundException",),
    "kms_key_disabled": ("DisabledException", "KMSInvalidStateException"),
    "kms_wrong_location": ("RegionDisabledException",),
    "kms_throttled": (
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ),
    "kms_timeout": ("RequestTimeout", "RequestTimeoutException"),
    # The first three ask to be tried again: of KMS, of KMS, and of STS about an identity provider.
    "kms_unavailable": (
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "IDPCommunicationError",
        "InternalFailure",
        "KMSInternalException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ),
    "unwrap_refused": ("IncorrectKeyException", "InvalidCiphertextException"),
}
_OUR_CODE = {theirs: ours for ours, codes in _CODES.items() for theirs in codes}
# For answers without a code that is known, such as those of a proxy or an emulator.
_STATUSES = {401: "kms_unauthenticated", 403: "kms_denied", 408: "kms_timeout", 429: "kms_throttled"}

# By name, for not every botocore has all of them; the nearest base class counts.
_TYPES = {
    "ConnectTimeoutError": "kms_timeout",
    "ReadTimeoutError": "kms_timeout",
    # A kept connection that the other side has just closed breaks so too: that is worth repeating.
    "ConnectionClosedError": "kms_unavailable",
    "ResponseStreamingError": "kms_unavailable",
    "ConnectionError": "kms_unreachable",
    "HTTPClientError": "kms_unreachable",
    "ConfigNotFound": "missing_credentials",
    "ConfigParseError": "missing_credentials",
    "CredentialRetrievalError": "missing_credentials",
    "InvalidConfigError": "missing_credentials",
    "NoCredentialsError": "missing_credentials",
    "PartialCredentialsError": "missing_credentials",
    "ProfileNotFound": "missing_credentials",
    "LoginError": "kms_unauthenticated",
    "RefreshWithMFAUnsupportedError": "kms_unauthenticated",
    "SSOError": "kms_unauthenticated",
    "TokenRetrievalError": "kms_unauthenticated",
}
# A token's file that cannot be read, a role's name that no role can have, credentials that came expired.
_TYPES_OF_CREDENTIALS = {
    "OSError": "missing_credentials",
    "ParamValidationError": "missing_credentials",
    "RuntimeError": "kms_unauthenticated",
}

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_ARN = r"arn:aws[a-z-]{0,16}:(?:iam|sts)::[0-9]{12}:[A-Za-z0-9+=,.@_/-]{1,256}"
_REFUSED = re.compile(rf"User: ({_ARN}) is not authorized to perform:")
# KMS says so of an ARN of another region than its own, and every AWS service of such a signature.
_WRONG_REGION = re.compile(r"Invalid arn [a-z0-9-]+$|Credential should be scoped to a valid region\b")
_LONGEST_WAIT_SEC = 3600.0


def failure_of(error: Exception, operation: str, key_id: str, *, fetching_credentials: bool) -> KmsError:
    """The error to raise for what a call ended with; to be raised where ``error`` is not being handled.

    Args:
        error: what botocore, or something below it, raised.
        operation: of KMS: ``Encrypt`` or ``Decrypt``.
        key_id: the key's ARN.
        fetching_credentials: whether the call got no further than that.
    """
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # a ClientError: AWS has answered
        step = str(getattr(error, "operation_name", operation))
        return _refused(answer, operation if step == operation else f"{step} for {operation}", key_id)
    types = {**_TYPES, **_TYPES_OF_CREDENTIALS} if fetching_credentials else _TYPES
    code = next((types[one.__name__] for one in type(error).__mro__ if one.__name__ in types), "kms_failed")
    detail = type(error).__name__ + (" while fetching credentials" if fetching_credentials else "")
    return refusal(code, SCHEME, operation, key_id, detail=detail)


def _refused(answer: Mapping[str, Mapping[str, object]], operation: str, key_id: str) -> KmsError:
    told, metadata = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    theirs, text = str(told.get("Code", "")), str(told.get("Message", ""))
    status = metadata.get("HTTPStatusCode")
    code = _OUR_CODE.get(theirs)
    if code is None:
        code = _of_status(status)
    if code in ("kms_key_unknown", "kms_unauthenticated") and _WRONG_REGION.match(text):
        code = "kms_wrong_location"
    user = _REFUSED.match(text) if code == "kms_denied" else None
    waits = code in ("kms_throttled", "kms_unavailable")
    return refusal(
        code,
        SCHEME,
        operation,
        key_id,
        detail=theirs if _CODE.fullmatch(theirs) else f"HTTP {status}",
        principal=user[1] if user else None,
        retry_after=_retry_after(metadata.get("HTTPHeaders")) if waits else None,
    )


def _of_status(status: object) -> str:
    if not isinstance(status, int):
        return "kms_failed"
    return "kms_unavailable" if status >= 500 else _STATUSES.get(status, "kms_failed")


def _retry_after(headers: object) -> float | None:
    """Seconds to wait, by HTTP's header or by AWS's own one, which counts in milliseconds."""
    if isinstance(headers, Mapping):
        for name, unit in (("retry-after", 1.0), ("x-amz-retry-after", 0.001)):
            value = str(headers.get(name, ""))
            if value.isascii() and value.isdecimal():
                return min(int(value[:10]) * unit, _LONGEST_WAIT_SEC)
    return None
