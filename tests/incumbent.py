"""One subject through confluent-kafka's own serializer and deserializer: what ours is compared with."""

from __future__ import annotations

import copy
import io
import json
import uuid
from collections.abc import Mapping
from typing import Any

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import FieldEncryptionExecutor
from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import LocalKmsDriver
from confluent_kafka.serialization import MessageField, SerializationContext

from csfle_fast import Engine

# Tink keeps one KMS client a URI for the whole process, so all tests share one local-kms secret.
SECRET = "the secret of the tests"
KEK = "tests-kek"
TOPIC = "t"
SUBJECT = "t-value"


def encrypt_rule(**changes: Any) -> dict[str, Any]:
    """An ENCRYPT rule for the tag PII, as a registry returns it; ``changes`` replaces keys."""
    rule: dict[str, Any] = {
        "name": "encryptPII",
        "kind": "TRANSFORM",
        "type": "ENCRYPT",
        "mode": "WRITEREAD",
        "tags": ["PII"],
        "params": {
            "encrypt.kek.name": KEK,
            "encrypt.kms.type": "local-kms",
            "encrypt.kms.key.id": "tests-key",
            "encrypt.dek.algorithm": "AES256_GCM",
        },
    }
    return rule | changes


def register(
    registry: SchemaRegistryClient,
    schema: str,
    rules: list[dict[str, Any]],
    metadata: dict[str, Any] | None = None,
    subject: str = SUBJECT,
) -> int:
    """Register a schema with its rules; returns the schema id."""
    body = {"schema": schema, "schemaType": "AVRO", "ruleSet": {"domainRules": rules}, "metadata": metadata}
    return int(registry.register_schema(subject, Schema.from_dict(copy.deepcopy(body))))


def mock_registry() -> SchemaRegistryClient:
    """An empty registry in this process, with an address of its own."""
    return SchemaRegistryClient.new_client({"url": f"mock://{uuid.uuid4().hex}"})


class Incumbent:
    """confluent-kafka's serializer and deserializer for one topic, with executors of their own.

    Attributes:
        executor: the field encryption executor; its DEK registry client is ``executor.executor.client``.
    """

    def __init__(self, registry: SchemaRegistryClient, topic: str = TOPIC) -> None:
        LocalKmsDriver.register()
        self.executor = FieldEncryptionExecutor()
        rules = RuleRegistry()
        rules.register_executor(self.executor)
        rule_conf = {"secret": SECRET}
        self._context = SerializationContext(topic, MessageField.VALUE)
        self._serializer = AvroSerializer(
            registry,
            conf={"auto.register.schemas": False, "use.latest.version": True},
            rule_conf=rule_conf,
            rule_registry=rules,
        )
        self._deserializer = AvroDeserializer(registry, rule_conf=rule_conf, rule_registry=rules)

    def close(self) -> None:
        """Close the connections to the DEK registry; those to the Schema Registry belong to the caller."""
        self.executor.close()

    def serialize(self, row: Any) -> bytes:
        """The frame of one row. Like theirs, it may change ``row``."""
        frame = self._serializer(row, self._context)
        assert isinstance(frame, bytes)
        return frame

    def deserialize(self, frame: bytes) -> Any:
        """The row of one frame."""
        return self._deserializer(frame, self._context)


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    """A record schema."""
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, kind: Any, *tags: str, **more: Any) -> dict[str, Any]:
    """A field of a record schema, with its tags."""
    return {"name": name, "type": kind} | ({"confluent:tags": list(tags)} if tags else {}) | more


class Subject:
    """One schema with its rules in one registry, for confluent-kafka and for csfle_fast.

    Attributes:
        registry: the client of the registry that both use.
        schema_id: of the registered schema.
        theirs: confluent-kafka's serializer and deserializer.
    """

    def __init__(
        self, schema: dict[str, Any], *rules: dict[str, Any], registry: SchemaRegistryClient | None = None
    ) -> None:
        self.registry = registry or mock_registry()
        self.schema_id = register(self.registry, json.dumps(schema), list(rules) or [encrypt_rule()])
        self.theirs = Incumbent(self.registry)
        self._schema = fastavro.parse_schema(schema)

    def engine(self, conf: Mapping[str, object] | None = None) -> Engine:
        """A new engine of ours on the same registry; to be used as a context manager."""
        return Engine(self.registry, rule_conf={"secret": SECRET}, conf=conf)

    def frame(self, body: bytes) -> bytes:
        """A frame with this subject's schema id around an Avro body."""
        return b"\x00" + self.schema_id.to_bytes(4, "big") + body

    def frame_of(self, row: Any) -> bytes:
        """A frame whose fields hold exactly what ``row`` says, without any rule."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._schema, row)
        return self.frame(out.getvalue())

    def on_the_wire(self, frame: bytes | None) -> Any:
        """The row of a frame as it stands there, without any rule."""
        assert frame is not None
        return fastavro.schemaless_reader(io.BytesIO(frame[5:]), self._schema, None)
