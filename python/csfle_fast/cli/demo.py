"""The demo: rows -> encrypted -> Kafka -> decrypted, checked on the wire and beside confluent-kafka."""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import Engine
from csfle_fast.cli import demo_incumbent, demo_sets
from csfle_fast.cli.demo_broker import MockBroker
from csfle_fast.cli.demo_incumbent import Incumbent, copies
from csfle_fast.cli.demo_wire import Leaf, WireCheck, WireCount, read_dek
from csfle_fast.cli.measure import Contestant, best_seconds
from csfle_fast.dev import DevRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress

    from csfle_fast.cli.demo_sets import DemoSet

__all__ = ["DatasetReport", "DemoReport", "Sample", "Throughput", "run_demo"]

_SECRET = "demo-secret-of-the-local-kms"  # noqa: S105 - wraps keys that live as long as the demo
_BATCH = 500
_SAMPLE_ROWS = 2
# The comparison costs confluent-kafka about a millisecond a row and direction; these keep it under a minute.
_COMPARED_ROWS = 500
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one row on its way; ``tagged`` when it must be ciphertext on the wire."""

    row: int
    path: str
    tagged: bool
    source: str
    wire: str
    sink: str


@dataclass(frozen=True, slots=True)
class Throughput:
    """Rows a second of one call on the same rows; ``ratio`` says how many times more csfle_fast does."""

    call: str
    rows: int
    csfle_fast: float
    confluent_kafka: float
    ratio: float


@dataclass(slots=True)
class DatasetReport:
    """What the demo saw of one data set; ``wire`` counts our frames, ``confluent_kafka_wire`` theirs."""

    name: str
    rows: int
    wire: WireCount = field(default_factory=WireCount)
    equal_rows: int = 0
    compared_rows: int = 0
    compared_wire: WireCount | None = None
    confluent_kafka_wire: WireCount | None = None
    samples: list[Sample] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)


@dataclass(slots=True)
class DemoReport:
    """Everything that the demo found; ``problems`` names what did not hold."""

    datasets: list[DatasetReport] = field(default_factory=list)
    registry_calls_after_warm_up: int = 0
    kms_calls_after_warm_up: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    machine: dict[str, str] = field(default_factory=dict)
    ok: bool = False


def run_demo(rows: int, progress: Progress) -> DemoReport:
    """Run the whole demo with ``rows`` rows of each data set.

    Raises:
        CsfleError: what an Engine raises, for example when a row cannot be encrypted.
        KafkaException: the mock broker did not deliver.
    """
    start = time.perf_counter()
    report = DemoReport(machine=_machine())
    skipped = demo_incumbent.missing()
    if skipped is not None:
        report.notes.append(f"no comparison with confluent-kafka: {skipped}")
    with DevRegistry(port=0, secret=_SECRET) as registry, MockBroker() as broker:
        for name in demo_sets.NAMES:
            dataset = demo_sets.load(name)
            with ExitStack() as stack:
                run = _Run(dataset, rows, registry, report, progress, stack)
                run.through_kafka(broker)
                run.check_wire()
                if skipped is None:
                    run.compare()
                run.finish()
    report.seconds = round(time.perf_counter() - start, 3)
    report.ok = not report.problems
    return report


def _machine() -> dict[str, str]:
    packages = ("confluent-kafka", "fastavro", "cryptography", "csfle-fast")
    return {
        "processor": platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "system": sys.platform,
        **{package: version(package) for package in packages},
    }


class _Run:
    """One data set's way; source and sink are two Engines, as they are two processes in life.

    What it opens, the stack closes.
    """

    def __init__(
        self,
        dataset: DemoSet,
        rows: int,
        registry: DevRegistry,
        report: DemoReport,
        progress: Progress,
        stack: ExitStack,
    ) -> None:
        self._dataset = dataset
        self._rows = dataset.take(rows)
        self._registry = registry
        self._report = report
        self._result = DatasetReport(dataset.name, rows)
        self._progress = progress
        self._frames: list[bytes] = []
        self._received: list[Any] = []
        self._stack = stack
        self._schema_id = dataset.register(self._client())
        self._source, self._sink = self._engine(), self._engine()
        self._source.warm_up(dataset.name)
        self._sink.warm_up(dataset.name)
        registry.clear_requests()
        self._calls_at_start = self._calls()

    def _client(self) -> SchemaRegistryClient:
        client: SchemaRegistryClient = self._stack.enter_context(
            SchemaRegistryClient({"url": self._registry.url})
        )
        return client

    def _engine(self) -> Engine:
        return self._stack.enter_context(Engine(self._client(), rule_conf={"secret": _SECRET}))

    def finish(self) -> None:
        """Count the calls since warm-up and hand in the report."""
        registry_calls, kms_calls = self._calls()
        self._report.registry_calls_after_warm_up += registry_calls - self._calls_at_start[0]
        self._report.kms_calls_after_warm_up += kms_calls - self._calls_at_start[1]
        still = (registry_calls, kms_calls) == self._calls_at_start
        self._require(still, "the registry or the KMS was called after warm-up")
        self._report.datasets.append(self._result)

    def _calls(self) -> tuple[int, int]:
        """Registry and KMS calls that the two Engines have counted so far."""
        stats = [engine.stats() for engine in (self._source, self._sink)]
        return (
            sum(one["registry_requests"] + one["dek_registry_requests"] for one in stats),
            sum(one["kms_calls"] for one in stats),
        )

    def _require(self, holds: bool, problem: str) -> None:
        if not holds:
            self._report.problems.append(f"{self._dataset.name}: {problem}")

    def through_kafka(self, broker: MockBroker) -> None:
        """Batch by batch: serialize, produce, consume, deserialize; then compare with the source."""
        topic = self._dataset.name
        task = self._progress.add_task(f"{topic}: rows through Kafka", total=len(self._rows))
        for first in range(0, len(self._rows), _BATCH):
            batch = self._rows[first : first + _BATCH]
            sealed = self._source.serialize(topic, batch)
            sealed.raise_for_errors()
            frames = broker.round_trip(topic, [frame for frame in sealed.values if frame is not None])
            opened = self._sink.deserialize(topic, frames)
            opened.raise_for_errors()
            self._frames += frames
            self._received += opened.values
            self._progress.advance(task, len(batch))
        self._require(not self._registry.requests, "the registry's log shows requests after warm-up")
        self._result.equal_rows = _equal(self._rows, self._received)
        self._require(self._result.equal_rows == len(self._rows), "rows came back different")

    def check_wire(self) -> None:
        """Open every tagged value that was consumed, without the core; keep some for the table."""
        task = self._progress.add_task(f"{self._dataset.name}: wire opened independently", total=1)
        check = self._check = self._wire_check()
        self._result.wire = wire = check.count(self._rows, self._frames)
        self._require(wire.tagged > 0, "no tagged value was in the rows")
        self._require(wire.opened == wire.tagged, f"{wire.plain} tagged values are plaintext on the wire")
        self._require(wire.wrong == 0, f"{wire.wrong} values on the wire are not those of the source")
        for row in range(min(_SAMPLE_ROWS, len(self._rows))):
            wire_values = _by_path(check.frame_leaves(self._frames[row]))
            sink_values = _by_path(check.row_leaves(self._received[row]))
            self._result.samples += [
                _sample(row, leaf, wire_values, sink_values) for leaf in check.row_leaves(self._rows[row])
            ]
        self._progress.advance(task)

    def _wire_check(self) -> WireCheck:
        rule = self._dataset.rule
        kek, algorithm = rule["params"]["encrypt.kek.name"], rule["params"]["encrypt.dek.algorithm"]
        dek = read_dek(self._registry.url, _SECRET, kek, self._dataset.subject, algorithm)
        return WireCheck(self._dataset.schema, rule["tags"], self._schema_id, dek)

    def compare(self) -> None:
        """The same rows through confluent-kafka: results first, then the clock."""
        topic, rows = self._dataset.name, self._rows[:_COMPARED_ROWS]
        frames = self._frames[:_COMPARED_ROWS]
        task = self._progress.add_task(f"{topic}: against confluent-kafka", total=3)
        theirs = self._stack.enter_context(Incumbent(self._client(), topic, _SECRET))
        self._result.compared_rows = len(rows)
        self._result.compared_wire = self._check.count(rows, frames)
        wire = self._check.count(rows, theirs.serialize(copies(rows)))
        self._result.confluent_kafka_wire = wire
        left_sealed = self._left_sealed(rows, theirs.deserialize(frames))
        # What they do not find when they write, they do not find when they read.
        self._require(left_sealed == wire.plain, "confluent-kafka reads our frames differently")
        if wire.plain:
            self._report.notes.append(
                f"{topic}: confluent-kafka writes {wire.plain} of {wire.tagged} tagged values in plaintext, "
                f"csfle_fast {self._result.compared_wire.plain} (below the first level of a recursive type)"
            )
        self._progress.advance(task)
        self._time(
            "serialize",
            Contestant(lambda work: self._source.serialize(topic, work), lambda: rows, 5),
            Contestant(theirs.serialize, lambda: copies(rows)),
        )
        self._progress.advance(task)
        self._time(
            "deserialize",
            Contestant(lambda work: self._sink.deserialize(topic, work), lambda: frames, 5),
            Contestant(theirs.deserialize, lambda: frames),
        )
        self._progress.advance(task)

    def _left_sealed(self, rows: Sequence[dict[str, Any]], read: Sequence[Any]) -> int:
        """How many values of the rows that confluent-kafka read from our frames are not the source's."""
        different = 0
        for row, other in zip(rows, read, strict=True):
            found = _by_path(self._check.row_leaves(other))
            different += sum(leaf.value != found.get(leaf.path) for leaf in self._check.row_leaves(row))
        return different

    def _time(self, call: str, ours: Contestant, theirs: Contestant) -> None:
        best = best_seconds({"ours": ours, "theirs": theirs}, _ROUNDS)
        rows = self._result.compared_rows
        ours_a_second, theirs_a_second = (round(rows / best[name]) for name in ("ours", "theirs"))
        ratio = round(best["theirs"] / best["ours"], 1)
        self._result.throughput.append(Throughput(call, rows, ours_a_second, theirs_a_second, ratio))


def _equal(rows: Sequence[Any], received: Sequence[Any]) -> int:
    return sum(row == other for row, other in zip(rows, received, strict=True))


def _by_path(leaves: Sequence[Leaf]) -> dict[str, Any]:
    return {leaf.path: leaf.value for leaf in leaves}


def _sample(row: int, leaf: Leaf, wire: dict[str, Any], sink: dict[str, Any]) -> Sample:
    # A row that came back with another shape has no value at this path.
    wire_value, sink_value = (repr(values.get(leaf.path)) for values in (wire, sink))
    sealed = leaf.tagged and leaf.value is not None
    return Sample(row, leaf.path, sealed, repr(leaf.value), wire_value, sink_value)
