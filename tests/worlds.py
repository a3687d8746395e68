"""A development registry over HTTP with engines on it: what the tests of the Engine stand on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import Engine
from csfle_fast.dev import DevRegistry, Registered
from incumbent import KEK, SECRET, SUBJECT, encrypt_rule, field, record
from wire import unwrap

FLAT = record(
    field("id", "long"),
    field("v", "string", "PII"),
    field("note", "string"),
    field("w", ["null", "bytes"], "PII"),
)
"""Two tagged fields of the two types, beside and around untagged ones."""


def flat(number: int, text: str | None = None) -> dict[str, Any]:
    """A row of FLAT."""
    return {
        "id": number,
        "v": f"secret {number}" if text is None else text,
        "note": f"note {number}",
        "w": b"bytes %d" % number if number % 2 else None,
    }


def rule(algorithm: str = "AES256_GCM", days: int = 0, kek: str = KEK, **changes: Any) -> dict[str, Any]:
    """An ENCRYPT rule for the tag PII with these parameters; ``changes`` replaces its keys."""
    params = {
        "encrypt.kek.name": kek,
        "encrypt.kms.type": "local-kms",
        "encrypt.kms.key.id": "tests-key",
        "encrypt.dek.algorithm": algorithm,
    }
    if days:
        params["encrypt.dek.expiry.days"] = str(days)
    return encrypt_rule(params=params) | changes


def payload_rule(
    algorithm: str = "AES256_GCM", days: int = 0, kek: str = KEK, **changes: Any
) -> dict[str, Any]:
    """An ENCRYPT_PAYLOAD rule, for the encoding rules."""
    return rule(algorithm, days, kek, name="payload", type="ENCRYPT_PAYLOAD", tags=None) | changes


def encode(schema: Any, row: Any) -> bytes:
    """The Avro body of a row, by fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def decode(schema: Any, body: bytes) -> Any:
    """The row of an Avro body, by fastavro."""
    return fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(schema), None)


def framed(schema_id: int, body: bytes) -> bytes:
    """A body behind its schema id."""
    return b"\x00" + schema_id.to_bytes(4, "big") + body


class World:
    """One registry, and any number of engines on it, each with a client of its own.

    Attributes:
        http: the registry.
    """

    def __init__(self, http: DevRegistry, stack: ExitStack) -> None:
        self.http = http
        self._stack = stack

    def client(self) -> SchemaRegistryClient:
        """A cold client, as another process would have."""
        client = SchemaRegistryClient({"url": self.http.url, "max.retries": 0})
        self._stack.enter_context(client)
        return client

    def engine(
        self, conf: Mapping[str, object] | None = None, rule_conf: Mapping[str, object] | None = None
    ) -> Engine:
        """A cold engine, closed at the end of the test."""
        secret = {"secret": SECRET} if rule_conf is None else rule_conf
        return self._stack.enter_context(Engine(self.client(), rule_conf=secret, conf=conf))

    def put(
        self,
        schema: Any = FLAT,
        *rules: dict[str, Any],
        subject: str = SUBJECT,
        encoding: Sequence[dict[str, Any]] = (),
        metadata: dict[str, Any] | None = None,
        references: Sequence[dict[str, Any]] = (),
        enable_at: str | None = None,
        schema_id: int | None = None,
    ) -> Registered:
        """Register a version with exactly these rules."""
        payload = {
            "schema": json.dumps(schema),
            "metadata": metadata or {},
            "references": list(references),
            "ruleSet": {"domainRules": list(rules), "encodingRules": list(encoding), "enableAt": enable_at},
        }
        return self.http.store.register(subject, payload, schema_id=schema_id)

    def key(
        self, kek: str = KEK, subject: str = SUBJECT, algorithm: str = "AES256_GCM", version: int = 1
    ) -> bytes:
        """The naked DEK."""
        dek = self.http.deks.get(kek, subject, version, algorithm, deleted=True)
        return unwrap(SECRET, dek["encryptedKeyMaterial"])[2:]

    def requests(self, part: str = "") -> list[str]:
        """What was asked for, as ``METHOD path``, where the path holds ``part``."""
        return [f"{r.method} {r.path}" for r in self.http.requests if part in r.path]


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack.enter_context(DevRegistry(secret=SECRET)), stack)
