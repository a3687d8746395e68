"""Messages that other implementations wrote, through an Engine: read, and where nothing is random, remade."""

from __future__ import annotations

import base64
import decimal
import io
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import Engine, SchemaError, tagged_fields
from csfle_fast.dev import DevRegistry
from incumbent import encrypt_rule
from wire import OVERHEAD, leaves

_FOLDER = Path(__file__).with_name("vectors")
VECTORS: list[dict[str, Any]] = json.loads((_FOLDER / "csfle.json").read_text(encoding="utf-8"))
SCHEMAS: list[dict[str, Any]] = json.loads((_FOLDER / "avro_schemas.json").read_text(encoding="utf-8"))
CONF = {"subject.name.strategy": "TOPIC"}


def seed(
    http: DevRegistry, vector: dict[str, Any], *, deks: int | None = None, made: int | None = None
) -> None:
    """The registry's state behind a vector; ``deks``: only so many, ``made``: at that moment (ms)."""
    for place, reference in enumerate(vector.get("references", [])):
        payload = {"schema": reference["schema"]}
        http.store.register(
            reference["subject"], payload, schema_id=100_000 + 10 * vector["schema_id"] + place
        )
    added = http.store.register(vector["subject"], vector, schema_id=vector["schema_id"])
    assert added.guid == vector["guid"]
    for kek in vector["keks"]:
        http.keks.put(kek)
    for dek in vector["deks"][:deks]:
        http.deks.put(dek if made is None else dek | {"ts": made})


@pytest.fixture(scope="module")
def http() -> Iterator[DevRegistry]:
    with DevRegistry(secret="mysecret") as registry:
        for vector in VECTORS:
            seed(registry, vector)
        yield registry


@pytest.fixture(scope="module", params=["ring", "many"])
def reader(http: DevRegistry, request: pytest.FixtureRequest) -> Iterator[Engine]:
    conf = CONF | {"crypto.provider": request.param}
    with (
        SchemaRegistryClient({"url": http.url}) as client,
        Engine(client, rule_conf={"secret": "mysecret"}, conf=conf) as engine,
    ):
        yield engine


def frames(vector: dict[str, Any]) -> tuple[list[bytes], list[list[tuple[str, bytes]]]]:
    messages = vector["messages"]
    headers = [
        [(name, bytes.fromhex(value)) for name, value in message["headers_hex"].items()]
        for message in messages
    ]
    return [bytes.fromhex(message["frame_hex"]) for message in messages], headers


def expected(value: Any) -> Any:
    """A vector's row without its markers."""
    match value:
        case {"$bytes": text}:
            return base64.b64decode(text)
        case {"$type": _, "value": inner}:
            return expected(inner)
        case dict():
            return {name: expected(item) for name, item in value.items()}
        case list():
            return [expected(item) for item in value]
    return value


def comparable(value: Any) -> Any:
    """A row as fastavro gives it, in the terms of ``expected``."""
    match value:
        case uuid.UUID():
            return str(value)
        case decimal.Decimal():
            return int(value.scaleb(-int(value.as_tuple().exponent))).to_bytes(2, "big", signed=True)
        case dict():
            return {name: comparable(item) for name, item in value.items()}
        case list():
            return [comparable(item) for item in value]
    return value


def test_nothing_is_left_out() -> None:
    assert len(VECTORS) == 140
    assert sum(len(vector["messages"]) for vector in VECTORS) == 217


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
class TestEveryMessage:
    def test_deserialize_gives_the_row(self, reader: Engine, vector: dict[str, Any]) -> None:
        messages, headers = frames(vector)
        result = reader.deserialize(vector["topic"], messages, headers=headers, field=vector["field"])
        result.raise_for_errors()
        assert [comparable(row) for row in result.values] == [
            expected(message["row"]) for message in vector["messages"]
        ]

    def test_decrypt_gives_the_body(self, reader: Engine, vector: dict[str, Any]) -> None:
        messages, headers = frames(vector)
        result = reader.decrypt(vector["topic"], messages, headers=headers, field=vector["field"])
        result.raise_for_errors()
        named: dict[str, Any] = {}
        for reference in vector.get("references", []):
            fastavro.parse_schema(json.loads(reference["schema"]), named)
        schema = fastavro.parse_schema(json.loads(vector["schema"]), named)
        rows = [fastavro.schemaless_reader(io.BytesIO(body or b""), schema, None) for body in result.values]
        assert [comparable(row) for row in rows] == [
            expected(message["row"]) for message in vector["messages"]
        ]


