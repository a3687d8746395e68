"""Random schemas with rows for them, good and bad, drawn from a ``random.Random``.

A test by hypothesis hands in one of its own, and gets small examples of what it found; a long run hands
in one with a seed.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Any

Make = Callable[[], Any]

_TEXTS = ("", "a", "A", "text", "é☃𝄞", "x" * 70, "2026-01-02", "nan", "\x00", "12")
_INTS = (0, 1, -1, 63, -65, 2**31 - 1, -(2**31))
_LONGS = (*_INTS, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63))
_DOUBLES = (0.0, -0.0, 1.5, -2.25, 1e300, 5e-324, 3.4e38, math.inf, -math.inf, math.nan)
_BYTES = (b"", b"a", b"abc", b"\x00\xff\x80", b"y" * 70)
_ZONES = (dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(-dt.timedelta(seconds=1)))
_INT_LOGICAL = ("date", "time-millis", "uuid")
_LONG_LOGICAL = (
    "timestamp-millis", "timestamp-micros", "local-timestamp-millis", "local-timestamp-micros",
    "time-micros", "timestamp-nanos",
)  # fmt: skip


class Text(str):
    """A str that is not exactly one."""

    __slots__ = ()


class Number(int):
    """An int that is not exactly one."""


class Lying(dict[str, Any]):
    """A dict that has other values to get than to look at."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default) if key == "f0" else None


class Zone(dt.tzinfo):
    """A time zone that is a program."""

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(minutes=7)

    def dst(self, _: dt.datetime | None) -> None:
        return None

    def tzname(self, _: dt.datetime | None) -> str:
        return "seven minutes"


#: Values that fit few places, or none, or only by some conversion.
ODD: tuple[Make, ...] = (
    lambda: None, lambda: True, lambda: False, lambda: 0, lambda: -1, lambda: 7, lambda: 2**40,
    lambda: 2**63, lambda: -(2**70), lambda: 10**400, lambda: 0.5, lambda: math.nan, lambda: "text",
    lambda: "A", lambda: "\ud800", lambda: "2026-01-02", lambda: "nan", lambda: b"abc",
    lambda: bytearray(b"abc"), lambda: memoryview(b"abc"), list, dict, lambda: [1, 2],
    lambda: ["a"], lambda: (1, 2), lambda: ("ns.R1", {}), lambda: ("string", "x"), lambda: ("R1", {"f0": 1}),
    lambda: {"-type": "ns.R1"}, lambda: {1: 2}, lambda: {"f0": 1, 7: 1}, lambda: {Text("f0"): 1},
    lambda: OrderedDict(f0="a"), lambda: Lying(f0="a"), lambda: Text("a"), lambda: Number(3), object,
    lambda: {"a"}, lambda: range(3), lambda: 1j, lambda: decimal.Decimal("1.50"), lambda: decimal.Decimal(5),
    lambda: decimal.Decimal("NaN"), lambda: decimal.Decimal("-0"), lambda: decimal.Decimal("1E+3"),
    lambda: decimal.Decimal("-123456789.123456789"), lambda: uuid.UUID(int=2**127 + 5),
    lambda: dt.date(1969, 12, 31), lambda: dt.time(23, 59, 59, 999_999),
    lambda: dt.time(1, tzinfo=dt.UTC), lambda: dt.datetime(2026, 1, 2, 3, 4, 5, 678_999),  # noqa: DTZ001 - naive on purpose
    lambda: dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    lambda: dt.datetime(2026, 1, 2, tzinfo=Zone()), lambda: dt.timedelta(1),
)  # fmt: skip


