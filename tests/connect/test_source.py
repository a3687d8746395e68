"""SourceHook: rows to frames, by Confluent's source properties."""

from __future__ import annotations

import copy
import logging
import time
from array import array
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest

from connect_world import ConnectWorld, connect, message, messages
from csfle_fast import BatchError, ConfigError
from csfle_fast.connect import DataException
from incumbent import field, record
from worlds import FLAT, encode, flat, framed, rule

__all__ = ["connect"]  # a fixture

ROWS = [flat(1), flat(2), flat(3)]
AVRO = "io.confluent.connect.avro.AvroConverter"
HEADER_SERIALIZER = "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer"
KEY = record(field("id", "string", "PII"), name="Key")


def packed(bodies: list[bytes]) -> tuple[bytes, array[int]]:
    return b"".join(bodies), array("q", accumulate(map(len, bodies), initial=0))


class TestRows:
    def test_dict_rows_are_sealed_and_left_alone(self, connect: ConnectWorld) -> None:
        version = connect.put(FLAT, rule())
        rows = copy.deepcopy(ROWS)
        result = connect.source().encrypt("t", [*rows, None])
        assert rows == ROWS
        assert result.values[3] is None
        for row, frame in zip(ROWS, result.values[:3], strict=True):
            assert frame is not None
            assert frame.startswith(framed(version.id, b""))
            assert row["v"].encode() not in frame
            assert row["note"].encode() in frame
        assert (result.keys, result.errors, result.headers) == (None, [], [])
        assert connect.sink().decrypt(messages(result.values)).values == [*ROWS, None]

    def test_bodies_and_rows_may_be_mixed(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        bodies: list[Any] = [bytearray(encode(FLAT, row)) for row in ROWS]
        mixed = [bodies[0], ROWS[1], None, memoryview(bodies[2]), {"id": "no"}, b"\x02"]
        for given in (bodies, [*bodies, None], mixed):
            sent = [value for value in connect.source().encrypt("t", given).values if value is not None]
            assert connect.sink().decrypt(messages(sent)).values == ROWS
        result = connect.source().encrypt("t", mixed)
        assert [(error.row, error.code) for error in result.errors] == [
            (4, "row_does_not_fit"),
            (5, "truncated"),
        ]

    def test_packed_bodies(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        bodies = [encode(FLAT, row) for row in ROWS]
        buffer, offsets = packed(bodies)
        result = connect.source().encrypt("t", (buffer, np.asarray(offsets)))
        out, ends = result.values
        frames = [out[start:end] for start, end in pairwise(ends)]
        assert connect.sink().decrypt(messages(list(frames))).values == ROWS

    def test_a_failed_key_empties_its_slice_of_a_packed_batch(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        result = connect.source().encrypt(
            "t", packed([encode(FLAT, row) for row in ROWS]), keys=["a", 1, "c"]
        )
        out, ends = result.values
        assert ends[1] == ends[2]
        assert result.keys == [b"a", None, b"c"]
        frames = [out[: ends[1]], out[ends[2] :]]
        assert connect.sink().decrypt(messages(list(frames))).values == [ROWS[0], ROWS[2]]

    def test_an_older_version_of_bodies(self, connect: ConnectWorld) -> None:
        old = connect.put(FLAT, rule())
        connect.put(record(*FLAT["fields"], field("more", "string", default="")), rule())
        bodies = [encode(FLAT, row) for row in ROWS]
        source = connect.source()
        frames = source.encrypt("t", bodies, schema_id=old.id).values
        assert connect.sink().decrypt(messages(list(frames))).values == [row | {"more": ""} for row in ROWS]
        with pytest.raises(ConfigError, match="schema_id is for Avro bodies"):
            source.encrypt("t", ROWS, schema_id=old.id)


class TestKeys:
    def test_raw_keys(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        result = connect.source().encrypt("t", [*ROWS, flat(5)], keys=[b"\xff", "kéy", None, {"id": 1}])
        assert result.keys == [b"\xff", "kéy".encode(), None, None]
        (error,) = result.errors
        assert (error.row, error.part, error.code) == (3, "key", "row_does_not_fit")
        assert result.values[3] is None, "no record without its key"

    def test_a_key_that_is_no_text_fails_alone(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        result = connect.source().encrypt("t", [flat(1), flat(2)], keys=["ok", "\ud800"])
        assert [(error.row, error.code) for error in result.errors] == [(1, "invalid_utf8")]

    def test_avro_keys_by_header(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        connect.put(KEY, rule(), subject="t-key")
        config: dict[str, object] = {
            "key.converter": AVRO,
            "schema.registry.url": connect.http.url,
            "key.schema.id.serializer": HEADER_SERIALIZER,
            "value.schema.id.serializer": HEADER_SERIALIZER,
        }
        keys: list[Any] = [{"id": "one"}, {"id": 2}, {"id": "three"}]
        result = connect.source(config).encrypt("t", ROWS, keys)
        assert result.keys is not None
        assert [[name for name, _ in headers] for headers in result.headers] == [
            ["__key_schema_id", "__value_schema_id"],
            [],
            ["__key_schema_id", "__value_schema_id"],
        ]
        sent = [
            message(value, key, headers=list(headers))
            for value, key, headers in zip(list(result.values), result.keys, result.headers, strict=True)
            if value is not None
        ]
        opened = connect.sink(config).decrypt(sent)
        assert opened.values == [ROWS[0], ROWS[2]]
        assert opened.keys == [keys[0], keys[2]]

    @pytest.mark.parametrize("keys", [[], [None] * 2, [None] * 4])
    def test_there_is_one_key_a_row(self, connect: ConnectWorld, keys: list[None]) -> None:
        connect.put(FLAT, rule())
        with pytest.raises(BatchError, match="keys do not fit"):
            connect.source().encrypt("t", ROWS, keys)

    def test_a_packed_key_needs_avro(self, connect: ConnectWorld) -> None:
        with pytest.raises(BatchError, match="AvroConverter"):
            connect.source().encrypt("t", [None], packed([b"k"]))


class TestErrors:
    def test_a_row_that_does_not_fit_fails_with_its_reason(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        source = connect.source()
        result = source.encrypt("t", [flat(1), flat(2) | {"v": 7}, {"id": 3}])
        assert [(error.row, error.field, error.code) for error in result.errors] == [
            (1, "v", "row_does_not_fit"),
            (2, "v", "row_does_not_fit"),
        ]
        assert [type(error) for error in result.errors] == [DataException] * 2
        assert {error.topic for error in result.errors} == {"t"}
        assert [value is not None for value in result.values] == [True, False, False]
        assert source.stats()["connect_records_failed"] == 2
        with pytest.raises(DataException):
            result.raise_for_errors()

    def test_what_concerns_the_topic_is_told_of_each_row(self, connect: ConnectWorld) -> None:
        rows = connect.source().encrypt("nowhere", [flat(1), None, flat(2)])
        assert [(error.row, error.code) for error in rows.errors] == [
            (0, "unknown_subject"),
            (2, "unknown_subject"),
        ]
        assert rows.values == [None] * 3
        bodies = connect.source().encrypt("nowhere", packed([b"x", b"y"]))
        assert [error.row for error in bodies.errors] == [0, 1]
        assert (bodies.values.buffer, bodies.values.offsets.tolist()) == (b"", [0, 0, 0])

    def test_no_key_no_frame(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        source = connect.source({"rule.executors._default_.param.secret": ""})
        result = source.encrypt("t", [flat(1), flat(2)])
        assert result.values == [None, None]
        assert [error.code for error in result.errors] == ["missing_credentials"] * 2

    def test_no_schema_is_registered_or_changed(self, connect: ConnectWorld) -> None:
        connect.put(FLAT, rule())
        source = connect.source()
        source.encrypt("t", [flat(1), {"other": 1}])
        source.encrypt("nowhere", [flat(1)])
        assert connect.requests("POST /subjects") == []
        assert [r.method for r in connect.http.requests if r.path.startswith("/subjects")].count("POST") == 0

    def test_no_value_is_told(self, connect: ConnectWorld, caplog: pytest.LogCaptureFixture) -> None:
        connect.put(FLAT, rule())
        with caplog.at_level(logging.DEBUG, "csfle_fast"):
            result = connect.source().encrypt("t", [flat(1) | {"id": "a plain text"}])
        assert "a plain text" not in caplog.text + str(result.errors[0]) + repr(result)
        assert "topic t, value, row 0, field id" in caplog.text

    @pytest.mark.parametrize("wrong", [{"id": 1}, "row", b"body"])
    def test_rows_and_keys_are_sequences(self, connect: ConnectWorld, wrong: Any) -> None:
        source = connect.source()
        with pytest.raises(BatchError, match="sequences"):
            source.encrypt("t", wrong)
        with pytest.raises(BatchError, match="sequences"):
            source.encrypt("t", [{}], keys=wrong)


class TestNewRules:
    """A source that runs learns of a new version within the TTL."""

    def test_a_field_tagged_while_it_runs_is_sealed_within_the_ttl(self, connect: ConnectWorld) -> None:
        untagged = record(*[part | {"confluent:tags": []} for part in FLAT["fields"]])
        connect.put(untagged, rule())
        source = connect.source({"latest.cache.ttl.sec": "0.5"})
        assert b"secret 1" in (source.encrypt("t", [flat(1)]).values[0] or b"")
        connect.put(FLAT, rule())
        tagged_at = time.monotonic()
        plain_until = sealed_since = tagged_at
        while time.monotonic() < tagged_at + 1.5:
            began = time.monotonic()
            (frame,) = source.encrypt("t", [flat(1)]).values
            assert frame is not None
            if b"secret 1" in frame:
                assert sealed_since == tagged_at, "plaintext after ciphertext"
                plain_until = began
            elif sealed_since == tagged_at:
                sealed_since = began
        assert plain_until <= tagged_at + 0.5
        assert sealed_since > tagged_at

    def test_a_new_rule_as_well(self, connect: ConnectWorld) -> None:
        connect.put(FLAT)
        source = connect.source({"latest.cache.ttl.sec": "0"})
        assert b"secret 1" in (source.encrypt("t", [flat(1)]).values[0] or b"")
        connect.put(FLAT, rule())
        assert b"secret 1" not in (source.encrypt("t", [flat(1)]).values[0] or b"secret 1")


def test_disabled_encodes_and_says_so(connect: ConnectWorld, caplog: pytest.LogCaptureFixture) -> None:
    connect.put(FLAT, rule())
    source = connect.source(csfle_enabled="false")
    frames = source.encrypt("t", [flat(1)]).values
    assert b"secret 1" in (frames[0] or b"")
    assert (
        "csfle.enabled is false for the value: no rule runs, tagged values are written as plaintext"
        in caplog.text
    )
    assert connect.requests("dek-registry") == []


def test_one_engine_where_keys_and_values_agree(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    connect.put(KEY, rule(), subject="t-key")
    source = connect.source({"key.converter": AVRO, "schema.registry.url": connect.http.url})
    source.warm_up("t")
    before = len(connect.requests())
    assert not source.encrypt("t", [flat(1)], keys=[{"id": "k"}]).errors
    assert len(connect.requests()) == before
    stats = source.stats()
    assert stats["values_sealed"] == 3
    assert stats["connect_records"] == 1


def test_rules_that_are_turned_off_are_told(connect: ConnectWorld, caplog: pytest.LogCaptureFixture) -> None:
    connect.put(FLAT, rule())
    source = connect.source({"rule.executors.encryptPII.disabled": "true"})
    (note,) = source.explain("t").notes
    assert "rule.executors.encryptPII.disabled" in note
    assert note in caplog.text
    with pytest.raises(ConfigError, match="_default_"):
        connect.source({"rule.executors._default_.disabled": "true"})
