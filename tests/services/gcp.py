"""A stand-in for Google Cloud KMS: gRPC over TLS, with the SDK's own messages and real AES-GCM.

It does what Google's documentation and published error reports say, as we read them. A test against it shows
that a client agrees with the official SDK and with that reading; it does not show what Google does.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

import google.auth.jwt
import google_crc32c
import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1
from google.protobuf import any_pb2  # type: ignore[import-untyped]
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from services.certificates import Certificates
from services.ports import LOOPBACK, free_ports

SERVICE = "google.cloud.kms.v1.KeyManagementService"
AUDIENCE = "https://cloudkms.googleapis.com/"
SCOPES = {
    "https://www.googleapis.com/auth/cloudkms",
    "https://www.googleapis.com/auth/cloud-platform",
}
LOCATIONS = {"global", "europe-west3", "us-east1"}
HOLD_SECONDS = 30.0
_VERSION_SIZE = 4
_NONCE_SIZE = 12
_TAG_SIZE = 16
_Status = grpc.StatusCode


@dataclass(frozen=True)
class Account:
    """A service account with one key.

    Attributes:
        email: its name.
        key_id: of its key.
        private_key: in PEM.
    """

    email: str
    key_id: str
    private_key: str = field(repr=False)

    def settings(self) -> dict[str, object]:
        """As Confluent's clients are given it."""
        return {
            "account.type": "service_account",
            "client.id": "1234567890",
            "client.email": self.email,
            "private.key.id": self.key_id,
            "private.key": self.private_key,
        }

    def file(self) -> dict[str, str]:
        """As Google writes it into a file."""
        return {
            "type": "service_account",
            "project_id": "p",
            "client_id": "1234567890",
            "client_email": self.email,
            "private_key_id": self.key_id,
            "private_key": self.private_key,
            "token_uri": "https://oauth2.googleapis.com/token",
        }


def make_account(email: str) -> Account:
    """An account that no stand-in knows yet; a name has the same key for the whole run."""
    return Account(email, f"key-of-{email}", _private_key(email))


class Call(NamedTuple):
    """What was asked, and by whom."""

    operation: str
    key_id: str
    email: str
    peer: str
    metadata: dict[str, str]


@dataclass
class _Version:
    key: AESGCM = field(default_factory=lambda: AESGCM(AESGCM.generate_key(256)))
    state: str = "ENABLED"


class Refused(Exception):
    """A call ends with a status."""

    def __init__(self, status: grpc.StatusCode, words: str, *details: Any) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.details = details


