"""The dict codec: rows to bodies and back, by fastavro.

This is the one room that knows how rows and bodies meet; another codec can take its place.
Neither direction lets an exception of fastavro out, since those quote values.
"""

from __future__ import annotations

import io
import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import fastavro

from csfle_fast._core import Schema
from csfle_fast.errors import RowError, SchemaError

__all__ = ["Codec", "EncodedRows", "decode"]


class EncodedRows:
    """Bodies of the rows that could be encoded.

    Attributes:
        buffer: the bodies, one after the other.
        offsets: int64, one more than there are bodies.
        rows: the row of each body, where some rows have none; None where each row has its body.
        errors: the rows that do not fit the schema.
        tombstones: how many rows were None.
    """

    __slots__ = ("buffer", "errors", "offsets", "rows", "tombstones")

    def __init__(
        self,
        buffer: bytes,
        offsets: array[int],
        rows: list[int] | None,
        errors: list[RowError],
        tombstones: int,
    ) -> None:
        self.buffer = buffer
        self.offsets = offsets
        self.rows = rows
        self.errors = errors
        self.tombstones = tombstones


class Codec:
    """Rows and bodies of one writer schema.

    Args:
        schema: the writer schema.
        where: the schema's name for error messages.
        left: full names of fields whose values may be ciphertext: they are read by their physical type,
            since ciphertext is no UUID and no decimal.

    Raises:
        SchemaError: codec_schema, fastavro cannot work with a schema that is valid Avro.
    """

    def __init__(self, schema: Schema, where: str, left: frozenset[str] = frozenset()) -> None:
        self._schema = schema
        self.raw = schema.kind == "bytes"  # a root bytes schema has the raw bytes as its body
        self._recursive = schema.recursive
        self._decimals = schema.holds_decimal
        try:
            text = json.loads(schema.codec_schema())
            self.parsed: Any = fastavro.parse_schema(
                _physical(text, left) if left else text, _ignore_default_error=True
            )
        except Exception as error:  # noqa: BLE001 - whatever fastavro raises becomes a typed error
            reason = type(error).__name__
        else:
            return
        raise SchemaError("codec_schema", f"{where}: fastavro cannot use the schema ({reason})")

    def encode(self, rows: Sequence[Any]) -> EncodedRows:
        """Encode rows; a row that does not fit fails alone."""
        out = io.BytesIO()
        offsets = array("q", [0])
        errors: list[RowError] = []
        kept: list[int] = []
        write = self._writer(out)
        end = 0
        for index, row in enumerate(rows):
            if row is None:
                continue
            try:
                write(row)
            except Exception:  # noqa: BLE001 - the reason is looked for without the exception's text
                out.seek(end)
                out.truncate()
                errors.append(self._misfit(index, row))
                continue
            end = out.tell()
            offsets.append(end)
            kept.append(index)
        whole = len(kept) == len(rows)
        return EncodedRows(
            out.getvalue(), offsets, None if whole else kept, errors, len(rows) - len(kept) - len(errors)
        )

    def _writer(self, out: io.BytesIO) -> Callable[[Any], object]:
        if self.raw:
            return out.write
        write, parsed, schema = fastavro.schemaless_writer, self.parsed, self._schema
        if not (self._recursive or self._decimals):
            return lambda row: write(out, parsed, row)

        def guarded(row: Any) -> None:
            if self._recursive and schema.too_deep(row):
                raise _HostileRowError
            if self._decimals and schema.oversized_decimal(row) is not None:
                raise _HostileRowError
            write(out, parsed, row)

        return guarded

    def _misfit(self, index: int, row: Any) -> RowError:
        try:
            if self._recursive and self._schema.too_deep(row):
                return RowError(
                    index, None, "too_deep",
                    "the row nests records more than 512 deep, holds itself, or grows beyond measure",
                )  # fmt: skip
            path = None if self.raw else self._schema.first_misfit(row) or None
            if path is None and self._decimals:
                path = self._schema.oversized_decimal(row)
        except Exception:  # noqa: BLE001 - a row that cannot even be looked at does not fit either
            path = None
        return RowError(index, path, "row_does_not_fit", "the value does not fit the schema")


def decode(
    bodies: Iterable[bytes | None], codecs: Iterable[Codec | None], reader: Codec | None
) -> tuple[list[Any], list[RowError]]:
    """Decode bodies, each by its writer's codec, into rows of ``reader``'s shape if given."""
    rows: list[Any] = []
    errors: list[RowError] = []
    read = fastavro.schemaless_reader
    target = None if reader is None else reader.parsed
    for index, (body, codec) in enumerate(zip(bodies, codecs, strict=True)):
        row = None
        if body is not None and codec is not None:
            try:
                row = body if codec.raw else read(io.BytesIO(body), codec.parsed, target)
            except Exception as error:  # noqa: BLE001 - its text may quote the value
                reason = type(error).__name__
                errors.append(
                    RowError(index, None, "not_decodable", f"the body cannot be made a row ({reason})")
                )
        rows.append(row)
    return rows, errors


def _physical(schema: Any, left: frozenset[str], *, inside: bool = False) -> Any:
    """The schema without the logical types of strings and bytes in the fields ``left``."""
    if isinstance(schema, list):
        return [_physical(branch, left, inside=inside) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema["type"]
    if kind in ("record", "error"):
        fields = [
            field
            | {"type": _physical(field["type"], left, inside=f"{schema['name']}.{field['name']}" in left)}
            for field in schema["fields"]
        ]
        return schema | {"fields": fields}
    for part in ("items", "values"):
        if part in schema:
            return schema | {part: _physical(schema[part], left, inside=inside)}
    return kind if inside and kind in ("string", "bytes") else schema


class _HostileRowError(Exception):
    """The row would drive the encoder too deep, or keep it busy beyond measure."""
