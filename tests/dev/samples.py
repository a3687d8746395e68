"""A schema, its rule and its registration, as clients send them."""

from __future__ import annotations

import json
from typing import Any

# Tink keeps one local-kms client for the whole process, so every test of the suite uses this secret.
SECRET = "the secret of the tests"

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Customer",
        "namespace": "x",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "ssn", "type": "string", "confluent:tags": ["PII"]},
        ],
    },
    separators=(",", ":"),
)


def rule(**changes: Any) -> dict[str, Any]:
    """An ENCRYPT rule as clients send it."""
    base: dict[str, Any] = {
        "name": "enc",
        "kind": "TRANSFORM",
        "mode": "WRITEREAD",
        "type": "ENCRYPT",
        "tags": ["PII"],
        "params": {"encrypt.kek.name": "k", "encrypt.kms.type": "local-kms", "encrypt.kms.key.id": "mykey"},
        "onFailure": "ERROR,NONE",
    }
    return base | changes


def payload(**changes: Any) -> dict[str, Any]:
    """A registration with metadata and a rule set."""
    base: dict[str, Any] = {
        "schemaType": "AVRO",
        "schema": SCHEMA,
        "metadata": {"tags": {"x.Customer.ssn": ["PII"]}, "properties": {"owner": "team"}},
        "ruleSet": {"domainRules": [rule()]},
    }
    return base | changes