class Maker:
    """Makes one schema, and rows for it.

    Args:
        random: what it draws from.
        odd: one value in so many is an odd one; 0: none is.

    Attributes:
        zero_items: whether an array of it may have items of no bytes.
    """

    def __init__(self, random: Random, odd: int) -> None:
        self._random = random
        self._odd = odd
        self._names = 0
        self._records: list[tuple[str, Make]] = []
        self._open: list[str] = []
        self._depth = 0
        self.zero_items = False

    def schema(self) -> tuple[Any, Make]:
        """A schema, and what makes a row for it."""
        if self._random.randrange(10):
            return self._record(3)
        return self._type(3)

    def _one(self, make: Make) -> Make:
        def drawn() -> Any:
            if self._odd and self._random.randrange(self._odd) == 0:
                return self._random.choice(ODD)()
            return make()

        return drawn

    def _of(self, *values: Any) -> Make:
        return self._one(lambda: self._random.choice(values))

    def _type(self, depth: int, /) -> tuple[Any, Make]:
        kinds: list[Callable[[int], tuple[Any, Make]]] = [
            self._plain,
            self._logical,
            self._decimal,
            self._named,
        ]
        if depth:
            kinds += [self._array, self._map, self._union, self._union, self._record]
            if self._records:
                kinds.append(self._again)
        return self._random.choice(kinds)(depth)

    def _plain(self, _depth: int, /) -> tuple[Any, Make]:
        return self._random.choice(
            [
                ("null", self._of(None)), ("boolean", self._of(True, False)), ("int", self._of(*_INTS)),
                ("long", self._of(*_LONGS)), ("float", self._of(*_DOUBLES, 3)), ("bytes", self._of(*_BYTES)),
                ("double", self._of(*_DOUBLES, 3, -(2**53) - 1)), ("string", self._of(*_TEXTS)),
            ]
        )  # fmt: skip

    def _logical(self, _depth: int, /) -> tuple[Any, Make]:
        draw = self._random.randrange
        match draw(3):
            case 0:
                name = self._random.choice(_INT_LOGICAL)
                values: Any = {
                    "date": lambda: dt.date.fromordinal(1 + draw(dt.date.max.toordinal())),
                    "time-millis": self._time,
                    "uuid": lambda: draw(100),
                }[name]
                return {"type": "int", "logicalType": name}, self._one(values)
            case 1:
                name = self._random.choice(_LONG_LOGICAL)
                if name == "time-micros":
                    return {"type": "long", "logicalType": name}, self._one(self._time)
                if name == "timestamp-nanos":
                    return {"type": "long", "logicalType": name}, self._of(*_LONGS)
                zones = (None,) if name.startswith("local") else _ZONES
                values = lambda: self._datetime(self._random.choice(zones))  # noqa: E731 - as short as it can be
                return {"type": "long", "logicalType": name}, self._one(values)
            case _:
                name = self._random.choice(["uuid", "uuid", "decimal"])
                texts = ("12345678123456781234567812345678", str(uuid.UUID(int=77)))
                values = [
                    lambda: uuid.UUID(int=self._random.getrandbits(128)),
                    lambda: self._random.choice(texts),
                ]
                return {"type": "string", "logicalType": name}, (
                    self._one(self._random.choice(values)) if name == "uuid" else self._of(*_TEXTS)
                )

    def _time(self) -> dt.time:
        draw = self._random.randrange
        return dt.time(draw(24), draw(60), draw(60), draw(1_000_000))

    def _datetime(self, zone: dt.tzinfo | None) -> dt.datetime:
        draw = self._random.randrange
        return dt.datetime(
            2 + draw(9_990), 1 + draw(12), 1 + draw(28), draw(24), draw(60), draw(60), draw(1_000_000), zone
        )

    def _decimal(self, _depth: int, /) -> tuple[Any, Make]:
        draw = self._random.randrange
        precision = 1 + draw(45 if draw(8) == 0 else 30)
        scale = draw(min(precision, 12) + 1)
        schema: dict[str, Any] = {"logicalType": "decimal", "precision": precision, "scale": scale}

        def value() -> decimal.Decimal:
            digits = tuple(draw(10) for _ in range(1 + draw(precision)))
            return decimal.Decimal((draw(2), digits, -draw(scale + 1)))

        if draw(2):
            return schema | {"type": "bytes"}, self._one(value)
        size = math.ceil((precision * math.log2(10) + 1) / 8) + draw(3)
        return schema | self._name("D") | {"type": "fixed", "size": size}, self._one(value)

    def _name(self, start: str) -> dict[str, Any]:
        self._names += 1
        return {"name": f"{start}{self._names}", "namespace": self._random.choice(["", "ns", "ns.inner"])}

    def _named(self, _depth: int, /) -> tuple[Any, Make]:
        if self._random.randrange(2):
            symbols = ["A", "B", "a", "text"][: 1 + self._random.randrange(4)]
            return self._name("E") | {"type": "enum", "symbols": symbols}, self._of(*symbols)
        size = self._random.choice([0, 1, 3, 3])
        return self._name("F") | {"type": "fixed", "size": size}, self._of(b"\x80bc"[:size])

    def _array(self, depth: int, /) -> tuple[Any, Make]:
        items, make = self._type(depth - 1)
        self.zero_items |= not _takes_bytes(items)
        return {"type": "array", "items": items}, self._one(lambda: [make() for _ in self._few()])

    def _few(self) -> range:
        return range(0 if self._depth > 20 else self._random.choice([0, 1, 2, 3, 9]))

    def _map(self, depth: int, /) -> tuple[Any, Make]:
        values, make = self._type(depth - 1)
        return {"type": "map", "values": values}, self._one(
            lambda: {self._random.choice(_TEXTS): make() for _ in self._few()}
        )

    def _union(self, depth: int, /) -> tuple[Any, Make]:
        branches: list[Any] = []
        makes: list[Make] = []
        seen: set[str] = set()
        for _ in range(1 + self._random.randrange(4)):
            branch, make = ("null", lambda: None) if not self._random.randrange(3) else self._type(depth - 1)
            kind = (
                branch if isinstance(branch, str) else branch["type"] if isinstance(branch, dict) else "union"
            )
            name = _full_name(branch) or kind
            if kind != "union" and name not in seen:
                seen.add(name)
                branches.append(branch)
                makes.append(make)
        if not branches:
            branches, makes = ["null"], [lambda: None]
        return branches, self._one(lambda: self._branch(branches, makes))

    def _branch(self, branches: list[Any], makes: list[Make]) -> Any:
        at = self._random.randrange(len(makes))
        value, branch = makes[at](), branches[at]
        name = _full_name(branch)
        return value if name is None or self._random.randrange(4) else (name, value)

    def _record(self, depth: int, /) -> tuple[Any, Make]:
        named = self._name("R")
        fields: list[dict[str, Any]] = []
        makes: list[tuple[str, Make]] = []
        values = self._one(lambda: self._fields(makes))
        name = _full_name(named) or ""
        self._records.append((name, values))
        self._open.append(name)
        for place in range(self._random.randrange(8)):
            kind, make = self._type(depth - 1)
            field: dict[str, Any] = {"name": f"f{place}", "type": kind}
            if not self._random.randrange(3):
                field["default"] = self._random.choice(
                    [None, 0, 1.5, "A", "2026-01-02", [], {}, False, "nan"]
                )
            fields.append(field)
            makes.append((field["name"], make))
        self._open.pop()
        return named | {"type": "record", "fields": fields}, values

    def _fields(self, makes: list[tuple[str, Make]]) -> dict[str, Any]:
        self._depth += 1
        lacking = self._random.choice([0, 0, 0, 6])
        row = {name: make() for name, make in makes if not (lacking and self._random.randrange(lacking) == 0)}
        if not self._random.randrange(12):
            row["beside"] = self._random.choice(ODD)()
        self._depth -= 1
        return row

    def _again(self, _depth: int, /) -> tuple[Any, Make]:
        """A record once more, by its name; one that is around it only as a value that may be null."""
        name, make = self._random.choice(self._records)
        if name not in self._open and self._random.randrange(2):
            return name, make
        branches = ["null", name]
        return branches, lambda: None if self._depth > 3 or self._random.randrange(3) else make()


def _full_name(schema: Any) -> str | None:
    """Full name of a named type, None for any other."""
    if isinstance(schema, dict) and "name" in schema:
        return f"{schema['namespace']}.{schema['name']}".removeprefix(".")
    return None


def _takes_bytes(schema: Any) -> bool:
    """Whether every value takes at least a byte; not so, for all one knows, of a record by its name."""
    if isinstance(schema, str):
        return schema in {"boolean", "int", "long", "float", "double", "bytes", "string"}
    if isinstance(schema, dict) and schema["type"] == "record":
        return any(_takes_bytes(field["type"]) for field in schema["fields"])
    return isinstance(schema, list) or schema.get("size") != 0
