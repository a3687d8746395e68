"""One session of the bench: everybody has the same rows, and differences are noticed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from csfle_fast.cli import bench_session, demo_sets
from csfle_fast.cli.bench_session import BenchSession
from csfle_fast.errors import RowError
from incumbent import SECRET

SCHEMA = {
    "type": "record",
    "name": "Measurement",
    "fields": [
        {"name": "who", "type": "string", "confluent:tags": ["PII"]},
        {"name": "value", "type": "double"},
        {"name": "unit", "type": "string", "default": "K"},
    ],
}
PARAMS = {"encrypt.kek.name": "k", "encrypt.kms.type": "local-kms", "encrypt.kms.key.id": "k"}
RULE = {
    "name": "r",
    "kind": "TRANSFORM",
    "type": "ENCRYPT",
    "mode": "WRITEREAD",
    "tags": ["PII"],
    "params": PARAMS,
}
PAYLOAD = {"schemaType": "AVRO", "schema": json.dumps(SCHEMA), "ruleSet": {"domainRules": [RULE]}}
ROWS = [{"who": "Ada", "value": math.nan, "unit": "C"}, {"who": "Grace", "value": 1.5}]


@pytest.fixture(autouse=True)
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tink keeps the first client of a KMS key in a process, and with it the secret."""
    monkeypatch.setattr(bench_session, "_SECRET", SECRET)


def session(rows: list[Any] = ROWS, **options: Any) -> BenchSession:
    return BenchSession("measurements", PAYLOAD, rows, **options)


def test_defaults_and_nan_are_no_differences_and_rows_stay_as_they_are() -> None:
    with session() as one:
        assert one.wrong() == []
        assert one.disagreements() == []
        assert one.rows[1] == {"who": "Grace", "value": 1.5}
        assert b"Ada" in one.bodies[0]
        assert b"Ada" not in one.frames[0]
        assert one.incumbent is not None


def test_what_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with session() as one:
        assert one.incumbent is not None
        one.bodies = one.bodies[::-1]
        assert one.wrong() == ["decrypt(encrypt)"]
        one.bodies = one.bodies[::-1]
        one.frames = one.frames[::-1]
        assert one.wrong() == ["decrypt(encrypt)", "deserialize(encrypt)"]
        assert one.disagreements() == ["confluent-kafka reads ours: 2 of 2 rows differ"]
        one.frames = one.frames[::-1]
        real = one.incumbent.serialize
        monkeypatch.setattr(one.incumbent, "serialize", lambda rows: real([rows[0], rows[0]]))
        assert one.disagreements() == ["confluent-kafka read by us: 1 of 2 rows differ"]
        monkeypatch.setattr(one, "serialize", lambda _rows: one.frames[::-1])
        assert one.wrong() == ["deserialize(serialize)"]


def test_a_failure_of_theirs_is_told_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_rows: object) -> None:
        raise ValueError("Ada")

    with session() as one:
        monkeypatch.setattr(one.incumbent, "serialize", fail)
        assert one.disagreements() == ["confluent-kafka fails on these rows (ValueError)"]


def test_what_they_leave_in_plaintext_is_a_difference() -> None:
    dataset = demo_sets.load("fhir_patient")
    payload = {"schemaType": "AVRO", "schema": dataset.schema, "ruleSet": dataset.rule_set}
    with BenchSession("patients", payload, dataset.take(30)) as one:
        assert one.wrong() == []
        reads, read = one.disagreements()
    assert reads.startswith("confluent-kafka reads ours: ")
    assert read.startswith("confluent-kafka read by us: ")


def test_without_the_incumbent_nothing_is_compared_with_it() -> None:
    with session(incumbent=False) as one:
        assert one.incumbent is None
        assert one.disagreements() == []


def test_one_message_a_call_is_the_same_call(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    with session(incumbent=False) as one:
        monkeypatch.setattr(one.engine, "encrypt", lambda topic, batch: seen.append((topic, batch)))
        one.each("encrypt", one.bodies)
        assert seen == [("measurements", [body]) for body in one.bodies]


def test_another_engine_has_its_own_settings_and_is_closed_with_the_session() -> None:
    with session(incumbent=False) as one:
        other = one.engine_with({"crypto.provider": "ring"})
        assert other.decrypt("measurements", one.frames).values == one.bodies
        assert other is not one.engine
    with pytest.raises(Exception, match="closed"):
        other.decrypt("measurements", one.frames)


def test_a_row_of_ours_that_fails_is_an_error() -> None:
    with session(incumbent=False) as one, pytest.raises(RowError):
        one.decrypt([b"\0\0\0\0\1plaintext"])
