"""Rows on their way into the pipelines and out of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from csfle_fast.cli.connect_run import Watch
from csfle_fast.cli.json_rows import JsonRows, Misfit
from csfle_fast.cli.latest import LatestSchemas
from csfle_fast.cli.row_files import RowFileError, RowReader
from csfle_fast.cli.row_writers import RowWriter, Shaped
from csfle_fast.connect import HookPlan, SinkBatch, SourceHook, SourceRecord
from csfle_fast.connect.dead_letters import headers_of, origin
from csfle_fast.errors import ConfigError

__all__ = ["FileHandler", "FileRows", "key_of"]

_log = logging.getLogger(__name__)


class FileRows:
    """The rows of a reader as records, up to the first that cannot be read; those before it are kept.

    Args:
        reader: of the file.
        key: takes the key out of a row; None for records without keys.
        goes_on: whether to leave out rows that cannot be read, if others can.

    Attributes:
        failure: why it ended early.
        left_out: how many rows were.
    """

    def __init__(self, reader: RowReader, key: Callable[[Any], Any] | None, *, goes_on: bool) -> None:
        self._reader = reader
        self._key = key
        self._goes_on = goes_on
        self.failure: RowFileError | None = None
        self.left_out = 0

    def __iter__(self) -> Iterator[SourceRecord]:
        while True:
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except RowFileError as error:
                if error.lasting or not self._goes_on:
                    self.failure = error
                    return
                _log.error("%s", error)
                self.left_out += 1
                continue
            key = None if self._key is None or row is None else self._key(row)
            yield SourceRecord(row, key)


def key_of(hook: SourceHook, topic: str, shape: JsonRows, field: str) -> Callable[[Any], Any]:
    """What takes a field out of a row, to be the key of its record.

    Args:
        hook: will seal the rows.
        topic: where they go.
        shape: what they look like.
        field: name of the field.

    Raises:
        ConfigError: there is no such field, or it is encrypted in the value and would not be as the key.
        CsfleError: the schema cannot be had.
    """
    schema = shape.schema
    if not isinstance(schema, dict) or field not in {there["name"] for there in schema.get("fields", ())}:
        raise ConfigError(f"--key: the rows of topic {topic} have no field {field}")
    settings = hook.settings
    if settings.value.encrypts and _is_encrypted(hook.explain(topic), field):
        keys = hook.explain(topic, "key") if settings.key.encrypts else None
        if keys is None or not _is_encrypted(keys, None):
            raise ConfigError(
                f"--key: {field} is encrypted in the value and would be plaintext as the key; take another"
            )

    def take(row: Any) -> Any:
        found = row.get(field)
        if settings.key.format == "string" and type(found) in (int, UUID):
            return str(found)
        return found

    return take


def _is_encrypted(plan: HookPlan, field: str | None) -> bool:
    """Whether something in a field, or anywhere, is encrypted by its tags."""
    roots = {re.split(r"[.\[{]", entry.path)[0] for entry in plan.fields if entry.decision == "encrypt"}
    return bool(roots) if field is None else field in roots


class FileHandler:
    """Writes the rows of a batch, and returns once they are safe.

    Args:
        schemas: what the rows look like.
        writer: takes them.
        watch: is told of them.
        dead_letters: the dead letter topic; records of it are looked at as what they first were.
        takes_null: whether the writer takes tombstones.
    """

    def __init__(
        self,
        schemas: LatestSchemas,
        writer: RowWriter,
        watch: Watch,
        *,
        dead_letters: str | None,
        takes_null: bool,
    ) -> None:
        self._schemas = schemas
        self._writer = writer
        self._watch = watch
        self._dead_letters = dead_letters
        self._takes_null = takes_null

    def __call__(self, batch: SinkBatch) -> None:
        """Store a batch; a row that cannot be written is given up."""
        rows: list[Shaped] = []
        for position, (message, row) in enumerate(zip(batch.messages, batch.values, strict=True)):
            topic = message.topic() or ""
            if topic == self._dead_letters:
                topic = origin(topic, headers_of(message), topic)
            if row is None:
                if self._takes_null:
                    rows.append(Shaped(None, None, None))
                else:
                    batch.report(position, "a container holds no tombstones; JSON lines do")
                continue
            try:
                shape, text = self._schemas.to_json(topic, row)
            except Misfit as misfit:
                batch.report(position, f"the row cannot be written: {misfit}")
            else:
                rows.append(Shaped(shape, row, text))
        self._writer.write(rows)
        self._watch.add(len(rows))
