"""The DEK registry over HTTP and in memory: paths, answers, refusals."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rules.encryption.dek_registry.dek_registry_client import (
    DekAlgorithm,
    DekRegistryClient,
)

from csfle_fast.dek_registry import LATEST, Dek, DekRegistry, dek_registry
from csfle_fast.dev import DevRegistry
from csfle_fast.errors import RegistryError
from csfle_fast.mock import mock_dek_client

ALGORITHM = "AES256_GCM"
SECRET = "s"


@pytest.fixture
def http() -> Iterator[DevRegistry]:
    with DevRegistry(secret=SECRET) as registry:
        yield registry


@pytest.fixture
def over_http(http: DevRegistry) -> Iterator[DekRegistry]:
    with SchemaRegistryClient({"url": http.url, "max.retries": 0}) as client:
        yield dek_registry(client)


def mock_client() -> SchemaRegistryClient:
    return SchemaRegistryClient.new_client({"url": f"mock://{uuid.uuid4().hex}"})


@pytest.fixture(params=["http", "mock"])
def registry(request: pytest.FixtureRequest) -> DekRegistry:
    if request.param == "mock":
        return dek_registry(mock_client())
    found: DekRegistry = request.getfixturevalue("over_http")
    return found


def test_keks_and_deks_are_made_and_found(registry: DekRegistry) -> None:
    assert registry.get_kek("k", None, deleted=False) is None
    made = registry.create_kek("k", None, "local-kms", "key")
    assert made is not None
    assert (made.name, made.kms_type, made.kms_key_id, made.shared) == ("k", "local-kms", "key", False)
    assert registry.get_kek("k", None, deleted=False) == made
    assert registry.get_dek("k", "s", ALGORITHM, 1, deleted=False) is None
    assert registry.get_dek("k", "s", ALGORITHM, LATEST, deleted=False) is None
    for version in (1, 2):
        dek = registry.create_dek("k", "s", ALGORITHM, version, b"wrapped%d" % version)
        assert dek is not None
        assert (dek.version, dek.wrapped, dek.unwrapped) == (version, b"wrapped%d" % version, None)
        assert dek.created_ms > 1_700_000_000_000
    for version, found in ((1, 1), (2, 2), (LATEST, 2)):
        dek = registry.get_dek("k", "s", ALGORITHM, version, deleted=False)
        assert dek is not None
        assert dek.version == found
    assert registry.get_dek("k", "s", "AES256_SIV", 1, deleted=False) is None
    assert registry.requests == 11


def test_what_exists_is_a_conflict(over_http: DekRegistry) -> None:
    over_http.create_kek("k", None, "local-kms", "key")
    assert over_http.create_kek("k", None, "local-kms", "other") is None
    over_http.create_dek("k", "s", ALGORITHM, 1, b"wrapped")
    assert over_http.create_dek("k", "s", ALGORITHM, 1, b"other") is None


def test_a_registry_that_is_full_is_no_conflict(http: DevRegistry, over_http: DekRegistry) -> None:
    http.faults.add("POST", "/keks", status=409, body={"error_code": 40972, "message": "Too many keys"})
    with pytest.raises(RegistryError, match="Kek:k") as caught:
        over_http.create_kek("k", None, "local-kms", "key")
    assert caught.value.code == "too_many_keys"
    with pytest.raises(RegistryError, match="DEK 1 of subject s under Kek:k") as caught:
        over_http.create_dek("k", "s", ALGORITHM, 1, b"wrapped")
    assert caught.value.code == "too_many_keys"
    assert caught.value.__context__ is None


def test_deleted_ones_are_found_only_when_asked_for(http: DevRegistry, over_http: DekRegistry) -> None:
    over_http.create_kek("k", None, "local-kms", "key")
    over_http.create_dek("k", "s", ALGORITHM, 1, b"wrapped")
    http.deks.delete("k", "s")
    http.keks.delete("k")
    assert over_http.get_kek("k", None, deleted=False) is None
    assert over_http.get_dek("k", "s", ALGORITHM, 1, deleted=False) is None
    assert over_http.get_kek("k", None, deleted=True) is not None
    assert over_http.get_dek("k", "s", ALGORITHM, 1, deleted=True) is not None


def test_a_context_goes_with_the_kek_and_the_subject_is_one_part_of_the_path(
    http: DevRegistry, over_http: DekRegistry
) -> None:
    subject = ":.ctx:a/b c?d-value"
    over_http.create_kek("k", ".ctx", "local-kms", "key")
    assert over_http.get_kek("k", None, deleted=False) is None
    assert over_http.get_kek("k", ".ctx", deleted=False) is not None
    over_http.create_dek("k", subject, ALGORITHM, 1, b"wrapped")
    assert over_http.get_dek("k", subject, ALGORITHM, 1, deleted=False) is not None
    # DekRegistryClient has no other way to the same entry than its own quoting.
    with DekRegistryClient({"url": http.url}) as theirs:
        assert theirs.get_dek("k", subject).get_encrypted_key_material_bytes() == b"wrapped"
        assert theirs.get_kek("k", context=".ctx").kms_key_id == "key"


def test_an_old_registry_takes_deks_without_the_subject_in_the_path(
    http: DevRegistry, over_http: DekRegistry
) -> None:
    over_http.create_kek("k", None, "local-kms", "key")
    http.faults.add("POST", "/deks/s$", status=405)
    made = over_http.create_dek("k", "s", ALGORITHM, 1, b"wrapped")
    assert made is not None
    assert made.version == 1
    assert [r.path for r in http.requests][-2:] == [
        "/dek-registry/v1/keks/k/deks/s",
        "/dek-registry/v1/keks/k/deks",
    ]
    assert over_http.requests == 3


def test_a_shared_kek_gives_the_key_which_is_not_shown(http: DevRegistry, over_http: DekRegistry) -> None:
    http.keks.put({"name": "k", "kmsType": "local-kms", "kmsKeyId": "key", "shared": True})
    kek = over_http.get_kek("k", None, deleted=False)
    assert kek is not None
    assert kek.shared
    made = over_http.create_dek("k", "s", ALGORITHM, 1, None)
    assert made is not None
    assert made.unwrapped is not None
    assert made.unwrapped[:2] == b"\x1a\x20"
    assert repr(made.unwrapped) not in repr(made)
    assert "unwrapped" not in repr(made)


@pytest.mark.parametrize(
    ("status", "number", "code"),
    [
        (401, 401, "unauthorized"),
        (403, 403, "forbidden"),
        (403, 40370, "dek_generation_forbidden"),
        (409, 40972, "too_many_keys"),
        (422, 42271, "rejected"),
        (500, 50070, "dek_generation_failed"),
        (503, 50301, "registry_failed"),
    ],
)
def test_a_refusal_names_kek_and_subject_and_nothing_of_the_answer(
    http: DevRegistry, over_http: DekRegistry, status: int, number: int, code: str
) -> None:
    body = {"error_code": number, "message": "quotes a value"}
    http.faults.add("GET", "/dek-registry/", status=status, body=body)
    with pytest.raises(RegistryError, match="Kek:k") as caught:
        over_http.get_kek("k", None, deleted=False)
    assert caught.value.code == code
    with pytest.raises(RegistryError, match="subject s under Kek:k") as caught:
        over_http.get_dek("k", "s", ALGORITHM, 1, deleted=False)
    assert "quotes" not in str(caught.value)
    assert caught.value.__context__ is None


GOOD_KEK = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "key"}
GOOD_DEK = {"version": 1, "algorithm": ALGORITHM, "ts": 1, "encryptedKeyMaterial": "AAAA"}


@pytest.mark.parametrize(
    "answer",
    [{}, GOOD_KEK | {"kmsType": None}, GOOD_KEK | {"kmsProps": [1]}, GOOD_KEK | {"kmsProps": {"a": 1}}],
)
def test_a_kek_that_cannot_be_used(http: DevRegistry, over_http: DekRegistry, answer: dict[str, Any]) -> None:
    http.faults.add("GET", "/keks/", status=200, body=answer)
    with pytest.raises(RegistryError) as caught:
        over_http.get_kek("k", None, deleted=False)
    assert caught.value.code == "bad_answer"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": 0},
        {"version": "1"},
        {"algorithm": "AES256_SIV"},
        {"ts": "now"},
        {"encryptedKeyMaterial": "no base64!"},
        {"keyMaterial": "no base64!"},
    ],
)
def test_a_dek_that_cannot_be_used(http: DevRegistry, over_http: DekRegistry, change: dict[str, Any]) -> None:
    http.faults.add("GET", "/keks/", status=200, body=GOOD_DEK | change)
    with pytest.raises(RegistryError) as caught:
        over_http.get_dek("k", "s", ALGORITHM, 1, deleted=False)
    assert caught.value.code == "bad_answer"


def test_a_dek_without_material_is_answered_as_such(http: DevRegistry, over_http: DekRegistry) -> None:
    http.faults.add("GET", "/keks/", status=200, body=GOOD_DEK | {"encryptedKeyMaterial": ""})
    assert over_http.get_dek("k", "s", ALGORITHM, 1, deleted=False) == Dek(1, ALGORITHM, None, None, 1)


def test_deks_that_they_put_into_the_mock_are_read() -> None:
    client = mock_client()
    store = mock_dek_client(client)
    store.register_kek("k", "local-kms", "key")
    store.register_dek("k", "s", base64.b64encode(b"wrapped").decode(), DekAlgorithm.AES128_GCM)
    found = dek_registry(client).get_dek("k", "s", "AES128_GCM", 1, deleted=True)
    assert found is not None
    assert found.wrapped == b"wrapped"
