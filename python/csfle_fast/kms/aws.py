"""AWS KMS: Encrypt and Decrypt with a symmetric key, by its ARN or that of an alias."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from csfle_fast.errors import KmsError
from csfle_fast.kms.aws_credentials import AwsIdentity, Sdk
from csfle_fast.kms.aws_failures import SCHEME, failure_of
from csfle_fast.kms.options import text, timeout_sec
from csfle_fast.kms.refusal import refusal
from csfle_fast.kms.sdk import from_extra

__all__ = ["AwsKmsClient", "AwsKmsDriver"]

_KMS_ENDPOINT = "kms.aws.endpoint"
_STS_ENDPOINT = "kms.aws.sts.endpoint"
# The region becomes part of a host name, and key ids come from a registry: nothing else may get through.
_ARN = re.compile(
    r"arn:aws[a-z-]{0,16}:kms:(?P<region>[a-z0-9-]{1,32}):[0-9]{12}:"
    r"(?:key/[A-Za-z0-9-]{1,128}|(?P<alias>alias/[A-Za-z0-9/_-]{1,256}))"
)
# What KMS takes as a ciphertext, in bytes.
_MAX_CIPHERTEXT = 6144


class AwsKmsClient:
    """One key. The SDK's clients are made at the first call, which may have to ask for credentials.

    Args:
        arn: of the key or alias.
        connect: makes the SDK's clients.
    """

    __slots__ = ("_arn", "_connect", "_lock", "_sdk")

    def __init__(self, arn: str, connect: Callable[[], Sdk]) -> None:
        self._arn = arn
        self._connect = connect
        self._lock = threading.Lock()
        self._sdk: Sdk | None = None

    def wrap(self, plaintext: bytes) -> bytes:
        """See KmsClient."""
        wrapped, key = self._call("Encrypt", "CiphertextBlob", Plaintext=plaintext)
        if not self._is_ours(key):
            raise refusal("kms_failed", SCHEME, "Encrypt", self._arn, detail="another key was used")
        return wrapped

    def unwrap(self, ciphertext: bytes) -> bytes:
        """See KmsClient."""
        if not 0 < len(ciphertext) <= _MAX_CIPHERTEXT:
            raise refusal("unwrap_refused", SCHEME, "Decrypt", self._arn, detail="no ciphertext of AWS KMS")
        plaintext, key = self._call("Decrypt", "Plaintext", CiphertextBlob=ciphertext)
        if not self._is_ours(key):
            raise refusal("unwrap_refused", SCHEME, "Decrypt", self._arn, detail="another key was used")
        return plaintext

    def close(self) -> None:
        """See KmsClient."""
        with self._lock:
            sdk, self._sdk = self._sdk, None
        if sdk is not None:
            sdk.close()

    def _is_ours(self, key: str) -> bool:
        """Whether the key that KMS names is the one asked for; behind an alias stands any key."""
        return ":alias/" in self._arn or key == self._arn

    def _call(self, operation: str, result: str, **given: bytes) -> tuple[bytes, str]:
        """The result of an operation, and the ARN of the key that KMS used."""
        fetching_credentials = True
        try:
            sdk = self._connected()
            sdk.fetch_credentials()
            fetching_credentials = False
            call = sdk.kms.encrypt if operation == "Encrypt" else sdk.kms.decrypt
            answer = call(KeyId=self._arn, **given)
            if answer[result]:
                return bytes(answer[result]), str(answer["KeyId"])
            failure = refusal("kms_failed", SCHEME, operation, self._arn, detail="an empty answer")
        except Exception as error:  # noqa: BLE001 - below botocore, much may be raised
            failure = failure_of(error, operation, self._arn, fetching_credentials=fetching_credentials)
        raise failure

    def _connected(self) -> Sdk:
        with self._lock:
            if self._sdk is None:  # also after a failure: credentials may turn up later
                self._sdk = self._connect()
            return self._sdk


class AwsKmsDriver:
    """Keys by their ARN, whose region is the one that is called.

    Options beside Confluent's: ``kms.aws.endpoint`` and ``kms.aws.sts.endpoint``, URLs in place of AWS's own.
    """

    scheme = SCHEME

    def client(self, uri: str, conf: Mapping[str, object]) -> AwsKmsClient:
        """See KmsDriver.

        Raises:
            KmsError: bad_key_id, missing_credentials, bad_kms_option, kms_sdk_missing.
        """
        with from_extra(SCHEME, "aws"):
            import boto3  # noqa: F401, PLC0415 - for botocore, which comes with it
        arn = uri.removeprefix(f"{SCHEME}://")
        parsed = _ARN.fullmatch(arn)
        if parsed is None:
            raise refusal(
                "bad_key_id", SCHEME, "a client", repr(arn[:200]), detail="it takes the ARN of a key or alias"
            )
        identity = AwsIdentity.of(conf)
        timeout = timeout_sec(conf)
        kms_endpoint, sts_endpoint = _endpoint(conf, _KMS_ENDPOINT), _endpoint(conf, _STS_ENDPOINT)

        def connect() -> Sdk:
            return Sdk(
                identity,
                region=parsed["region"],
                timeout_sec=timeout,
                kms_endpoint=kms_endpoint,
                sts_endpoint=sts_endpoint,
            )

        return AwsKmsClient(arn, connect)


def _endpoint(conf: Mapping[str, object], name: str) -> str | None:
    url = text(conf, name)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise KmsError("bad_kms_option", f"option {name} must be a URL that begins with https:// or http://")
    return url
