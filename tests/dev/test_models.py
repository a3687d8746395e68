from __future__ import annotations

import pytest
from pydantic import ValidationError

from csfle_fast.dev.models import CreateDek, CreateKek, RegisterSchema, Rule, SchemaPayload, to_json


def test_names_on_the_wire() -> None:
    sent = {"schema": '"string"', "schemaType": "AVRO", "ruleSet": {"domainRules": [{"onSuccess": "NONE"}]}}
    read = SchemaPayload.model_validate(sent)
    assert read.schema_text == '"string"'
    rules = read.rule_set.domain_rules if read.rule_set else None
    assert rules == [Rule(on_success="NONE")]
    assert to_json(read)["ruleSet"] == {
        "domainRules": [{"kind": "TRANSFORM", "mode": "WRITEREAD", "onSuccess": "NONE", "disabled": False}]
    }


def test_null_and_missing_mean_the_servers_default() -> None:
    assert (
        SchemaPayload.model_validate({"schemaType": None, "schema": None, "references": None})
        == SchemaPayload()
    )
    assert CreateKek.model_validate({"kmsProps": None, "shared": None, "deleted": None}) == CreateKek()
    assert CreateDek.model_validate({"algorithm": None}).algorithm == "AES256_GCM"
    assert Rule.model_validate({"kind": None, "mode": None, "disabled": None}) == Rule()


def test_unknown_members_are_ignored_and_wrong_types_refused() -> None:
    assert CreateKek.model_validate({"name": "k", "new": 1}).name == "k"
    with pytest.raises(ValidationError):
        CreateKek.model_validate({"name": 5})


def test_empty_members_are_left_out() -> None:
    assert to_json(SchemaPayload.model_validate({"schema": "x", "ruleSet": {"domainRules": []}})) == {
        "schemaType": "AVRO",
        "schema": "x",
    }


def test_a_registration_keeps_id_and_version_apart() -> None:
    registration = RegisterSchema.model_validate({"schema": "x", "id": 7, "version": 2})
    assert registration.payload() == SchemaPayload.model_validate({"schema": "x"})
