"""The keys, or the values, of consumed messages: opened by topic, with what the settings say on failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from csfle_fast.connect.dead_letters import AnyHeaders
from csfle_fast.connect.settings import ConverterSettings
from csfle_fast.engine import Engine
from csfle_fast.errors import CsfleError, RowError
from csfle_fast.results import Result
from csfle_fast.rules import RulesToRun

__all__ = ["Opened", "Opener"]

T = TypeVar("T")

#: How a value that was never encrypted fails where a rule expects ciphertext.
_LOOKS_LIKE_PLAINTEXT = frozenset(
    {
        "authentication_failed",
        "bad_version_prefix",
        "invalid_base64",
        "no_dek",
        "no_kek",
        "not_ciphertext",
        "unknown_dek_version",
    }
)
#: What onFailure=NONE does not cover: it is no encryption rule that failed, and another one was to run.
_NOT_FOR_NONE = frozenset({"foreign_rule"})


@dataclass(slots=True)
class Opened:
    """One part of the messages of a batch.

    Attributes:
        values: a row, body, text or bytes each; None where it failed or was null.
        schema_ids: ids of the writer schemas, None where they are not known.
        errors: what failed, by row.
        sealed: what was left as ciphertext, and why, by row.
        passed: rows of plaintext from before the rule.
    """

    values: list[Any]
    schema_ids: list[int | None]
    errors: dict[int, RowError] = field(default_factory=dict)
    sealed: dict[int, RowError] = field(default_factory=dict)
    passed: list[int] = field(default_factory=list)


class Opener:
    """Opens one part of messages.

    Args:
        converter: how keys, or values, are converted.
        engine: for Avro; None where they are bytes or text.
        passes_plaintext: whether values from before a rule pass.
    """

    def __init__(
        self, converter: ConverterSettings, engine: Engine | None, *, passes_plaintext: bool
    ) -> None:
        self.converter = converter
        self._engine = engine
        self._passes_plaintext = passes_plaintext and converter.encrypts

    def open(
        self,
        topics: Sequence[str],
        raw: list[bytes | None],
        headers: Sequence[AnyHeaders | None] | None,
        *,
        threads: int,
        bodies: bool,
    ) -> Opened:
        """Convert one part of each message.

        Args:
            topics: the topic that each message was first produced to.
            raw: keys or values.
            headers: of each message; None where no message has any.
            threads: for the engine.
            bodies: bodies instead of rows.
        """
        if self._engine is None:
            return self._open_text(raw) if self.converter.format == "string" else _nothing_to_do(raw)
        several = set(topics)
        if len(several) <= 1:
            return self._open_topic("".join(several), raw, headers, threads=threads, bodies=bodies)
        opened = Opened([None] * len(raw), [None] * len(raw))
        for topic in several:
            rows = [row for row, name in enumerate(topics) if name == topic]
            part = self._open_topic(topic, _at(raw, rows), _at(headers, rows), threads=threads, bodies=bodies)
            for row, value, schema_id in zip(rows, part.values, part.schema_ids, strict=True):
                opened.values[row], opened.schema_ids[row] = value, schema_id
            opened.errors.update((rows[row], error) for row, error in part.errors.items())
            opened.sealed.update((rows[row], error) for row, error in part.sealed.items())
            opened.passed += [rows[row] for row in part.passed]
        return opened

    def _open_topic(
        self,
        topic: str,
        raw: list[bytes | None],
        headers: Sequence[AnyHeaders | None] | None,
        *,
        threads: int,
        bodies: bool,
    ) -> Opened:
        if all(item is None for item in raw):
            return Opened([None] * len(raw), [None] * len(raw))
        assert self._engine is not None  # noqa: S101 - asked by the caller
        call: Callable[..., Result[Any]] = self._engine.decrypt if bodies else self._engine.deserialize

        def run(rules: RulesToRun, rows: list[int] | None) -> Opened:
            some = raw if rows is None else _at(raw, rows)
            their = headers if rows is None else _at(headers, rows)
            part = self.converter.part
            try:
                result = call(topic, some, headers=their, field=part, threads=threads, rules=rules)
            except CsfleError as error:
                # What concerns the whole topic is told of each of its records.
                failed = [row for row, item in enumerate(some) if item is not None]
                return Opened(
                    [None] * len(some),
                    [None] * len(some),
                    {row: RowError(row, None, error.code, error.message) for row in failed},
                )
            return Opened(result.values, result.schema_ids, {error.row: error for error in result.errors})

        if not self.converter.encrypts:
            return run("none", None)
        opened = run("all", None)
        if opened.errors and self._passes_plaintext:
            rows = [row for row, error in opened.errors.items() if error.code in _LOOKS_LIKE_PLAINTEXT]
            opened.passed = list(_again(opened, rows, run("own", rows)))
        if opened.errors and self.converter.on_failure == "NONE":
            rows = [row for row, error in opened.errors.items() if error.code not in _NOT_FOR_NONE]
            opened.sealed = _again(opened, rows, run("none", rows))
        return opened

    def _open_text(self, raw: list[bytes | None]) -> Opened:
        opened = _nothing_to_do(raw)
        for row, item in enumerate(raw):
            try:
                opened.values[row] = None if item is None else item.decode()
            except UnicodeDecodeError:
                opened.values[row] = None
                opened.errors[row] = RowError(row, None, "invalid_utf8", "the text is not UTF-8")
        return opened


def _nothing_to_do(raw: list[bytes | None]) -> Opened:
    return Opened(list(raw), [None] * len(raw))


def _again(opened: Opened, rows: list[int], part: Opened) -> dict[int, RowError]:
    """Take over those of ``rows`` that ``part`` has, and give the errors that they had before."""
    settled: dict[int, RowError] = {}
    for position, row in enumerate(rows):
        if position not in part.errors:
            opened.values[row], opened.schema_ids[row] = part.values[position], part.schema_ids[position]
            settled[row] = opened.errors.pop(row)
    return settled


def _at(items: Sequence[T] | None, rows: list[int]) -> Any:
    return None if items is None else [items[row] for row in rows]
