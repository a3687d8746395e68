"""The dict codec: rows to bodies and back.

This is the one room that knows how rows and bodies meet. Rows of plain Python values go through the
compiled codec, every other row through fastavro, which also has the last word on what does not fit.
Neither direction lets an exception of fastavro out, since those quote values.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import fastavro

from csfle_fast._core import Bodies, RowCodec, Schema, decode_rows
from csfle_fast.errors import RowError, SchemaError

__all__ = ["Codec", "DecodedRows", "EncodedRows", "decode"]

#: The logical types that fastavro converts, as the compiled codec does.
_CONVERTED = {
    "bytes-decimal", "fixed-decimal", "int-date", "int-time-millis", "long-local-timestamp-micros",
    "long-local-timestamp-millis", "long-time-micros", "long-timestamp-micros", "long-timestamp-millis",
    "string-uuid",
}  # fmt: skip


class EncodedRows:
    """Bodies of the rows that could be encoded.

    Attributes:
        bodies: the bodies, which the core takes as a batch.
        rows: the row of each body, where some rows have none; None where each row has its body.
        errors: the rows that do not fit the schema.
        tombstones: how many rows were None.
        by_fastavro: how many rows fastavro had to look at.
    """

    __slots__ = ("bodies", "by_fastavro", "errors", "rows", "tombstones")

    def __init__(
        self,
        bodies: Bodies,
        rows: list[int] | None,
        errors: list[RowError],
        tombstones: int,
        by_fastavro: int,
    ) -> None:
        self.bodies = bodies
        self.rows = rows
        self.errors = errors
        self.tombstones = tombstones
        self.by_fastavro = by_fastavro


class DecodedRows(NamedTuple):
    """Rows of bodies, with None where a body could not be decoded.

    Attributes:
        rows: one for each body.
        errors: the bodies that could not be made a row.
        by_fastavro: how many bodies fastavro had to look at.
    """

    rows: list[Any]
    errors: list[RowError]
    by_fastavro: int


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
            physical = json.loads(schema.codec_schema())
            if left:
                physical = _physical(physical, left)
            self.parsed: Any = fastavro.parse_schema(physical, _ignore_default_error=True)
        except Exception as error:  # noqa: BLE001 - whatever fastavro raises becomes a typed error
            reason = type(error).__name__
        else:
            self._text = json.dumps(physical)
            self._compiled = RowCodec(schema, left, _foreign_converters())
            return
        raise SchemaError("codec_schema", f"{where}: fastavro cannot use the schema ({reason})")

    def encode(self, rows: Sequence[Any]) -> EncodedRows:
        """Encode rows; a row that does not fit fails alone."""
        out = io.BytesIO()
        errors: list[RowError] = []
        write = self._writer(out)
        handed = 0

        def by_fastavro(index: int, row: Any) -> bytes | None:
            nonlocal handed
            handed += 1
            out.seek(0)
            out.truncate()
            try:
                write(row)
            except Exception:  # noqa: BLE001 - the reason is looked for without the exception's text
                errors.append(self._misfit(index, row))
                return None
            return out.getvalue()

        bodies, kept, tombstones = self._compiled.encode(tuple(rows), by_fastavro)
        return EncodedRows(bodies, kept, errors, tombstones, handed)

    def compiled_for(self, reader: Codec | None) -> RowCodec | None:
        """What makes rows of ``reader``'s shape without fastavro, None where the shapes differ."""
        return self._compiled if reader is None or reader._text == self._text else None  # noqa: SLF001 - its own kind

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
                    "the row nests records more than 512 deep, or more than 1,024 with arrays and maps; or "
                    "it holds itself, or grows beyond measure",
                )  # fmt: skip
            path = None if self.raw else self._schema.first_misfit(row) or None
            if path is None and self._decimals:
                path = self._schema.oversized_decimal(row)
        except Exception:  # noqa: BLE001 - a row that cannot even be looked at does not fit either
            path = None
        return RowError(index, path, "row_does_not_fit", "the value does not fit the schema")


def decode(
    bodies: Iterable[bytes | None], codecs: Iterable[Codec | None], reader: Codec | None
) -> DecodedRows:
    """Decode bodies, each by its writer's codec, into rows of ``reader``'s shape if given."""
    bodies, codecs = tuple(bodies), tuple(codecs)
    compiled = {codec: None if codec is None else codec.compiled_for(reader) for codec in set(codecs)}
    errors: list[RowError] = []
    target = None if reader is None else reader.parsed
    handed = 0

    def by_fastavro(index: int) -> Any:
        nonlocal handed
        body, codec = bodies[index], codecs[index]
        if body is None or codec is None:
            return None
        handed += 1
        try:
            return body if codec.raw else fastavro.schemaless_reader(io.BytesIO(body), codec.parsed, target)
        except Exception as error:  # noqa: BLE001 - its text may quote the value
            reason = type(error).__name__
            errors.append(RowError(index, None, "not_decodable", f"the body cannot be made a row ({reason})"))
            return None

    if len(compiled) == 1:
        of_each = tuple(compiled.values()) * len(codecs)
    else:
        of_each = tuple(map(compiled.__getitem__, codecs))
    rows = decode_rows(bodies, of_each, by_fastavro)
    return DecodedRows(rows, errors, handed)


def _foreign_converters() -> set[str]:
    """Logical types that fastavro converts in another way than its own: programs may register theirs."""
    tables = (fastavro.write.LOGICAL_WRITERS, fastavro.read.LOGICAL_READERS)
    own = [
        {name for name, one in table.items() if str(getattr(one, "__module__", "")).startswith("fastavro.")}
        for table in tables
    ]
    return set().union(*tables, _CONVERTED) - _CONVERTED.intersection(*own)


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
