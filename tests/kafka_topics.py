"""Topics of their own on the real Kafka, with hooks: what the tests of the pipelines stand on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from connect_world import ConnectWorld, Headers
from csfle_fast.connect import PipelineReport, SinkBatch, SinkHook, run_sink
from services.kafka import KafkaServer
from worlds import FLAT, flat, rule


class Topics:
    """A topic with its dead letter topic, and what to read and write them with."""

    def __init__(self, kafka: KafkaServer, connect: ConnectWorld, partitions: int = 1) -> None:
        self.kafka = kafka
        self.connect = connect
        self.name = f"sink-{uuid.uuid4().hex[:8]}"
        self.dead = f"dlq-{self.name}"
        kafka.create_topic(self.name, partitions=partitions)
        kafka.create_topic(self.dead)
        connect.put(FLAT, rule(kek=self.name), subject=f"{self.name}-value")
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
        self._open: list[Consumer] = []

    def sink(self, **properties: object) -> SinkHook:
        return self.connect.sink({"name": self.name}, **properties)

    def frames(self, *numbers: int) -> list[bytes]:
        sealed = self.connect.source().encrypt(self.name, [flat(number) for number in numbers])
        sealed.raise_for_errors()
        return [value for value in sealed.values if isinstance(value, bytes)]

    def produce(self, *values: bytes | None, headers: Headers | None = None, partition: int = 0) -> None:
        for number, value in enumerate(values):
            self.producer.produce(
                self.name,
                value=value,
                key=b"key %d" % number,
                headers=cast(Any, headers or []),
                partition=partition,
            )
        assert self.producer.flush(30) == 0

    def consumer(self, group: str = "sink", **more: object) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "group.id": f"{group}-{self.name}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "session.timeout.ms": 6_000,
                **more,
            }
        )
        self._open.append(consumer)
        return consumer

    def run(self, hook: SinkHook, handle: Callable[[SinkBatch], object], **options: Any) -> PipelineReport:
        given: dict[str, Any] = {
            "producer": self.producer,
            "topics": [self.name],
            "until_end": True,
        } | options
        consumer = given.pop("consumer", None) or self.consumer()
        try:
            return run_sink(hook, consumer, handle, **given)
        finally:
            self.close(consumer)

    def committed(self, partition: int = 0) -> int:
        consumer = self.consumer()
        (place,) = consumer.committed([TopicPartition(self.name, partition)], timeout=30)
        return place.offset

    def letters(self) -> list[Message[bytes, bytes]]:
        return self.read(self.dead)

    def read(self, topic: str) -> list[Message[bytes, bytes]]:
        """What stands committed in the first partition of a topic."""
        consumer = self.consumer("read")
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[Message[bytes, bytes]] = []
        while True:
            for message in consumer.consume(1_000, timeout=1.0):
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF
                    return found
                found.append(message)

    def close(self, consumer: Consumer) -> None:
        consumer.close()
        self._open.remove(consumer)

    def end(self) -> None:
        for consumer in list(self._open):
            self.close(consumer)


@pytest.fixture
def topics(kafka: KafkaServer, connect: ConnectWorld) -> Iterator[Topics]:
    made = Topics(kafka, connect)
    yield made
    made.end()
