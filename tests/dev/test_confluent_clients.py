"""confluent-kafka's Schema Registry client, unmodified, against the development registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.common.schema_registry_client import (
    AssociationCreateOrUpdateInfo,
    AssociationCreateOrUpdateRequest,
    ConfigCompatibilityLevel,
    ServerConfig,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError

from csfle_fast.dev import DevRegistry
from dev.samples import payload, rule

TOPIC = "orders"
SUBJECT = "orders-value"


@pytest.fixture
def client(registry: DevRegistry) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as connected:
        yield connected


def schema(**changes: Any) -> Schema:
    return Schema.from_dict(payload(**changes))


def test_registers_and_reads(registry: DevRegistry, client: SchemaRegistryClient) -> None:
    registered = client.register_schema_full_response(SUBJECT, schema())
    assert (registered.schema_id, registered.version) == (1, 1)
    with SchemaRegistryClient({"url": registry.url}) as cold:
        latest = cold.get_latest_version(SUBJECT)
        assert (latest.schema_id, latest.guid) == (1, registered.guid)
        assert latest.schema == cold.get_schema(1, SUBJECT) == cold.get_schema_by_guid(registered.guid or "")
        assert latest.schema.rule_set is not None
        assert cold.lookup_schema(SUBJECT, schema()).version == 1
        assert cold.get_version(SUBJECT, 1).guid == latest.guid
        assert cold.get_latest_with_metadata(SUBJECT, {"owner": "team"}).guid == latest.guid
        assert cold.get_subjects() == cold.get_subjects_by_schema_id(1) == [SUBJECT]
        assert [(v.subject, v.version) for v in cold.get_schema_versions(1)] == [(SUBJECT, 1)]
        assert cold.get_versions(SUBJECT) == [1]
        assert cold.get_schema_types() == ["AVRO"]
        assert cold.get_contexts() == ["."]


def test_a_new_rule_set_is_a_new_id(client: SchemaRegistryClient) -> None:
    assert client.register_schema(SUBJECT, schema()) == 1
    assert client.register_schema(SUBJECT, schema(ruleSet={"domainRules": [rule(name="two")]})) == 2


def test_references(client: SchemaRegistryClient) -> None:
    client.register_schema("e", Schema('{"type":"enum","name":"E","symbols":["A"]}', "AVRO"))
    outer = Schema(
        '{"type":"record","name":"R","fields":[{"name":"e","type":"E"}]}',
        "AVRO",
        [SchemaReference("E", "e", 1)],
    )
    schema_id = client.register_schema("r", outer)
    assert client.get_referenced_by("e", 1) == [schema_id]


def test_deletes(client: SchemaRegistryClient) -> None:
    client.register_schema(SUBJECT, schema())
    assert client.delete_version(SUBJECT, 1) == 1
    assert client.delete_version(SUBJECT, 1, permanent=True) == 1
    client.register_schema(SUBJECT, schema())
    assert client.delete_subject(SUBJECT) == [1]
    assert client.delete_subject(SUBJECT, permanent=True) == [1]
    with pytest.raises(SchemaRegistryError) as unknown:
        client.get_latest_version(SUBJECT)
    assert (unknown.value.http_status_code, unknown.value.error_code) == (404, 40401)


def test_config_and_mode(client: SchemaRegistryClient) -> None:
    client.set_config(SUBJECT, ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))
    assert client.get_config(SUBJECT).compatibility_level == ConfigCompatibilityLevel.FULL
    assert client.update_mode(SUBJECT, "READONLY") == "READONLY"
    assert (client.get_mode(SUBJECT), client.get_global_mode()) == ("READONLY", "READWRITE")
    assert client.delete_mode(SUBJECT) == "READONLY"


def test_associations(client: SchemaRegistryClient) -> None:
    assert client.get_associations_by_resource_name(TOPIC, "-", "topic", ["value"]) == []
    client.create_association(
        AssociationCreateOrUpdateRequest(
            resource_name=TOPIC,
            resource_id="id",
            associations=[AssociationCreateOrUpdateInfo(subject="other", association_type="value")],
        )
    )
    found = client.get_associations_by_resource_name(TOPIC, "-", "topic", ["value"])
    assert [a.subject for a in found] == ["other"]
    client.delete_associations("id")
    assert client.get_associations_by_resource_name(TOPIC, "-", "topic", ["value"]) == []


def test_retries_over_a_fault(registry: DevRegistry, client: SchemaRegistryClient) -> None:
    fault = registry.faults.add("GET", "/subjects", status=503, count=1)
    assert client.get_subjects() == []
    assert fault.hits == 1
