"""``python -m benches.object_codec``: rows to bodies and back, against fastavro, without any encryption."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import fastavro
import typer

from benches.report import write
from benches.results import Bar, Line, faster
from benches.session import Wrong
from benches.workloads import BY_NAME, DEBEZIUM, GCM_10X5
from csfle_fast._core import Schema
from csfle_fast.cli.bench_session import fastavro_read, fastavro_write
from csfle_fast.cli.machine import describe
from csfle_fast.cli.measure import Contestant, best_seconds
from csfle_fast.objects import Codec, decode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RECORDS", "Pair", "lines_of", "main"]

_FOLDER = Path(__file__).resolve().parent / "results"
_BATCH = 500
_BARS = {"write": Bar("at least", 10.0), "read": Bar("at least", 6.0)}
_REPEAT = 10  # of ours within a turn: a batch of ours takes a tenth of one of fastavro's


@dataclass(frozen=True)
class Records:
    """Some records.

    Attributes:
        title: for the table.
        schema: their Avro schema.
        row: makes the row of a number.
        bars: whether the bars are meant for them.
    """

    title: str
    schema: dict[str, Any]
    row: Callable[[int], dict[str, Any]]
    bars: bool = True


def _record(name: str = "Row", **fields: Any) -> dict[str, Any]:
    listed = [{"name": field, "type": kind} for field, kind in fields.items()]
    return {"type": "record", "name": name, "fields": listed}


def _logical(kind: str, name: str, **more: int) -> dict[str, Any]:
    return {"type": kind, "logicalType": name} | more


_NAMES = [f"f{index}" for index in range(10)]
_FIVE = dict.fromkeys(_NAMES[:5], "string")


def _texts(number: int, names: list[str], start: str = "value") -> dict[str, Any]:
    return {name: f"{start} {name} {number:0{24 - len(start) - 4}}" for name in names}


RECORDS = (
    Records(GCM_10X5.title.partition(",")[0], GCM_10X5.schema, GCM_10X5.row),
    Records("10 nullable strings", BY_NAME["nullable_10x5_gcm"].schema, BY_NAME["nullable_10x5_gcm"].row),
    Records(
        "2 records of 5 strings, long, double",
        _record(a=_record("A", **_FIVE), b=_record("B", **_FIVE), n="long", d="double"),
        lambda n: {"a": _texts(n, _NAMES[:5]), "b": _texts(n, _NAMES[:5]), "n": n * 10**9, "d": n + 0.5},
    ),
    Records(
        "array of 20, map of 5 strings",
        _record(a={"type": "array", "items": "string"}, m={"type": "map", "values": "string"}),
        lambda n: {
            "a": [f"item {at} {n}" for at in range(20)],
            "m": {f"key{at}": f"v {n}" for at in range(5)},
        },
    ),
    Records(
        "10 strings, not ASCII",
        _record(**dict.fromkeys(_NAMES, "string")),
        lambda n: _texts(n, _NAMES, "välüe"),
    ),
    Records(
        "int, long, boolean, double, enum, bytes",
        _record(
            i="int", n="long", b="boolean", d="double",
            e={"type": "enum", "name": "E", "symbols": ["A", "B"]}, y="bytes",
        ),
        lambda n: {
            "i": n, "n": n * 10**9, "b": n % 2 == 0, "d": n + 0.5, "e": "AB"[n % 2], "y": b"bytes" * 3,
        },
    ),
    Records(DEBEZIUM.title.partition(",")[0], DEBEZIUM.schema, DEBEZIUM.row),
    Records(
        "uuid, decimal, timestamp, date, time",
        _record(
            u=_logical("string", "uuid"), d=_logical("bytes", "decimal", precision=18, scale=2),
            at=_logical("long", "timestamp-millis"), day=_logical("int", "date"),
            time=_logical("int", "time-millis"),
        ),
        lambda n: {
            "u": uuid.UUID(int=n * 10**30), "d": decimal.Decimal(n * 1001).scaleb(-2),
            "at": dt.datetime(2026, 1, 2, 3, 4, n % 60, 5_000, tzinfo=dt.UTC), "day": dt.date(2026, 1, 2),
            "time": dt.time(1, 2, n % 60, 4_000),
        },
        bars=False,
    ),
)  # fmt: skip


class Pair:
    """The codec and fastavro on the same rows, compared."""

    def __init__(self, records: Records, count: int = _BATCH) -> None:
        self.records = records
        self.rows = [records.row(number) for number in range(count)]
        self._codec = Codec(Schema(json.dumps(records.schema)), records.title)
        self._parsed = fastavro.parse_schema(json.loads(json.dumps(records.schema)))
        self.bodies = self.fastavro_write(self.rows)

    def write(self, rows: list[Any]) -> Any:
        """Bodies in one buffer."""
        return self._codec.encode(rows)

    def read(self, bodies: list[bytes]) -> Any:
        """Rows."""
        return decode(bodies, [self._codec] * len(bodies), None)

    def fastavro_write(self, rows: list[Any]) -> list[bytes]:
        """Bodies, by fastavro."""
        return fastavro_write(self._parsed, rows)

    def fastavro_read(self, bodies: list[bytes]) -> list[Any]:
        """Rows, by fastavro."""
        return fastavro_read(self._parsed, bodies)

    def compare(self) -> None:
        """Both give the same, and ours without the other's help.

        Raises:
            Wrong: they do not.
        """
        written, read = self.write(self.rows), self.read(self.bodies)
        bodies = list(written.bodies)
        same = bodies == self.bodies and read.rows == self.fastavro_read(self.bodies)
        if not same or written.by_fastavro or read.by_fastavro:
            raise Wrong(self.records.title)


def lines_of(pair: Pair, rounds: int) -> list[Line]:
    """Both ways, against fastavro."""
    pair.compare()
    best = best_seconds(
        {
            "write": Contestant(pair.write, lambda: pair.rows, _REPEAT),
            "fastavro write": Contestant(pair.fastavro_write, lambda: pair.rows, 2),
            "read": Contestant(pair.read, lambda: pair.bodies, _REPEAT),
            "fastavro read": Contestant(pair.fastavro_read, lambda: pair.bodies, 2),
        },
        rounds,
    )
    ns = {name: seconds * 1e9 / len(pair.rows) for name, seconds in best.items()}
    title, bars = pair.records.title, _BARS if pair.records.bars else {}
    return [
        faster(title, call, ns[call], f"fastavro {call}", ns[f"fastavro {call}"], bars.get(call))
        for call in ("write", "read")
    ]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contestant.")] = 15,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 1 when a bar is missed.")] = False,
) -> None:
    """Measure the object codec against fastavro; write benches/results/object_codec.{md,json}."""
    machine = describe()
    lines = [line for records in RECORDS for line in lines_of(Pair(records), rounds)]
    command = "python -m benches.object_codec"
    typer.echo(write(_FOLDER, lines, machine, name="object_codec", command=command, batch=_BATCH))
    if strict and any(line.holds is False for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
