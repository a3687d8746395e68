"""GUIDs that real registries and clients agreed on: those of every vector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from csfle_fast.dev.guid import schema_guid
from csfle_fast.dev.models import SchemaPayload
from dev.samples import payload, rule

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "csfle.json").read_text(encoding="utf-8")
)


def guid(**changes: Any) -> str:
    return schema_guid(SchemaPayload.model_validate(payload(**changes)))


def test_there_are_140_vectors() -> None:
    assert len(VECTORS) == 140


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["name"]))
def test_vector(vector: dict[str, Any]) -> None:
    assert schema_guid(SchemaPayload.model_validate(vector)) == vector["guid"]


OTHER_RULES: list[dict[str, Any]] = [
    {"name": "n"},
    {"doc": "d"},
    {"kind": "CONDITION"},
    {"mode": "READ"},
    {"type": "CEL"},
    {"tags": ["PII", "B"]},
    {"params": {}},
    {"expr": "e"},
    {"onSuccess": "NONE"},
    {"onFailure": "ERROR"},
    {"disabled": True},
]
OTHER_METADATA: list[dict[str, Any]] = [
    {"tags": {"x.Customer.ssn": ["GDPR"]}, "properties": {"owner": "team"}},
    {"tags": {"x.Customer.ssn": ["PII"]}, "properties": {"owner": "other"}},
    {"tags": {"x.Customer.ssn": ["PII"]}, "properties": {"owner": "team"}, "sensitive": ["owner"]},
]


@pytest.mark.parametrize(
    "part",
    [
        {"schema": '"string"'},
        {"references": [{"name": "n", "subject": "s", "version": 1}]},
        {"metadata": None},
        *({"metadata": metadata} for metadata in OTHER_METADATA),
        {"ruleSet": None},
        {"ruleSet": {"domainRules": [rule()], "enableAt": "CLIENT"}},
        {"ruleSet": {"domainRules": [rule()], "encodingRules": [rule(name="e")]}},
        *({"ruleSet": {"domainRules": [rule(**change)]}} for change in OTHER_RULES),
    ],
    ids=str,
)
def test_every_part_counts(part: dict[str, Any]) -> None:
    assert guid(**part) != guid()


def test_order_of_sets_and_maps_and_defaults_do_not_count() -> None:
    tags = {"ruleSet": {"domainRules": [rule(tags=["B", "A"], params={"a": "1", "b": "2"})]}}
    turned = {"ruleSet": {"domainRules": [rule(tags=["A", "B"], params={"b": "2", "a": "1"})]}}
    assert guid(**tags) == guid(**turned)
    assert guid(ruleSet={"domainRules": [rule(kind=None, disabled=None)]}) == guid()
    assert guid(references=None) == guid()
