"""Records as handlers and transforms see them: what was consumed and opened, and what is to be produced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Message

from csfle_fast.connect.dead_letters import AnyHeaders, headers_of
from csfle_fast.connect.errors import DataException
from csfle_fast.connect.results import SinkResult
from csfle_fast.errors import CsfleError

__all__ = ["SinkBatch", "SinkRecord", "SourceRecord"]

#: Headers that name a schema: those of what was consumed do not fit what is produced.
_SCHEMA_HEADERS = frozenset({"__key_schema_id", "__value_schema_id"})


class SinkRecord(NamedTuple):
    """One record for a handler.

    Attributes:
        position: its place in the batch.
        topic: its topic.
        partition: its partition.
        offset: its offset in the partition.
        timestamp: milliseconds since 1970; below 1 where it has none.
        key: its key, as ``key.converter`` gives it.
        value: its row, or its body; None for a tombstone.
        headers: its Kafka headers.
        sealed: whether its tagged values are ciphertext (``csfle.onFailure=NONE``).
    """

    position: int
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: Any
    value: Any
    headers: AnyHeaders
    sealed: bool


class SourceRecord(NamedTuple):
    """One record to produce.

    Attributes:
        value: its row, or its body; None for a tombstone.
        key: its key, as SourceHook takes it.
        headers: its Kafka headers, without those that name a schema.
        timestamp: milliseconds since 1970; 0: now.
    """

    value: Any
    key: Any = None
    headers: AnyHeaders = []  # noqa: RUF012 - nobody changes it
    timestamp: int = 0

    def outgoing(self, schema_headers: Iterable[tuple[str, bytes]]) -> AnyHeaders:
        """Its headers, with those that name the schema it was sealed with, and no other schema."""
        own = [header for header in self.headers if header[0] not in _SCHEMA_HEADERS]
        return own + list(schema_headers)


class SinkBatch(Sequence[SinkRecord]):
    """Records in the order in which they were consumed. What failed is not among them.

    Args:
        messages: the messages of the batch.
        result: what the hook made of them.

    Attributes:
        messages: the message of each record.
        values: the value of each record.
        keys: the key of each record.
        rejected: what ``report`` was told, by position.
    """

    def __init__(self, messages: Sequence[Message], result: SinkResult) -> None:
        self.messages: Sequence[Message] = messages
        self.values: Sequence[Any] = result.values
        self.keys: Sequence[Any] = result.keys
        self._sealed = frozenset(result.sealed)
        if result.errors:
            failed = {error.row for error in result.errors}
            kept = [row for row in range(len(messages)) if row not in failed]
            self.messages = [messages[row] for row in kept]
            self.values = [result.values[row] for row in kept]
            self.keys = [result.keys[row] for row in kept]
            self._sealed = frozenset(place for place, row in enumerate(kept) if row in self._sealed)
        self.rejected: dict[int, DataException] = {}

    def report(self, position: int, reason: BaseException | str) -> None:
        """Give up one record: it becomes a dead letter, as if it could not have been read.

        Args:
            position: its place in the batch, ``SinkRecord.position``.
            reason: a sentence without values; of an exception that is not one of this package only the
                type is told, since its text may quote a value.
        """
        if isinstance(reason, CsfleError):
            reason = reason.message
        elif isinstance(reason, BaseException):
            reason = f"the handler could not take the record ({type(reason).__name__})"
        message = self.messages[position]
        self.rejected[position] = DataException(
            position,
            None,
            "rejected",
            reason,
            part="value",
            topic=message.topic() or "",
            partition=message.partition(),
            kafka_offset=message.offset(),
        )

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[place] for place in range(*position.indices(len(self)))]
        place = range(len(self))[position]
        message = self.messages[place]
        return SinkRecord(
            place,
            message.topic() or "",
            message.partition() or 0,
            message.offset() or 0,
            message.timestamp()[1],
            self.keys[place],
            self.values[place],
            headers_of(message),
            place in self._sealed,
        )

    def __iter__(self) -> Iterator[SinkRecord]:
        return (self[place] for place in range(len(self)))