def layers_of(vector: dict[str, Any]) -> list[dict[str, Any]]:
    found = [layer for layers in vector.get("encrypted_paths", {}).values() for layer in layers]
    return found + ([vector["encrypted_payload"]] if "encrypted_payload" in vector else [])


DETERMINISTIC = [v for v in VECTORS if {layer["algorithm"] for layer in layers_of(v)} == {"AES256_SIV"}]


def test_all_deterministic_vectors_are_known() -> None:
    assert len(DETERMINISTIC) == 12
    assert {vector["case"] for vector in DETERMINISTIC} == {"aes256_siv", "rotation_siv", "shared_kek_siv"}


@pytest.mark.parametrize("vector", DETERMINISTIC, ids=lambda vector: str(vector["name"]))
def test_siv_messages_are_remade_byte_for_byte(reader: Engine, vector: dict[str, Any]) -> None:
    messages, _ = frames(vector)
    bodies = reader.decrypt(vector["topic"], messages).values
    groups = [slice(0, None)]
    if len(vector["deks"]) > 1:  # rotated: the first message is of version 1, the second of version 2
        groups = [slice(0, 1), slice(1, 2)]
    for deks, group in enumerate(groups, 1):
        with DevRegistry(secret="mysecret") as http, SchemaRegistryClient({"url": http.url}) as client:
            seed(http, vector, deks=deks, made=int(time.time() * 1000))
            with Engine(client, rule_conf={"secret": "mysecret"}, conf=CONF) as writer:
                again = writer.encrypt(vector["topic"], bodies[group])
                again.raise_for_errors()
                assert again.values == messages[group]
                assert writer.stats()["deks_created"] == 0


FIELDS_ONLY = [v for v in VECTORS if "encrypted_payload" not in v and v["case"] != "rule_without_tags"]


@pytest.mark.parametrize("vector", FIELDS_ONLY, ids=lambda vector: str(vector["name"]))
def test_the_lengths_of_sealed_values_are_the_formula(reader: Engine, vector: dict[str, Any]) -> None:
    messages, headers = frames(vector)
    opened = reader.decrypt(vector["topic"], messages, headers=headers, field=vector["field"]).values
    references = [reference["schema"] for reference in vector.get("references", [])]
    rules = vector["ruleSet"]["domainRules"]
    seen = 0
    for message, header, body in zip(messages, headers, opened, strict=True):
        sealed = message if header else message[17 if message[0] else 5 :]
        assert body is not None
        before, after = (
            leaves(vector["schema"], part, vector.get("metadata"), references) for part in (sealed, body)
        )
        for wire, plain in zip(before, after, strict=True):
            length = len(plain.value)
            for rule in rules:
                if plain.tags & set(rule["tags"]):
                    seen += 1
                    length = sealed_length(rule["params"], plain.kind, length)
            assert len(wire.value) == length
    assert seen or all(message["row"] in ({"u": None}, {"u": 5}) for message in vector["messages"])


