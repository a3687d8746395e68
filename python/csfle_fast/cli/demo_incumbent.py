"""confluent-kafka's own AvroSerializer and AvroDeserializer with its encryption rules, for comparison.

Needs ``confluent-kafka[avro,rules]``, which brings tink and the SDKs of the cloud services.
"""

from __future__ import annotations

import copy
import importlib.util
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.serialization import MessageField, SerializationContext

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Incumbent", "copies", "missing"]


def missing() -> str | None:
    """Why the comparison cannot run, or None where it can."""
    for module in ("fastavro", "hkdf", "requests", "tink"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: pip install 'confluent-kafka[avro,rules]'"
    return None


def copies(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows to hand to its serializer, which overwrites them with ciphertext.

    One by one: a copy of the whole list would leave a row that stands in it twice one object,
    to be encrypted twice.
    """
    return [copy.deepcopy(row) for row in rows]


class Incumbent:
    """The two serializers for one topic, with a rule registry and an executor of their own.

    The executor that confluent-kafka registers for the whole process refuses a second registry.
    As a context manager it closes the executor's connections; the client stays the caller's.
    """

    def __init__(self, client: SchemaRegistryClient, topic: str, secret: str) -> None:
        from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer  # noqa: PLC0415
        from confluent_kafka.schema_registry.rule_registry import RuleRegistry  # noqa: PLC0415
        from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import (  # noqa: PLC0415
            FieldEncryptionExecutor,
        )
        from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import (  # noqa: PLC0415
            LocalKmsDriver,
        )

        LocalKmsDriver.register()
        rules = RuleRegistry()
        self._executor = FieldEncryptionExecutor()
        rules.register_executor(self._executor)
        self._context = SerializationContext(topic, MessageField.VALUE)
        self._serializer = AvroSerializer(
            client,
            conf={"auto.register.schemas": False, "use.latest.version": True},
            rule_conf={"secret": secret},
            rule_registry=rules,
        )
        self._deserializer = AvroDeserializer(client, rule_conf={"secret": secret}, rule_registry=rules)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._executor.close()

    def serialize(self, rows: Iterable[dict[str, Any]]) -> list[bytes]:
        """Frames of the rows. The rows are overwritten with ciphertext: hand in ``copies``."""
        serializer, context = self._serializer, self._context
        return [serializer(row, context) for row in rows]

    def deserialize(self, frames: Iterable[bytes]) -> list[Any]:
        """Rows of the frames."""
        deserializer, context = self._deserializer, self._context
        return [deserializer(frame, context) for frame in frames]
