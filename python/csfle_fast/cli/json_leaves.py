"""The values without parts, as JSON: numbers, text, bytes, dates, decimals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

__all__ = ["LOGICAL", "PRIMITIVES", "Leaf", "Misfit", "enum_leaf", "fixed_leaf"]

T = TypeVar("T")

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_NO_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Misfit(Exception):
    """A value does not fit its schema.

    Args:
        reason: one sentence without the value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._steps: list[str] = []

    def inside(self, step: str) -> Misfit:
        """The same, seen from the value that holds this one by ``.field``, ``[]`` or ``{}``."""
        self._steps.append(step)
        return self

    @property
    def depth(self) -> int:
        """How many values hold it."""
        return len(self._steps)

    @property
    def path(self) -> str:
        """The field's path from the root: ``a.b[].c``; empty for the root itself."""
        return "".join(reversed(self._steps)).removeprefix(".")

    def __str__(self) -> str:
        return f"field {self.path}: {self.reason}" if self._steps else self.reason


@dataclass(frozen=True, slots=True)
class Leaf:
    """A type without parts.

    Attributes:
        name: as a branch of a union is named.
        read: from JSON; raises Misfit.
        write: to JSON; raises Misfit.
    """

    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def _instance(wanted: str, *types: type) -> Callable[[Any], Any]:
    """As it is, if it is of one of these types, and not of a subtype of them: True is no number."""

    def convert(value: Any) -> Any:
        if type(value) not in types:
            raise Misfit(f"{wanted} is wanted")
        return value

    return convert


def _whole(bits: int) -> Callable[[Any], int]:
    limit = 1 << (bits - 1)

    def convert(value: Any) -> int:
        if type(value) is not int:
            raise Misfit("a whole number is wanted")
        if not -limit <= value < limit:
            raise Misfit(f"a whole number of {bits} bits is wanted")
        return value

    return convert


def _read_float(value: Any) -> float:
    if isinstance(value, str) and value in _NO_NUMBERS:
        return _NO_NUMBERS[value]
    if type(value) not in (int, float, Decimal):
        raise Misfit("a number is wanted")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if math.isinf(found) and found != value:
        raise Misfit("the number is too large")
    return found


def _write_float(value: Any) -> Any:
    if type(value) not in (int, float):
        raise Misfit("a number is wanted")
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"


def _bytes(size: int | None = None) -> tuple[Callable[[Any], bytes], Callable[[Any], str]]:
    def read(value: Any) -> bytes:
        try:
            found = _text(value).encode("latin-1")
        except UnicodeEncodeError:
            found = None  # the error quotes the text
        if found is None:
            raise Misfit("bytes are text of the code points 0 to 255")
        return checked(found)

    def checked(found: bytes) -> bytes:
        if size is not None and len(found) != size:
            raise Misfit(f"{size} bytes are wanted")
        return found

    def write(value: Any) -> str:
        if not isinstance(value, bytes):
            raise Misfit("bytes are wanted")
        return value.decode("latin-1")

    return read, write


_text = _instance("text", str)
_null = _instance("null", type(None))
_boolean = _instance("true or false", bool)

#: By the names of Avro's primitive types.
PRIMITIVES: Mapping[str, Leaf] = {
    leaf.name: leaf
    for leaf in (
        Leaf("null", _null, _null),
        Leaf("boolean", _boolean, _boolean),
        Leaf("int", _whole(32), _whole(32)),
        Leaf("long", _whole(64), _whole(64)),
        Leaf("float", _read_float, _write_float),
        Leaf("double", _read_float, _write_float),
        Leaf("string", _text, _text),
        Leaf("bytes", *_bytes()),
    )
}


def enum_leaf(schema: Mapping[str, Any]) -> Leaf:
    """The symbols of an enum."""
    symbols = frozenset(schema["symbols"])

    def convert(value: Any) -> Any:
        if not isinstance(value, str) or value not in symbols:
            raise Misfit("a symbol of the enum is wanted")
        return value

    return Leaf(schema["name"], convert, convert)


def fixed_leaf(schema: Mapping[str, Any]) -> Leaf:
    """So many bytes."""
    return Leaf(schema["name"], *_bytes(schema["size"]))


def _decimal(schema: Mapping[str, Any]) -> Leaf:
    """A decimal; as bytes it was left encrypted."""
    precision, scale = schema["precision"], schema.get("scale", 0)

    def read(value: Any) -> Decimal:
        if type(value) not in (int, float, Decimal) and not (
            isinstance(value, str) and _DECIMAL.fullmatch(value)
        ):
            raise Misfit("a decimal is wanted")
        # A float is here only where numbers were not read as Decimal; its text is what stood there.
        found = Decimal(repr(value) if isinstance(value, float) else value)
        exponent = found.as_tuple().exponent
        if not isinstance(exponent, int):
            raise Misfit("a decimal is wanted")
        if exponent < -scale:
            raise Misfit(f"a decimal of at most {scale} places is wanted")
        if found.adjusted() + 1 + scale > precision and (found or exponent > 0):
            raise Misfit(f"a decimal of at most {precision} digits is wanted")
        return found

    def write(value: Any) -> str:
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if not isinstance(value, Decimal):
            raise Misfit("a decimal is wanted")
        return format(value, "f")

    return Leaf(schema.get("name", schema["type"]), read, write)


def _iso(
    kind: type[T], wanted: str, bits: int, *, zoned: bool | None = None
) -> Callable[[Mapping[str, Any]], Leaf]:
    """A date or time as ISO 8601 text, or as the number that Avro stores."""
    number = _whole(bits)

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return number(value)
        try:
            found = kind.fromisoformat(value)  # type: ignore[attr-defined]
        except ValueError:
            found = None  # the error quotes the text
        if found is None or (zoned is not None and (found.tzinfo is not None) != zoned):
            raise Misfit(f"{wanted} is wanted, or a whole number")
        return found

    def write(value: Any) -> Any:
        if type(value) is not kind:
            return number(value)
        return value.isoformat()  # type: ignore[attr-defined]

    return lambda schema: Leaf(schema["type"], read, write)


def _read_uuid(value: Any) -> UUID:
    try:
        return UUID(_text(value))
    except ValueError:
        pass  # the error quotes the text
    raise Misfit("a UUID is wanted")


def _write_uuid(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else _text(value)


_INSTANT = _iso(datetime, "a date and time with its offset from UTC, in ISO 8601,", 64, zoned=True)
_LOCAL = _iso(datetime, "a date and time without an offset, in ISO 8601,", 64, zoned=False)
_TIME = "a time without an offset, in ISO 8601,"

#: By type and logical type, those that fastavro converts.
LOGICAL: Mapping[str, Callable[[Mapping[str, Any]], Leaf]] = {
    "bytes-decimal": _decimal,
    "fixed-decimal": _decimal,
    "int-date": _iso(date, "a date in ISO 8601", 32),
    "int-time-millis": _iso(time, _TIME, 32, zoned=False),
    "long-time-micros": _iso(time, _TIME, 64, zoned=False),
    "long-timestamp-millis": _INSTANT,
    "long-timestamp-micros": _INSTANT,
    "long-local-timestamp-millis": _LOCAL,
    "long-local-timestamp-micros": _LOCAL,
    "string-uuid": lambda schema: Leaf(schema["type"], _read_uuid, _write_uuid),
}
