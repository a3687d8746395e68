"""The keys, or the values, of records that are to be produced: sealed, or with the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from csfle_fast.batches import Batch, as_batch
from csfle_fast.connect.settings import ConverterSettings
from csfle_fast.engine import Engine
from csfle_fast.errors import BatchError, ConfigError, CsfleError, RowError
from csfle_fast.results import Headers, PackedRows, Result

__all__ = ["Sealed", "Sealer"]


@dataclass(slots=True)
class Sealed:
    """One part of the records of a batch.

    Attributes:
        values: bytes each, None where it failed or was None; or a PackedRows.
        errors: what failed, by row.
        headers: that name the schema, for each record; empty with a prefix.
    """

    values: list[bytes | None] | PackedRows
    errors: dict[int, RowError] = field(default_factory=dict)
    headers: list[Headers] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values.offsets) - 1 if isinstance(self.values, PackedRows) else len(self.values)


class Sealer:
    """Seals one part of records.

    Args:
        converter: how keys, or values, are converted.
        engine: for Avro; None where they are bytes or text.
    """

    def __init__(self, converter: ConverterSettings, engine: Engine | None) -> None:
        self.converter = converter
        self._engine = engine

    def seal(
        self, topic: str, given: Sequence[Any] | Batch, *, schema_id: int | None, threads: int
    ) -> Sealed:
        """Convert one part of each record.

        Args:
            topic: the topic they will be produced to.
            given: rows, bodies, or a packed pair of bodies; bytes or text where there is no Avro.
            schema_id: the version that bodies were encoded with.
            threads: for the engine.

        Raises:
            BatchError: a packed pair where there is no Avro, or its offsets are wrong.
            ConfigError: ``schema_id`` for rows, which are encoded with the latest version.
        """
        if self._engine is None:
            if isinstance(given, tuple):
                raise BatchError("bad_batch", f"a packed {self.converter.part} needs the AvroConverter")
            return self._as_they_are(given)
        if isinstance(given, tuple):
            return self._run(topic, given, schema_id, threads, is_bodies=True)
        rows = list(given)
        bodies = [row for row, item in enumerate(rows) if isinstance(item, bytes | bytearray | memoryview)]
        if schema_id is not None and len(bodies) < sum(item is not None for item in rows):
            raise ConfigError("schema_id is for Avro bodies: rows are encoded with the latest version")
        if not bodies:
            return self._run(topic, rows, None, threads, is_bodies=False)
        among = set(bodies)
        others = [row for row, item in enumerate(rows) if item is not None and row not in among]
        if not others:
            some = [None if item is None else bytes(item) for item in rows]
            return self._run(topic, some, schema_id, threads, is_bodies=True)
        values: list[bytes | None] = [None] * len(rows)
        sealed = Sealed(values)
        for places, is_bodies in ((bodies, True), (others, False)):
            items = [bytes(rows[row]) if is_bodies else rows[row] for row in places]
            part = self._run(topic, items, None, threads, is_bodies=is_bodies)
            sealed.headers = sealed.headers or [[] for _ in rows if part.headers]
            for position, row in enumerate(places):
                values[row] = part.values[position]  # type: ignore[assignment]  # a list gives a list
                if part.headers:
                    sealed.headers[row] = part.headers[position]
            sealed.errors.update((places[position], error) for position, error in part.errors.items())
        return sealed

    def _run(self, topic: str, rows: Any, schema_id: int | None, threads: int, *, is_bodies: bool) -> Sealed:
        assert self._engine is not None  # noqa: S101 - asked by the caller
        rules: Literal["all", "none"] = "all" if self.converter.encrypts else "none"
        how: dict[str, Any] = {
            "field": self.converter.part,
            "framing": self.converter.framing,
            "threads": threads,
            "rules": rules,
        }
        try:
            result: Result[Any]
            if is_bodies:
                result = self._engine.encrypt(topic, rows, schema_id=schema_id, **how)
            else:
                result = self._engine.serialize(topic, rows, **how)
        except (BatchError, ConfigError):
            raise
        except CsfleError as error:
            return _all_failed(rows, error)
        return Sealed(result.values, {error.row: error for error in result.errors}, result.headers)

    def _as_they_are(self, given: Sequence[Any]) -> Sealed:
        values: list[bytes | None] = []
        errors: dict[int, RowError] = {}
        for row, item in enumerate(given):
            try:
                value = item.encode() if isinstance(item, str) else item
            except UnicodeEncodeError:
                errors[row] = RowError(row, None, "invalid_utf8", "the text cannot be UTF-8")
                values.append(None)
                continue
            if value is not None and not isinstance(value, bytes):
                value = None
                reason = (
                    f"a {self.converter.part} is bytes or text, unless its converter is the AvroConverter"
                )
                errors[row] = RowError(row, None, "row_does_not_fit", reason)
            values.append(value)
        return Sealed(values, errors)


def _all_failed(rows: Any, error: CsfleError) -> Sealed:
    """What concerns the whole topic is told of each of its records."""
    batch, packed, length = as_batch(rows)
    failed = range(length) if packed else [row for row, item in enumerate(batch) if item is not None]
    errors = {row: RowError(row, None, error.code, error.message) for row in failed}
    if packed:
        return Sealed(PackedRows(b"", memoryview(bytes(8 * (length + 1))).cast("q")), errors)
    return Sealed([None] * length, errors)
