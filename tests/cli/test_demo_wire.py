"""The independent check: it tells ciphertext, plaintext and everything else apart."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from csfle_fast import Engine
from csfle_fast.cli import demo_sets
from csfle_fast.cli.demo_wire import Leaf, WireCheck, WireCount, read_dek
from csfle_fast.dev import DevRegistry

KEY = AESGCM(bytes(range(32)))
NONCE = bytes(12)
SCHEMA = {
    "type": "record",
    "name": "n.Node",
    "fields": [
        {"name": "name", "type": "string", "confluent:tags": ["PII"]},
        {"name": "other", "type": "string", "confluent:tags": ["OPEN"]},
        {"name": "photo", "type": ["null", "bytes"], "default": None, "confluent:tags": ["PII"]},
        {
            "name": "price",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}],
            "confluent:tags": ["PII"],
        },
        {"name": "notes", "type": {"type": "map", "values": "string"}, "confluent:tags": ["PII"]},
        {"name": "below", "type": {"type": "array", "items": "n.Node"}, "confluent:tags": ["PII"]},
        {"name": "age", "type": ["null", "int", "string"], "confluent:tags": ["PII"]},
    ],
}
PHYSICAL = json.loads(json.dumps(SCHEMA).replace('"logicalType"', '"was"'))


def node(name: str, below: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "other": "o",
        "photo": None,
        "price": None,
        "notes": {},
        "below": below or [],
        "age": 3,
    }
    return row | changes


ROW = node("a", [node("b", [node("", photo=b"\x01\x02")])], price=Decimal("1.50"), notes={"k": "n"})


def seal(value: bytes) -> bytes:
    return NONCE + KEY.encrypt(NONCE, value, None)


def seal_text(value: str) -> str:
    return base64.b64encode(seal(value.encode())).decode()


def sealed(row: dict[str, Any], text: Callable[[str], str] = seal_text) -> dict[str, Any]:
    """What must stand on the wire for the row, made without the check."""
    price = row["price"]
    return row | {
        "name": text(row["name"]),
        "photo": None if row["photo"] is None else seal(row["photo"]),
        "price": None if price is None else seal(int(price * 100).to_bytes(2, "big")),
        "notes": {key: text(value) for key, value in row["notes"].items()},
        "below": [sealed(item, text) for item in row["below"]],
    }


def frame(wire: dict[str, Any], schema_id: int = 7) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(PHYSICAL), wire)
    return struct.pack(">bi", 0, schema_id) + body.getvalue()


@pytest.fixture
def check() -> WireCheck:
    return WireCheck(json.dumps(SCHEMA), ["PII"], 7, KEY)


def test_sealed_values_are_opened_wherever_they_stand(check: WireCheck) -> None:
    count = check.count([ROW], [frame(sealed(ROW))])
    assert count == WireCount(tagged=6, opened=6, plain=0, wrong=0)


def test_plaintext_is_found_below_a_recursive_type(check: WireCheck) -> None:
    wire = sealed(ROW)
    wire["below"][0]["below"][0]["name"] = ""
    assert check.count([ROW], [frame(wire)]) == WireCount(tagged=6, opened=5, plain=1, wrong=0)


def test_another_value_under_the_same_key_is_wrong(check: WireCheck) -> None:
    wire = sealed(ROW) | {"name": seal_text("z")}
    assert check.count([ROW], [frame(wire)]) == WireCount(tagged=6, opened=5, plain=0, wrong=1)


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(bytes(40)).decode(), "", "AAAA"])
def test_what_does_not_open_is_wrong(text: str, check: WireCheck) -> None:
    count = check.count([ROW], [frame(sealed(ROW) | {"name": text})])
    assert (count.opened, count.wrong) == (5, 1)


@pytest.mark.parametrize("change", [{"other": "x"}, {"age": 4}, {"photo": b""}])
def test_a_changed_value_that_is_not_encrypted_is_wrong(change: dict[str, Any], check: WireCheck) -> None:
    assert check.count([ROW], [frame(sealed(ROW) | change)]).wrong == 1


def test_a_row_of_another_shape_is_wrong(check: WireCheck) -> None:
    assert check.count([ROW], [frame(sealed(ROW) | {"below": []})]) == WireCount(wrong=1)


def test_a_frame_of_another_schema_or_with_a_tail_is_refused(check: WireCheck) -> None:
    with pytest.raises(ValueError, match="schema id"):
        check.frame_leaves(frame(sealed(ROW), schema_id=8))
    with pytest.raises(ValueError, match="behind"):
        check.frame_leaves(frame(sealed(ROW)) + b"\0")


def test_leaves_carry_path_tag_and_physical_value(check: WireCheck) -> None:
    leaves = check.row_leaves(node("a", notes={"k": "n"}, price=Decimal("1.50")))
    assert leaves == [
        Leaf("name", True, "a"),
        Leaf("other", False, "o"),
        Leaf("photo", True, None),
        Leaf("price", True, b"\x00\x96"),
        Leaf("notes['k']", True, "n"),
        Leaf("age", False, 3),
    ]


@pytest.mark.parametrize(("name", "tagged"), [("fhir_patient", 968), ("debezium_customers", 812)])
def test_it_opens_what_the_engine_sealed_with_the_key_out_of_the_registry(name: str, tagged: int) -> None:
    dataset = demo_sets.load(name)
    with DevRegistry(port=0, secret="s") as registry, SchemaRegistryClient({"url": registry.url}) as client:
        schema_id = dataset.register(client)
        with Engine(client, rule_conf={"secret": "s"}) as engine:
            frames = [frame for frame in engine.serialize(name, dataset.rows).values if frame is not None]
        params = dataset.rule["params"]
        key = (params["encrypt.kek.name"], dataset.subject, params["encrypt.dek.algorithm"])
        dek = read_dek(registry.url, "s", *key)
        with pytest.raises(InvalidTag):
            read_dek(registry.url, "another secret", *key)
    check = WireCheck(dataset.schema, dataset.rule["tags"], schema_id, dek)
    assert check.count(dataset.rows, frames) == WireCount(tagged=tagged, opened=tagged)
