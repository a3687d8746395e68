"""A stand-in for the consumer, which can hold a rebalance in the middle of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from connect_world import message

Step = Message | Callable[["StandIn"], object]


class StandIn:
    """A consumer whose calls give what a test has put in line: messages, and what happens between them."""

    def __init__(self, *partitions: int) -> None:
        self.line: list[Step] = []
        self.mine = [TopicPartition("t", number) for number in partitions]
        self.offsets: dict[int, int] = {}
        self.done: list[tuple[str, Any]] = []
        self.callbacks: dict[str, Callable[..., object]] = {}
        self.unable: KafkaError | None = None

    def unsubscribe(self) -> None:
        self.callbacks = {}

    def subscribe(self, _topics: list[str], **callbacks: Callable[..., object]) -> None:
        self.callbacks = callbacks

    def consume(self, count: int, timeout: float) -> list[Message]:
        assert timeout >= 0
        found: list[Message] = []
        while self.line and len(found) < count:
            step = self.line.pop(0)
            if isinstance(step, Message):
                found.append(step)
            else:
                step(self)
        return found

    def poll(self, timeout: float) -> Message | None:
        return next(iter(self.consume(1, timeout)), None)

    def assignment(self) -> list[TopicPartition]:
        return list(self.mine)

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        if self.unable is not None:
            raise KafkaException(self.unable)
        return [TopicPartition(p.topic, p.partition, self.offsets.get(p.partition, -1001)) for p in places]

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> None:
        if self.unable is not None and not asynchronous:
            raise KafkaException(self.unable)
        self.offsets |= {place.partition: place.offset for place in offsets}
        told = {place.partition: place.offset for place in offsets}
        self.done.append(("commit" if asynchronous else "commit and wait", told))

    def seek(self, place: TopicPartition) -> None:
        self.done.append(("seek", (place.partition, place.offset)))

    def pause(self, places: list[TopicPartition]) -> None:
        self.done.append(("pause", [place.partition for place in places]))

    def resume(self, places: list[TopicPartition]) -> None:
        self.done.append(("resume", [place.partition for place in places]))

    def happens(self, what: str, *partitions: int) -> Callable[[StandIn], object]:
        """A rebalance in the middle of a call."""

        def happen(_self: StandIn) -> None:
            places = [TopicPartition("t", number) for number in partitions]
            self.callbacks[f"on_{what}"](self, places)
            if what == "assign":
                self.mine += places
            else:
                self.mine = [place for place in self.mine if place.partition not in partitions]

        return happen


def at(partition: int, *offsets: int) -> list[Message]:
    return [message(b"x", partition=partition, offset=offset) for offset in offsets]


def places(messages: list[Message]) -> list[tuple[int | None, int | None]]:
    return [(there.partition(), there.offset()) for there in messages]
