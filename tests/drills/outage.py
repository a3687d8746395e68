"""A producer and a consumer at work while registry and KMS are away, throttle, fail or are slow.

PYTHONPATH=tests python -m drills.outage --outage 60
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.connect import SinkBatch, SinkHook, SourceHook, SourceRecord, run_sink, run_source
from drills.outage_account import CLOSING, Outage
from drills.servers import OpenBaoWithHttp, RegistryServer
from incumbent import register
from services.certificates import make_certificates
from services.fault_proxy import Fault, FaultProxy
from services.kafka import KafkaServer
from services.process import ServerProcess
from worlds import FLAT, flat, rule

__all__ = ["KINDS", "Place", "run"]

KINDS = (*CLOSING, "failing", "slow")
_KILLED = ("killed", "kms killed")
#: Parts of the outage: a TTL, the latency of slow answers, and how long stale ones serve: less than it, where
#: that is to be crossed; otherwise so long that many attempts would have to fail in a row.
_TTL, _LATENCY, _STALE_CLOSING, _STALE = 1 / 6, 1 / 30, 1 / 3, 2
_FAILING_SHARE = 0.1
_PARTITIONS = 2
_BATCH = 20
#: The producer makes a batch, the consumer stores one, in so many seconds: it has something to read always.
_PRODUCER_PAUSE_SEC, _CONSUMER_PAUSE_SEC = 0.02, 0.05
_DONE_SEC = 60.0


@dataclass
class Place:
    """The servers, and the proxies in front of them.

    Attributes:
        kafka: the broker, which stays.
        registry: a process that is killed.
        kms: another.
        proxies: in front of both, in this order.
    """

    kafka: KafkaServer
    registry: RegistryServer
    kms: OpenBaoWithHttp
    proxies: tuple[FaultProxy, FaultProxy]

    @classmethod
    def start(cls, kafka: KafkaServer, folder: Path, seed: int, stack: ExitStack) -> Place:
        """Start all but Kafka, until the stack is closed."""
        registry = stack.enter_context(RegistryServer(folder / "registry"))
        kms = stack.enter_context(OpenBaoWithHttp(folder / "kms", make_certificates(folder / "certificates")))
        first, second = FaultProxy(registry.url, seed), FaultProxy(kms.http_url, seed + 1)
        return cls(kafka, registry, kms, (stack.enter_context(first), stack.enter_context(second)))

    def break_down(self, kind: str, outage_sec: float) -> None:
        """Begin the outage."""
        for proxy in self.proxies:
            proxy.clear()
        if kind in _KILLED:
            for server in self._killed(kind):
                server.kill()
            return
        fault, probability = {
            "throttling": (Fault(status=429, headers={"Retry-After": "1"}), 1.0),
            "failing": (Fault(status=503), _FAILING_SHARE),
            "slow": (Fault(delay=outage_sec * _LATENCY), 1.0),
        }[kind]
        for proxy in self.proxies:
            proxy.add(fault, probability=probability)

    def mend(self, kind: str) -> None:
        """End it."""
        if kind in _KILLED:
            for server in self._killed(kind):
                server.start()
        for proxy in self.proxies:
            proxy.clear()

    def asked(self) -> int:
        """Requests that have reached the proxies since the outage began."""
        return sum(len(proxy.seen()) for proxy in self.proxies)

    def _killed(self, kind: str) -> tuple[ServerProcess, ...]:
        return (self.kms,) if kind == "kms killed" else (self.registry, self.kms)


class _Drill:
    """One outage: its topic, its KEK, its producer and its consumer."""

    def __init__(self, place: Place, kind: str, outage_sec: float) -> None:
        self.place = place
        stale = _STALE_CLOSING if kind in CLOSING else _STALE
        self.outage = Outage(kind, outage_sec * _TTL, outage_sec * stale)
        self._length = outage_sec
        self._name = f"outage-{uuid.uuid4().hex[:8]}"
        self._no_more, self._stop = threading.Event(), threading.Event()
        place.kafka.create_topic(self._name, partitions=_PARTITIONS)
        place.kms.mount_transit(self._name)
        path = place.kms.make_key(self._name, "kek").removeprefix(place.kms.url)
        # Who is killed is reached directly, as it would be; who misbehaves, through the proxy that does it.
        servers = (place.registry.url, place.kms.url)
        if kind not in _KILLED:
            servers = (place.proxies[0].url, place.proxies[1].url)
        self._registry_url, kms_url = servers
        made = rule(kek=self._name)
        made["params"] |= {"encrypt.kms.type": "hcvault", "encrypt.kms.key.id": f"{kms_url}{path}"}
        with SchemaRegistryClient({"url": place.registry.url}) as client:
            register(client, json.dumps(FLAT), [made], subject=f"{self._name}-value")

    def run(self) -> Outage:
        """Let it work, break everything, mend it, and see that all arrives."""
        outage = self.outage
        with ExitStack() as stack, ThreadPoolExecutor(2, "outage") as pool:
            source, sink = self._hooks(stack)
            work: list[Future[None]] = [pool.submit(self._produce, source), pool.submit(self._consume, sink)]
            try:
                if not self._await(work, lambda: all(side.good(0.0) for side in outage.sides)):
                    raise RuntimeError("nothing came through before the outage")
                time.sleep(2 * outage.ttl)
                self.place.break_down(outage.kind, self._length)
                outage.began = time.monotonic()
                time.sleep(self._length)
                outage.ended = time.monotonic()
                outage.asked = self.place.asked()
                self.place.mend(outage.kind)
                self._await(work, lambda: all(side.good(outage.ended) for side in outage.sides))
                time.sleep(2 * outage.ttl)
                self._no_more.set()
                work[0].result(_DONE_SEC)
                self._await(work[1:], lambda: outage.sides[1].ids.total() >= outage.rows)
            finally:
                self._no_more.set()
                self._stop.set()
            for one in work:
                one.result(_DONE_SEC)
        self._read_topic()
        gc.collect()  # the pipelines are rings of objects, and hold the producers
        return outage

    def _hooks(self, stack: ExitStack) -> tuple[SourceHook, SinkHook]:
        ttl, parameter = str(self.outage.ttl), "rule.executors._default_.param"
        config: dict[str, object] = {
            "name": self._name,
            "csfle.enabled": "true",
            "value.converter.schema.registry.url": self._registry_url,
            "max.retries": "0",
            f"{parameter}.token.id": self.place.kms.root_token,
            f"{parameter}.ssl.ca.location": str(self.place.kms.authority),
            "latest.cache.ttl.sec": ttl,
            "kek.cache.ttl.sec": ttl,
            "dek.cache.ttl.sec": ttl,
            "stale.if.error.sec": str(self.outage.stale),
            "missing.cache.ttl.sec": "0.2",
            "errors.retry.timeout": str(int((self._length + _DONE_SEC) * 1000)),
            "errors.retry.delay.max.ms": "500",
            "errors.log.enable": "false",
        }
        source = stack.enter_context(SourceHook(config))
        sink = stack.enter_context(SinkHook(config))
        self.outage.sides[0].watch(source, "encrypt")
        self.outage.sides[1].watch(sink, "decrypt")
        return source, sink

    def _rows(self) -> Iterator[SourceRecord]:
        while not self._no_more.is_set():
            for _ in range(_BATCH):
                number = self.outage.rows
                self.outage.rows += 1
                yield SourceRecord(flat(number), key=str(number))
            time.sleep(_PRODUCER_PAUSE_SEC)

    def _produce(self, hook: SourceHook) -> None:
        report = run_source(hook, self._producer(), self._name, self._rows(), batch_size=_BATCH)
        self.outage.sides[0].failed = report.failed

    def _consume(self, hook: SinkHook) -> None:
        side = self.outage.sides[1]

        def handle(batch: SinkBatch) -> None:
            for key, row in zip(batch.keys, batch.values, strict=True):
                number = int(key)
                side.ids[number] += 1
                if row != flat(number):
                    side.wrong.append(number)
            if not self._no_more.is_set():
                time.sleep(_CONSUMER_PAUSE_SEC)

        consumer = self._consumer("sink")
        try:
            report = run_sink(
                hook, consumer, handle, producer=self._producer(), topics=[self._name], stop=self._stop,
                batch_size=_BATCH,
            )  # fmt: skip
        finally:
            consumer.close()
        side.failed = report.failed

    def _await(self, work: Sequence[Future[None]], happened: Callable[[], bool]) -> bool:
        """Whether something happened in time; a pipeline that has ended meanwhile says why."""
        deadline = time.monotonic() + _DONE_SEC
        while not happened():
            if time.monotonic() > deadline:
                return False
            for one in work:
                if one.done():
                    one.result()
                    raise RuntimeError("a pipeline has ended by itself")
            time.sleep(0.02)
        return True

    def _read_topic(self) -> None:
        consumer = self._consumer("read", **{"enable.partition.eof": True})
        try:
            consumer.assign([TopicPartition(self._name, number, 0) for number in range(_PARTITIONS)])
            ended = 0
            while ended < _PARTITIONS:
                for message in consumer.consume(10_000, timeout=1.0):
                    error, value = message.error(), message.value() or b""
                    if error is not None:
                        assert error.code() == KafkaError._PARTITION_EOF
                        ended += 1
                        continue
                    self.outage.topic[int(message.key() or b"-1")] += 1
                    self.outage.readable += b"secret" in value or b"bytes" in value
        finally:
            consumer.close()

    def _producer(self) -> Producer:
        return Producer({"bootstrap.servers": self.place.kafka.bootstrap_servers, "linger.ms": 5})

    def _consumer(self, group: str, **more: object) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.place.kafka.bootstrap_servers,
                "group.id": f"{group}-{self._name}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                **more,
            }
        )


def run(place: Place, kind: str, outage_sec: float) -> Outage:
    """One outage of one kind."""
    return _Drill(place, kind, outage_sec).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--outage", type=float, default=60.0, help="seconds, of each kind")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these; may be repeated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}")
    logging.getLogger("csfle_fast").setLevel(logging.ERROR)  # it warns of every call that fails
    failed = False
    with TemporaryDirectory(prefix="csfle-fast-") as folder, ExitStack() as stack:
        kafka = stack.enter_context(KafkaServer(Path(folder) / "kafka"))
        place = Place.start(kafka, Path(folder), given.seed, stack)
        for kind in given.kind or KINDS:
            outage = run(place, kind, given.outage)
            for line in outage.timeline():
                print(line, flush=True)
            for fault in outage.faults():
                print(f"FAULT: {kind}: {fault}", flush=True)
                failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
