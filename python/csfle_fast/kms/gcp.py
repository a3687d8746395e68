"""Google Cloud KMS: Encrypt and Decrypt with one CryptoKey, over gRPC, without associated data.

Google's client works on a channel of ours, because only a channel can be told whom to trust and how soon to
connect again.
"""
# ruff: noqa: PLC0415 - the SDK comes with an extra, and is loaded by those who use it

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificates

from csfle_fast.errors import KmsError
from csfle_fast.kms.gcp_credentials import BadAccount, GcpCredentials, NoToken, service_account
from csfle_fast.kms.options import text, timeout_sec
from csfle_fast.kms.refusal import refusal
from csfle_fast.kms.sdk import from_extra

__all__ = ["GcpKmsClient", "GcpKmsDriver"]

_SCHEME = "gcp-kms"
_KEY_ID = re.compile(
    r"projects/(?P<project>[a-z0-9.:-]{1,128})"
    r"(?P<path>/locations/[a-zA-Z0-9-]{1,63}/keyRings/[a-zA-Z0-9_-]{1,63}/cryptoKeys/[a-zA-Z0-9_-]{1,63})"
)
_VERSION = re.compile(rf"{_KEY_ID.pattern}/cryptoKeyVersions/[0-9]+")
_ENDPOINT = re.compile(r"(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?P<port>:[0-9]{1,5})?")

_ENDPOINT_OPTION = "kms.gcp.endpoint"
_DEFAULT_ENDPOINT = "cloudkms.googleapis.com"
_CA_OPTION = "kms.gcp.ca.location"

_CHANNEL_OPTIONS = (
    # After an outage, calls fail until gRPC has tried again: by itself that may take two minutes.
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Networks forget idle connections without a word, some after four minutes; DEKs are asked for less often.
    # A call on such a connection would end in a time-out.
    ("grpc.client_idle_timeout_ms", 60_000),
)

_CODES = {
    "DEADLINE_EXCEEDED": "kms_timeout",
    "FAILED_PRECONDITION": "kms_key_disabled",
    "INTERNAL": "kms_unavailable",
    "NOT_FOUND": "kms_key_unknown",
    "PERMISSION_DENIED": "kms_denied",
    "RESOURCE_EXHAUSTED": "kms_throttled",
    "UNAUTHENTICATED": "kms_unauthenticated",
    "UNAVAILABLE": "kms_unavailable",
    "UNKNOWN": "kms_unavailable",
}
# gRPC's own words beside UNAVAILABLE, where it got no connection. One that broke is reported like a server
# with a fault, and is as much worth another attempt.
_NO_CONNECTION = (
    "failed to connect to all addresses",
    "errors resolving",
    "DNS resolution failed",
    "empty address list",
)
# What of them is worth telling: they come from gRPC and OpenSSL here, not from a server.
_WHY = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|Connection refused|Domain name not found"
    r"|HTTP proxy returned response code [0-9]+"
)
# What Cloud KMS says of a location that it does not have; the status is that of an unknown key.
_NO_LOCATION = "The request concerns location"
# Reasons of google.rpc have this form; anything else may be text, and is not repeated.
_REASON = re.compile(r"[A-Z][A-Z0-9_]{1,62}")


class GcpKmsDriver:
    """Takes a service account's key from the configuration, else Application Default Credentials."""

    scheme = _SCHEME

    def client(self, uri: str, conf: Mapping[str, object]) -> GcpKmsClient:
        """See KmsDriver. Nothing is sent before the first wrap or unwrap.

        Raises:
            KmsError: bad_key_id; bad_kms_option; missing_credentials, a part of the account is missing or its
                key is none; kms_sdk_missing.
        """
        key_id = uri.partition("://")[2]
        if not _KEY_ID.fullmatch(key_id):
            raise refusal("bad_key_id", _SCHEME, "client", repr(key_id))
        endpoint, authority, timeout = _endpoint(conf), _authority(conf), timeout_sec(conf)
        with from_extra(_SCHEME, "gcp"):
            try:
                credentials = GcpCredentials(service_account(conf))
            except BadAccount as error:
                reason = str(error)
            else:
                return GcpKmsClient(key_id, credentials, endpoint, authority, timeout)
        raise refusal("missing_credentials", _SCHEME, "client", key_id, detail=reason)


