"""Rows made from a schema, for a bench without rows of its own. The same schema gives the same rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from csfle_fast.cli.json_leaves import LOGICAL
from csfle_fast.cli.json_rows import JsonRows, Misfit
from csfle_fast.errors import ConfigError

__all__ = ["make_rows"]

# As long as names, addresses and numbers of cards are.
_TEXT = (10, 32)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ITEMS = 2  # of an array or map
_NULLS = 10  # one in so many values of a nullable union is null
_SAME_OPEN = 2  # a record that holds itself does so once
# Beyond these, rows that somebody made tell more than ours.
_MOST_VALUES = 10_000
_MOST_FIXED = 4_096
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def make_rows(shape: JsonRows, count: int) -> list[Any]:
    """Rows of a schema.

    Args:
        shape: the schema.
        count: how many.

    Raises:
        ConfigError: the schema is beyond this; the sentence tells why.
    """
    maker = _Maker()
    try:
        maker.learn(shape.schema)
        return [maker.row(shape) for _ in range(count)]
    except _BeyondError as error:
        reason = str(error)
    except (Misfit, RecursionError):
        reason = "it nests too deep, or wants values that are not made here"
    raise ConfigError(f"rows of this schema are not made here ({reason}): give --rows")


class _BeyondError(Exception):
    """The schema asks for too much, or, here, for a record within itself once more."""


class _Maker:
    def __init__(self) -> None:
        self._random = random.Random(24)  # noqa: S311 - rows, not secrets
        self._named: dict[str, Any] = {}
        self._open: Counter[str] = Counter()
        self._left = 0

    def learn(self, schema: Any) -> None:
        """Named types, by their names."""
        if isinstance(schema, list):
            for branch in schema:
                self.learn(branch)
        elif isinstance(schema, dict):
            if "name" in schema:
                self._named[schema["name"]] = schema
            for field in schema.get("fields", ()):
                self.learn(field["type"])
            for part in ("type", "items", "values"):
                self.learn(schema.get(part))

    def row(self, shape: JsonRows) -> Any:
        self._left = _MOST_VALUES
        self._open.clear()
        return shape.from_json(self._value(shape.schema))

    def _value(self, schema: Any) -> Any:
        """A value as the JSON that JsonRows reads."""
        self._left -= 1
        if self._left < 0:
            raise _BeyondError(f"a row has more than {_MOST_VALUES:,} values")
        if isinstance(schema, list):
            return self._of_union(schema)
        if isinstance(schema, str):
            return self._value(self._named[schema]) if schema in self._named else _PLAIN[schema](self)
        kind = schema["type"]
        if kind in ("record", "error"):
            return self._record(schema)
        if kind in ("array", "map"):
            return self._several(schema)
        if not isinstance(kind, str) or kind in self._named:
            return self._value(kind)
        return self._leaf(kind, schema)

    def _leaf(self, kind: str, schema: Mapping[str, Any]) -> Any:
        logical = f"{kind}-{schema.get('logicalType')}"
        if logical in LOGICAL:
            return _LOGICAL[logical](self, schema)
        if kind == "enum":
            return self._random.choice(schema["symbols"])
        if kind == "fixed":
            if schema["size"] > _MOST_FIXED:
                raise _BeyondError(f"a fixed has more than {_MOST_FIXED:,} bytes")
            return "".join(self._random.choices(_LETTERS, k=schema["size"]))
        return _PLAIN[kind](self)

    def _record(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        name = schema["name"]
        if self._open[name] >= _SAME_OPEN:
            raise _BeyondError("a record holds itself without end")
        self._open[name] += 1
        try:
            return {field["name"]: self._value(field["type"]) for field in schema["fields"]}
        finally:
            self._open[name] -= 1

    def _several(self, schema: Mapping[str, Any]) -> Any:
        inner = schema["items" if schema["type"] == "array" else "values"]
        try:
            values = [self._value(inner) for _ in range(_ITEMS)]
        except _BeyondError:
            if self._left < 0:
                raise
            values = []
        return values if schema["type"] == "array" else {f"key{n}": one for n, one in enumerate(values)}

    def _of_union(self, branches: list[Any]) -> Any:
        others = [branch for branch in branches if branch != "null"]
        nullable = len(others) < len(branches)
        if nullable and (not others or self._random.randrange(_NULLS) == 0):
            return None
        self._random.shuffle(others)
        for branch in others:
            try:
                value = self._value(branch)
            except _BeyondError:
                if self._left < 0:
                    raise
            else:
                return value if len(others) == 1 else {_branch_name(branch): value}
        if nullable:
            return None
        raise _BeyondError("a record holds itself without end")

    def text(self) -> str:
        return "".join(self._random.choices(_LETTERS, k=self._random.randint(*_TEXT)))

    def whole(self, most: int) -> int:
        return self._random.randrange(most)

    def moment(self, step: timedelta) -> datetime:
        return _EPOCH + step * self.whole(10**9)

    def decimal(self, schema: Mapping[str, Any]) -> str:
        scale = min(schema.get("scale", 0), 4)
        digits = min(schema["precision"], 8 + scale)
        return format(Decimal(self.whole(10**digits)).scaleb(-scale), "f")


def _branch_name(branch: Any) -> str:
    """As JsonRows names the branches of a union."""
    if isinstance(branch, str):
        return branch
    return str(branch.get("name", branch["type"]))


def _time(maker: _Maker, step: timedelta) -> str:
    noon = datetime.combine(date(2024, 1, 1), time(12), UTC)
    return (noon + step * maker.whole(10**6)).time().isoformat()


_PLAIN: Mapping[str, Callable[[_Maker], Any]] = {
    "null": lambda _: None,
    "boolean": lambda maker: maker.whole(2) == 1,
    "int": lambda maker: maker.whole(2**31),
    "long": lambda maker: maker.whole(2**40),
    "float": lambda maker: maker.whole(2**20) / 8,
    "double": lambda maker: maker.whole(2**40) / 1_024,
    "string": _Maker.text,
    "bytes": _Maker.text,
}
_MILLISECOND, _MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)
#: By the names of LOGICAL, which says which of them fastavro converts.
_LOGICAL: Mapping[str, Callable[[_Maker, Mapping[str, Any]], Any]] = {
    "bytes-decimal": _Maker.decimal,
    "fixed-decimal": _Maker.decimal,
    "int-date": lambda maker, _: maker.moment(_MILLISECOND).date().isoformat(),
    "int-time-millis": lambda maker, _: _time(maker, _MILLISECOND),
    "long-time-micros": lambda maker, _: _time(maker, _MICROSECOND),
    "long-timestamp-millis": lambda maker, _: maker.moment(_MILLISECOND).isoformat(),
    "long-timestamp-micros": lambda maker, _: maker.moment(_MICROSECOND).isoformat(),
    "long-local-timestamp-millis": lambda maker, _: (
        maker.moment(_MILLISECOND).replace(tzinfo=None).isoformat()
    ),
    "long-local-timestamp-micros": lambda maker, _: (
        maker.moment(_MICROSECOND).replace(tzinfo=None).isoformat()
    ),
    "string-uuid": lambda maker, _: str(UUID(int=maker.whole(2**128))),
}
