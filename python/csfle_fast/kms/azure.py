"""Azure Key Vault: KEKs that are RSA keys.

A key id is ``https://<vault>/keys/<name>``, with or without ``/<version>``. DEKs are wrapped by the operation
encrypt with RSA-OAEP-256, as all of Confluent's clients do it.

The SDK's CryptographyClient gets the public key once and then encrypts without asking anybody: with a key
that was disabled since, and for a caller whose right was taken away. So each operation is one request here,
sent through the SDK's KeyClient. The answer also tells which version has encrypted.
"""

from __future__ import annotations

import base64
import binascii
import functools
import logging
import re
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, cast

from csfle_fast.errors import KmsError
from csfle_fast.kms.azure_credentials import SCHEME, NoToken, TokenSource, token_source
from csfle_fast.kms.azure_failures import Failure, of_exception, of_vault_answer
from csfle_fast.kms.options import flag, timeout_sec
from csfle_fast.kms.refusal import refusal
from csfle_fast.kms.sdk import from_extra

__all__ = ["AzureKmsClient", "AzureKmsDriver"]

_logger = logging.getLogger(__name__)

_SAVE_VERSION = "encrypt.azure.key.version.save"
_VERIFY_RESOURCE = "kms.azure.verify.challenge.resource"
_ALGORITHM = "RSA-OAEP-256"

_VERSION = r"[0-9A-Fa-f]{32}"
_KEY_ID = re.compile(
    rf"(?P<vault>https://[A-Za-z0-9.-]+(?::(?P<port>[0-9]{{1,5}}))?)/keys/(?P<name>[A-Za-z0-9-]{{1,127}})"
    rf"(?:/(?P<version>{_VERSION}))?/?"
)
_MAX_PORT = 65535
_KID = re.compile(rf"https://[^/]+/keys/[^/]+/({_VERSION})")
# In front of the ciphertext, where the version is kept with it.
_PREFIX = b"azure:v1:"
_VERSIONED = re.compile(rb"azure:v1:([0-9A-Fa-f]{32}):(.*)", re.DOTALL)


class _Key(NamedTuple):
    """A key id and its parts."""

    key_id: str
    vault: str
    name: str
    version: str | None


