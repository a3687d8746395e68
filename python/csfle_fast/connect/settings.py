"""The settings of a connector, parsed from Confluent's connector properties.

``csfle_fast.connect.table`` has every property with its default and meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from csfle_fast.connect.converters import ConverterSettings, converter_settings
from csfle_fast.connect.given import GivenProperties, Reading, read
from csfle_fast.connect.table import Kind
from csfle_fast.errors import ConfigError

__all__ = ["ConnectorSettings", "ConverterSettings"]

_DEAD_LETTERS = "errors.deadletterqueue."
_SERVERS = "bootstrap.servers"
_SWITCH = "rule.executors._ENCRYPT_.disabled"


@dataclass(frozen=True)
class ConnectorSettings:
    """The settings of a source or sink.

    Attributes:
        kind: which of the two.
        name: name of the connector.
        task_id: number of the task.
        service_account: service account that the registry's credentials belong to, None if not said.
        key: how keys are converted.
        value: how values are converted.
        csfle_enabled: ``csfle.enabled``, or whether a converter encrypts where that is not given.
        read_plaintext: what happens to plaintext from before a rule; ``error`` on a source.
        tolerance: ``all`` where the connector goes on after a record that failed.
        retry_timeout_sec: how long to try again, in seconds; infinity for ever.
        retry_delay_max_sec: longest pause between two tries, in seconds.
        dead_letter_topic: topic for consumed records that failed; None for none, and on a source.
        dead_letter_headers: whether dead letters say in headers where and why.
        dead_letter_replication_factor: replicas of that topic where it has to be created.
        log_errors: whether records that failed are logged.
        log_messages: whether the log says where they are.
        topics: topics of the connector.
        max_poll_records: most records in one batch.
        consumer: librdkafka's configuration of a consumer, as far as it is given.
        producer: librdkafka's configuration of a producer, likewise.
        warnings: properties without effect, in plain words.
    """

    kind: Kind
    name: str
    task_id: int
    service_account: str | None
    key: ConverterSettings
    value: ConverterSettings
    csfle_enabled: bool
    read_plaintext: Literal["error", "pass"]
    tolerance: Literal["none", "all"]
    retry_timeout_sec: float
    retry_delay_max_sec: float
    dead_letter_topic: str | None
    dead_letter_headers: bool
    dead_letter_replication_factor: int
    log_errors: bool
    log_messages: bool
    topics: tuple[str, ...]
    max_poll_records: int
    consumer: Mapping[str, Any] = field(repr=False)
    producer: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls, config: Mapping[str, object], kind: Literal["source", "sink"], *, has_client: bool = False
    ) -> ConnectorSettings:
        """Check a flat configuration and fill in the defaults.

        Args:
            config: Confluent's connector properties, as text or in their types. None is the same as absent.
            kind: what the connector is.
            has_client: whether a SchemaRegistryClient was handed in; the registry's properties are then
                not needed, and ignored with one warning.

        Raises:
            ConfigError: (a ValueError) a value is not allowed, or contradicts another; the message names
                the property, the reason and the fix, and quotes no value. A property that is not known is
                no error, but a warning.
        """
        if kind not in ("source", "sink"):
            raise ConfigError('kind must be "source" or "sink"')
        reading = read(config, kind, has_client=has_client)
        given = reading.connector
        key = converter_settings("key", kind, given, reading.key, has_client=has_client)
        value = converter_settings("value", kind, given, reading.value, has_client=has_client)
        timeout = given["errors.retry.timeout"]
        return cls(
            kind=kind,
            name=given["name"],
            task_id=given["task.id"],
            service_account=given["sr.service.account.id"],
            key=key,
            value=value,
            csfle_enabled=given["csfle.enabled"] or key.encrypts or value.encrypts,
            read_plaintext=given["read.plaintext"],
            tolerance=given["errors.tolerance"],
            retry_timeout_sec=float("inf") if timeout < 0 else timeout / 1_000,
            retry_delay_max_sec=given["errors.retry.delay.max.ms"] / 1_000,
            dead_letter_topic=_dead_letter_topic(given, kind),
            dead_letter_headers=given[f"{_DEAD_LETTERS}context.headers.enable"],
            dead_letter_replication_factor=given[f"{_DEAD_LETTERS}topic.replication.factor"],
            log_errors=given["errors.log.enable"],
            log_messages=given["errors.log.include.messages"],
            topics=given["topics"],
            max_poll_records=given["max.poll.records"],
            consumer=_client(given, "consumer"),
            producer=_client(given, "producer"),
            warnings=(*reading.warnings, *_not_encrypted(reading, key)),
        )


def _dead_letter_topic(given: GivenProperties, kind: Kind) -> str | None:
    name = f"{_DEAD_LETTERS}topic.name"
    if kind == "source":
        return None
    return str(given[name]).replace("${connector}", given["name"]) or None


def _client(given: GivenProperties, client: str) -> Mapping[str, Any]:
    servers = {_SERVERS: given[_SERVERS]} if _SERVERS in given else {}
    return MappingProxyType(servers | given.below(f"{client}.override."))


def _not_encrypted(reading: Reading, key: ConverterSettings) -> tuple[str, ...]:
    """Says so where somebody asks for the encryption of keys that have no schema."""
    name = reading.key.name_of(_SWITCH)
    asked = _SWITCH in reading.key and reading.key[_SWITCH] is False and name.startswith("key.")
    if key.format == "avro" or not asked:
        return ()
    return (f"{name} has no effect: keys are {key.format}, and only Avro is encrypted; see key.converter",)
