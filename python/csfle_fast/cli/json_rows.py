"""Rows as plain JSON, directed by a schema: what JSON lacks stands as text, and unions are unwrapped.

``bytes`` and ``fixed`` are text of the code points 0 to 255, as in Avro's own JSON encoding; decimals are
text or numbers; dates and times ISO 8601 text, or the numbers that Avro stores; a UUID is its text; NaN and
the infinities are ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.

In a union, the first branch that takes a value has it, whole numbers ``int`` and ``long`` before ``float``
and ``double``. Where that would be another branch than meant, the value is wrapped as in Avro's JSON
encoding: ``{"name of the branch": value}``. Both forms are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import fastavro

from csfle_fast.cli.json_leaves import LOGICAL, PRIMITIVES, Leaf, Misfit, enum_leaf, fixed_leaf

__all__ = ["JsonRows", "Misfit"]


class JsonRows:
    """Rows of one schema, to JSON and back.

    Args:
        schema: the schema as parsed JSON, with all references written out.

    Attributes:
        schema: the same, parsed by fastavro.

    Raises:
        Exception: whatever fastavro raises for a schema that it cannot use.
    """

    def __init__(self, schema: Any) -> None:
        self.schema: Any = fastavro.parse_schema(schema, _ignore_default_error=True)
        self._root = _Shapes().shape(self.schema)

    def from_json(self, value: Any) -> Any:
        """A row as fastavro takes it; a wrapped record of a union is a pair of name and record.

        Args:
            value: as ``json.loads`` gives it, numbers with a point by ``parse_float=Decimal``.

        Raises:
            Misfit: it does not fit the schema.
        """
        return _shallow(self._root.read, value)

    def to_json(self, row: Any) -> Any:
        """A row, as fastavro gives it, as what ``json.dumps`` takes.

        Values that were left encrypted are written as they are.

        Raises:
            Misfit: it is not of this schema: a field is missing, or not known, or of another type.
        """
        return _shallow(self._root.write, row)


def _shallow(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except RecursionError:
        reason = "it nests too deep"
    raise Misfit(reason)


class _Shape(Protocol):
    @property
    def name(self) -> str: ...

    def read(self, value: Any) -> Any: ...

    def write(self, value: Any) -> Any: ...


class _Shapes:
    """Makes the shapes of a schema; named types refer to each other, and to themselves."""

    def __init__(self) -> None:
        self._named: dict[str, _Shape] = {}

    def shape(self, schema: Any) -> _Shape:
        if isinstance(schema, list):
            return _Union([self.shape(branch) for branch in schema])
        if isinstance(schema, str):
            return PRIMITIVES.get(schema) or self._named[schema]
        kind = schema["type"]
        return self._complex(kind, schema) if isinstance(kind, str) else self.shape(kind)

    def _complex(self, kind: str, schema: dict[str, Any]) -> _Shape:
        if kind in ("record", "error"):
            record = self._named[schema["name"]] = _Record(schema["name"])
            record.fields = {field["name"]: self._field(field) for field in schema["fields"]}
            return record
        if kind == "array":
            return _Array(self.shape(schema["items"]))
        if kind == "map":
            return _Map(self.shape(schema["values"]))
        leaf = self._leaf(kind, schema)
        if kind in ("enum", "fixed"):
            self._named[schema["name"]] = leaf
        return leaf

    def _field(self, field: dict[str, Any]) -> tuple[_Shape, bool]:
        shape = self.shape(field["type"])
        nullable = shape.name == "null" or (isinstance(shape, _Union) and shape.nullable)
        return shape, "default" not in field and not nullable

    def _leaf(self, kind: str, schema: dict[str, Any]) -> Leaf:
        make = LOGICAL.get(f"{kind}-{schema.get('logicalType')}")
        if make is not None:
            return make(schema)
        if kind == "enum":
            return enum_leaf(schema)
        return fixed_leaf(schema) if kind == "fixed" else PRIMITIVES[kind]


class _Record:
    fields: dict[str, tuple[_Shape, bool]]

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, value: Any) -> dict[str, Any]:
        return self._convert(value, "read")

    def write(self, value: Any) -> dict[str, Any]:
        return self._convert(value, "write")

    def _convert(self, value: Any, direction: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit("an object is wanted")
        found: dict[str, Any] = {}
        for name, (shape, required) in self.fields.items():
            if name in value:
                try:
                    found[name] = shape.read(value[name]) if direction == "read" else shape.write(value[name])
                except Misfit as misfit:
                    raise misfit.inside(f".{name}") from None
            elif required or direction == "write":
                raise Misfit("it is missing").inside(f".{name}")
        if len(found) < len(value):
            # Their names are not told: where an object stands in the wrong place, they may be data.
            raise Misfit(f"it has {len(value) - len(found)} members that the schema does not have")
        return found


class _Array:
    name = "array"

    def __init__(self, items: _Shape) -> None:
        self._items = items

    def read(self, value: Any) -> list[Any]:
        return self._each(value, self._items.read)

    def write(self, value: Any) -> list[Any]:
        return self._each(value, self._items.write)

    def _each(self, value: Any, convert: Callable[[Any], Any]) -> list[Any]:
        if not isinstance(value, list):
            raise Misfit("an array is wanted")
        try:
            return [convert(item) for item in value]
        except Misfit as misfit:
            raise misfit.inside("[]") from None


class _Map:
    name = "map"

    def __init__(self, values: _Shape) -> None:
        self._values = values

    def read(self, value: Any) -> dict[str, Any]:
        return self._each(value, self._values.read)

    def write(self, value: Any) -> dict[str, Any]:
        return self._each(value, self._values.write)

    def _each(self, value: Any, convert: Callable[[Any], Any]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit("an object is wanted")
        try:
            return {key: convert(item) for key, item in value.items()}
        except Misfit as misfit:
            raise misfit.inside("{}") from None


class _Union:
    name = "union"

    def __init__(self, branches: list[_Shape]) -> None:
        self.nullable = any(branch.name == "null" for branch in branches)
        self._branches = [branch for branch in branches if branch.name != "null"]
        self._branches.sort(key=lambda branch: branch.name in ("float", "double"))
        self._by_name = {branch.name: branch for branch in self._branches}

    def read(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        if isinstance(value, dict) and len(value) == 1:
            ((name, inner),) = value.items()
            branch = self._by_name.get(name)
            try:
                if branch is not None:
                    row = branch.read(inner)
                    return (name, row) if isinstance(branch, _Record) else row
            except Misfit:
                pass  # then it is not wrapped, but a map or a record with such a member
        return self._first(value, lambda branch: branch.read(value))

    def write(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        return self._first(value, lambda branch: self._written(branch, value))

    def _written(self, branch: _Shape, value: Any) -> Any:
        plain = branch.write(value)
        looks_wrapped = (
            isinstance(plain, dict) and len(plain) == 1 and not self._by_name.keys().isdisjoint(plain)
        )
        if len(self._branches) == 1 and not looks_wrapped:
            return plain
        return plain if _same(self.read(plain), value) else {branch.name: plain}

    def _first(self, value: Any, convert: Callable[[_Shape], Any]) -> Any:
        """What the first branch makes of a value, or the most telling of the misfits."""
        misfits: list[Misfit] = []
        for branch in self._branches:
            try:
                return convert(branch)
            except Misfit as misfit:
                misfits.append(misfit)
        deepest = max(misfits, key=lambda misfit: misfit.depth, default=None)
        if deepest is None or (len(misfits) > 1 and not deepest.depth):
            raise Misfit("no branch of the union takes it" if self._branches else "null is wanted")
        raise deepest


def _same(read: Any, row: Any) -> bool:
    """Whether what was read is the row, types and all; the name of a union's record does not count."""
    if isinstance(read, tuple):
        read = read[1]
    if isinstance(read, dict) and isinstance(row, dict):
        return read.keys() == row.keys() and all(_same(read[name], row[name]) for name in row)
    if isinstance(read, list) and isinstance(row, list):
        return len(read) == len(row) and all(map(_same, read, row))
    if isinstance(read, float) and isinstance(row, float) and math.isnan(row):
        return math.isnan(read)
    return type(read) is type(row) and bool(read == row)
