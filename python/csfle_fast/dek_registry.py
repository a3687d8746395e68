"""The DEK registry: KEKs and DEKs as they are stored, one request per call and no cache.

confluent-kafka's own DEK client keeps every answer for ever, the newest DEK version included,
so its caches cannot be used here. Its HTTP transport can: requests go through the user's
SchemaRegistryClient, hence with the same addresses, authentication, TLS and retries.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rules.encryption.dek_registry.dek_registry_client import DekAlgorithm
from confluent_kafka.schema_registry.rules.encryption.dek_registry.mock_dek_registry_client import (
    MockDekRegistryClient,
)

from csfle_fast.mock import is_mock, mock_dek_client
from csfle_fast.registry_answers import is_number
from csfle_fast.registry_errors import bad_answer, status_of, use_kek
from csfle_fast.registry_requests import RegistryRequests

__all__ = ["LATEST", "Dek", "DekRegistry", "Kek", "dek_registry"]

T = TypeVar("T")

#: Asks for the newest DEK version.
LATEST = -1
_BASE = "dek-registry/v1/keks"
#: Times are 64 bits wide.
_LATEST_MS = 2**63 - 1


@dataclass(frozen=True)
class Kek:
    """A KEK's entry.

    Attributes:
        name: its name.
        kms_type: type of its KMS, ``local-kms`` and the like.
        kms_key_id: id of its key there.
        kms_props: options for the KMS driver; not shown, because credentials may be among them.
        shared: whether the registry calls the KMS itself and hands out unwrapped DEKs.
    """

    name: str
    kms_type: str
    kms_key_id: str
    kms_props: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    shared: bool = False


@dataclass(frozen=True)
class Dek:
    """One DEK version.

    Attributes:
        version: its number, from 1.
        algorithm: AES128_GCM, AES256_GCM or AES256_SIV.
        wrapped: what the KMS made of it; None where the registry has no material.
        unwrapped: the serialised key, given for shared KEKs only; never shown.
        created_ms: when it was made, by the registry's clock, in milliseconds since 1970.
    """

    version: int
    algorithm: str
    wrapped: bytes | None
    unwrapped: bytes | None = field(repr=False, compare=False)
    created_ms: int


class DekRegistry(Protocol):
    """What the key service needs. A 404 gives None on reading, a 409 on creating, but for too_many_keys."""

    @property
    def requests(self) -> int:
        """Requests made so far."""

    def get_kek(self, name: str, context: str | None, deleted: bool) -> Kek | None:
        """The KEK of that name; soft-deleted ones only with ``deleted``."""

    def create_kek(self, name: str, context: str | None, kms_type: str, kms_key_id: str) -> Kek | None:
        """Register a KEK that is not shared; None when somebody else did."""

    def get_dek(self, kek: str, subject: str, algorithm: str, version: int, deleted: bool) -> Dek | None:
        """A DEK version (from 1, or LATEST); soft-deleted ones only with ``deleted``."""

    def create_dek(
        self, kek: str, subject: str, algorithm: str, version: int, wrapped: bytes | None
    ) -> Dek | None:
        """Register a DEK version; without ``wrapped`` the registry makes the key. None when it exists."""

    def reset_locks(self) -> None:
        """In a forked child: replaces every lock."""


def dek_registry(client: SchemaRegistryClient) -> DekRegistry:
    """The DEK registry that lives beside the Schema Registry of ``client``."""
    if is_mock(client):
        return _MockDekRegistry(mock_dek_client(client))
    return _HttpDekRegistry(client)


class _Store:
    """What both kinds of registry have."""

    def __init__(self) -> None:
        self._requests = RegistryRequests()

    @property
    def requests(self) -> int:
        return self._requests.made

    def reset_locks(self) -> None:
        self._requests.reset_locks()


class _HttpDekRegistry(_Store):
    def __init__(self, client: SchemaRegistryClient) -> None:
        super().__init__()
        # Not public, but the only way to the user's connections; confluent-kafka has no uncached DEK call.
        self._http: Any = client._rest_client  # noqa: SLF001

    def get_kek(self, name: str, context: str | None, deleted: bool) -> Kek | None:
        query: dict[str, object] = {"deleted": deleted} | ({} if context is None else {"context": context})
        path = f"{_BASE}/{_quoted(name)}"
        what = f"Kek:{name}"
        needs = use_kek(name, writing=False)
        return self._requests.ask_unless(404, what, lambda: _kek(self._http.get(path, query), what), needs)

    def create_kek(self, name: str, context: str | None, kms_type: str, kms_key_id: str) -> Kek | None:
        body = {"name": name, "kmsType": kms_type, "kmsKeyId": kms_key_id, "shared": False}
        path = _BASE if context is None else f"{_BASE}?context={_quoted(context)}"
        what = f"Kek:{name} (to be created)"
        needs = use_kek(name, writing=True)
        return self._requests.ask_unless(409, what, lambda: _kek(self._http.post(path, body), what), needs)

    def get_dek(self, kek: str, subject: str, algorithm: str, version: int, deleted: bool) -> Dek | None:
        path = f"{_BASE}/{_quoted(kek)}/deks/{_quoted(subject)}/versions/{version}"
        query = {"algorithm": algorithm, "deleted": deleted}
        what = _dek_name(kek, subject, version)
        return self._requests.ask_unless(
            404,
            what,
            lambda: _dek(self._http.get(path, query), what, algorithm, version),
            use_kek(kek, writing=False),
        )

    def create_dek(
        self, kek: str, subject: str, algorithm: str, version: int, wrapped: bytes | None
    ) -> Dek | None:
        body: dict[str, object] = {"subject": subject, "version": version, "algorithm": algorithm}
        if wrapped is not None:
            body["encryptedKeyMaterial"] = base64.b64encode(wrapped).decode()
        what = f"{_dek_name(kek, subject, version)} (to be created)"
        return self._requests.ask_unless(
            409,
            what,
            lambda: _dek(self._post_dek(kek, subject, body), what, algorithm, version),
            use_kek(kek, writing=True),
        )

    def _post_dek(self, kek: str, subject: str, body: dict[str, object]) -> object:
        path = f"{_BASE}/{_quoted(kek)}/deks"
        try:
            return self._http.post(f"{path}/{_quoted(subject)}", body)
        except Exception as error:
            if status_of(error) != 405:
                raise
        # A registry from before the subject was part of the path.
        self._requests.count()
        return self._http.post(path, body)


class _MockDekRegistry(_Store):
    """confluent-kafka's in-memory store; it has no soft delete, no shared KEKs and no conflicts."""

    def __init__(self, client: MockDekRegistryClient) -> None:
        super().__init__()
        self._client = client

    def get_kek(self, name: str, context: str | None, deleted: bool) -> Kek | None:
        what = f"Kek:{name}"
        return self._requests.ask_unless(
            404, what, lambda: _kek(self._client.get_kek(name, False, context).to_dict(), what)
        )

    def create_kek(self, name: str, context: str | None, kms_type: str, kms_key_id: str) -> Kek | None:
        what = f"Kek:{name} (to be created)"

        def create() -> Kek:
            return _kek(
                self._client.register_kek(name, kms_type, kms_key_id, context=context).to_dict(), what
            )

        return self._requests.ask_unless(409, what, create)

    def get_dek(self, kek: str, subject: str, algorithm: str, version: int, deleted: bool) -> Dek | None:
        what = _dek_name(kek, subject, version)

        def get() -> Dek:
            found = self._client.get_dek(kek, subject, DekAlgorithm(algorithm), version)
            return _dek(found.to_dict(), what, algorithm, version)

        return self._requests.ask_unless(404, what, get)

    def create_dek(
        self, kek: str, subject: str, algorithm: str, version: int, wrapped: bytes | None
    ) -> Dek | None:
        what = f"{_dek_name(kek, subject, version)} (to be created)"
        material: Any = None if wrapped is None else base64.b64encode(wrapped).decode()

        def create() -> Dek:
            made = self._client.register_dek(kek, subject, material, DekAlgorithm(algorithm), version)
            return _dek(made.to_dict(), what, algorithm, version)

        return self._requests.ask_unless(409, what, create)


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _dek_name(kek: str, subject: str, version: int) -> str:
    return f"DEK {'latest' if version == LATEST else version} of subject {subject} under Kek:{kek}"


