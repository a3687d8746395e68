"""A Schema Registry over HTTP with our Registry on it: what the tests of the Registry stand on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from csfle_fast.dev import DevRegistry
from csfle_fast.errors import RegistryError
from csfle_fast.registry import Registry
from csfle_fast.settings import Settings
from manual_clock import ManualClock

SUBJECT = "t-value"


@pytest.fixture
def http() -> Iterator[DevRegistry]:
    with DevRegistry() as registry:
        yield registry


@pytest.fixture
def client(http: DevRegistry) -> Iterator[SchemaRegistryClient]:
    """A plain client: its cache of latest versions never expires."""
    with SchemaRegistryClient({"url": http.url, "max.retries": 0}) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ours(client: SchemaRegistryClient, clock: ManualClock) -> Registry:
    return Registry(client, settings=Settings(), clock=clock)


def record(*fields: str, name: str = "R", field_type: str = "string") -> str:
    return json.dumps(
        {
            "type": "record",
            "name": name,
            "fields": [{"name": f, "type": field_type, "default": ""} for f in fields],
        }
    )


def put(client: SchemaRegistryClient, schema: str, subject: str = SUBJECT, **more: Any) -> int:
    body = {"schema": schema, "schemaType": "AVRO"} | more
    return int(client.register_schema(subject, Schema.from_dict(body)))


def foreign(ours: Registry, schema_id: int, subject: str = SUBJECT) -> bool:
    """Whether the id is refused as none of the subject's."""
    with pytest.raises(RegistryError, match=f"{schema_id} .* {subject}") as caught:
        ours.member(subject, schema_id)
    return caught.value.code == "foreign_schema_id"