class GcpKms:
    """Serves on loopback, as a context manager; what was put there is gone with it.

    Attributes:
        port: of ``localhost`` and of 127.0.0.1.
        endpoint: what clients are given.
        calls: those that came with a token that is accepted, in order.
        spoiled: names of fields of answers that are sent wrong.
    """

    def __init__(self, certificates: Certificates) -> None:
        (self.port,) = free_ports(1)
        self.endpoint = f"localhost:{self.port}"
        self.calls: list[Call] = []
        self.spoiled: set[str] = set()
        self._credentials = grpc.ssl_server_credentials(
            [(certificates.server.key.read_bytes(), certificates.server.certificate.read_bytes())]
        )
        self._keys: dict[str, list[_Version]] = {}
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[str, str] = {}
        self._permissions: dict[str, set[str]] = {}
        self._failures: list[Refused] = []
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Serve; may be called again after ``stop``."""
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="gcp-kms")
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        handlers = {
            "Encrypt": _handler(self._served(self._encrypt), kms_v1.EncryptRequest, kms_v1.EncryptResponse),
            "Decrypt": _handler(self._served(self._decrypt), kms_v1.DecryptRequest, kms_v1.DecryptResponse),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self._server.add_secure_port(f"{LOOPBACK}:{self.port}", self._credentials)
        self._server.start()

    def stop(self) -> None:
        """Cut all connections and listen no more."""
        stopped = self._server.stop(0)
        self._go.set()
        stopped.wait()
        self._pool.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def account(self, email: str, operations: Iterable[str] = ("Encrypt", "Decrypt")) -> Account:
        """Let a service account do ``operations`` with every key."""
        account = make_account(email)
        self._accounts[email] = account
        self._permissions[email] = set(operations)
        return account

    def accept(self, token: str, email: str) -> None:
        """Take an access token that a token service gave out, as being of an account."""
        self._tokens[token] = email

    def create_key(self, key_id: str) -> None:
        """A CryptoKey with its first version."""
        self._keys[key_id] = [_Version()]

    def rotate(self, key_id: str) -> None:
        """Add a version, the primary from now on."""
        self._keys[key_id].append(_Version())

    def set_state(self, key_id: str, version: int, state: str) -> None:
        """Put a version into a state: ENABLED, DISABLED, DESTROY_SCHEDULED, DESTROYED."""
        self._keys[key_id][version - 1].state = state

    def fail(self, status: grpc.StatusCode, words: str, *details: Any, times: int = 1) -> None:
        """End the next calls with a status, and with messages of google.rpc beside it."""
        self._failures += [Refused(status, words, *details)] * times

    def hold(self) -> None:
        """Answer nobody until ``stop``."""
        self._go.clear()

    def _served(self, answer: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        def serve(request: Any, context: Any) -> Any:
            try:
                self._admit(request, context)
                return answer(request)
            except Refused as refused:
                status = _status(refused)
            context.abort_with_status(rpc_status.to_status(status))
            raise AssertionError("abort_with_status returned")

        return serve

    def _admit(self, request: Any, context: Any) -> None:
        """Who asks, whether that is allowed, and what was ordered to happen instead."""
        operation = type(request).__name__.removesuffix("Request")
        metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        email = self._email(metadata.get("authorization", "").removeprefix("Bearer "))
        if email is None:
            raise Refused(_Status.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        with self._lock:
            self.calls.append(Call(operation, request.name, email, context.peer(), metadata))
            if self._failures:
                raise self._failures.pop(0)
        if not self._go.is_set():
            self._go.wait(HOLD_SECONDS)
            raise Refused(_Status.UNAVAILABLE, "The service was stopped.")
        location = request.name.split("/")[3]
        routed = parse_qs(metadata.get("x-goog-request-params", "")).get("name")
        if location not in LOCATIONS or routed != [request.name]:
            raise Refused(
                _Status.NOT_FOUND,
                f"The request concerns location '{location}' but was sent to location 'global'.",
            )
        if operation not in self._permissions[email]:
            permission = f"cloudkms.cryptoKeyVersions.useTo{operation}"
            raise Refused(
                _Status.PERMISSION_DENIED,
                f"Permission '{permission}' denied on resource '{request.name}' (or it may not exist).",
                error_details_pb2.ErrorInfo(reason="IAM_PERMISSION_DENIED", domain="cloudkms.googleapis.com"),
            )
        if request.name not in self._keys:
            raise Refused(_Status.NOT_FOUND, f"CryptoKey {request.name} not found.")

    def _email(self, token: str) -> str | None:
        """Whose token it is; None where it is not accepted."""
        if token in self._tokens:
            return self._tokens[token]
        try:
            claims = google.auth.jwt.decode(token, verify=False)  # type: ignore[no-untyped-call]
            account = self._accounts[claims["iss"]]
            claims = google.auth.jwt.decode(token, _public_key(account.email))  # type: ignore[no-untyped-call]
        except (ValueError, KeyError):
            return None
        meant = claims.get("aud") == AUDIENCE or SCOPES & set(claims.get("scope", "").split())
        return account.email if meant and claims["sub"] == account.email else None

    def _encrypt(self, request: Any) -> Any:
        versions = self._keys[request.name]
        _want(request.plaintext, request.plaintext_crc32c, "plaintext")
        version = _enabled(request.name, len(versions), versions[-1])
        nonce = os.urandom(_NONCE_SIZE)
        sealed = version.key.encrypt(nonce, request.plaintext, request.additional_authenticated_data)
        ciphertext = len(versions).to_bytes(_VERSION_SIZE) + nonce + sealed
        name = f"{request.name}/cryptoKeyVersions/{len(versions)}"
        return kms_v1.EncryptResponse(
            name=name.replace("/cryptoKeys/", "/cryptoKeys/not-") if "name" in self.spoiled else name,
            ciphertext=ciphertext,
            ciphertext_crc32c=self._checksum("ciphertext_crc32c", ciphertext),
            verified_plaintext_crc32c=request.plaintext_crc32c is not None
            and "verified_plaintext_crc32c" not in self.spoiled,
        )

    def _decrypt(self, request: Any) -> Any:
        versions = self._keys[request.name]
        _want(request.ciphertext, request.ciphertext_crc32c, "ciphertext")
        number = int.from_bytes(request.ciphertext[:_VERSION_SIZE])
        body = request.ciphertext[_VERSION_SIZE:]
        nonce, sealed = body[:_NONCE_SIZE], body[_NONCE_SIZE:]
        refused = Refused(
            _Status.INVALID_ARGUMENT, "Decryption failed: verify that 'name' refers to the correct CryptoKey."
        )
        if not 0 < number <= len(versions) or len(sealed) < _TAG_SIZE:
            raise refused
        version = _enabled(request.name, number, versions[number - 1])
        try:
            plaintext = version.key.decrypt(nonce, sealed, request.additional_authenticated_data)
        except InvalidTag:
            raise refused from None
        return kms_v1.DecryptResponse(
            plaintext=plaintext,
            plaintext_crc32c=self._checksum("plaintext_crc32c", plaintext),
            used_primary=number == len(versions),
        )

    def _checksum(self, name: str, data: bytes) -> int:
        checksum: int = google_crc32c.value(data)
        return checksum ^ (name in self.spoiled)


def retry_after(seconds: float) -> Any:
    """What google.rpc has beside a status that asks for fewer calls."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(round(seconds * 1000))
    return info


def _handler(serve: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        serve, request_deserializer=request.deserialize, response_serializer=response.serialize
    )


def _status(refused: Refused) -> Any:
    status = status_pb2.Status(code=refused.status.value[0], message=refused.words)
    for detail in refused.details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _want(data: bytes, checksum: int | None, name: str) -> None:
    if checksum is not None and checksum != google_crc32c.value(data):
        raise Refused(
            _Status.INVALID_ARGUMENT, f"The checksum in field {name}_crc32c did not match the data."
        )


def _enabled(key_id: str, number: int, version: _Version) -> _Version:
    if version.state != "ENABLED":
        name = f"{key_id}/cryptoKeyVersions/{number}"
        violation = error_details_pb2.PreconditionFailure.Violation(type=f"KEY_{version.state}", subject=name)
        raise Refused(
            _Status.FAILED_PRECONDITION,
            f"{name} is not enabled, current state is: {version.state}.",
            error_details_pb2.PreconditionFailure(violations=[violation]),
        )
    return version


@functools.cache
def _private_key(email: str) -> str:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


@functools.cache
def _public_key(email: str) -> bytes:
    key = serialization.load_pem_private_key(_private_key(email).encode(), password=None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
