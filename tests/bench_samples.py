"""A machine and a table, for the tests of what is said of them."""

from __future__ import annotations

from typing import Any

from benches.results import Line, faster
from benches.workloads import GCM_10X5

__all__ = ["MACHINE", "table"]

MACHINE: dict[str, Any] = {
    "processor": "A Processor",
    "flags": ["aes", "vaes"],
    "cores": 2,
    "load_at_start": 0.5,
    "system": "Linux",
    "python": "CPython 3.11",
    "packages": {"fastavro": "1.13"},
    "build": {"profile": "release"},
    "provider": "many",
}


def table() -> list[Line]:
    """Lines of the four calls, as pages and pictures need them."""
    title = GCM_10X5.title
    return [
        faster(title, "encrypt", 100, "confluent-kafka serialize", 25_000),
        faster(title, "decrypt", 90, "confluent-kafka deserialize", 18_000),
        faster(title, "serialize", 500, "confluent-kafka serialize", 25_000),
        faster(title, "deserialize", 600, "confluent-kafka deserialize", 18_000),
        faster(title, "serialize", 500, "fastavro write alone", 3_500),
        faster(title, "deserialize", 600, "fastavro read alone", 3_600),
    ]
