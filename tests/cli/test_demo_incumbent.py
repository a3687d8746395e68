"""confluent-kafka beside us: what it writes and reads on the demo's rows."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.cli import demo_incumbent, demo_sets
from csfle_fast.cli.demo_incumbent import Incumbent, copies
from csfle_fast.cli.demo_wire import WireCheck, WireCount, read_dek
from csfle_fast.dev import DevRegistry
from incumbent import SECRET


@pytest.fixture
def registry() -> Iterator[DevRegistry]:
    with DevRegistry(port=0, secret=SECRET) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("debezium_customers", WireCount(tagged=812, opened=812)),
        # Below the first level of a recursive type it encrypts nothing.
        ("fhir_patient", WireCount(tagged=968, opened=753, plain=215)),
    ],
)
def test_what_stands_on_its_wire(name: str, expected: WireCount, registry: DevRegistry) -> None:
    dataset = demo_sets.load(name)
    with (
        SchemaRegistryClient({"url": registry.url}) as client,
        Incumbent(client, name, SECRET) as theirs,
    ):
        schema_id = dataset.register(client)
        frames = theirs.serialize(copies(dataset.rows))
        assert theirs.deserialize(frames) == dataset.rows
    params = dataset.rule["params"]
    dek = read_dek(
        registry.url,
        SECRET,
        params["encrypt.kek.name"],
        dataset.subject,
        params["encrypt.dek.algorithm"],
    )
    assert (
        WireCheck(dataset.schema, dataset.rule["tags"], schema_id, dek).count(dataset.rows, frames)
        == expected
    )


def test_a_second_registry_in_one_process() -> None:
    dataset = demo_sets.load("debezium_customers")
    for _ in range(2):
        with (
            DevRegistry(port=0, secret=SECRET) as registry,
            SchemaRegistryClient({"url": registry.url}) as client,
            Incumbent(client, dataset.name, SECRET) as theirs,
        ):
            dataset.register(client)
            assert theirs.deserialize(theirs.serialize(copies(dataset.rows[:1]))) == dataset.rows[:1]


def test_copies_do_not_share_a_repeated_row() -> None:
    row = {"a": {"b": "c"}}
    first, second = copies([row, row])
    first["a"]["b"] = "ciphertext"
    assert (second, row) == ({"a": {"b": "c"}}, {"a": {"b": "c"}})


def test_missing_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo_incumbent.missing() is None
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tink" else find(name))
    reason = demo_incumbent.missing()
    assert reason is not None
    assert reason.startswith("tink is not installed")
