"""The records that are measured: schema, rule set and rows, made by rule so that every run has the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BY_NAME", "DEBEZIUM", "GCM_10X5", "SIV_10X5", "UNTAGGED", "WORKLOADS", "Workload", "strings"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of record.

    Attributes:
        name: key in the results, and the topic.
        title: for the table.
        schema: the Avro schema with its tags.
        algorithm: of the DEK.
        row: makes the row of a number.
    """

    name: str
    title: str
    schema: dict[str, Any]
    algorithm: str
    row: Callable[[int], dict[str, Any]]

    @property
    def payload(self) -> dict[str, Any]:
        """What is registered: the schema with one ENCRYPT rule."""
        rule = {
            "name": "encryptPII",
            "kind": "TRANSFORM",
            "type": "ENCRYPT",
            "mode": "WRITEREAD",
            "tags": ["PII"],
            "params": {
                "encrypt.kek.name": f"{self.name}-kek",
                "encrypt.kms.type": "local-kms",
                "encrypt.kms.key.id": "bench",
                "encrypt.dek.algorithm": self.algorithm,
            },
            "onFailure": "ERROR,ERROR",
        }
        return {
            "schema": json.dumps(self.schema),
            "schemaType": "AVRO",
            "ruleSet": {"domainRules": [rule]},
        }

    def rows(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` rows."""
        return [self.row(number) for number in range(count)]


def _text(number: int, field: int, size: int) -> str:
    """Another text for each row and field, of exactly ``size`` ASCII bytes."""
    mixed = number * 7919 + field * 104729
    word = "".join(_LETTERS[(mixed >> index) % len(_LETTERS)] for index in range(13))
    return (word * (size // len(word) + 1))[:size]


def _field(name: str, *, tagged: bool, nullable: bool) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": ["null", "string"] if nullable else "string"}
    if nullable:
        field["default"] = None
    if tagged:
        field["confluent:tags"] = ["PII"]
    return field


def strings(
    name: str,
    title: str,
    *,
    tagged: int,
    count: int = 10,
    size: int = 24,
    algorithm: str = "AES256_GCM",
    nullable: bool = False,
) -> Workload:
    """So many strings of ``size`` bytes, the first ``tagged`` of them tagged, every value present."""
    fields = [_field(f"f{index}", tagged=index < tagged, nullable=nullable) for index in range(count)]
    return Workload(
        name,
        title,
        {"type": "record", "name": "Row", "namespace": "bench", "fields": fields},
        algorithm,
        lambda number: {f"f{index}": _text(number, index, size) for index in range(count)},
    )


def _debezium() -> Workload:
    """A change event: ``before`` and ``after`` use one named record of ten nullable strings of 10 bytes."""
    value = {
        "type": "record",
        "name": "Value",
        "fields": [_field(f"c{index}", tagged=index in (2, 5), nullable=True) for index in range(10)],
    }
    schema = {
        "type": "record",
        "name": "Envelope",
        "namespace": "bench.cdc",
        "fields": [
            {"name": "before", "type": ["null", value], "default": None},
            {"name": "after", "type": ["null", "Value"], "default": None},
            {"name": "op", "type": "string"},
        ],
    }

    def row(number: int) -> dict[str, Any]:
        before = {f"c{index}": _text(number, index, 10) for index in range(10)}
        after = {f"c{index}": _text(number + 1, index, 10) for index in range(10)}
        return {"before": before, "after": after, "op": "u"}

    return Workload("debezium", "Debezium-like, 4 tagged values", schema, "AES256_GCM", row)


GCM_10X5 = strings("strings_10x5_gcm", "10 strings, 5 tagged", tagged=5)
SIV_10X5 = strings("strings_10x5_siv", "10 strings, 5 tagged, AES256_SIV", tagged=5, algorithm="AES256_SIV")
UNTAGGED = strings("strings_10x0", "10 strings, none tagged", tagged=0)
DEBEZIUM = _debezium()
WORKLOADS: tuple[Workload, ...] = (
    GCM_10X5,
    strings("strings_10x1_gcm", "10 strings, 1 tagged", tagged=1),
    strings("nullable_10x5_gcm", "10 nullable strings, 5 tagged", tagged=5, nullable=True),
    DEBEZIUM,
    SIV_10X5,
    UNTAGGED,
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
