"""The broker of the demo: the mock cluster that librdkafka carries, alive as long as its producer."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from confluent_kafka import KafkaError, Message

__all__ = ["MockBroker"]

_TIMEOUT_SEC = 30.0
# One partition keeps the order of the rows, so that source and sink rows can be put side by side.
_PARTITION = 0

_log = logging.getLogger(__name__)


class MockBroker:
    """A Kafka broker inside this process, with one producer and one consumer for each topic."""

    def __init__(self) -> None:
        # linger.ms 0: a batch is sent as soon as it is there; log_level 4 leaves the start-up notice out.
        settings = {"test.mock.num.brokers": 1, "linger.ms": 0, "log_level": 4}
        self._producer = Producer(settings, logger=_log)
        brokers = self._producer.list_topics(timeout=_TIMEOUT_SEC).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self._consumers: dict[str, Consumer] = {}
        self._failures: list[KafkaError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()
        self._producer.flush(_TIMEOUT_SEC)

    def round_trip(self, topic: str, frames: Sequence[bytes]) -> list[bytes]:
        """Produce the frames to the topic and consume as many; the mock cluster keeps only some megabytes.

        Raises:
            KafkaException: the broker refused, or did not answer in 30 seconds.
        """
        for frame in frames:
            self._producer.produce(topic, value=frame, partition=_PARTITION, on_delivery=self._delivered)
            self._producer.poll(0)
        waiting = self._producer.flush(_TIMEOUT_SEC)
        if self._failures:
            raise KafkaException(self._failures[0])
        if waiting:
            raise KafkaException(f"{waiting} messages were not delivered in {_TIMEOUT_SEC:g} seconds")
        return self._consume(topic, len(frames))

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def _consume(self, topic: str, count: int) -> list[bytes]:
        consumer = self._consumers.get(topic)
        if consumer is None:
            consumer = Consumer(
                {"bootstrap.servers": self.bootstrap_servers, "group.id": "demo", "log_level": 4}, logger=_log
            )
            consumer.assign([TopicPartition(topic, _PARTITION, 0)])
            self._consumers[topic] = consumer
        frames: list[bytes] = []
        deadline = time.monotonic() + _TIMEOUT_SEC
        while len(frames) < count:
            if time.monotonic() > deadline:
                missing = count - len(frames)
                raise KafkaException(f"{missing} messages did not come in {_TIMEOUT_SEC:g} seconds")
            for message in consumer.consume(count - len(frames), timeout=1.0):
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                frames.append(message.value() or b"")
        return frames
