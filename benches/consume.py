"""``python -m benches.consume``: what decryption costs a consumer, on a real Kafka.

Three loops over the same topic take turns: consume and hand over; consume, decrypt and hand over; the same
with confluent-kafka's deserializer. Needs ``PYTHONPATH=tests``, whose server it starts.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from benches.report import write
from benches.results import Bar, Line
from benches.workloads import GCM_10X5, Workload
from csfle_fast.cli.demo_incumbent import Incumbent
from csfle_fast.cli.machine import describe
from csfle_fast.connect import SinkBatch, SinkHook, SourceHook, run_sink
from csfle_fast.dev import DevRegistry
from services.kafka import KafkaServer

_SECRET = "bench"
_EVENT = Workload(
    "event_1kib",
    "event of 1 KiB, 2 tagged",
    {
        "type": "record",
        "name": "Event",
        "namespace": "bench",
        "fields": [
            {"name": "customer", "type": "string", "confluent:tags": ["PII"]},
            {"name": "email", "type": "string", "confluent:tags": ["PII"]},
            {"name": "at", "type": "long"},
            {"name": "payload", "type": "string"},
        ],
    },
    "AES256_GCM",
    lambda number: {
        "customer": f"customer {number:015}",
        "email": f"{number:012}@example.org",
        "at": number,
        "payload": f"{number:016}" * 56,
    },
)
_WORKLOADS = (_EVENT, GCM_10X5)
_FOLDER = Path(__file__).resolve().parent / "results"
_BATCH = 500  # max.poll.records of Confluent's sinks
_SHARE = Bar("at least", 0.6)
_INCUMBENT_MESSAGES = 5_000

Loop = Callable[[int], float]


class Topic:
    """A topic of sealed frames, and the loops over it; each gives nanoseconds a message."""

    def __init__(self, workload: Workload, kafka: KafkaServer, stack: ExitStack, messages: int) -> None:
        self.workload = workload
        self._servers = kafka.bootstrap_servers
        self._topic = workload.name
        kafka.create_topic(self._topic)
        registry = stack.enter_context(DevRegistry(secret=_SECRET))
        client = stack.enter_context(SchemaRegistryClient({"url": registry.url}))
        client.register_schema(f"{self._topic}-value", Schema.from_dict(workload.payload))
        config = {"csfle.enabled": True, "rule.executors._default_.param.secret": _SECRET}
        source = stack.enter_context(SourceHook(config, schema_registry_client=client))
        config["errors.deadletterqueue.topic.name"] = ""
        self._sink = stack.enter_context(SinkHook(config, schema_registry_client=client))
        self._incumbent = stack.enter_context(Incumbent(client, self._topic, _SECRET))
        self._fill(source, messages)

    def pass_through(self, count: int) -> float:
        """Consume and hand over, without decryption."""
        return self._loop(count, lambda messages: [message.value() for message in messages])

    def decrypted(self, count: int) -> float:
        """Consume, decrypt to bodies, hand over."""
        sink = self._sink

        def bodies(messages: list[Any]) -> list[Any]:
            result = sink.decrypt(messages, bodies=True)
            result.raise_for_errors()
            return result.values

        return self._loop(count, bodies)

    def incumbent(self, count: int) -> float:
        """Consume, deserialize one by one, hand over: confluent-kafka gives rows, not bodies."""
        deserialize = self._incumbent.deserialize
        return self._loop(
            min(count, _INCUMBENT_MESSAGES),
            lambda messages: deserialize([message.value() for message in messages]),
        )

    def committed(self, count: int) -> float:
        """As ``pass_through``, with a commit for each batch: what ``overlapped`` is compared with."""
        consumer = self._consumer("committed")

        def hand_over(messages: list[Any]) -> list[Any]:
            consumer.commit(message=messages[-1], asynchronous=True)
            return [message.value() for message in messages]

        return self._loop(count, hand_over, consumer)

    def overlapped(self, count: int) -> float:
        """``run_sink``, which opens one batch while it consumes the next, and commits each."""
        stop, seen = threading.Event(), 0
        clock: list[float] = []

        def handle(batch: SinkBatch) -> None:
            nonlocal seen
            clock.append(time.perf_counter())
            seen += sum(map(bool, batch.values))
            if seen >= count:
                stop.set()

        consumer = self._consumer("overlapped")
        options: dict[str, Any] = {
            "topics": [self._topic],
            "batch_size": _BATCH,
            "bodies": True,
            "stop": stop,
        }
        try:
            run_sink(self._sink, consumer, handle, **options)
        finally:
            consumer.close()
        # Joining the group is no part of it: from the first batch handed over to the last.
        return (clock[-1] - clock[0]) / (seen - _BATCH) * 1e9

    def _loop(
        self, count: int, convert: Callable[[list[Any]], list[Any]], consumer: Consumer | None = None
    ) -> float:
        consumer = consumer or self._consumer("loop")
        consumer.assign([TopicPartition(self._topic, 0, 0)])
        try:
            handed_over = self._batch(consumer, convert)
            first = handed_over
            began = time.perf_counter()
            while handed_over < count:
                handed_over += self._batch(consumer, convert)
            return (time.perf_counter() - began) / (handed_over - first) * 1e9
        finally:
            consumer.close()

    def _batch(self, consumer: Consumer, convert: Callable[[list[Any]], list[Any]]) -> int:
        messages = consumer.consume(_BATCH, timeout=10)
        if not messages:
            raise RuntimeError("the topic gave nothing for ten seconds")
        return sum(map(bool, convert(messages)))

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": f"{group}-{time.monotonic_ns()}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                # By default librdkafka pauses for a second when it is ahead of its consumer.
                "fetch.queue.backoff.ms": 10,
            }
        )

    def _fill(self, source: SourceHook, count: int) -> None:
        producer = Producer({"bootstrap.servers": self._servers, "linger.ms": 20})
        for first in range(0, count, 10_000):
            numbers = range(first, min(first + 10_000, count))
            sealed = source.encrypt(self._topic, [self.workload.row(number) for number in numbers])
            sealed.raise_for_errors()
            for frame in sealed.values:
                producer.produce(self._topic, value=frame)
                producer.poll(0)
        if producer.flush(60):
            raise RuntimeError("the topic was not filled")


def lines_of(topic: Topic, count: int, rounds: int) -> list[Line]:
    """Every loop in turns; the best of each, and shares of the turns' medians."""
    loops: dict[str, Loop] = {
        "pass-through": topic.pass_through,
        "decrypted": topic.decrypted,
        "confluent-kafka": topic.incumbent,
        "committed": topic.committed,
        "overlapped": topic.overlapped,
    }
    times: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, loop in loops.items():
            nanoseconds = loop(count)
            if turn:  # the first warms up
                times[name].append(nanoseconds)
    best = {name: min(found) for name, found in times.items()}
    title = topic.workload.title
    return [
        _share(title, "consume, decrypt, hand over", best, "decrypted", "pass-through", _SHARE),
        _share(title, "the same, overlapped (run_sink)", best, "overlapped", "committed"),
        Line(title, "added by decryption", best["decrypted"] - best["pass-through"]),
        Line(
            title,
            "consume, decrypt, hand over",
            best["decrypted"],
            "confluent-kafka deserialize",
            best["confluent-kafka"],
            best["confluent-kafka"] / best["decrypted"],
        ),
        Line(
            title,
            "spread of pass-through, median over best",
            statistics.median(times["pass-through"]) / best["pass-through"],
            unit="",
        ),
    ]


def _share(
    title: str, call: str, best: dict[str, float], ours: str, other: str, bar: Bar | None = None
) -> Line:
    """Throughput beside the same loop without decryption."""
    return Line(title, call, best[ours], f"{other} loop", best[other], best[other] / best[ours], bar)


def main(
    messages: Annotated[int, typer.Option(min=5_000, help="Messages of the topic.")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each loop.")] = 7,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 1 when a bar is missed.")] = False,
) -> None:
    """Measure a consumer with and without decryption; write benches/results/consume.{md,json}."""
    machine = describe()
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="csfle-fast-"))
        kafka = stack.enter_context(KafkaServer(Path(folder)))
        lines: list[Line] = []
        for workload in _WORKLOADS:
            with ExitStack() as opened:
                lines += lines_of(Topic(workload, kafka, opened, messages), messages, rounds)
    typer.echo(write(_FOLDER, lines, machine, name="consume", command="make bench-consume", batch=_BATCH))
    missed = any(line.holds is False for line in lines)
    if strict and missed:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
