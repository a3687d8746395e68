"""SourceHook: encrypts what a source connector is about to produce."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar, Literal, overload

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.batches import Batch
from csfle_fast.connect.errors import DataException
from csfle_fast.connect.hook import Hook
from csfle_fast.connect.results import SourceResult
from csfle_fast.connect.sealer import Sealed, Sealer
from csfle_fast.errors import BatchError, RowError
from csfle_fast.results import PackedRows

__all__ = ["SourceHook"]


class SourceHook(Hook):
    """Encrypts batches of rows by the properties of a source connector. See Hook.

    It registers no schema and changes none: rows are encoded with the subject's latest version.
    """

    kind: ClassVar[Literal["source"]] = "source"

    def __init__(
        self,
        config: Mapping[str, object],
        *,
        schema_registry_client: SchemaRegistryClient | None = None,
    ) -> None:
        super().__init__(config, schema_registry_client=schema_registry_client)
        self._keys = Sealer(self.settings.key, self._key_engine)
        self._values = Sealer(self.settings.value, self._value_engine)

    @overload
    def encrypt(  # type: ignore[overload-overlap]  # a pair is a packed batch, not two rows
        self, topic: str, rows: tuple[Any, Any], keys: Sequence[Any] | Batch | None = ..., *,
        schema_id: int | None = ..., threads: int = ...,
    ) -> SourceResult[PackedRows]: ...  # fmt: skip

    @overload
    def encrypt(
        self, topic: str, rows: Sequence[Any], keys: Sequence[Any] | Batch | None = ..., *,
        schema_id: int | None = ..., threads: int = ...,
    ) -> SourceResult[list[bytes | None]]: ...  # fmt: skip

    def encrypt(
        self,
        topic: str,
        rows: Sequence[Any] | Batch,
        keys: Sequence[Any] | Batch | None = None,
        *,
        schema_id: int | None = None,
        threads: int = 1,
    ) -> SourceResult[Any]:
        """Rows to frames. Never raises for a row: what fails is in the result, and gives no frame.

        Args:
            topic: the topic they will be produced to.
            rows: dict rows; or Avro bodies (bytes) of the subject's latest schema; or a pair
                ``(buffer, int64 offsets)`` of bodies, which gives a PackedRows. None is a tombstone.
            keys: a key for each row: rows or bodies too where ``key.converter`` is Avro, else bytes or
                text. A record is made only where key and value can be.
            schema_id: the version that bodies were encoded with, where that may not be the latest.
            threads: how many may work on the batch; small batches use one.

        Raises:
            BatchError: (a ValueError) there are not as many keys as rows, or offsets are wrong.
        """
        if isinstance(rows, Mapping | str | bytes) or isinstance(keys, Mapping | str | bytes):
            raise BatchError("bad_batch", "rows and keys are sequences, not one row or key")
        values = self._values.seal(topic, rows, schema_id=schema_id, threads=threads)
        sealed_keys = None if keys is None else self._keys.seal(topic, keys, schema_id=None, threads=threads)
        if sealed_keys is not None and len(sealed_keys) != len(values):
            raise BatchError("bad_batch", f"{len(sealed_keys)} keys do not fit {len(values)} rows")
        return self._join(topic, values, sealed_keys)

    def _join(self, topic: str, values: Sealed, keys: Sealed | None) -> SourceResult[Any]:
        failures = {row: ("value", error) for row, error in values.errors.items()}
        if keys is not None:
            failures |= {row: ("key", error) for row, error in keys.errors.items()}
        errors = [_exception(row, topic, *failures[row]) for row in sorted(failures)]
        frames, headers = values.values, values.headers
        their_keys: list[bytes | None] | None = None
        if keys is not None:
            their_keys = _listed(keys.values)
            if keys.headers:
                headers = [
                    of_key + of_value
                    for of_key, of_value in zip(
                        keys.headers, headers or [[] for _ in their_keys], strict=True
                    )
                ]
            frames = _without(frames, failures.keys())
            for row in failures:
                their_keys[row] = None
                if headers:
                    headers[row] = []
        if self.settings.log_errors:
            task = f"{self.settings.name}-{self.settings.task_id}"
            for error in errors:
                self._log.error("%s: topic %s, %s, %s", task, topic, error.part, error)
        self._count(records=len(values), records_failed=len(errors))
        return SourceResult(frames, their_keys, errors, headers)


def _exception(row: int, topic: str, part: str, cause: RowError) -> DataException:
    return DataException(row, cause.field, cause.code, cause.reason, cause.offset, part=part, topic=topic)


def _listed(values: list[bytes | None] | PackedRows) -> list[bytes | None]:
    if not isinstance(values, PackedRows):
        return values
    buffer, ends = values
    return [buffer[ends[row] : ends[row + 1]] for row in range(len(ends) - 1)]


def _without(
    values: list[bytes | None] | PackedRows, rows: Collection[int]
) -> list[bytes | None] | PackedRows:
    """The frames, with those of ``rows`` taken out."""
    if not isinstance(values, PackedRows):
        for row in rows:
            values[row] = None
        return values
    if not rows:
        return values
    kept = [b"" if row in rows else frame or b"" for row, frame in enumerate(_listed(values))]
    ends = array("q", accumulate(map(len, kept), initial=0))
    return PackedRows(b"".join(kept), memoryview(ends))
