"""Producing so that it is known when records are safe."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from csfle_fast.connect.errors import PipelineError

__all__ = ["Delivery"]

_SLICE_SEC = 0.1


class Delivery:
    """Records on their way through a producer.

    Args:
        producer: confluent-kafka's; it stays the caller's.
        failed: code of the PipelineError when records cannot be delivered.
    """

    def __init__(self, producer: Producer, failed: str = "not_delivered") -> None:
        self._producer = producer
        self._failed = failed
        self._waiting = 0
        self._error: KafkaError | None = None

    def send(self, **record: Any) -> None:
        """Hand one record to the producer, by the names of ``Producer.produce``.

        Waits while the producer's queue is full.

        Raises:
            PipelineError: the producer does not take it.
        """
        while True:
            try:
                self._producer.produce(on_delivery=self._delivered, **record)
            except BufferError:
                self._producer.poll(_SLICE_SEC)
            except KafkaException as error:
                raise self._refused(error.args[0]) from None
            else:
                break
        self._waiting += 1
        self._producer.poll(0)

    def settle(self, timeout_sec: float, wait: Callable[[float], None]) -> None:
        """Return when every record is safe.

        Args:
            timeout_sec: how long to wait at most.
            wait: called again and again with a time in seconds to spend, so that a consumer can be kept
                alive; it may raise to end the waiting.

        Raises:
            PipelineError: a record was not delivered, or not in time.
        """
        deadline = time.monotonic() + timeout_sec
        self._producer.flush(_SLICE_SEC)
        while self._waiting and self._error is None and time.monotonic() < deadline:
            wait(0.0)
            self._producer.flush(_SLICE_SEC)
        error, waiting = self._error, self._waiting
        self._error = None
        if error is not None:
            raise self._refused(error)
        if waiting:
            raise PipelineError(
                self._failed, f"{waiting} records were not delivered in {timeout_sec:g} seconds"
            )

    def _refused(self, error: KafkaError) -> PipelineError:
        return PipelineError(self._failed, f"Kafka does not take a record ({error.name()})")

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        self._waiting -= 1
        if error is not None and self._error is None:
            self._error = error