class GcpKmsClient:
    """One CryptoKey.

    Args:
        key_id: ``projects/.../cryptoKeys/...``.
        credentials: who calls; closed with the client.
        endpoint: ``host:port``.
        authority: certificates in PEM that are trusted; None for those of gRPC.
        timeout: seconds, for the token and for the call each.
    """

    def __init__(
        self, key_id: str, credentials: GcpCredentials, endpoint: str, authority: bytes | None, timeout: float
    ) -> None:
        import google_crc32c
        import grpc
        from google.cloud.kms_v1 import KeyManagementServiceClient
        from google.cloud.kms_v1.services.key_management_service import transports

        # At DEBUG the SDK writes whole requests and answers into the log, with the DEK in them.
        logging.getLogger(transports.KeyManagementServiceGrpcTransport.__module__).setLevel(logging.INFO)
        channel = grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(authority), _CHANNEL_OPTIONS)
        self._sdk: Any = KeyManagementServiceClient(
            transport=transports.KeyManagementServiceGrpcTransport(host=endpoint, channel=channel)
        )
        self._key_id = key_id
        self._credentials = credentials
        self._url = f"https://{endpoint}/"
        self._timeout = timeout
        self._checksum = google_crc32c.value

    def wrap(self, plaintext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: see ``csfle_fast.kms.refusal``.
        """
        request = {
            "name": self._key_id,
            "plaintext": plaintext,
            "plaintext_crc32c": self._checksum(plaintext),
        }
        answer = self._call("Encrypt", self._sdk.encrypt, request)
        ciphertext: bytes = answer.ciphertext
        arrived = answer.verified_plaintext_crc32c
        self._check("Encrypt", ciphertext, answer.ciphertext_crc32c, arrived=arrived)
        if not _is_version(answer.name, self._key_id):
            raise self._refusal("kms_failed", "Encrypt", "another key answered")
        return ciphertext

    def unwrap(self, ciphertext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: see ``csfle_fast.kms.refusal``.
        """
        request = {
            "name": self._key_id,
            "ciphertext": ciphertext,
            "ciphertext_crc32c": self._checksum(ciphertext),
        }
        answer = self._call("Decrypt", self._sdk.decrypt, request)
        plaintext: bytes = answer.plaintext
        self._check("Decrypt", plaintext, answer.plaintext_crc32c)
        return plaintext

    def close(self) -> None:
        """See KmsClient."""
        self._sdk.transport.close()
        self._credentials.close()

    def _call(self, operation: str, method: Any, request: Mapping[str, object]) -> Any:
        """One attempt."""
        from google.api_core.exceptions import GoogleAPICallError

        try:
            headers = self._credentials.headers(self._url, self._timeout)
            return method(request=request, retry=None, timeout=self._timeout, metadata=headers)
        except NoToken as error:
            failure = self._refusal(error.code, operation, error.detail)
        except GoogleAPICallError as error:
            code = _code(operation, error)
            failure = self._refusal(code, operation, _told(code, error), _retry_after(error))
        # Raised out here, so that the SDK's exception, which has the request, does not hang on it.
        raise failure

    def _check(self, operation: str, data: bytes, checksum: int | None, *, arrived: bool = True) -> None:
        """That nothing was damaged on the way.

        Args:
            operation: what was called.
            data: what came back.
            checksum: CRC32C of ``data``, as the server reckoned it.
            arrived: whether what was sent had its checksum there. Decrypt does not tell: it refuses.
        """
        if not arrived or checksum != self._checksum(data):
            raise self._refusal("kms_failed", operation, "damaged on the way: CRC32C")

    def _refusal(self, code: str, operation: str, detail: str, retry_after: float | None = None) -> KmsError:
        return refusal(
            code,
            _SCHEME,
            operation,
            self._key_id,
            detail=detail,
            principal=self._credentials.principal,
            retry_after=retry_after,
        )


def _endpoint(conf: Mapping[str, object]) -> str:
    endpoint = text(conf, _ENDPOINT_OPTION) or _DEFAULT_ENDPOINT
    parts = _ENDPOINT.fullmatch(endpoint)
    if not parts:
        raise KmsError("bad_kms_option", f"option {_ENDPOINT_OPTION} must be a host or host:port")
    return endpoint if parts["port"] else f"{endpoint}:443"


def _authority(conf: Mapping[str, object]) -> bytes | None:
    location = text(conf, _CA_OPTION)
    if location is None:
        return None
    try:
        pem = Path(location).read_bytes()
        load_pem_x509_certificates(pem)  # gRPC would take rubbish, and report a KMS that it cannot reach
    except (OSError, ValueError):
        pass
    else:
        return pem
    raise KmsError("bad_kms_option", f"option {_CA_OPTION} must name a file of certificates in PEM")


def _is_version(name: str, key_id: str) -> bool:
    """Whether ``name`` is a version of the key. A project has two names, an id and a number."""
    version, key = _VERSION.fullmatch(name), _KEY_ID.fullmatch(key_id)
    if not version or not key or version["path"] != key["path"]:
        return False
    same = version["project"] == key["project"]
    return same or version["project"].isdigit() != key["project"].isdigit()


def _code(operation: str, error: Any) -> str:
    status = _status(error)
    words = str(error.message)
    if status == "UNAVAILABLE" and words.startswith(_NO_CONNECTION):
        return "kms_unreachable"
    if status == "NOT_FOUND" and words.startswith(_NO_LOCATION):
        return "kms_wrong_location"
    if status == "INVALID_ARGUMENT" and operation == "Decrypt":
        return "unwrap_refused"
    return _CODES.get(status, "kms_failed")


def _status(error: Any) -> str:
    return error.grpc_status_code.name if error.grpc_status_code else type(error).__name__


def _told(code: str, error: Any) -> str:
    """The status, and what is said beside it where that is a name: KEY_DISABLED, SERVICE_DISABLED."""
    if code == "kms_unreachable":
        return " ".join([_status(error), *_WHY.findall(str(error.message))])
    reasons = [error.reason or ""]
    for detail in error.details:
        if detail.DESCRIPTOR.full_name == "google.rpc.PreconditionFailure":
            reasons += [violation.type for violation in detail.violations]
    return " ".join([_status(error), *filter(_REASON.fullmatch, dict.fromkeys(reasons))])


def _retry_after(error: Any) -> float | None:
    for detail in error.details:
        if detail.DESCRIPTOR.full_name == "google.rpc.RetryInfo":
            return max(0.0, float(detail.retry_delay.ToTimedelta().total_seconds()))
    return None
