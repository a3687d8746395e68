"""The data sets of the demo: a schema with tags, a rule set and rows of invented people."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from confluent_kafka.schema_registry import Schema

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

__all__ = ["NAMES", "DemoSet", "load"]

#: A nested schema with arrays, maps, bytes and recursion; and change events in Debezium's shape.
NAMES = ("fhir_patient", "debezium_customers")


@dataclass(frozen=True, slots=True)
class DemoSet:
    """One data set; its name is the topic as well."""

    name: str
    schema: str
    rule_set: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def subject(self) -> str:
        """The subject of the topic's values."""
        return f"{self.name}-value"

    @property
    def rule(self) -> dict[str, Any]:
        """The one ENCRYPT rule of the rule set."""
        (rule,) = self.rule_set["domainRules"]
        return dict(rule)

    def take(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` rows, from the start again when there are fewer."""
        return list(islice(cycle(self.rows), count))

    def register(self, client: SchemaRegistryClient) -> int:
        """Register schema and rule set under the subject; returns the schema id."""
        payload = {"schema": self.schema, "schemaType": "AVRO", "ruleSet": self.rule_set}
        return int(client.register_schema(self.subject, Schema.from_dict(payload)))


def load(name: str) -> DemoSet:
    """Read the data set of that name (one of NAMES)."""
    folder = files("csfle_fast.cli") / "demo_data" / name
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return DemoSet(
        name=name,
        schema=(folder / "schema.avsc").read_text(encoding="utf-8"),
        rule_set=json.loads((folder / "ruleset.json").read_text(encoding="utf-8")),
        rows=[json.loads(line, object_hook=_marked) for line in lines],
    )


def _marked(item: dict[str, Any]) -> Any:
    """What JSON lacks stands in the rows as an object with one marker for its key."""
    match list(item.items()):
        case [("$b64", text)]:
            return base64.b64decode(text)
        case [("$dec", text)]:
            return Decimal(text)
        case _:
            return item
