"""Rows out of files and streams: JSON lines, or Avro object containers; ``-`` is stdin."""

from __future__ import annotations

import io
import json
import os
import select
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Self

import fastavro

from csfle_fast.cli.json_rows import JsonRows, Misfit
from csfle_fast.errors import ConfigError

__all__ = [
    "STREAM",
    "AvroReader",
    "Format",
    "JsonReader",
    "RowFileError",
    "RowReader",
    "format_of",
    "open_reader",
]


class Format(StrEnum):
    """Formats of files."""

    JSON = "json"
    AVRO = "avro"


_SUFFIXES = {".json": Format.JSON, ".jsonl": Format.JSON, ".ndjson": Format.JSON, ".avro": Format.AVRO}
#: The name of stdin, or stdout.
STREAM = "-"
_SLICE_SEC = 0.2


class RowFileError(Exception):
    """Rows cannot be read or written. Its text names file, line and field, and quotes no value.

    Args:
        message: the sentence.
        lasting: whether nothing behind it can be read either.
    """

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


def format_of(path: str, given: Format | None) -> Format:
    """The format of a file: the one that is given, else by its suffix; streams are JSON.

    Raises:
        ConfigError: the suffix tells nothing.
    """
    if given is not None:
        return given
    found = Format.JSON if path == STREAM else _SUFFIXES.get(Path(path).suffix.lower())
    if found is None:
        raise ConfigError(f"{path}: its suffix tells no format; give --format json or avro")
    return found


class RowReader(ABC, Iterator[Any]):
    """Yields rows. After a RowFileError that is not lasting, the next row may be asked for.

    Args:
        stream: where they are.
        name: of the stream, for errors.
        shape: what the rows are to look like.
        stop: when it is set, the stream may end in the middle of a row.
    """

    def __init__(self, stream: BinaryIO, name: str, shape: JsonRows, stop: threading.Event) -> None:
        self._stream = stream
        self._name = name
        self._shape = shape
        self._stop = stop

    @abstractmethod
    def __next__(self) -> Any: ...

    @property
    def position(self) -> int:
        """How many bytes were read; 0 where that is not known."""
        return self._stream.tell() if self._stream.seekable() else 0

    @property
    def size(self) -> int | None:
        """How many bytes there are, if that is known."""
        return os.fstat(self._stream.fileno()).st_size if self._stream.seekable() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class JsonReader(RowReader):
    """One row a line, null for a tombstone; empty lines do not count. See RowReader."""

    _line = 0

    def __next__(self) -> Any:
        for line in iter(self._stream.readline, b""):
            self._line += 1
            if self._stop.is_set() and not line.endswith(b"\n"):
                break
            if line.strip():
                return self._row(line)
        raise StopIteration

    def _row(self, line: bytes) -> Any:
        try:
            value = json.loads(line, parse_float=Decimal, parse_constant=_refuse)
            return None if value is None else self._shape.from_json(value)
        except Misfit as misfit:
            reason = str(misfit)
        except json.JSONDecodeError as error:
            reason = f"it is not JSON at column {error.colno}"
        except (ValueError, RecursionError):  # no UTF-8, NaN, a number beyond all bounds, objects without end
            reason = "it is not JSON"
        raise RowFileError(f"{self._name}, line {self._line}: {reason}", lasting=False)


def _refuse(_constant: str) -> NoReturn:
    raise ValueError


class AvroReader(RowReader):
    """The rows of a container, resolved to the shape by Avro's rules. See RowReader."""

    def __init__(self, stream: BinaryIO, name: str, shape: JsonRows, stop: threading.Event) -> None:
        super().__init__(stream, name, shape, stop)
        self._rows: Iterator[Any] | None = None
        self._count = 0

    def __next__(self) -> Any:
        try:
            if self._rows is None:
                # Records of a union keep their names, which tell the branch.
                self._rows = fastavro.reader(
                    self._stream, self._shape.schema, return_named_type=True, return_named_type_override=True
                )
            row = next(self._rows)
        except StopIteration:
            raise
        except Exception as error:  # noqa: BLE001 - its text may quote a value
            reason = type(error).__name__
        else:
            self._count += 1
            return row
        if self._stop.is_set():
            raise StopIteration
        what = "it is no Avro container" if self._rows is None else f"row {self._count + 1} cannot be read"
        raise RowFileError(f"{self._name}: {what}, or not of a schema that fits the topic's ({reason})")


class _Interruptible(io.RawIOBase):
    """A stream that ends when it is told to, also while it waits for what may never come."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._stop.is_set():
            if select.select([self._descriptor], [], [], _SLICE_SEC)[0]:
                found = os.read(self._descriptor, len(buffer))
                buffer[: len(found)] = found
                return len(found)
        return 0


def open_reader(path: str, form: Format, shape: JsonRows, stop: threading.Event) -> RowReader:
    """A reader of a file, or of stdin.

    Args:
        path: the file; ``-`` for stdin.
        form: its format.
        shape: what its rows are to look like.
        stop: ends the waiting for stdin.

    Raises:
        OSError: the file cannot be opened.
    """
    if path == STREAM:
        stream: BinaryIO = io.BufferedReader(_Interruptible(sys.stdin.fileno(), stop))
    else:
        stream = Path(path).open("rb")  # noqa: SIM115 - the reader closes it
    kind = JsonReader if form is Format.JSON else AvroReader
    return kind(stream, "stdin" if path == STREAM else path, shape, stop)
