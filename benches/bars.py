"""Every bar of the table, by what it judges. A bar that does not hold is printed as such, never lowered."""

from __future__ import annotations

from benches.results import Bar
from benches.workloads import DEBEZIUM, GCM_10X5, SIV_10X5, UNTAGGED

__all__ = ["BARS", "bar"]

#: By the title of the records, what of ours is measured, and what it is compared with.
BARS: dict[tuple[str, str, str], Bar] = {
    (GCM_10X5.title, "core", "bare loop"): Bar("at most", 0.45),
    (GCM_10X5.title, "encrypt", "bare loop"): Bar("at most", 0.55),
    (GCM_10X5.title, "encrypt", "confluent-kafka serialize"): Bar("at least", 250),
    (GCM_10X5.title, "decrypt", "our encrypt"): Bar("at most", 1.15),
    (GCM_10X5.title, "decrypt", "confluent-kafka deserialize"): Bar("at least", 220),
    (GCM_10X5.title, "serialize", "confluent-kafka serialize"): Bar("at least", 150),
    (GCM_10X5.title, "serialize", "fastavro write alone"): Bar("at least", 1),
    (GCM_10X5.title, "deserialize", "confluent-kafka deserialize"): Bar("at least", 110),
    (GCM_10X5.title, "dict codec, write", "fastavro write alone"): Bar("at least", 10),
    (GCM_10X5.title, "dict codec, read", "fastavro read alone"): Bar("at least", 6),
    (DEBEZIUM.title, "encrypt", "confluent-kafka serialize"): Bar("at least", 1_800),
    (SIV_10X5.title, "encrypt", "confluent-kafka serialize"): Bar("at least", 60),
    (UNTAGGED.title, "core", ""): Bar("at most", 8),
    (UNTAGGED.title, "encrypt", ""): Bar("at most", 40),
}


def bar(title: str, call: str, other: str = "") -> Bar | None:
    """The bar of a line; None where it is for information."""
    return BARS.get((title, call, other))