class AzureKmsClient:
    """One key of a vault, or one version of it.

    Args:
        key: the key.
        connect: makes a KeyClient of the SDK. Each is used by one thread at a time, because two of them could
            take the token from each other when it is refused; so there are as many as threads at once.
        tokens: what those clients sign in with.
        saves_version: whether ``wrap`` keeps the key's version with the ciphertext.
        verifies: whether those clients compare the vault with what it wants a token for.
    """

    def __init__(
        self,
        key: _Key,
        connect: Callable[[], Any],
        tokens: TokenSource,
        *,
        saves_version: bool,
        verifies: bool,
    ) -> None:
        self._key = key
        self._connect = connect
        self._tokens = tokens
        self._saves_version = saves_version
        self._verifies = verifies
        self._idle: list[Any] = []  # only touched by single operations, which need no lock
        self._closed = False
        self._warned = saves_version or key.version is not None

    def wrap(self, plaintext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: see ``csfle_fast.kms.refusal``.
        """
        if not self._warned:
            self._warned = True
            _logger.warning(
                "Key id %s names no version and %s is not set: when the key is rotated, the DEKs that it has "
                "wrapped can no longer be unwrapped",
                self._key.key_id,
                _SAVE_VERSION,
            )
        ciphertext, used = self._operate("encrypt", self._key.version, plaintext)
        if not self._saves_version:
            return ciphertext
        version = self._key.version or used
        if version is None:
            raise self._refusal(
                Failure("kms_failed", "the answer does not tell the key's version"), "encrypt"
            )
        return _PREFIX + version.encode() + b":" + ciphertext

    def unwrap(self, ciphertext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: see ``csfle_fast.kms.refusal``.
        """
        version = self._key.version
        if ciphertext.startswith(_PREFIX):
            parts = _VERSIONED.fullmatch(ciphertext)
            if parts is None:
                raise self._refusal(Failure("unwrap_refused", "no key version behind azure:v1:"), "decrypt")
            version, ciphertext = parts[1].decode(), parts[2]
        return self._operate("decrypt", version, ciphertext)[0]

    def close(self) -> None:
        """See KmsClient."""
        self._closed = True
        self._close_idle()
        self._tokens.close()

    def _operate(self, operation: str, version: str | None, value: bytes) -> tuple[bytes, str | None]:
        """The value of the answer, and the key's version that it names."""
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - loaded by the driver

        path = "/".join(part for part in ("/keys", self._key.name, version, operation) if part)
        sent = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
        answer = self._send(operation, HttpRequest("POST", path, json={"alg": _ALGORITHM, "value": sent}))
        if answer.status_code != HTTPStatus.OK:
            failure = of_vault_answer(answer, decrypts=operation == "decrypt")
            if failure.code == "unwrap_refused" and version is None:
                hint = "neither key id nor DEK name a version, and the current one may be too new"
                failure = failure._replace(detail=f"{failure.detail}; {hint}")
            raise self._refusal(failure, operation)
        result = _result(answer)
        if result is None:
            raise self._refusal(Failure("kms_failed", "the answer is not that of a key vault"), operation)
        return result

    def _send(self, operation: str, request: Any) -> Any:
        of_answer = functools.partial(of_vault_answer, decrypts=operation == "decrypt")
        before = sys.exception()
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._connect()
        try:
            return client.send_request(request)
        except NoToken as stopped:
            failure = stopped.failure
        except Exception as error:  # noqa: BLE001 - its text may quote what was sent
            failure = of_exception(error, of_answer, before)
            if self._verifies and type(error) is ValueError:
                hint = f"the vault wants a token for another domain than its own, see {_VERIFY_RESOURCE}"
                failure = Failure("kms_wrong_location", hint)
        finally:
            self._idle.append(client)
            if self._closed:
                self._close_idle()
        raise self._refusal(failure, operation)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _refusal(self, failure: Failure, operation: str) -> KmsError:
        return refusal(
            failure.code,
            SCHEME,
            operation,
            self._key.key_id,
            detail=failure.detail,
            principal=failure.principal,
            retry_after=failure.retry_after,
        )


class AzureKmsDriver:
    """Makes clients for key ids of Key Vault and Managed HSM."""

    scheme = SCHEME

    def client(self, uri: str, conf: Mapping[str, object]) -> AzureKmsClient:
        """See KmsDriver. Nothing is sent yet.

        Raises:
            KmsError: bad_key_id, missing_credentials, bad_kms_option, kms_sdk_missing.
        """
        key = _parse(uri.removeprefix(f"{SCHEME}://"))
        saves_version = flag(conf, _SAVE_VERSION)
        verifies = conf.get(_VERIFY_RESOURCE) is None or flag(conf, _VERIFY_RESOURCE)
        tokens = token_source(conf, key.key_id)
        with from_extra(SCHEME, "azure"):
            from azure.keyvault.keys import KeyClient  # noqa: PLC0415
        timeout = timeout_sec(conf)
        connect = functools.partial(
            KeyClient,
            vault_url=key.vault,
            credential=cast("Any", tokens),
            connection_timeout=timeout,
            read_timeout=timeout,
            retry_total=0,
            permit_redirects=False,
            verify_challenge_resource=verifies,
        )
        return AzureKmsClient(key, connect, tokens, saves_version=saves_version, verifies=verifies)


def _parse(key_id: str) -> _Key:
    parts = _KEY_ID.fullmatch(key_id)
    if parts is None or int(parts["port"] or 0) > _MAX_PORT:
        # Not quoted: a password may stand in it.
        form = "https://<vault>/keys/<name>, and /<version> if need be, which has 32 hexadecimal digits"
        raise KmsError("bad_key_id", f"{SCHEME}: the key id is not of the form {form}")
    return _Key(key_id, parts["vault"], parts["name"], parts["version"])


def _result(answer: Any) -> tuple[bytes, str | None] | None:
    """Value and version that an answer has; None where it has no value."""
    try:
        told = answer.json()
        value = told["value"]
        found = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        kid = _KID.fullmatch(str(told.get("kid")))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, binascii.Error):
        return None
    return (found, kid[1] if kid else None) if found else None
