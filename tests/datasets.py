"""The realistic data sets: schema, rule set, metadata and rows of each, with JSON's gaps filled."""

from __future__ import annotations

import base64
import decimal
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import fastavro

_HERE = Path(__file__).resolve().parent
ROOTS = (_HERE / "data", _HERE.parent / "python" / "csfle_fast" / "cli" / "demo_data")

# String and bytes leaves that the rules must encrypt in all rows of a set together: nulls are not
# counted, empty strings are. Counted when the sets were made; see data/README.md.
TAGGED_LEAVES = {
    "credit_cards": 24,
    "debezium_customers": 812,
    "fhir_patient": 968,
    "insurance_customers": 450,
    "payments_pacs008": 1165,
    "payroll_employee": 400,
    "purchase": 200,
    "shoe_customers": 1500,
    "siem_logs": 600,
    "users_array_map": 840,
    "wide_200": 803,
}
NAMES = tuple(TAGGED_LEAVES)


@dataclass(frozen=True)
class Dataset:
    """One set, as a registry and a producer would see it.

    Attributes:
        name: the folder's name.
        schema: text of the writer schema, tags included.
        rule_set: to be registered with it, as JSON.
        metadata: to be registered with it, as JSON, or None.
        rows: what fastavro writes: bytes, Decimal and (name, value) pairs stand for JSON's markers.
    """

    name: str
    schema: str
    rule_set: dict[str, Any]
    metadata: dict[str, Any] | None
    rows: list[Any]

    @property
    def tagged_leaves(self) -> int:
        """Number of values that the rules encrypt in all rows together."""
        return TAGGED_LEAVES[self.name]

    @cached_property
    def _parsed(self) -> Any:
        return fastavro.parse_schema(json.loads(self.schema))

    def encode(self, row: Any) -> bytes:
        """The Avro body of one row, by fastavro."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._parsed, row)
        return out.getvalue()

    def decode(self, body: bytes) -> Any:
        """The row of one Avro body, in the Python values that fastavro reads."""
        return fastavro.schemaless_reader(io.BytesIO(body), self._parsed, None)

    @cached_property
    def bodies(self) -> list[bytes]:
        """The Avro bodies of all rows."""
        return [self.encode(row) for row in self.rows]

    @cached_property
    def read_back(self) -> list[Any]:
        """All rows as a reader gets them: UUID and datetime objects, no union markers."""
        return [self.decode(body) for body in self.bodies]


def _markers(item: dict[str, Any]) -> Any:
    match list(item.items()):
        case [("$b64", text)]:
            return base64.b64decode(text)
        case [("$dec", text)]:
            return decimal.Decimal(text)
        case [("$union", [name, value])]:
            return (name, value)
    return item


def _folder(name: str) -> Path:
    for root in ROOTS:
        if (root / name / "schema.avsc").is_file():
            return root / name
    raise FileNotFoundError(f"no data set named {name!r} in {', '.join(map(str, ROOTS))}")


@cache
def load(name: str) -> Dataset:
    """The set of that name. It is cached: treat it as read-only."""
    folder = _folder(name)
    metadata = folder / "metadata.json"
    with (folder / "rows.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line, object_hook=_markers) for line in lines]
    return Dataset(
        name=name,
        schema=(folder / "schema.avsc").read_text(encoding="utf-8"),
        rule_set=json.loads((folder / "ruleset.json").read_text(encoding="utf-8")),
        metadata=json.loads(metadata.read_text(encoding="utf-8")) if metadata.exists() else None,
        rows=rows,
    )


def load_all() -> Iterator[Dataset]:
    """Every set, in the order of their names."""
    return (load(name) for name in NAMES)
