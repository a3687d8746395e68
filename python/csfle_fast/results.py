"""What a call on a batch gives back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from csfle_fast.errors import RowError

__all__ = ["Headers", "PackedRows", "Result"]

#: The Kafka headers of one row, as confluent-kafka takes and gives them.
Headers = list[tuple[str, bytes]]

V_co = TypeVar("V_co", covariant=True)


class PackedRows(NamedTuple):
    """Rows in one buffer.

    Attributes:
        buffer: the bytes of all rows, one after the other.
        offsets: int64; row ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``, so there is one more
            than there are rows. A failed row is empty.
    """

    buffer: bytes
    offsets: memoryview


class Result(Generic[V_co]):
    """The outcome of a batch.

    Args:
        values: see below.
        errors: see below.
        schema_ids: the ids of the writer schemas that the batch met, and for each row which of them.
        headers: see below.

    Attributes:
        values: one value a row, in order, None where the row failed or was None; or, for a packed
            batch, a PackedRows.
        errors: one RowError for each row that failed, in row order.
        headers: with ``framing="header"``, the headers to produce each row with, none for a row
            that is None. Empty otherwise.
    """

    __slots__ = ("_lanes", "_schema_ids", "errors", "headers", "values")

    def __init__(
        self,
        values: V_co,
        errors: list[RowError],
        *,
        schema_ids: tuple[Sequence[int | None], Sequence[int | None]] = ((), ()),
        headers: list[Headers] | None = None,
    ) -> None:
        self.values = values
        self.errors = errors
        self._schema_ids: list[int | None] | None = None
        self._lanes = schema_ids
        self.headers: list[Headers] = headers or []

    @property
    def schema_ids(self) -> list[int | None]:
        """On READ, the id of each row's writer schema; empty on WRITE.

        None where it is not known: a failed row, a tombstone, or a schema that is known by GUID alone.
        """
        if self._schema_ids is None:
            ids, lanes = self._lanes
            if len(ids) == 1 and None not in lanes:  # the common case, and several times faster
                self._schema_ids = list(ids) * len(lanes)
            else:
                self._schema_ids = [None if lane is None else ids[lane] for lane in lanes]
        return self._schema_ids

    def raise_for_errors(self) -> None:
        """Raise the first row's error, with a note on how many more there are; nothing if all is well.

        Raises:
            RowError: the first of ``errors``.
        """
        if not self.errors:
            return
        first = self.errors[0]
        more = len(self.errors) - 1
        if more and not getattr(first, "__notes__", None):
            first.add_note(f"{more} more row{'s' if more > 1 else ''} of the batch failed")
        raise first

    def __repr__(self) -> str:
        count = len(self.values.offsets) - 1 if isinstance(self.values, PackedRows) else _count(self.values)
        return f"Result({count} rows, {len(self.errors)} failed)"


def _count(values: Any) -> int:
    return len(values)
