"""What a pipeline does with batches at hand while partitions come and go, beside a stand-in."""

from __future__ import annotations

import threading
from typing import Any, cast

from confluent_kafka import Consumer, Message

from connect_world import ConnectWorld, connect
from consumer_stand_in import StandIn, at, places
from csfle_fast.connect.pipeline import Pipeline
from csfle_fast.connect.results import SinkResult

__all__ = ["connect"]  # a fixture


class Waiting(Pipeline):
    """Waits once while it delivers its first batch, as for another try."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.delivered: list[tuple[int | None, int | None]] = []
        self.waited = False

    def deliver(self, messages: list[Message], result: SinkResult) -> None:
        assert len(result.values) == len(messages)
        if not self.waited:
            self.waited = True
            self.wait(0)
        self.delivered += places(messages)
        self.intake.commit(messages)


def test_nothing_behind_a_batch_that_was_given_up_is_delivered_past_it(connect: ConnectWorld) -> None:
    consumer, stop = StandIn(0, 1), threading.Event()
    pipeline = Waiting(connect.sink(), cast(Consumer, consumer), topics=["t"], batch_size=2, stop=stop)

    def while_it_waits(_consumer: StandIn) -> None:
        consumer.line.clear()
        consumer.happens("revoke", 1)(consumer)  # partition 0 stays, as by cooperative assignment
        # The first comes while it waits, and again after going back.
        consumer.line = [*at(0, 0), *at(0, 0, 1), *at(0, 2), lambda _: stop.set()]

    consumer.line = [*at(0, 0), *at(1, 0), *at(0, 1, 2), while_it_waits]
    pipeline.run()
    assert pipeline.delivered == [(0, 0), (0, 1), (0, 2)], "each once, in order"
    assert consumer.offsets == {0: 3}
    assert ("seek", (0, 0)) in consumer.done


def test_a_group_does_not_wait_for_a_batch_that_waits(connect: ConnectWorld) -> None:
    consumer, stop = StandIn(0), threading.Event()
    pipeline = Waiting(connect.sink(), cast(Consumer, consumer), topics=["t"], batch_size=2, stop=stop)
    consumer.line = [*at(0, 0, 1), consumer.happens("revoke", 0), lambda _: stop.set()]
    pipeline.run()
    assert pipeline.waited, "it was tried once more before the partition was given up"
    assert pipeline.delivered == []
    assert consumer.offsets == {}