def sealed_length(params: dict[str, str], kind: str, length: int) -> int:
    length += OVERHEAD[params.get("encrypt.dek.algorithm", "AES256_GCM")]
    length += 5 if int(params.get("encrypt.dek.expiry.days", "0")) else 0
    return length if kind == "bytes" else 4 * -(-length // 3)


F1 = (
    '{"type":"record","name":"f1Schema","namespace":"confluent.io.examples","fields":'
    '[{"name":"f1","type":"string","confluent:tags":["PII"]}]}'
)
# Wrapped DEK and frame of three messages, as the test suites of all of Confluent's clients have them.
UPSTREAM = {
    ("AES256_GCM", 0): (
        "07V2ndh02DA73p+dTybwZFm7DKQSZN1tEwQh+FoX1DZLk4Yj2LLu4omYjp/84tAg3BYlkfGSz+zZacJHIE4=",
        (
            "0000000001687a67792f6a464e4d562f6546696c6148724d796542676461567a725230756447656f74573863412f4a616c3775"
            "6b722b4d2f797a"
        ),
    ),
    ("AES256_SIV", 0): (
        (
            "YSx3DTlAHrmpoDChquJMifmPntBzxgRVdMzgYL82rgWBKn7aUSnG+WIu9ozBNS3y2vXd++mBtK07w4/W/G6w0da39X9hfOVZsGnk"
            "Svry/QRht84V8yz3dqKxGMOK5A=="
        ),
        "0000000001484436597478726c426e6b545757394e3656626b3349496e6a57483831786d5968336b3464",
    ),
    ("AES256_GCM", 1): (
        "W/v6hOQYq1idVAcs1pPWz9UUONMVZW4IrglTnG88TsWjeCjxmtRQ4VaNe/I5dCfm2zyY9Cu0nqdvqImtUk4=",
        (
            "000000000178414141414141473448493662316e585058714c79473863494933354e4851736571715543642b49654c65465641"
            "654e705353336678506e4a3332413d"
        ),
    ),
}


@pytest.mark.parametrize(("algorithm", "days"), UPSTREAM)
def test_upstream_frames(algorithm: str, days: int) -> None:
    material, frame = UPSTREAM[algorithm, days]
    params = {
        "encrypt.kek.name": "kek1",
        "encrypt.kms.type": "local-kms",
        "encrypt.kms.key.id": "mykey",
        "encrypt.dek.algorithm": algorithm,
        "encrypt.dek.expiry.days": str(days),
    }
    rule = encrypt_rule(params=params)
    message = bytes.fromhex(frame)
    with ExitStack() as stack:
        http = stack.enter_context(DevRegistry(secret="mysecret"))
        client = stack.enter_context(SchemaRegistryClient({"url": http.url}))
        http.store.register("topic1-value", {"schema": F1, "ruleSet": {"domainRules": [rule]}}, schema_id=1)
        http.keks.put({"name": "kek1", "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": False})
        dek = {"kekName": "kek1", "subject": "topic1-value", "version": 1, "algorithm": algorithm}
        http.deks.put(dek | {"encryptedKeyMaterial": material})
        engine = stack.enter_context(Engine(client, rule_conf={"secret": "mysecret"}))
        assert engine.deserialize("topic1", [message]).values == [{"f1": "hello world"}]
        again = engine.serialize("topic1", [{"f1": "hello world"}]).values
        if algorithm == "AES256_SIV":
            assert again == [message]
        else:
            assert len(again[0] or b"") == len(message)
            assert again != [message]


def test_all_schemas_are_there() -> None:
    assert len(SCHEMAS) == 77


@pytest.mark.parametrize("case", SCHEMAS, ids=lambda case: str(case["title"]))
def test_schemas_are_judged_as_java_judges_them(case: dict[str, Any]) -> None:
    # Comments in a schema's JSON are the one thing that Java takes and we refuse, by name.
    code = "schema_comment" if case["title"] == "// comment in JSON" else None
    if case["java"] == "ok" and code is None:
        assert sorted(tagged_fields(case["schema"])) == sorted(case["tagged"])
        return
    with pytest.raises(SchemaError) as caught:
        tagged_fields(case["schema"])
    assert code in (None, caught.value.code)
