"""The state behind every vector can be put into the registry, and comes out as it was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.key_tables import KeyTables
from csfle_fast.dev.models import to_json
from csfle_fast.dev.schemas import SchemaStore
from csfle_fast.dev.sharing import Sharing

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "csfle.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["name"]))
def test_schema(vector: dict[str, Any]) -> None:
    store = SchemaStore()
    for number, reference in enumerate(vector.get("references", []), 1001):
        store.register(reference["subject"], {"schema": reference["schema"]}, schema_id=number)
    added = store.register(vector["subject"], vector, schema_id=vector["schema_id"])
    assert (added.id, added.guid) == (vector["schema_id"], vector["guid"])
    assert added == store.by_id(vector["schema_id"]) == store.by_guid(vector["guid"])
    assert to_json(added.payload)["schema"] == vector["schema"]
    assert to_json(added.payload)["ruleSet"] == vector["ruleSet"]
    assert to_json(added.payload).get("metadata") == vector.get("metadata")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["name"]))
def test_keys(vector: dict[str, Any]) -> None:
    tables = KeyTables(Clock(), Sharing(vector["secret"]))
    keks, deks = KekStore(tables), DekStore(tables)
    for kek in vector["keks"]:
        keks.put(kek)
    for dek in vector["deks"]:
        deks.put(dek)
    for kek in vector["keks"]:
        assert keks.get(kek["name"]).ts == kek["ts"]
    for dek in vector["deks"]:
        answer = deks.get(dek["kekName"], dek["subject"], dek["version"], dek["algorithm"])
        assert answer == {name: value for name, value in dek.items() if name != "unwrapped_proto_hex"}
