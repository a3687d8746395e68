"""The records that Kafka Connect is made to fail on, and how the connector of each is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.connect_reference import Headers

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
STRING_CONVERTER = "org.apache.kafka.connect.storage.StringConverter"
FILE_SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"
REPORTING_SINK = "ReportingSink"  # compiled from the file beside this one
# A value that the default value converter of the worker can read.
GOOD = b'{"schema":{"type":"string"},"payload":"twelve"}'


@dataclass(frozen=True, kw_only=True)
class Case:
    """One connector and the record that it fails on.

    Attributes:
        name: the connector is called so.
        shows: what is to be seen, in one sentence.
        key: of the record.
        value: of the record.
        headers: of the record, in order.
        replayed: the name of an earlier case whose dead letter is the record, in place of the three above.
        topic: where the record is written; the dead letter goes to ``dlq-`` and the connector's name.
        partition: of the topic, which has as many as are needed.
        ahead: good records written to the partition before this one.
        config: what the connector's settings add to those that all share, or change in them.
        fails: whether the task ends because of the record.
    """

    name: str
    shows: str
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    replayed: str | None = None
    topic: str = ""
    partition: int = 0
    ahead: int = 0
    config: Mapping[str, str] = field(default_factory=dict)
    fails: bool = False

    @property
    def input_topic(self) -> str:
        return self.topic or f"in-{self.name}"

    @property
    def dead_letter_topic(self) -> str:
        return f"dlq-{self.name}"


CASES = (
    Case(
        name="file-sink",
        shows="a value that is not JSON; the original's headers stay first, with duplicates and null",
        topic="connect-in",
        key=b"key-1",
        value=b"\x00\x00\x00\x00\x07not json",
        headers=(("app", b"one"), ("app", b"two"), ("nul", None)),
        ahead=1,
    ),
    Case(
        name="null-key",
        shows="a value without schema and payload; the null key stays null",
        value=b"{}",
    ),
    Case(
        name="bad-key",
        shows="the key is converted first; a null value and a header that is not text stay as they are",
        key=b"not json",
        headers=(("raw", b"\xff\x00"),),
        partition=2,
        config={"key.converter": JSON_CONVERTER},
    ),
    Case(
        name="both-bad",
        shows="where key and value are bad, the key's stage is told",
        key=b"not json",
        value=b"not json either",
        config={"key.converter": JSON_CONVERTER},
    ),
    Case(
        name="bad-cast",
        shows="a transformation that fails; its message quotes the value",
        key=b"key-1",
        value=GOOD,
        ahead=2,
        config={
            "transforms": "number",
            "transforms.number.type": "org.apache.kafka.connect.transforms.Cast$Value",
            "transforms.number.spec": "int32",
        },
    ),
    Case(
        name="bad-header",
        shows="a header that its converter cannot read",
        key=b"key-1",
        value=GOOD,
        headers=(("app", b"not json"),),
        config={"header.converter": JSON_CONVERTER},
    ),
    Case(
        name="reported",
        shows="a record that the sink task reports: the class is SinkTask, not the connector's",
        key=b"key-1",
        value=GOOD,
        headers=(("app", b"one"),),
        ahead=1,
        config={"connector.class": REPORTING_SINK, "message": "the value is bad"},
    ),
    Case(
        name="reported-bare",
        shows="the same with an exception without a message: the header is there and null",
        key=b"key-1",
        value=GOOD,
        config={"connector.class": REPORTING_SINK},
    ),
    Case(
        name="replayed",
        shows="a dead letter that fails again gets the ten headers again, behind those that it has",
        replayed="file-sink",
    ),
    Case(
        name="not-tolerated",
        shows="with errors.tolerance=none the dead letter is written, and then the task fails",
        key=b"key-1",
        value=b"not json",
        config={"errors.tolerance": "none"},
        fails=True,
    ),
    Case(
        name="without-context",
        shows="without errors.deadletterqueue.context.headers.enable only the original's headers",
        key=b"key-1",
        value=b"not json",
        headers=(("app", b"one"), ("app", None)),
        config={"errors.deadletterqueue.context.headers.enable": "false"},
    ),
)
