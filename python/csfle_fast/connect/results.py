"""What the calls of the hooks give back."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from csfle_fast.connect.dead_letters import DeadLetter
from csfle_fast.connect.errors import DataException, is_retriable
from csfle_fast.results import Headers, PackedRows

__all__ = ["SinkResult", "SourceResult"]

V = TypeVar("V")


class SourceResult(NamedTuple, Generic[V]):
    """Frames that may be produced.

    Attributes:
        values: the frame of each row, None where it failed or was None; a PackedRows for a packed batch.
        keys: the key of each record, likewise; None for all where no keys were given.
        errors: one DataException for each record that failed, in row order.
        headers: the Kafka headers to produce each record with; empty unless the schema is named in a
            header.
    """

    values: V
    keys: list[bytes | None] | None
    errors: list[DataException]
    headers: list[Headers]

    @property
    def retriable(self) -> bool:
        """Whether some record failed for a reason that may be over in a moment."""
        return any(map(is_retriable, self.errors))

    def raise_for_errors(self) -> None:
        """Raise the first record's error; nothing if there is none."""
        if self.errors:
            raise self.errors[0]

    def __repr__(self) -> str:
        values: Any = self.values
        rows = len(values.offsets) - 1 if isinstance(values, PackedRows) else len(values)
        return f"SourceResult({rows} records, {len(self.errors)} failed)"


class SinkResult(NamedTuple):
    """Records that were consumed, opened.

    Attributes:
        values: the row (or body) of each message; None where it failed or is a tombstone.
        keys: the key of each message; None where it failed or is null.
        errors: one DataException for each message that failed, in row order.
        dead_letters: one for each of ``errors``, if there is a dead letter topic, in the same order.
        sealed: messages whose tagged values are still ciphertext, because opening failed and
            ``csfle.onFailure`` is NONE: row to the reason.
        passed: rows of messages that ``read.plaintext=pass`` let through unopened.
        schema_ids: id of each value's writer schema, None where it is not known.
    """

    values: list[Any]
    keys: list[Any]
    errors: list[DataException]
    dead_letters: list[DeadLetter]
    sealed: dict[int, DataException]
    passed: list[int]
    schema_ids: list[int | None]

    @property
    def retriable(self) -> bool:
        """Whether some message failed, or was left sealed, for a reason that may be over in a moment."""
        return any(map(is_retriable, self.errors)) or any(map(is_retriable, self.sealed.values()))

    def raise_for_errors(self) -> None:
        """Raise the first message's error; nothing if there is none."""
        if self.errors:
            raise self.errors[0]

    def __repr__(self) -> str:
        return (
            f"SinkResult({len(self.values)} messages, {len(self.errors)} failed, {len(self.sealed)} left "
            f"sealed, {len(self.passed)} passed)"
        )
