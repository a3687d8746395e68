"""Decimals whose size would keep a reader or a writer busy for minutes: refused before it starts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from incumbent import field, record
from wire import number
from worlds import World, framed, rule, world

__all__ = ["world"]  # a fixture

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
PRICED = record(
    field("clear", DECIMAL),
    field("sealed", DECIMAL, "PII"),
    field("items", {"type": "array", "items": record(field("price", ["null", DECIMAL]), name="Item")}),
)
ROW: dict[str, Any] = {
    "clear": Decimal("12345678.90"),
    "sealed": Decimal("-0.01"),
    "items": [{"price": None}, {"price": Decimal("0.00")}],
}
LARGE = (
    b"\x01" * 1_000_000
)  # a second's work for each hundred kilobytes, and four times that for each doubling


def body(clear: bytes = b"\x01", sealed: bytes = b"\x01", price: bytes = b"\x01") -> bytes:
    return b"".join(
        [
            number(len(clear)),
            clear,
            number(len(sealed)),
            sealed,
            b"\x02\x02",
            number(len(price)),
            price,
            b"\x00",
        ]
    )


def test_decimals_of_their_precision_go_there_and_back(world: World) -> None:
    world.put(PRICED, rule())
    engine = world.engine()
    sent = engine.serialize("t", [ROW])
    assert engine.deserialize("t", sent.values).values == [ROW]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("parts", "path"),
    [({"clear": LARGE}, "clear"), ({"sealed": LARGE}, "sealed"), ({"price": LARGE}, "items[].price")],
)
def test_a_large_decimal_is_no_number(world: World, parts: dict[str, bytes], path: str) -> None:
    world.put(PRICED, rule())
    engine = world.engine()
    sent = engine.encrypt("t", [body(**parts), body()])
    assert engine.decrypt("t", sent.values).values == [body(**parts), body()]  # bytes are bytes
    read = engine.deserialize("t", sent.values)
    assert [(error.row, error.field, error.code) for error in read.errors] == [(0, path, "decimal_too_large")]
    assert read.values[1]["clear"] == Decimal("0.01")


@pytest.mark.timeout(30)
def test_a_large_fixed_decimal_stays_bytes(world: World) -> None:
    kind = {"type": "fixed", "name": "F", "size": 300_000, "logicalType": "decimal", "precision": 9}
    registered = world.put(record(field("f", kind)), rule())
    [row] = world.engine().deserialize("t", [framed(registered.id, bytes(300_000))]).values
    assert row == {"f": bytes(300_000)}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"clear": Decimal("1E+30000000")}, "clear"),
        ({"sealed": Decimal("123456789.01")}, "sealed"),
        ({"items": [{"price": Decimal(1)}, {"price": Decimal("9" * 100_000)}]}, "items[].price"),
    ],
)
def test_a_row_with_more_digits_than_the_precision_does_not_fit(
    world: World, change: dict[str, Any], path: str
) -> None:
    world.put(PRICED, rule())
    result = world.engine().serialize("t", [ROW | change, ROW])
    assert [(error.row, error.field, error.code) for error in result.errors] == [
        (0, path, "row_does_not_fit")
    ]
    assert result.values[0] is None
    assert result.values[1] is not None
