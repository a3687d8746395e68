"""What goes wrong in a connector: with one record, with a pipeline, and what is worth trying again."""

from __future__ import annotations

from csfle_fast.errors import OUTAGE_CODES, CsfleError, RowError

__all__ = ["DataException", "PipelineError", "RetriableError", "is_retriable"]

#: Codes whose cause may be over in a moment. ``too_many_misses`` is: a batch loads 64 keys and schemas
#: a call, and has those when it is handed in again.
_RETRIABLE = OUTAGE_CODES | {"too_many_misses"}


def is_retriable(error: CsfleError) -> bool:
    """Whether the same record may well succeed when it is tried again."""
    return error.code in _RETRIABLE


class DataException(RowError):
    """One record that could not be converted; Kafka Connect's exception of that name.

    Attributes:
        row: index in the batch that was handed in.
        field: path of the field from the root of the datum, or None.
        code: stable name of the cause; see docs/errors.md.
        message: one sentence that names row, field and cause, and quotes no value.
        reason: the same without row and field.
        offset: byte offset in the body where walking stopped, or None.
        part: ``key`` or ``value``.
        topic: the record's topic.
        partition: its partition; None on a source.
        kafka_offset: its offset in the partition; None on a source.
    """

    def __init__(
        self,
        row: int,
        field: str | None,
        code: str,
        reason: str,
        offset: int | None = None,
        *,
        part: str,
        topic: str,
        partition: int | None = None,
        kafka_offset: int | None = None,
    ) -> None:
        super().__init__(row, field, code, reason, offset)
        self.part = part
        self.topic = topic
        self.partition = partition
        self.kafka_offset = kafka_offset

    def __reduce__(self) -> tuple[object, ...]:
        positional = (self.row, self.field, self.code, self.reason, self.offset)
        place = {
            "part": self.part,
            "topic": self.topic,
            "partition": self.partition,
            "kafka_offset": self.kafka_offset,
        }
        return (_data_exception, (positional, place))


def _data_exception(positional: tuple[object, ...], place: dict[str, object]) -> DataException:
    return DataException(*positional, **place)  # type: ignore[arg-type]


class RetriableError(CsfleError):
    """Raised by a handler: nothing of the batch was stored, and the same batch may succeed later.

    Args:
        message: what happened, for the log, without values.
    """

    def __init__(self, message: str) -> None:
        super().__init__("retriable", message)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,))


class PipelineError(CsfleError):
    """A pipeline has to stop; what it did not finish is not committed.

    Its codes are ``tolerance_exceeded``, ``dead_letters_failed``, ``not_delivered`` and
    ``transaction_failed``.
    """
