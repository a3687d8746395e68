"""Our dead letters beside those that Kafka Connect wrote (tests/data/connect_dead_letters.json).

Every case that a converter can meet, and the one of a handler: the same record, the same settings. Only
what names a Java class of the reference's converter, and the two texts about the exception, may differ.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from connect_world import ConnectWorld, connect, message
from csfle_fast.connect import CONTEXT_HEADERS, DataException, DeadLetter, SinkBatch
from csfle_fast.connect.sink_pipeline import TASK_PUT

__all__ = ["connect"]  # a fixture

REFERENCE = Path(__file__).resolve().parent.parent / "data" / "connect_dead_letters.json"
CASES = {case["name"]: case for case in json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]}
#: Cases that have no counterpart: single message transforms and header converters are Java's.
NOT_OURS = {"bad-cast", "bad-header"}
REPORTED = {"reported", "reported-bare"}
AVRO = "io.confluent.connect.avro.AvroConverter"
JSON = "org.apache.kafka.connect.json.JsonConverter"
TEXTS = ("__connect.errors.exception.message", "__connect.errors.exception.stacktrace")


def decoded(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


def headers_of(record: dict[str, Any]) -> list[tuple[str, bytes | None]]:
    return [(name, decoded(value)) for name, value in record["headers"]]


def consumed(record: dict[str, Any]) -> Message[bytes, bytes]:
    return message(
        decoded(record["value"]),
        decoded(record["key"]),
        topic=record["topic"],
        partition=record["partition"],
        offset=record["offset"],
        headers=headers_of(record),
        timestamp=(1, record["timestamp"]),
    )


def ours(connect: ConnectWorld, case: dict[str, Any]) -> DeadLetter:
    """The same settings where they are ours too; bytes that are not JSON are no Avro frames either."""
    properties = {name: value for name, value in case["config"].items() if name.startswith("errors.")}
    if case["config"].get("key.converter") == JSON:
        properties |= {"key.converter": AVRO, "schema.registry.url": connect.http.url}
    sink = connect.sink(properties | {"name": case["name"]})
    record = consumed(case["record"])
    if case["name"] not in REPORTED:
        (letter,) = sink.decrypt([record]).dead_letters
        return letter
    empty = sink.decrypt([message(None)])
    batch = SinkBatch([record], empty)
    batch.report(0, DataException(0, None, "x", case["config"].get("message", ""), part="value", topic="t"))
    made = sink.dead_letter(record, batch.rejected[0], TASK_PUT)
    assert made is not None
    return made


@pytest.mark.parametrize("name", sorted(CASES.keys() - NOT_OURS))
def test_a_dead_letter_is_as_connect_writes_it(connect: ConnectWorld, name: str) -> None:
    case = CASES[name]
    theirs, letter = case["dead_letter"], ours(connect, case)
    assert (letter.topic, letter.key, letter.value) == (
        theirs["topic"],
        decoded(theirs["key"]),
        decoded(theirs["value"]),
    )
    assert (theirs["timestamp_type"], letter.timestamp) == ("CREATE_TIME", theirs["timestamp"])
    expected = headers_of(theirs)
    assert [header for header, _ in letter.headers] == [header for header, _ in expected]
    inherited = len(case["record"]["headers"])
    assert letter.headers[:inherited] == expected[:inherited] == headers_of(case["record"])
    for (header, value), (_, reference) in zip(letter.headers[inherited:], expected[inherited:], strict=True):
        if header in TEXTS:
            assert isinstance(value, bytes), "and never null: our errors have a message"
            assert value.decode()
            assert name == "reported-bare" or isinstance(reference, bytes)
        elif header == "__connect.errors.class.name" and name not in REPORTED:
            assert (value, reference) == (AVRO.encode(), JSON.encode()), "each names its own converter"
        else:
            assert value == reference, header


@pytest.mark.parametrize("name", sorted(CASES.keys() - NOT_OURS - {"without-context"}))
def test_the_stack_trace_has_connects_form(connect: ConnectWorld, name: str) -> None:
    both = [dict(headers_of(CASES[name]["dead_letter"])), dict(ours(connect, CASES[name]).headers)]
    for told in both:
        trace, kind = told[TEXTS[1]], told["__connect.errors.exception.class.name"]
        assert trace is not None
        assert kind is not None
        lines = trace.decode().split("\n")
        assert lines[0].startswith(kind.decode())
        assert lines[-1] == ""


def test_every_case_of_the_reference_is_looked_at() -> None:
    assert CASES.keys() >= NOT_OURS | REPORTED
    assert len(CASES.keys() - NOT_OURS) >= 9
    for case in CASES.values():
        names = [name for name, _ in headers_of(case["dead_letter"])][len(case["record"]["headers"]) :]
        assert names in ([], list(CONTEXT_HEADERS))
