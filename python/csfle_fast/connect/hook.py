"""What a source and a sink have in common: settings, engines for keys and values, explain, stats."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Literal, Self

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import fork
from csfle_fast.connect.properties import read_properties
from csfle_fast.connect.registry_client import registry_client
from csfle_fast.connect.settings import ConnectorSettings, ConverterSettings
from csfle_fast.engine import Engine
from csfle_fast.explain import FieldPlan
from csfle_fast.mock import is_mock

__all__ = ["HOOK_METRICS", "Hook", "HookPlan"]

#: Counters that a hook adds to those of its engines.
HOOK_METRICS = {
    "connect_records": "records handed to the hook",
    "connect_records_failed": "records that failed, each with a DataException",
    "connect_dead_letters": "dead letters made",
    "connect_records_sealed": "records handed on with ciphertext (csfle.onFailure=NONE)",
    "connect_records_passed": "records from before the rule that passed unopened (read.plaintext=pass)",
}


@dataclass(frozen=True)
class HookPlan:
    """What a connector will do.

    Attributes:
        connector: its name.
        kind: ``source`` or ``sink``.
        csfle_enabled: whether encryption rules run.
        on_failure: ERROR or NONE.
        service_account: ``sr.service.account.id``, for the record: this package signs in with the
            credentials of the registry client.
        dead_letter_topic: where failed records go; None: nowhere.
        fields: what happens to each tagged field of the topic's latest schema.
        notes: sentences worth reading before the first record.
    """

    connector: str
    kind: Literal["source", "sink"]
    csfle_enabled: bool
    on_failure: str
    service_account: str | None
    dead_letter_topic: str | None
    fields: list[FieldPlan] = field(default_factory=list)
    notes: tuple[str, ...] = ()


class Hook:
    """The base of SourceHook and SinkHook. Safe to share between threads; a context manager.

    Args:
        config: a flat mapping of Confluent's connector properties; see docs/connector-settings.md.
        schema_registry_client: confluent-kafka's own client, for keys and values, instead of one made of
            the properties; it stays the caller's and is never closed here.

    Attributes:
        settings: the properties, parsed.
        schema_registry_client: what the schemas of values come from.

    Raises:
        ConfigError: (a ValueError) a property is missing, not allowed, or contradicts another.
    """

    kind: ClassVar[Literal["source", "sink"]]

    def __init__(
        self,
        config: Mapping[str, object],
        *,
        schema_registry_client: SchemaRegistryClient | None = None,
    ) -> None:
        self._log = logging.getLogger(f"csfle_fast.connect.{self.kind}")
        self.settings = ConnectorSettings.parse(
            config, self.kind, has_client=schema_registry_client is not None
        )
        for warning in self.settings.warnings:
            self._log.warning("%s: %s", self.settings.name, warning)
        self._own_clients: list[SchemaRegistryClient] = []
        self.schema_registry_client = schema_registry_client or self._client(self.settings.value)
        self._value_engine = _engine(self.settings.value, self.schema_registry_client)
        key = self.settings.key
        self._key_engine: Engine | None = None
        if key.format == "avro" and _engine_key(key) == _engine_key(self.settings.value):
            self._key_engine = self._value_engine
        elif key.format == "avro":
            self._key_engine = _engine(key, schema_registry_client or self._client(key))
        self._counts = dict.fromkeys(HOOK_METRICS, 0)
        self._lock = threading.Lock()
        fork.register(self)
        self._log.info(
            "%s: csfle.enabled=%s, csfle.onFailure=%s, service account %s, dead letters to %s",
            self.settings.name,
            str(self.settings.csfle_enabled).lower(),
            self.settings.value.on_failure,
            self.settings.service_account or "none",
            self.settings.dead_letter_topic or "none",
        )
        for note in self._notes():
            self._log.warning("%s: %s", self.settings.name, note)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, schema_registry_client: SchemaRegistryClient | None = None
    ) -> Self:
        """A hook by the properties in a file (``.properties``, or ``.json``).

        Raises:
            ConfigError: the file cannot be read, or a property is not allowed.
        """
        return cls(read_properties(path), schema_registry_client=schema_registry_client)

    def warm_up(self, topic: str) -> None:
        """Do now what the first batch would have to wait for: schemas, rules, KEKs, DEKs.

        Raises:
            CsfleError: the schema, a rule or a key cannot be had.
        """
        mode: Literal["WRITE", "READ"] = "WRITE" if self.kind == "source" else "READ"
        if self.settings.value.encrypts:
            self._value_engine.warm_up(topic, "value", mode)
        if self._key_engine is not None and self.settings.key.encrypts:
            self._key_engine.warm_up(topic, "key", mode)

    def explain(self, topic: str, part: Literal["key", "value"] = "value") -> HookPlan:
        """What would happen to each tagged field of the topic's latest schema, and why.

        Raises:
            CsfleError: the schema cannot be had, or a rule is not valid.
        """
        settings = self.settings
        engine = self._value_engine if part == "value" else self._key_engine
        return HookPlan(
            connector=settings.name,
            kind=self.kind,
            csfle_enabled=settings.csfle_enabled,
            on_failure=settings.value.on_failure,
            service_account=settings.service_account,
            dead_letter_topic=settings.dead_letter_topic,
            fields=engine.explain(topic, part) if engine is not None else [],
            notes=(*settings.warnings, *self._notes()),
        )

    def stats(self) -> dict[str, int]:
        """The counters of the engines, added up, and those of HOOK_METRICS."""
        stats = self._value_engine.stats()
        if self._key_engine is not None and self._key_engine is not self._value_engine:
            for name, count in self._key_engine.stats().items():
                stats[name] = stats.get(name, 0) + count
        with self._lock:
            return stats | self._counts

    def close(self) -> None:
        """Forget every key and close the registry clients that were made here."""
        self._value_engine.close()
        if self._key_engine is not None:
            self._key_engine.close()
        for client in self._own_clients:
            client.__exit__()
        self._own_clients.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reset_locks(self) -> None:
        """In a forked child: gives it a lock that no thread of its parent holds."""
        self._lock = threading.Lock()

    def _client(self, converter: ConverterSettings) -> SchemaRegistryClient:
        client = registry_client(converter)
        if not is_mock(client):  # those are shared
            self._own_clients.append(client)
        return client

    def _count(self, **counts: int) -> None:
        with self._lock:
            for name, count in counts.items():
                self._counts[f"connect_{name}"] += count

    def _notes(self) -> tuple[str, ...]:
        off = sorted(
            {
                name
                for converter in (self.settings.key, self.settings.value)
                for name, value in converter.conf.items()
                if converter.encrypts and name.startswith("rule.executors.") and value is True
            }
        )
        turned_off = (f"csfle.enabled is true, but rules are turned off: {', '.join(off)}",) if off else ()
        parts = [c.part for c in (self.settings.key, self.settings.value) if _leaves(c)]
        if not parts:
            return turned_off
        become = "written as plaintext" if self.kind == "source" else "left as they are on the wire"
        which = " and the ".join(parts)
        return (
            f"csfle.enabled is false for the {which}: no rule runs, tagged values are {become}",
            *turned_off,
        )


def _leaves(converter: ConverterSettings) -> bool:
    return converter.format == "avro" and not converter.encrypts


def _engine(converter: ConverterSettings, client: SchemaRegistryClient) -> Engine:
    return Engine(client, converter.rule_conf, converter.conf)


def _engine_key(converter: ConverterSettings) -> tuple[object, ...]:
    return dict(converter.registry), dict(converter.conf), dict(converter.rule_conf)
