"""The Schema Registry: subjects, their latest version with its rules, and writer schemas by id or GUID.

Everything goes through confluent-kafka's own client (real or ``mock://``), so addresses,
authentication, TLS and retries are the user's. What this room adds is a TTL that is real,
one request per key at a time, bounds, and a memory for what does not exist, so that ids
from the wire cannot be turned into a stream of requests.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.common.schema_registry_client import RegisteredSchema, Schema

from csfle_fast.cache import LoadingCache
from csfle_fast.errors import ConfigError, RegistryError, SchemaError
from csfle_fast.mock import is_mock
from csfle_fast.references import resolve_references
from csfle_fast.refresher import Refresher
from csfle_fast.registry_answers import check_registered, check_schema
from csfle_fast.registry_errors import NOT_FOUND, read_subject
from csfle_fast.registry_requests import RegistryRequests
from csfle_fast.rules import RuleSet, parse_rule_set
from csfle_fast.settings import Settings
from csfle_fast.subjects import SubjectNames

__all__ = ["Registry", "Version"]

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """One schema as the registry knows it, with all that decides what happens to its fields.

    Attributes:
        subject: the subject under which it was asked for.
        schema_id: its id; None when it was found by GUID and is not the subject's latest.
        guid: its GUID in text form; None where the registry does not tell.
        version: its number in the subject; None where it was found by id or GUID alone.
        schema: the schema, JSON text.
        references: the schemas that it refers to, JSON texts, dependencies first, each once.
        metadata_tags: pattern of a field's full name -> tags.
        metadata_properties: parameters for rules that do not set them themselves.
        rule_set: its rules, unfiltered.
    """

    subject: str
    schema_id: int | None
    guid: str | None
    version: int | None
    schema: str
    references: tuple[str, ...] = ()
    metadata_tags: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    metadata_properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    rule_set: RuleSet = field(default_factory=RuleSet)


class Registry:
    """The schemas of one registry. Safe to share between threads.

    Args:
        client: confluent-kafka's SchemaRegistryClient; it stays the user's and is never closed here.
        settings: cache sizes, TTLs and the subject name strategy.
        clock: monotonic seconds.
        refresher: asks again for latest versions ahead of time; None asks when they are over.

    Raises:
        ConfigError: ``client`` is not such a client.
    """

    def __init__(
        self,
        client: SchemaRegistryClient,
        *,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        refresher: Refresher | None = None,
    ) -> None:
        if not isinstance(client, SchemaRegistryClient):
            raise ConfigError(
                "schema_registry_client must be a confluent_kafka.schema_registry.SchemaRegistryClient"
            )
        self._client = client
        self._requests = RegistryRequests()
        size, missing = settings.schema_cache_size, settings.missing_cache_ttl_sec
        self._latest: LoadingCache[str, Version] = LoadingCache(
            size=size,
            ttl=settings.latest_cache_ttl_sec,
            stale=settings.stale_if_error_sec,
            missing_ttl=missing,
            clock=clock,
            refresher=refresher,
        )
        # What an id or a GUID names never changes, so only the bound ends the life of these.
        self._by_id: LoadingCache[tuple[str, int], Version] = LoadingCache(
            size=size, ttl=float("inf"), missing_ttl=missing, clock=clock
        )
        self._by_guid: LoadingCache[tuple[str, bytes], Version] = LoadingCache(
            size=size, ttl=float("inf"), missing_ttl=missing, clock=clock
        )
        self._members: LoadingCache[tuple[str, int], Version] = LoadingCache(
            size=size, ttl=float("inf"), missing_ttl=missing, clock=clock
        )
        self._names = SubjectNames(client, settings, self._requests.ask, clock, refresher)

    @property
    def requests(self) -> int:
        """Calls of the client so far, each of which may cost HTTP requests."""
        return self._requests.made

    @property
    def bridged(self) -> int:
        """Questions that failed in an outage while an older answer went on serving."""
        return self._latest.bridged + self._names.bridged

    def subject(self, topic: str, field: str = "value", record_name: str | None = None) -> str:
        """The subject of a topic's keys or values, by the strategy of the settings.

        Args:
            topic: name of the topic.
            field: ``"key"`` or ``"value"``.
            record_name: full name of the record, which the strategies RECORD and TOPIC_RECORD need.

        Raises:
            ConfigError: the strategy needs a record name, or gives no subject.
            RegistryError: ambiguous_subject, several associations; or the registry cannot be asked.
        """
        return self.subject_until(topic, field, record_name)[0]

    def subject_until(
        self, topic: str, field: str = "value", record_name: str | None = None
    ) -> tuple[str, float]:
        """As ``subject``, with the monotonic seconds from which to ask again.

        That is infinity where the name follows from the arguments alone.

        Raises:
            ConfigError: as for ``subject``.
            RegistryError: as for ``subject``.
        """
        return self._names.subject_until(topic, field, record_name)

    def latest(self, subject: str) -> Version:
        """The subject's latest version, never older than ``latest.cache.ttl.sec`` while the registry answers.

        Raises:
            RegistryError: unknown_subject, unreachable, unauthorized, ...
            SchemaError: it is not an Avro schema, or its references do not resolve.
        """
        return self.latest_until(subject)[0]

    def latest_until(self, subject: str) -> tuple[Version, float]:
        """As ``latest``, with the monotonic seconds from which to ask again.

        Raises:
            RegistryError: as for ``latest``.
            SchemaError: as for ``latest``.
        """
        return self._latest.get_until(subject, lambda: self._load_latest(subject))

    def by_id(self, schema_id: int, subject: str) -> Version:
        """The schema with that id, in the context of ``subject``.

        Raises:
            RegistryError: unknown_schema_id, unreachable, unauthorized, ...
            SchemaError: as for ``latest``.
        """
        return self._by_id.get((subject, schema_id), lambda: self._load_by_id(schema_id, subject))

    def by_guid(self, guid: bytes, subject: str) -> Version:
        """The schema with that GUID (16 bytes, as in a frame).

        Raises:
            RegistryError: unknown_schema_guid, unreachable, unauthorized, ...
            SchemaError: as for ``latest``.
        """
        return self._by_guid.get((subject, guid), lambda: self._load_by_guid(guid, subject))

    def refused_until(self, name: int | bytes, subject: str) -> float | None:
        """Up to when a failure of ``by_id`` or ``by_guid`` is remembered; None where none is."""
        if isinstance(name, bytes):
            return self._by_guid.refused_until((subject, name))
        return self._by_id.refused_until((subject, name))

    def member(self, subject: str, schema_id: int) -> Version:
        """The version of ``subject`` that has that id, with its number and GUID.

        Raises:
            RegistryError: foreign_schema_id, the id is not one of the subject's versions; others as above.
            SchemaError: as for ``latest``.
        """
        return self._members.get((subject, schema_id), lambda: self._load_member(subject, schema_id))

    def reset_locks(self) -> None:
        """To be called in a forked child: replaces every lock."""
        self._requests.reset_locks()
        for cache in (self._latest, self._by_id, self._by_guid, self._members):
            cache.reset_locks()
        self._names.reset_locks()

    def _find(self, subject: str, what: str, call: Callable[[], T], missing: RegistryError) -> T:
        """As ``RegistryRequests.ask``; where the registry does not have that, ``missing`` is raised."""
        try:
            return self._requests.ask(what, call, read_subject(subject))
        except RegistryError as error:
            if error.code not in NOT_FOUND:
                raise
        raise missing

    def _load_latest(self, subject: str) -> Version:
        what = f"latest version of subject {subject}"
        # get_version("latest") is the one call that the client never answers from a cache;
        # its get_latest_version keeps the first answer for ever unless it was told otherwise.
        found = self._find(
            subject,
            what,
            lambda: self._client.get_version(subject, "latest"),
            RegistryError("unknown_subject", f"subject {subject} is not in the registry"),
        )
        return self._registered(found, subject, what)

    def _load_by_id(self, schema_id: int, subject: str) -> Version:
        for known in (self._latest.peek(subject), self._members.peek((subject, schema_id))):
            if known is not None and known.schema_id == schema_id:
                return known
        what = f"schema id {schema_id} (subject {subject})"
        found = self._find(
            subject,
            what,
            lambda: self._client.get_schema(schema_id, subject),
            RegistryError("unknown_schema_id", f"schema id {schema_id} is not in the registry"),
        )
        return self._version(found, subject, what, schema_id=schema_id)

    def _load_by_guid(self, guid: bytes, subject: str) -> Version:
        text = str(uuid.UUID(bytes=guid))
        known = self._latest.peek(subject)
        if known is not None and known.guid is not None and known.guid.lower() == text:
            return known
        what = f"schema GUID {text}"
        found = self._find(
            subject,
            what,
            lambda: self._client.get_schema_by_guid(text),
            RegistryError("unknown_schema_guid", f"{what} is not in the registry"),
        )
        return self._version(found, subject, what, guid=text)

    def _load_member(self, subject: str, schema_id: int) -> Version:
        latest = self.latest(subject)
        if latest.schema_id == schema_id:
            return latest
        for number in self._candidates(subject, schema_id):
            one = f"version {number} of subject {subject}"
            found = self._numbered(one, subject, number)
            if found.schema_id == schema_id:
                return self._registered(found, subject, one)
        raise RegistryError(
            "foreign_schema_id", f"schema id {schema_id} is not a version of subject {subject}"
        )

    def _candidates(self, subject: str, schema_id: int) -> list[int]:
        """Numbers of the subject's versions that may have the id."""
        if not is_mock(self._client):  # its class inherits the call, and would make it over HTTP
            what = f"versions of schema id {schema_id} in subject {subject}"
            try:
                return self._requests.ask(
                    what, lambda: self._numbers_of(schema_id, subject), read_subject(subject)
                )
            except RegistryError as error:
                if error.code == "unknown_schema":
                    return []
                if error.code not in NOT_FOUND:
                    raise
        # A registry that does not have that call is asked for each version, newest first: who pins a
        # schema pins a recent one.
        what = f"versions of subject {subject}"
        return self._requests.ask(
            what, lambda: sorted(self._client.get_versions(subject), reverse=True), read_subject(subject)
        )

    def _numbers_of(self, schema_id: int, subject: str) -> list[int]:
        """Numbers of the subject's versions that have the id."""
        wanted = _without_context(subject)
        pairs = self._client.get_schema_versions(schema_id, subject)
        return [
            pair.version for pair in pairs if pair.version and _without_context(pair.subject or "") == wanted
        ]

    def _numbered(self, what: str, subject: str, number: int, *, deleted: bool = False) -> RegisteredSchema:
        return self._requests.ask(
            what, lambda: self._client.get_version(subject, number, deleted), read_subject(subject)
        )

    def _registered(self, found: RegisteredSchema, subject: str, what: str) -> Version:
        check_registered(found, what)
        return self._version(
            found.schema, subject, what, schema_id=found.schema_id, guid=found.guid, number=found.version
        )

    def _version(
        self,
        schema: Schema,
        subject: str,
        what: str,
        *,
        schema_id: int | None = None,
        guid: str | None = None,
        number: int | None = None,
    ) -> Version:
        text = _avro_text(schema, what)
        metadata = schema.metadata
        tags = metadata.tags.tags if metadata is not None and metadata.tags is not None else None
        properties = (
            metadata.properties.properties
            if metadata is not None and metadata.properties is not None
            else None
        )
        return Version(
            subject=subject,
            schema_id=schema_id,
            guid=guid,
            version=number,
            schema=text,
            references=resolve_references(schema, subject, self._fetch_reference),
            metadata_tags=MappingProxyType({name: tuple(found) for name, found in (tags or {}).items()}),
            metadata_properties=MappingProxyType(dict(properties or {})),
            rule_set=parse_rule_set(schema.rule_set),
        )

    def _fetch_reference(self, subject: str, number: int) -> Schema:
        what = f"version {number} of subject {subject} (a schema reference)"
        # deleted=True: a schema that is referred to stays readable after a soft delete.
        schema = self._numbered(what, subject, number, deleted=True).schema
        _avro_text(schema, what)
        return schema


def _without_context(subject: str) -> str:
    # A registry may qualify the name that it was asked for without a context, as one of a context's URL does.
    return subject.split(":", 2)[2] if subject.startswith(":.") and subject.count(":") > 1 else subject


def _avro_text(schema: Schema, what: str) -> str:
    check_schema(schema, what)
    if schema.schema_type not in (None, "", "AVRO"):
        raise SchemaError("not_avro", f"{what}: schema type {schema.schema_type} is not AVRO")
    return schema.schema_str or ""