def _kek(answer: object, what: str) -> Kek:
    entry = _object(answer, what)
    props = entry.get("kmsProps") or {}
    name, kms_type, kms_key_id = (entry.get(key) for key in ("name", "kmsType", "kmsKeyId"))
    if not (isinstance(name, str) and isinstance(kms_type, str) and isinstance(kms_key_id, str)):
        raise bad_answer(what, "name, kmsType or kmsKeyId missing")
    if not isinstance(props, dict) or not all(isinstance(value, str) for value in props.values()):
        raise bad_answer(what, "kmsProps is not a map of text")
    return Kek(name, kms_type, kms_key_id, props, entry.get("shared") is True)


def _dek(answer: object, what: str, algorithm: str, version: int) -> Dek:
    entry = _object(answer, what)
    number, made = entry.get("version"), entry.get("ts") or 0
    if not is_number(number) or number < 1 or version not in (LATEST, number):
        raise bad_answer(what, "another version than asked for")
    if entry.get("algorithm", algorithm) != algorithm:
        raise bad_answer(what, "another algorithm than asked for")
    if not isinstance(made, int) or not 0 <= made <= _LATEST_MS:
        raise bad_answer(what, "ts is not a number")
    return Dek(
        number,
        algorithm,
        _material(entry, "encryptedKeyMaterial", what),
        _material(entry, "keyMaterial", what),
        made,
    )


def _object(answer: object, what: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise bad_answer(what, "not a JSON object")
    return answer


def _material(entry: Mapping[str, object], key: str, what: str) -> bytes | None:
    text = entry.get(key)
    if not text:
        return None
    with contextlib.suppress(binascii.Error, ValueError):
        return base64.b64decode(str(text), validate=True)
    # Raised out here: the foreign exception quotes the material.
    raise bad_answer(what, f"{key} is not base64")
