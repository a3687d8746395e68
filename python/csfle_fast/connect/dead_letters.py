"""Dead letters: a record that failed, as it came, with the headers that Kafka Connect writes (KIP-298)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from confluent_kafka import Message

from csfle_fast.connect.errors import DataException

__all__ = ["CONTEXT_HEADERS", "AnyHeaders", "DeadLetter", "Stage", "dead_letter", "headers_of", "origin"]

#: Kafka headers as a consumer gives them: in order, names may recur, values may be null.
AnyHeaders = list[tuple[str, bytes | None]]

_PREFIX = "__connect.errors."
_TOPIC = _PREFIX + "topic"

#: Names of the headers that tell what happened, in the order in which they are written.
CONTEXT_HEADERS = (
    _TOPIC,
    _PREFIX + "partition",
    _PREFIX + "offset",
    _PREFIX + "connector.name",
    _PREFIX + "task.id",
    _PREFIX + "stage",
    _PREFIX + "class.name",
    _PREFIX + "exception.class.name",
    _PREFIX + "exception.message",
    _PREFIX + "exception.stacktrace",
)

#: Java's name of the exception: readers of dead letters look for it.
_DATA_EXCEPTION = "org.apache.kafka.connect.errors.DataException"
_TIMESTAMP_UNKNOWN = 0


class DeadLetter(NamedTuple):
    """A record for the dead letter topic; ``producer.produce(**letter._asdict())`` sends it.

    Attributes:
        topic: the dead letter topic.
        key: the original's bytes.
        value: the original's bytes: what was encrypted still is.
        headers: the original's, then those of CONTEXT_HEADERS if they are enabled.
        timestamp: the original's, in milliseconds since 1970; 0 where it has none.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: AnyHeaders
    timestamp: int


class Stage(NamedTuple):
    """Where a record failed: Connect's name of the stage, and the Java class that stands for it."""

    name: str
    class_name: str


def dead_letter(
    message: Message,
    error: DataException,
    stage: Stage,
    *,
    topic: str,
    connector: str,
    task_id: int,
    context: bool,
) -> DeadLetter:
    """The dead letter of a record.

    Args:
        message: the record as it was consumed.
        error: why it failed.
        stage: where it failed.
        topic: the dead letter topic.
        connector: name of the connector.
        task_id: number of the task.
        context: whether to append the headers of CONTEXT_HEADERS.
    """
    headers = headers_of(message)
    if context:
        text = _text(error)
        values = (
            message.topic(),
            message.partition(),
            message.offset(),
            connector,
            task_id,
            stage.name,
            stage.class_name,
            _DATA_EXCEPTION,
            text,
            f"{_DATA_EXCEPTION}: {text}\nCaused by: {type(error).__qualname__}: [{error.code}]\n",
        )
        headers += [(name, str(value).encode()) for name, value in zip(CONTEXT_HEADERS, values, strict=True)]
    kind, milliseconds = message.timestamp()
    known = kind != 0 and milliseconds > 0  # kind 0: TIMESTAMP_NOT_AVAILABLE
    return DeadLetter(
        topic, message.key(), message.value(), headers, milliseconds if known else _TIMESTAMP_UNKNOWN
    )


def headers_of(message: Message) -> AnyHeaders:
    """A copy of the Kafka headers of a consumed message."""
    return list(cast(AnyHeaders, message.headers() or ()))


def origin(topic: str, headers: Sequence[tuple[str, bytes | None]], dead_letter_topic: str | None) -> str:
    """The topic that a record was first produced to; its subjects and keys belong to that.

    A dead letter that is read again, and perhaps failed again, carries the headers of each failure one
    behind the other; those of its later failures name the dead letter topic itself.
    """
    if topic != dead_letter_topic:
        return topic
    for name, value in reversed(headers):
        if name == _TOPIC and value:
            found = value.decode(errors="replace")
            if found != dead_letter_topic:
                return found
    return topic


def _text(error: DataException) -> str:
    where = error.part if error.field is None else f"{error.part}, field {error.field}"
    return f"Failed to deserialize data for topic {error.topic}: {where}: {error.reason} [{error.code}]"
