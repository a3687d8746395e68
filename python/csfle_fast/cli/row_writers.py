"""Rows into files and streams: JSON lines, or Avro object containers; ``-`` is stdout."""

from __future__ import annotations

import json
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import fastavro

from csfle_fast.cli.json_rows import JsonRows
from csfle_fast.cli.row_files import STREAM, Format, RowFileError
from csfle_fast.errors import ConfigError

__all__ = ["AvroWriter", "JsonWriter", "RowWriter", "Shaped", "open_writer"]

_CHUNK = 65_536


class Shaped(NamedTuple):
    """A row to be written.

    Attributes:
        shape: what it looks like; None for a tombstone.
        row: the row.
        text: the same as JSON.
    """

    shape: JsonRows | None
    row: Any
    text: Any


class RowWriter(ABC):
    """Takes rows; what was written is safe when ``write`` returns, as far as the stream allows.

    Args:
        stream: where they go.
        name: of the stream, for errors.
        continues: whether it is a file of ours, opened by ``a+b``, that may hold rows already.
    """

    def __init__(self, stream: BinaryIO, name: str, *, continues: bool) -> None:
        self._stream = stream
        self._name = name
        self._continues = continues
        self._on_disk = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)

    def begin(self, shape: JsonRows) -> None:  # noqa: B027 - JSON lines need no beginning
        """Say what the rows will look like, where that is known before the first one.

        Raises:
            ConfigError: the file holds something else, or rows of another schema; or that was said before.
            OSError: it cannot be read or written.
        """

    @abstractmethod
    def write(self, rows: Sequence[Shaped]) -> None:
        """Add rows behind the others.

        Raises:
            RowFileError: they are of another schema than the others.
            ConfigError: the file holds something else, or rows of another schema.
            OSError: they cannot be written.
        """

    def _make_safe(self) -> None:
        self._stream.flush()
        if self._on_disk:
            os.fsync(self._stream.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._continues:
            self._stream.close()


class JsonWriter(RowWriter):
    """One row a line. See RowWriter.

    A line without end, left by a write that was interrupted, is cut off: it was not committed.
    """

    def __init__(self, stream: BinaryIO, name: str, *, continues: bool) -> None:
        super().__init__(stream, name, continues=continues)
        if continues:
            self._mend()

    def write(self, rows: Sequence[Shaped]) -> None:
        """See RowWriter."""
        lines = [json.dumps(row.text, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows]
        self._stream.write("".join(lines).encode())
        self._make_safe()

    def _mend(self) -> None:
        stream, kept, tail = self._stream, self._stream.seek(0, os.SEEK_END), b""
        while kept:
            start = max(0, kept - _CHUNK)
            stream.seek(start)
            chunk = stream.read(kept - start)
            kept = start + chunk.rfind(b"\n") + 1
            tail = chunk[kept - start :] + tail
            if kept > start:
                break
        if not tail:
            return
        try:
            json.loads(tail)
        except (ValueError, RecursionError):
            stream.truncate(kept)
            stream.seek(kept)
        else:  # whole, but by somebody who ends no line
            stream.seek(0, os.SEEK_END)
            stream.write(b"\n")


class AvroWriter(RowWriter):
    """A container of rows of one schema, one block a batch. See RowWriter.

    A torn block at the end, left by a write that was interrupted, is cut off: it was not committed.
    """

    _shape: Any = None
    _container: Any = None

    def begin(self, shape: JsonRows) -> None:
        """See RowWriter."""
        if self._shape is not None:
            if not self._takes(shape):
                raise ConfigError(self._one_schema())
            return
        if self._continues and self._stream.seek(0, os.SEEK_END):
            self._check(shape)
        self._shape = shape
        self._container = fastavro.write.Writer(self._stream, shape.schema, codec="deflate")
        self._container.flush()
        self._make_safe()

    def write(self, rows: Sequence[Shaped]) -> None:
        """See RowWriter."""
        for shape, row, _ in rows:
            if shape is None:
                raise RowFileError(f"{self._name}: a container holds no tombstones")
            if self._shape is None:
                self.begin(shape)
            elif not self._takes(shape):
                raise RowFileError(self._one_schema())
            self._add(row)
        self._container.flush()
        self._make_safe()

    def _add(self, row: Any) -> None:
        try:
            self._container.write(row)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may quote a value
            reason = type(error).__name__
        else:
            return
        raise RowFileError(f"{self._name}: a row cannot be written ({reason})")

    def _takes(self, shape: JsonRows) -> bool:
        return shape is self._shape or _plain(shape.schema) == _plain(self._shape.schema)

    def _one_schema(self) -> str:
        return (
            f"{self._name}: a container holds rows of one schema, and these are of another: take one topic "
            "at a time, and after a new version another file; or JSON"
        )

    def _check(self, shape: JsonRows) -> None:
        """See that a file can be continued, and leave the stream behind its last whole block."""
        self._stream.seek(0)
        blocks: Any = None
        try:
            blocks = fastavro.block_reader(self._stream)
            theirs = fastavro.parse_schema(blocks.writer_schema, _ignore_default_error=True)
        except Exception:  # noqa: BLE001 - its text may quote what is in the file
            theirs = None
        if theirs is None:
            raise ConfigError(f"{self._name}: it is there already, and is no Avro container")
        if _plain(theirs) != _plain(shape.schema):
            raise ConfigError(f"{self._name}: it holds rows of another schema; take another file")
        end = self._stream.tell()
        whole = True
        try:
            for block in blocks:
                end = block.offset + block.size
        except Exception:  # noqa: BLE001 - its text may quote what is in the file
            # A write that was torn ends with the file; where something stands behind, it is damage.
            whole = not self._stream.read(1)
        if not whole:
            raise ConfigError(f"{self._name}: it cannot be read behind byte {end:,}; take another file")
        self._stream.truncate(end)
        self._stream.seek(end)


def _plain(schema: Any) -> str:
    """A parsed schema, for comparison: without what fastavro notes in it."""
    branches = [
        {name: part for name, part in branch.items() if not name.startswith("__")}
        if isinstance(branch, dict)
        else branch
        for branch in (schema if isinstance(schema, list) else [schema])
    ]
    return json.dumps(branches, sort_keys=True)


def open_writer(path: str, form: Format) -> RowWriter:
    """A writer that continues a file, or writes to stdout.

    Args:
        path: the file; ``-`` for stdout.
        form: its format.

    Raises:
        OSError: it cannot be opened.
    """
    kind = JsonWriter if form is Format.JSON else AvroWriter
    if path == STREAM:
        return kind(sys.stdout.buffer, "stdout", continues=False)
    file = Path(path)
    stream = file.open("a+b")
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # of a new file, its name is to be safe too
    finally:
        os.close(folder)
    return kind(stream, path, continues=True)
