"""What fastavro makes of rows and bodies, and whether the codec makes the same of them."""

from __future__ import annotations

import io
import json
import struct
from random import Random
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

from csfle_fast._core import Schema
from csfle_fast.errors import SchemaError
from csfle_fast.objects import Codec, decode
from random_rows import Maker


class Differs(AssertionError):
    """The codec gave something else."""


class Judge:
    """Compares one schema's codec with fastavro.

    Attributes:
        rows: rows and bodies compared.
        fast: how many of them did not need fastavro.
        refused: how many of them failed, both ways.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = Schema(json.dumps(schema))
        self.codec = Codec(self.schema, "a schema")
        self.rows = self.fast = self.refused = 0

    def rows_to_bodies(self, rows: list[Any]) -> list[bytes]:
        """Each row gives fastavro's bytes, or fails where fastavro fails; the bodies.

        A row that would drive fastavro too deep fails, and one with a decimal too large for some branch
        of a union may.
        """
        wanted = [self._body(row) for row in rows]
        encoded = self.codec.encode(rows)
        failed = {error.row for error in encoded.errors}
        for at, (row, body) in enumerate(zip(rows, wanted, strict=True)):
            self._judge(at in failed if body is None else at not in failed or self._oversized(row), row)
        bodies = list(encoded.bodies)
        self._judge(bodies == [body for at, body in enumerate(wanted) if at not in failed], rows)
        self._judge(encoded.rows in (None, [at for at in range(len(rows)) if at not in failed]), rows)
        self._count(len(rows), encoded.by_fastavro, len(failed))
        return bodies

    def bodies_to_rows(self, bodies: list[bytes]) -> None:
        """Each body gives fastavro's values, or the exception that fastavro raises."""
        wanted = [self._row(body) for body in bodies]
        decoded = decode(bodies, [self.codec] * len(bodies), None)
        reasons = {error.row: error.message for error in decoded.errors}
        for at, (row, reason) in enumerate(wanted):
            told = reasons.get(at)
            if reason is None:
                self._judge(told is None and same(decoded.rows[at], row), bodies[at])
            else:
                self._judge(told is not None and f"({reason})" in told, bodies[at])
        self._count(len(bodies), decoded.by_fastavro, len(reasons))

    def _count(self, rows: int, by_fastavro: int, refused: int) -> None:
        self.rows += rows
        self.fast += rows - by_fastavro
        self.refused += refused

    def _judge(self, holds: bool, what: Any) -> None:
        if not holds:
            raise Differs(f"{json.dumps(json.loads(self.schema.codec_schema()))}\n{what!r}")

    def _oversized(self, row: Any) -> bool:
        return self.schema.holds_decimal and self.schema.oversized_decimal(row) is not None

    def _body(self, row: Any) -> bytes | None:
        """What fastavro writes, None where it raises, or would end the process."""
        if self.schema.recursive and self.schema.too_deep(row):
            return None
        out = io.BytesIO()
        try:
            fastavro.schemaless_writer(out, self.codec.parsed, row)
        except Exception:  # noqa: BLE001 - whatever it is, it is what is asked for
            return None
        return out.getvalue()

    def _row(self, body: bytes) -> tuple[Any, str | None]:
        try:
            return fastavro.schemaless_reader(io.BytesIO(body), self.codec.parsed, None), None
        except Exception as error:  # noqa: BLE001 - as above
            return None, type(error).__name__


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down, with NaN equal to itself and 0.0 not to -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other and str(one) == str(other))


def try_one(random: Random, odd: int, rows: int = 4) -> Judge | None:
    """One random schema with some rows there and back, and damaged bodies; None for a schema that is none."""
    maker = Maker(random, odd)
    schema, make = maker.schema()
    try:
        judge = Judge(schema)
    except SchemaError:
        return None
    # A root bytes schema has a body of its own kind. A root without a name is parsed by fastavro again
    # for every row, and may then be refused for defaults that were let pass before.
    if judge.codec.raw or (judge.schema.name is None and _refused(judge.codec.parsed)):
        return None
    bodies = judge.rows_to_bodies([row for row in (make() for _ in range(rows)) if row is not None])
    judge.bodies_to_rows(bodies)
    if bodies and not maker.zero_items:  # where items take no bytes, fastavro counts as far as it is told
        judge.bodies_to_rows([_damaged(random, random.choice(bodies)) for _ in range(2)])
    return judge


def _refused(schema: Any) -> bool:
    try:
        fastavro.parse_schema(schema)
    except SchemaParseException:
        return True
    return False


def _damaged(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body) + 1)
    put = bytes(
        random.choice([0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, random.randrange(256)])
        for _ in range(random.randrange(4))
    )
    return body[:at] + put + body[at + random.randrange(4) :]
