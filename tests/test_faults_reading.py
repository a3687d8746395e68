"""Faults of confluent-kafka in reading, each shown there first: nameless errors, half rows, made-up data.

Hostile frames are read in a process of their own, because that of confluent-kafka does not survive them.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka.serialization import SerializationError

from incumbent import TOPIC, Subject, encrypt_rule, field, record

PLAIN = record(field("v", "string", "PII"))


def flip_a_bit(text: str) -> str:
    """Sealed text with one bit of its ciphertext changed; still good base64."""
    sealed = bytearray(base64.b64decode(text))
    sealed[-1] ^= 1
    return base64.b64encode(sealed).decode()


class TestCausesCannotBeToldApart:
    """Plaintext of older days, a changed value, and a missing key: the same error without a word."""

    def test_confluent_kafka_raises_the_same_for_all(self) -> None:
        subject = Subject(PLAIN)
        sealed = subject.on_the_wire(subject.theirs.serialize({"v": "mine"}))["v"]
        reasons = set()
        for reader, text in (
            (subject, "plain text"),
            (subject, flip_a_bit(sealed)),
            (Subject(PLAIN), sealed),  # the key of another registry
        ):
            with pytest.raises(SerializationError) as caught:
                reader.theirs.deserialize(reader.frame_of({"v": text}))
            reasons.add((type(caught.value), str(caught.value)))
        assert reasons == {(SerializationError, "")}

    def test_csfle_fast_gives_each_its_code_and_field(self) -> None:
        subject = Subject(PLAIN)
        with subject.engine() as engine:
            [frame] = engine.serialize(TOPIC, [{"v": "mine"}]).values
            sealed = subject.on_the_wire(frame)["v"]
            texts = ("plain text", flip_a_bit(sealed))
            result = engine.deserialize(TOPIC, [subject.frame_of({"v": text}) for text in texts])
        keyless = Subject(PLAIN)
        with keyless.engine() as engine:
            missing = engine.deserialize(TOPIC, [keyless.frame_of({"v": sealed})])
        errors = [*result.errors, *missing.errors]
        assert [error.field for error in errors] == ["v", "v", "v"]
        plaintext, tampered, keyless_code = (error.code for error in errors)
        assert plaintext in {"not_ciphertext", "invalid_base64"}
        assert tampered == "authentication_failed"
        assert keyless_code not in {plaintext, tampered}
        assert not any("plain text" in str(error) or sealed in str(error) for error in errors)


class TestARowIsHandedOutHalfOpened:
    schema = record(field("a", "string", "PII"), field("b", "string", "PII"))
    rule = encrypt_rule(onFailure="ERROR,NONE")

    def test_confluent_kafka_does(self) -> None:
        subject = Subject(self.schema, self.rule)
        sealed = subject.on_the_wire(subject.theirs.serialize({"a": "one", "b": "two"}))
        frame = subject.frame_of({"a": sealed["a"], "b": "never sealed"})
        assert subject.theirs.deserialize(frame) == {"a": "one", "b": "never sealed"}

    def test_csfle_fast_hands_out_whole_rows_only(self) -> None:
        subject = Subject(self.schema, self.rule)
        with subject.engine() as engine:
            [frame] = engine.serialize(TOPIC, [{"a": "one", "b": "two"}]).values
            sealed = subject.on_the_wire(frame)
            half = subject.frame_of({"a": sealed["a"], "b": "never sealed"})
            result = engine.deserialize(TOPIC, [half, frame])
        assert result.values == [None, {"a": "one", "b": "two"}]
        assert [(error.row, error.field) for error in result.errors] == [(0, "b")]


ENUM = {"type": "enum", "name": "Letter", "symbols": ["X", "Y"]}
MAYBE = field("v", ["null", "string"], "PII")


class Loose(NamedTuple):
    """A body that is no datum of its schema, what confluent-kafka makes of it, and our code for it."""

    schema: dict[str, Any]
    body: bytes
    theirs: dict[str, Any]
    code: str


LOOSE = {
    "enum index -1": Loose(
        record(field("e", ENUM), MAYBE), b"\x01\x00", {"e": "Y", "v": None}, "enum_index_out_of_range"
    ),
    "integer of 70 bits": Loose(
        record(field("n", "long"), MAYBE),
        b"\x80" * 10 + b"\x00" + b"\x00",
        {"n": 0, "v": None},
        "varint_too_long",
    ),
    "bytes behind the datum": Loose(record(MAYBE), b"\x00" + b"junk", {"v": None}, "trailing_bytes"),
}


@pytest.mark.parametrize("case", LOOSE.values(), ids=list(LOOSE))
class TestBytesThatAreNoDatumAreRead:
    def test_confluent_kafka_makes_something_up(self, case: Loose) -> None:
        subject = Subject(case.schema)
        assert subject.theirs.deserialize(subject.frame(case.body)) == case.theirs

    def test_csfle_fast_refuses_them(self, case: Loose) -> None:
        subject = Subject(case.schema)
        with subject.engine() as engine:
            result = engine.deserialize(TOPIC, [subject.frame(case.body)])
        assert result.values == [None]
        assert [error.code for error in result.errors] == [case.code]


# 24 bytes are 52 when sealed, so their base64 ends in two padding signs.
LOOSE_TEXT = {
    "text behind the padding": lambda text: text + "AAAA",
    "line feed inside": lambda text: text[:8] + "\n" + text[8:],
}


@pytest.mark.parametrize("change", LOOSE_TEXT.values(), ids=list(LOOSE_TEXT))
class TestTextThatIsNotBase64IsRead:
    row = {"v": "x" * 24}  # noqa: RUF012 - not shared: every test copies it

    def test_confluent_kafka_reads_it(self, change: Any) -> None:
        subject = Subject(PLAIN)
        sealed = subject.on_the_wire(subject.theirs.serialize(dict(self.row)))["v"]
        assert subject.theirs.deserialize(subject.frame_of({"v": change(sealed)})) == self.row

    def test_csfle_fast_refuses_it(self, change: Any) -> None:
        subject = Subject(PLAIN)
        with subject.engine() as engine:
            [frame] = engine.serialize(TOPIC, [self.row]).values
            sealed = subject.on_the_wire(frame)["v"]
            result = engine.deserialize(TOPIC, [subject.frame_of({"v": change(sealed)})])
        assert [(error.field, error.code) for error in result.errors] == [("v", "invalid_base64")]


class TestARecordWithoutFieldsCannotBeRead:
    def test_confluent_kafka_says_it_is_no_frame(self) -> None:
        theirs = Subject(record()).theirs
        with pytest.raises(SerializationError, match="framing"):
            theirs.deserialize(theirs.serialize({}))

    def test_csfle_fast_reads_it(self) -> None:
        with Subject(record()).engine() as engine:
            received = engine.deserialize(TOPIC, engine.serialize(TOPIC, [{}]).values)
            received.raise_for_errors()
        assert received.values == [{}]


class Hostile(NamedTuple):
    """A short frame, the signal that ends confluent-kafka's process, and our code for it."""

    schema: dict[str, Any]
    body: bytes
    ended_by: signal.Signals
    code: str


NODE = record(MAYBE, field("next", ["null", "R"]))
NULLS = record(field("nothing", {"type": "array", "items": "null"}), MAYBE)
HOSTILE = {
    "10,000 nested records": Hostile(NODE, b"\x00\x02" * 10_000 + b"\x00\x00", signal.SIGSEGV, "too_deep"),
    "2^62 nulls": Hostile(
        NULLS, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00\x00", signal.SIGXCPU, "too_many_items"
    ),
}


def read_alone(reader: str, case: Hostile) -> subprocess.CompletedProcess[str]:
    """Reads the frame in a process of its own and returns how that ended."""
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hostile_reader.py")), reader],
        input=json.dumps({"schema": case.schema, "frame": case.body.hex()}),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("case", HOSTILE.values(), ids=list(HOSTILE))
class TestAFrameKillsTheProcess:
    def test_confluent_kafka_dies(self, case: Hostile) -> None:
        assert read_alone("theirs", case).returncode == -case.ended_by

    def test_csfle_fast_lives_and_says_why(self, case: Hostile) -> None:
        run = read_alone("ours", case)
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout) == {"code": case.code}
