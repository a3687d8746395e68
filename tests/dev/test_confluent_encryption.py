"""confluent-kafka's encryption, unmodified, against the development registry."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.rules.encryption.dek_registry.dek_registry_client import (
    DekAlgorithm,
    DekRegistryClient,
)

from csfle_fast.dev import DevRegistry
from dev.samples import payload
from dev.their_serdes import ROW, SUBJECT, Theirs, encrypting


def write(registry: DevRegistry, row: dict[str, Any]) -> bytes:
    """Written by a client that knows nothing yet."""
    with Theirs({"url": registry.url}) as theirs:
        return theirs.write(row)


def read(registry: DevRegistry, *frames: bytes) -> list[Any]:
    """Read by a client that knows nothing yet."""
    with Theirs({"url": registry.url}) as theirs:
        return [theirs.read(frame) for frame in frames]


@pytest.mark.parametrize("algorithm", ["AES128_GCM", "AES256_GCM", "AES256_SIV"])
def test_each_algorithm(registry: DevRegistry, algorithm: str) -> None:
    registry.store.register(SUBJECT, payload(ruleSet={"domainRules": [encrypting(algorithm)]}), schema_id=77)
    frame = write(registry, ROW)
    assert struct.unpack(">bI", frame[:5]) == (0, 77)
    assert b"123-45" not in frame
    assert read(registry, frame) == [ROW]
    assert registry.deks.versions("k", SUBJECT, algorithm) == [1]


def test_no_request_once_warm(registry: DevRegistry) -> None:
    registry.store.register(SUBJECT, payload(ruleSet={"domainRules": [encrypting()]}))
    with Theirs({"url": registry.url}) as theirs:
        theirs.read(theirs.write(ROW))
        assert registry.requests != []
        registry.clear_requests()
        assert theirs.read(theirs.write(ROW)) == ROW
    assert registry.requests == []


def test_rotation_with_a_moved_clock(registry: DevRegistry) -> None:
    rules = {"domainRules": [encrypting(params={"encrypt.dek.expiry.days": "1"})]}
    registry.store.register(SUBJECT, payload(ruleSet=rules))
    registry.clock.advance(days=-2)
    first = write(registry, ROW)
    registry.clock.reset()
    frames = [first, write(registry, ROW), write(registry, ROW)]
    assert registry.deks.versions("k", SUBJECT) == [1, 2]
    assert [dek_version(frame) for frame in frames] == [1, 2, 2]
    assert read(registry, *frames) == [ROW] * 3


def dek_version(frame: bytes) -> int:
    """The version in front of the sealed value of ``ssn``: after the frame, ``id`` and a length."""
    sealed = base64.b64decode(frame[5 + 1 + 1 :])
    return int(struct.unpack(">bI", sealed[:5])[1])


def test_a_shared_kek(registry: DevRegistry) -> None:
    kek = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": True}
    registry.keks.create(kek, test_sharing=True)
    registry.store.register(SUBJECT, payload(ruleSet={"domainRules": [encrypting()]}))
    frame = write(registry, ROW)
    assert read(registry, frame) == [ROW]
    assert registry.deks.get("k", SUBJECT)["keyMaterial"]


def test_a_payload_rule(registry: DevRegistry) -> None:
    rules = {"encodingRules": [encrypting(type="ENCRYPT_PAYLOAD", tags=None)]}
    registry.store.register(SUBJECT, payload(ruleSet=rules))
    frame = write(registry, ROW)
    assert b"123-45" not in frame
    assert read(registry, frame) == [ROW]


def test_references(registry: DevRegistry) -> None:
    person = {
        "type": "record",
        "name": "Person",
        "namespace": "com.ref",
        "fields": [{"name": "ssn", "type": "string", "confluent:tags": ["PII"]}],
    }
    outer = {"type": "record", "name": "Order", "fields": [{"name": "who", "type": "com.ref.Person"}]}
    registry.store.register("person", {"schema": json.dumps(person)})
    registry.store.register(
        SUBJECT,
        {
            "schema": json.dumps(outer),
            "references": [{"name": "com.ref.Person", "subject": "person", "version": 1}],
            "ruleSet": {"domainRules": [encrypting()]},
        },
    )
    row = {"who": {"ssn": "123-45-6789"}}
    frame = write(registry, row)
    assert b"123-45" not in frame
    assert read(registry, frame) == [row]


def test_the_subject_of_an_association(registry: DevRegistry) -> None:
    registry.store.register("elsewhere", payload(ruleSet={"domainRules": [encrypting()]}))
    item = {"subject": "elsewhere", "associationType": "value"}
    registry.associations.create({"resourceName": "orders", "resourceId": "id", "associations": [item]})
    assert read(registry, write(registry, ROW)) == [ROW]
    assert registry.deks.subjects("k") == ["elsewhere"]


def test_dek_registry_client(registry: DevRegistry) -> None:
    with DekRegistryClient({"url": registry.url}) as client, DekRegistryClient({"url": registry.url}) as cold:
        assert client.register_kek("k", "local-kms", "mykey").kms_key_id == "mykey"
        assert client.register_kek("k", "local-kms", "in-ctx", context=".ctx").kms_key_id == "in-ctx"
        dek = client.register_dek("k", SUBJECT, "AAAA", DekAlgorithm.AES256_SIV, 1)
        assert (dek.subject, dek.version, dek.key_material) == (SUBJECT, 1, None)
        assert cold.get_kek("k").kms_key_id == "mykey"
        assert cold.get_kek("k", context=".ctx").kms_key_id == "in-ctx"
        assert cold.get_dek("k", SUBJECT, DekAlgorithm.AES256_SIV, -1).encrypted_key_material == "AAAA"
        with pytest.raises(SchemaRegistryError) as unknown:
            cold.get_dek("k", SUBJECT, DekAlgorithm.AES128_GCM)
        assert (unknown.value.http_status_code, unknown.value.error_code) == (404, 40470)
        with pytest.raises(SchemaRegistryError) as taken:
            cold.register_dek("k", SUBJECT, "BBBB", DekAlgorithm.AES256_SIV, 1)
        assert (taken.value.http_status_code, taken.value.error_code) == (409, 40971)
