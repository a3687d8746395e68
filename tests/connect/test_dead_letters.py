"""Dead letters: byte for byte the record that failed, with Connect's headers behind its own."""

from __future__ import annotations

import pytest
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from connect_world import STAMP, ConnectWorld, connect, message, messages
from csfle_fast.connect import CONTEXT_HEADERS, DataException
from csfle_fast.connect.dead_letters import Stage, dead_letter, origin
from worlds import FLAT, flat, rule

__all__ = ["connect"]  # a fixture

ERROR = DataException(3, "a.b", "not_ciphertext", "it is not ciphertext", 9, part="value", topic="t")
CONVERTER = Stage("VALUE_CONVERTER", "io.confluent.connect.avro.AvroConverter")
OWN: list[tuple[str, bytes | None]] = [("app", b"one"), ("app", b"two"), ("nul", None)]
EXCEPTION = "org.apache.kafka.connect.errors.DataException"


def test_headers_of_the_original_first_and_then_connects() -> None:
    there = message(b"value", b"key", offset=41, headers=OWN, partition=2)
    letter = dead_letter(there, ERROR, CONVERTER, topic="dlq", connector="c", task_id=5, context=True)
    assert (letter.topic, letter.key, letter.value, letter.timestamp) == ("dlq", b"key", b"value", STAMP)
    assert letter.headers[:3] == OWN
    text = "Failed to deserialize data for topic t: value, field a.b: it is not ciphertext [not_ciphertext]"
    assert letter.headers[3:] == [
        ("__connect.errors.topic", b"t"),
        ("__connect.errors.partition", b"2"),
        ("__connect.errors.offset", b"41"),
        ("__connect.errors.connector.name", b"c"),
        ("__connect.errors.task.id", b"5"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.class.name", b"io.confluent.connect.avro.AvroConverter"),
        ("__connect.errors.exception.class.name", EXCEPTION.encode()),
        ("__connect.errors.exception.message", text.encode()),
        (
            "__connect.errors.exception.stacktrace",
            f"{EXCEPTION}: {text}\nCaused by: DataException: [not_ciphertext]\n".encode(),
        ),
    ]


def test_without_context_only_those_of_the_original() -> None:
    letter = dead_letter(
        message(None, headers=OWN), ERROR, CONVERTER, topic="dlq", connector="c", task_id=0, context=False
    )
    assert letter.headers == OWN
    assert (letter.key, letter.value) == (None, None)


@pytest.mark.parametrize("timestamp", [(TIMESTAMP_NOT_AVAILABLE, -1), (1, -1)])
def test_an_unknown_timestamp_is_left_to_the_producer(timestamp: tuple[int, int]) -> None:
    there = message(b"v", timestamp=timestamp)
    letter = dead_letter(there, ERROR, CONVERTER, topic="dlq", connector="c", task_id=0, context=True)
    assert letter.timestamp == 0


def test_a_key_fails_in_its_own_stage(connect: ConnectWorld) -> None:
    sink = connect.sink(
        {
            "key.converter": "io.confluent.connect.avro.AvroConverter",
            "schema.registry.url": connect.http.url,
            "errors.deadletterqueue.topic.name": "letters",
            "task.id": "3",
        }
    )
    (letter,) = sink.decrypt([message(b"bad too", b"bad")]).dead_letters
    told = dict(letter.headers)
    assert letter.topic == "letters"
    assert told["__connect.errors.stage"] == b"KEY_CONVERTER", "Connect reads the key first"
    assert told["__connect.errors.task.id"] == b"3"


def test_replayed_dead_letters_are_opened_as_what_they_were(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    frames = connect.source().encrypt("t", [flat(1), flat(3)]).values
    wrong = connect.sink({"rule.executors._default_.param.secret": "another secret"})
    letters = wrong.decrypt(messages(list(frames), headers=OWN)).dead_letters
    assert len(letters) == 2
    for _ in range(2):  # it fails once more while it is replayed
        again = [
            message(letter.value, topic=letter.topic, offset=offset, headers=letter.headers)
            for offset, letter in enumerate(letters)
        ]
        letters = wrong.decrypt(again).dead_letters
        assert [name for name, _ in letters[0].headers[-10:]] == list(CONTEXT_HEADERS)
    assert len(letters[0].headers) == len(OWN) + 3 * 10
    assert letters[0].headers[-10] == ("__connect.errors.topic", b"dlq-tests"), "where it lay when it failed"
    mended = [message(letter.value, topic=letter.topic, headers=letter.headers) for letter in letters]
    assert connect.sink().decrypt(mended).values == [flat(1), flat(3)]


def test_origin() -> None:
    headers: list[tuple[str, bytes | None]] = [
        ("__connect.errors.topic", b"a"),
        ("x", None),
        ("__connect.errors.topic", b"b"),
        ("__connect.errors.topic", b"dlq"),
        ("__connect.errors.topic", None),
    ]
    assert origin("dlq", headers, "dlq") == "b"
    assert origin("dlq", [], "dlq") == "dlq"
    assert origin("other", headers, "dlq") == "other"
    assert origin("dlq", headers, None) == "dlq"
