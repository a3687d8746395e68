"""The data sets that the demo ships."""

from __future__ import annotations

from decimal import Decimal

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.cli import demo_sets
from csfle_fast.dev import DevRegistry


@pytest.mark.parametrize(("name", "count"), [("fhir_patient", 80), ("debezium_customers", 150)])
def test_every_row_is_there(name: str, count: int) -> None:
    dataset = demo_sets.load(name)
    assert len(dataset.rows) == count
    assert dataset.subject == f"{name}-value"
    assert dataset.rule["type"] == "ENCRYPT"


def test_bytes_and_decimals_are_no_markers() -> None:
    values = [row["after"] for row in demo_sets.load("debezium_customers").rows if row["after"]]
    assert any(isinstance(value["passport_scan"], bytes) for value in values)
    assert any(isinstance(value["credit_limit"], Decimal) for value in values)


@pytest.mark.parametrize("count", [1, 80, 81, 200])
def test_rows_repeat_as_needed(count: int) -> None:
    dataset = demo_sets.load("fhir_patient")
    taken = dataset.take(count)
    assert len(taken) == count
    assert taken[-1] == dataset.rows[(count - 1) % 80]


def test_schema_and_rules_are_registered() -> None:
    dataset = demo_sets.load("fhir_patient")
    with DevRegistry(port=0) as registry, SchemaRegistryClient({"url": registry.url}) as client:
        schema_id = dataset.register(client)
        latest = client.get_latest_version(dataset.subject)
    assert latest.schema_id == schema_id
    assert latest.schema.rule_set is not None
    assert latest.schema.rule_set.domain_rules is not None
    assert [rule.name for rule in latest.schema.rule_set.domain_rules] == ["encryptPHI"]
