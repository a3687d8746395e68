"""SinkHook: messages to rows, by Confluent's sink properties."""

from __future__ import annotations

import logging
import pickle
import uuid
from decimal import Decimal

import pytest
from confluent_kafka import KafkaError

from connect_world import ConnectWorld, connect, message, messages, tampered
from csfle_fast.connect import DataException
from incumbent import KEK, SECRET, encrypt_rule, field, record
from worlds import FLAT, flat, framed, payload_rule, rule

__all__ = ["connect"]  # a fixture

ROWS = [flat(1), flat(2), flat(3)]  # the odd ones end in a tagged bytes field
AVRO = "io.confluent.connect.avro.AvroConverter"


class TestRows:
    def test_rows_keys_and_tombstones(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        frames = connect.source().encrypt("t", ROWS).values
        batch = [*messages(list(frames), key=b"k"), message(None, b"gone")]
        result = connect.sink().decrypt(batch)
        assert result.values == [*ROWS, None]
        assert result.keys == [b"k", b"k", b"k", b"gone"]
        assert (result.errors, result.dead_letters, result.sealed, result.passed) == ([], [], {}, [])

    def test_nothing(self, connect: ConnectWorld) -> None:
        assert connect.sink().decrypt([]).values == []
        assert connect.sink().decrypt([message(None)]).values == [None]

    def test_topics_schema_ids_and_headers_in_one_batch(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        connect.put(FLAT, rule(), subject="other-value")
        header = connect.source({"value.schema.id.serializer": HEADER_SERIALIZER})
        source = connect.source()
        in_prefix = source.encrypt("t", [flat(1)]).values[0]
        in_header = header.encrypt("t", [flat(3)])
        other = source.encrypt("other", [flat(5)]).values[0]
        connect.put(record(*FLAT["fields"], field("more", "string", default="")), rule())
        newer = connect.source().encrypt("t", [flat(7) | {"more": "m"}]).values[0]
        batch = [
            message(in_prefix),
            message(other, topic="other"),
            message(in_header.values[0], headers=[("x", None), *in_header.headers[0]]),
            message(newer),
        ]
        rows = connect.sink().decrypt(batch).values
        assert rows == [flat(1) | {"more": ""}, flat(5), flat(3) | {"more": ""}, flat(7) | {"more": "m"}]

    def test_avro_keys(self, connect: ConnectWorld) -> None:
        key_schema = record(field("id", "string", "PII"), name="Key")
        connect.put(FLAT, rule())
        connect.put(key_schema, rule(), subject="t-key")
        config: dict[str, object] = {
            "key.converter": AVRO,
            "key.converter.schema.registry.url": connect.http.url,
        }
        sealed = connect.source(config).encrypt("t", [flat(1), None], keys=[{"id": "one"}, {"id": "two"}])
        assert sealed.keys is not None
        assert all(key is not None and b"one" not in key for key in sealed.keys)
        batch = [message(v, k) for v, k in zip(list(sealed.values), sealed.keys, strict=True)]
        batch.append(message(sealed.values[0], b"no frame"))
        result = connect.sink(config).decrypt(batch)
        assert result.values == [flat(1), None, None]
        assert result.keys == [{"id": "one"}, {"id": "two"}, None]
        (error,) = result.errors
        assert (error.row, error.part, error.code) == (2, "key", "not_a_frame")

    def test_text_keys(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        sink = connect.sink({"key.converter": "org.apache.kafka.connect.storage.StringConverter"})
        result = sink.decrypt([message(None, "kéy".encode()), message(None, b"\xff"), message(None)])
        assert result.keys == ["kéy", None, None]
        assert [(error.row, error.part, error.code) for error in result.errors] == [
            (1, "key", "invalid_utf8")
        ]

    def test_bodies(self, connect: ConnectWorld) -> None:
        version = connect.put(FLAT, rule())
        plain = connect.source(csfle_enabled="false").encrypt("t", ROWS).values
        frames = connect.source().encrypt("t", ROWS).values
        result = connect.sink().decrypt(messages([*frames, b"junk"]), bodies=True)
        assert result.values == [*((frame or b"")[5:] for frame in plain), None]
        assert result.schema_ids == [version.id] * 3 + [None]

    def test_threads_make_no_difference(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        rows = [flat(number) for number in range(2_000)]
        frames = connect.source().encrypt("t", rows, threads=2).values
        assert connect.sink().decrypt(messages(list(frames)), threads=2).values == rows


HEADER_SERIALIZER = "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer"


class TestErrors:
    def test_each_bad_record_is_an_error_and_a_dead_letter(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        frames = connect.source().encrypt("t", ROWS).values
        good = frames[0] or b""
        bad = [b"", b"junk", framed(4_711, b"x"), tampered(frames[2]), good[:9]]
        batch = messages([good, *bad, frames[1]], key=b"k")
        sink = connect.sink()
        result = sink.decrypt(batch)
        assert result.values == [flat(1), None, None, None, None, None, flat(2)]
        assert result.keys == [b"k", None, None, None, None, None, b"k"]
        assert [(error.row, error.field, error.code) for error in result.errors] == [
            (1, None, "not_a_frame"),
            (2, None, "not_a_frame"),
            (3, None, "unknown_schema_id"),
            (4, "w", "authentication_failed"),
            (5, "v", "truncated"),
        ]
        assert all(isinstance(error, DataException) for error in result.errors)
        assert [letter.value for letter in result.dead_letters] == bad
        assert {letter.topic for letter in result.dead_letters} == {"dlq-tests"}
        error = result.errors[3]
        assert (error.topic, error.partition, error.kafka_offset, error.part) == ("t", 0, 4, "value")
        with pytest.raises(DataException, match="row 1"):
            result.raise_for_errors()
        assert sink.stats()["connect_dead_letters"] == 5
        assert not result.retriable

    def test_an_exception_survives_pickling(self, connect: ConnectWorld) -> None:
        (error,) = connect.sink().decrypt([message(b"junk", offset=7)]).errors
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
        assert (str(again), again.code, again.kafka_offset, again.topic) == (str(error), error.code, 7, "t")

    def test_what_concerns_a_whole_topic_fails_its_records_alone(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        frame = connect.source().encrypt("t", [flat(1)]).values[0]
        result = connect.sink().decrypt(
            [message(frame), message(frame, topic="nowhere"), message(None, topic="nowhere")]
        )
        assert result.values == [flat(1), None, None]
        assert [(error.row, error.code) for error in result.errors] == [(1, "unknown_subject")]

    def test_a_registry_that_is_away_is_worth_another_try(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        frame = connect.source().encrypt("t", [flat(1)]).values[0]
        sink = connect.sink({"missing.cache.ttl.sec": "0", "max.retries": "0"})
        connect.http.faults.add("GET", "/subjects/", status=503)
        result = sink.decrypt([message(frame)])
        assert [error.code for error in result.errors] == ["registry_failed"]
        assert result.retriable
        connect.http.faults.clear()
        assert sink.decrypt([message(frame)]).values == [flat(1)]

    def test_a_message_without_a_topic_is_no_tombstone(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        frame = connect.source().encrypt("t", [flat(1)]).values[0]
        assert [error.code for error in connect.sink().decrypt([message(frame, topic="")]).errors] == [
            "bad_config"
        ]

    def test_an_event_of_librdkafka_is_no_dead_letter(self, connect: ConnectWorld) -> None:
        event = message(b"Broker: unknown", error=KafkaError(KafkaError._ALL_BROKERS_DOWN))
        result = connect.sink().decrypt([event])
        assert [error.code for error in result.errors] == ["broker_error"]
        assert result.dead_letters == []

    def test_no_value_in_messages_logs_and_letters(
        self, connect: ConnectWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        connect.put(FLAT, rule())
        plain = connect.source(csfle_enabled="false").encrypt("t", [flat(1, "a plain text")]).values
        with caplog.at_level(logging.DEBUG, "csfle_fast"):
            result = connect.sink({"errors.log.include.messages": "true"}).decrypt(messages(list(plain)))
        (error,) = result.errors
        assert error.field == "v"
        (line,) = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.ERROR]
        assert "topic t, partition 0, offset 0, timestamp 1700000000123" in line
        told = [str(error), repr(result), line, *(str(value) for _, value in result.dead_letters[0].headers)]
        assert not any("a plain text" in text for text in told)

    def test_the_log_can_be_silent(self, connect: ConnectWorld, caplog: pytest.LogCaptureFixture) -> None:
        sink = connect.sink(errors_log_enable="false")
        sink.decrypt([message(b"junk")])
        assert [entry for entry in caplog.records if entry.levelno >= logging.ERROR] == []

    def test_without_a_topic_for_them_there_are_no_dead_letters(self, connect: ConnectWorld) -> None:
        result = connect.sink({"errors.deadletterqueue.topic.name": ""}).decrypt([message(b"junk")])
        assert len(result.errors) == 1
        assert result.dead_letters == []


class TestNone:
    """csfle.onFailure=NONE."""

    def test_the_row_comes_with_ciphertext_and_is_marked(self, connect: ConnectWorld) -> None:
        schema = record(
            field("id", {"type": "string", "logicalType": "uuid"}, "PII"),
            field("sum", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "PII"),
            field("open", {"type": "string", "logicalType": "uuid"}),
        )
        connect.put(schema, rule())
        number = uuid.UUID(int=7)
        row = {"id": number, "sum": Decimal("1.25"), "open": number}
        frames = connect.source().encrypt("t", [row, row]).values
        wrong = connect.sink(
            {"csfle.onFailure": "NONE", "rule.executors._default_.param.secret": "another secret"}
        )
        result = wrong.decrypt(messages(list(frames)))
        assert result.errors == []
        assert result.dead_letters == []
        assert list(result.sealed) == [0, 1]
        assert result.sealed[0].code == "unwrap_refused"
        for got in result.values:
            assert got["open"] == number
            assert len(got["id"]) == 88
            assert len(got["sum"]) == 1 + 28
        assert wrong.stats()["connect_records_sealed"] == 2

    def test_only_the_rows_that_fail_are_left(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        frames = connect.source().encrypt("t", ROWS).values
        sink = connect.sink({"rule.executors._ENCRYPT_.onFailure": "NONE"})
        result = sink.decrypt(messages([frames[0], tampered(frames[2]), b"junk"]))
        assert result.values[0] == flat(1)
        assert result.values[1]["note"] == "note 3"
        assert result.values[1]["v"] != "secret 3", "all or nothing: the fields that would open stay sealed"
        assert list(result.sealed) == [1]
        assert [(error.row, error.code) for error in result.errors] == [(2, "not_a_frame")]

    def test_a_sealed_payload_and_a_foreign_rule_stay_errors(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, encoding=[payload_rule()])
        frames = connect.source().encrypt("t", [flat(1)]).values
        sink = connect.sink({"csfle.onFailure": "NONE", "rule.executors._default_.param.secret": "another"})
        assert [error.code for error in sink.decrypt(messages(list(frames))).errors] == ["unwrap_refused"]
        check = encrypt_rule(name="check", type="CEL", kind="CONDITION", tags=None, params=None, expr="true")
        connect.put(FLAT, check, subject="cel-value")
        plain = connect.source(csfle_enabled="false").encrypt("cel", [flat(1)]).values
        result = connect.sink(csfle_onFailure="NONE").decrypt(messages(list(plain), topic="cel"))
        assert [error.code for error in result.errors] == ["foreign_rule"]


class TestReadPlaintext:
    def frames(self, connect: ConnectWorld) -> list[bytes | None]:
        """One from before the rule, one of the rule's version that was never sealed, one that was."""
        connect.put(FLAT)
        before = list(connect.source().encrypt("t", [flat(1)]).values)
        version = connect.put(FLAT, rule())
        source = connect.source(csfle_enabled="false")
        never = list(source.encrypt("t", [flat(3)]).values)
        assert (never[0] or b"").startswith(framed(version.id, b""))
        return [*before, *never, *connect.source().encrypt("t", [flat(5)]).values]

    def test_error_is_the_default(self, connect: ConnectWorld) -> None:
        result = connect.sink().decrypt(messages(self.frames(connect)))
        assert [(error.row, error.code) for error in result.errors] == [
            (0, "not_ciphertext"),
            (1, "not_ciphertext"),
        ]

    def test_pass_takes_what_is_older_than_the_rule_and_nothing_else(self, connect: ConnectWorld) -> None:
        sink = connect.sink(read_plaintext="pass")
        frames = self.frames(connect)
        result = sink.decrypt(messages([*frames, tampered(frames[2])]))
        assert result.values == [flat(1), None, flat(5), None]
        assert result.passed == [0]
        assert [(error.row, error.code) for error in result.errors] == [
            (1, "not_ciphertext"),
            (3, "authentication_failed"),
        ]
        assert sink.stats()["connect_records_passed"] == 1

    def test_pass_needs_no_key_that_nobody_has_made(self, connect: ConnectWorld) -> None:
        connect.put(FLAT)
        before = connect.source().encrypt("t", [flat(1)]).values
        connect.put(FLAT, rule(kek=f"{KEK}-unmade"))
        result = connect.sink(read_plaintext="pass").decrypt(messages(list(before)))
        assert (result.values, result.passed) == ([flat(1)], [0])


class TestDisabled:
    def test_tagged_values_stay_as_they_are_and_it_says_so(
        self, connect: ConnectWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        connect.put(FLAT, rule())
        frames = connect.source().encrypt("t", [flat(1)]).values
        sink = connect.sink(csfle_enabled="false")
        assert "csfle.enabled is false for the value" in caplog.text
        result = sink.decrypt(messages(list(frames)))
        (row,) = result.values
        assert row["note"] == "note 1"
        assert len(row["v"]) == 48, "base64 of 8 characters, nonce and tag"
        plan = sink.explain("t")
        assert not plan.csfle_enabled
        assert any("csfle.enabled is false" in note for note in plan.notes)
        assert sink.stats()["dek_registry_requests"] == 0


def test_explain_shows_the_service_account(connect: ConnectWorld, caplog: pytest.LogCaptureFixture) -> None:
    connect.put(FLAT, rule())
    with caplog.at_level(logging.INFO, "csfle_fast"):
        sink = connect.sink({"sr.service.account.id": "sa-123"}, csfle_onFailure="NONE")
    plan = sink.explain("t")
    assert (plan.connector, plan.kind, plan.csfle_enabled, plan.on_failure) == ("tests", "sink", True, "NONE")
    assert (plan.service_account, plan.dead_letter_topic) == ("sa-123", "dlq-tests")
    assert [(entry.path, entry.decision) for entry in plan.fields] == [("v", "encrypt"), ("w", "encrypt")]
    assert "service account sa-123" in caplog.text


def test_a_tagged_record_is_refused_until_it_is_settled(connect: ConnectWorld) -> None:
    schema = record(field("inner", record(field("v", "string"), name="Inner"), "PII"))
    connect.put(schema, rule())
    rows = [{"inner": {"v": "x"}}]
    (error,) = connect.source().encrypt("t", rows).errors
    assert error.code == "tagged_record"
    frames = connect.source({"tag.inheritance": "java"}).encrypt("t", rows).values
    (error,) = connect.sink().decrypt(messages(list(frames))).errors
    assert error.code == "tagged_record"
    assert connect.sink({"tag.inheritance": "java"}).decrypt(messages(list(frames))).values == rows


def test_no_secret_is_shown(connect: ConnectWorld, caplog: pytest.LogCaptureFixture) -> None:
    connect.put(FLAT, rule())
    with caplog.at_level(logging.DEBUG):
        sink = connect.sink()
        sink.decrypt([message(b"junk")])
    for text in (repr(sink), repr(sink.settings), repr(sink.explain("t")), caplog.text):
        assert SECRET not in text


def test_warm_up_leaves_nothing_to_wait_for(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    frames = connect.source().encrypt("t", [flat(1)]).values
    sink = connect.sink()
    sink.warm_up("t")
    before = len(connect.requests())
    assert sink.decrypt(messages(list(frames))).values == [flat(1)]
    assert len(connect.requests()) == before
