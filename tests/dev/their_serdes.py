"""confluent-kafka's serializer and deserializer with its encryption, unmodified."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from typing import Any, Self

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.serialization import MessageField, SerializationContext

from dev.samples import SECRET, rule

pytest.importorskip("tink", reason="confluent-kafka encrypts only with its rules extra")

from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import (
    EncryptionExecutor,
    FieldEncryptionExecutor,
)
from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import (
    LocalKmsDriver,
)

SUBJECT = "orders-value"
CONTEXT = SerializationContext("orders", MessageField.VALUE)
ROW = {"id": 1, "ssn": "123-45-6789"}


class Theirs:
    """Their serializer and deserializer over one registry, all clients their own.

    Args:
        settings: of their Schema Registry client.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        LocalKmsDriver.register()
        self._open = ExitStack()
        client = self._open.enter_context(SchemaRegistryClient(settings))
        rules = RuleRegistry()
        for executor in (FieldEncryptionExecutor(), EncryptionExecutor()):
            rules.register_executor(executor)
            self._open.callback(executor.close)
        latest = {"auto.register.schemas": False, "use.latest.version": True}
        secret = {"secret": SECRET}
        self._serializer = AvroSerializer(client, conf=latest, rule_conf=secret, rule_registry=rules)
        self._deserializer = AvroDeserializer(client, rule_conf=secret, rule_registry=rules)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def write(self, row: dict[str, Any]) -> bytes:
        """The frame of a row, which is left as it is."""
        frame = self._serializer(copy.deepcopy(row), CONTEXT)
        assert isinstance(frame, bytes)
        return frame

    def read(self, frame: bytes) -> Any:
        return self._deserializer(frame, CONTEXT)


def encrypting(algorithm: str = "AES256_GCM", **changes: Any) -> dict[str, Any]:
    """An ENCRYPT rule that fails loudly."""
    params = rule()["params"] | {"encrypt.dek.algorithm": algorithm} | changes.pop("params", {})
    return rule(**{"onFailure": "ERROR,ERROR", "params": params} | changes)
