"""Intake beside a stand-in for the consumer, which can hold a rebalance in the middle of one call.

A real group does so only by chance; what it does by itself is shown on a real Kafka by the tests of the
pipelines and by the drills.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connect_world import message
from csfle_fast.connect.intake import Intake, Place

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


def nothing(_places: object) -> None:
    pass


def intake(consumer: StandIn, give_up: Callable[[Any], None] = nothing, size: int = 100) -> Intake:
    made = Intake(
        cast(Consumer, consumer),
        ["t"],
        size=size,
        give_up=give_up,
        lost=nothing,
        until_end=False,
    )
    made.start()
    return made


def at(partition: int, *offsets: int) -> list[Message]:
    return [message(b"x", partition=partition, offset=offset) for offset in offsets]


def places(messages: list[Message]) -> list[tuple[int | None, int | None]]:
    return [(there.partition(), there.offset()) for there in messages]


@pytest.mark.parametrize("gone", ["revoke", "lost"])
def test_messages_around_a_rebalance_in_one_call_are_consumed_again(gone: str) -> None:
    consumer = StandIn(0, 1)
    taking = intake(consumer)
    consumer.offsets = {0: 5}
    consumer.line = [
        *at(0, 5, 6),
        *at(1, 40),
        consumer.happens(gone, 0),
        consumer.happens("assign", 0),
        *at(0, 5, 6, 7),  # it came back, and begins where offsets were committed
    ]
    assert places(taking.take(0)) == [(1, 40)], "what was seen twice is left out, on both sides"
    consumer.line = [*at(0, 5, 6, 7)]
    assert places(taking.take(0)) == [(0, 5), (0, 6), (0, 7)]
    assert ("seek", (0, 5)) in consumer.done


def test_without_a_committed_offset_the_first_message_left_out_counts() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    consumer.line = [*at(0, 3, 4), consumer.happens("lost", 0), consumer.happens("assign", 0), *at(0, 3)]
    assert taking.take(0) == []
    taking.take(0)
    assert ("seek", (0, 3)) in consumer.done


def test_what_has_gone_to_another_member_is_forgotten() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    consumer.line = [*at(0, 3), consumer.happens("lost", 0)]
    assert taking.take(0) == []
    taking.take(0)
    assert consumer.done == [("resume", [0])], "a pause would outlive the assignment"
    consumer.line = [consumer.happens("assign", 0)]
    taking.take(0)
    consumer.line = [*at(0, 9)]
    assert places(taking.take(0)) == [(0, 9)]


def test_while_the_broker_does_not_say_where_to_go_on_nothing_is_taken() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    taking.drop(at(0, 5))
    consumer.unable = KafkaError(KafkaError._TIMED_OUT)
    consumer.line = [*at(0, 7)]
    assert taking.take(0) == []
    consumer.unable = None
    consumer.line = [*at(0, 5, 6)]
    assert places(taking.take(0)) == [(0, 5), (0, 6)]


def test_offsets_are_waited_for_before_partitions_are_handed_on() -> None:
    consumer = StandIn(0, 1)
    at_hand = at(0, 8)

    def give_up(_places: set[Place]) -> None:
        taking.commit(at_hand)

    taking = intake(consumer, give_up)
    taking.commit([*at(0, 5, 6), *at(1, 2)])
    consumer.line = [consumer.happens("revoke", 0)]
    taking.take(0)
    assert [(what, told) for what, told in consumer.done if what != "resume"] == [
        ("commit", {0: 7, 1: 3}),
        ("commit", {0: 9}),
        ("commit and wait", {0: 9, 1: 3}),
    ]


def test_an_older_offset_is_not_committed_for_a_partition_that_came_back() -> None:
    consumer = StandIn(0, 1)
    taking = intake(consumer)
    taking.commit([*at(0, 5), *at(1, 2)])
    consumer.line = [consumer.happens("lost", 0), consumer.happens("assign", 0)]
    taking.take(0)
    taking.settle()
    assert consumer.done[-1] == ("commit and wait", {1: 3})
    taking.settle()
    assert consumer.done[-1] == ("commit and wait", {1: 3}), "once"


def test_a_commit_that_comes_too_late_is_no_failure() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    taking.commit(at(0, 5))
    consumer.unable = KafkaError(KafkaError.UNKNOWN_MEMBER_ID)
    taking.settle()
    taking.commit(at(0, 6))
    consumer.unable = KafkaError(KafkaError._TRANSPORT)
    with pytest.raises(KafkaException):
        taking.settle()


def test_early_messages_come_in_batches_too() -> None:
    consumer = StandIn(0)
    taking = intake(consumer, size=2)
    consumer.line = [*at(0, 1)]
    for offset in (2, 3):
        taking.wait(0)
        consumer.line = [*at(0, offset)]
    taking.wait(0)
    assert places(taking.take(0)) == [(0, 1), (0, 2)]
    assert places(taking.take(0)) == [(0, 3)]


def test_a_message_that_comes_while_it_waits_is_not_lost() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    consumer.line = [consumer.happens("assign", 1), *at(1, 1)]
    taking.wait(0)
    consumer.line += at(0, 4)
    assert places(taking.take(0)) == [(1, 1), (0, 4)]
    assert ("pause", [0]) in consumer.done
    assert ("resume", [0]) in consumer.done


def test_a_message_that_came_while_it_waited_is_not_doubled_by_going_back() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    consumer.offsets = {0: 5}
    taking.drop(at(0, 5, 6))
    consumer.line = [consumer.happens("lost", 0), consumer.happens("assign", 0), *at(0, 5)]
    taking.wait(0)
    consumer.line = [*at(0, 5, 6)]
    assert places(taking.take(0)) == [(0, 5), (0, 6)]
    assert ("seek", (0, 5)) in consumer.done


@pytest.mark.parametrize(
    ("code", "hopeless"), [(KafkaError._TRANSPORT, False), (KafkaError._AUTHENTICATION, True)]
)
def test_events_are_no_messages(code: int, hopeless: bool) -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    consumer.line = [*at(0, 1), message(b"", error=KafkaError(code)), *at(0, 2)]
    if hopeless:
        with pytest.raises(KafkaException):
            taking.take(0)
    else:
        assert places(taking.take(0)) == [(0, 1), (0, 2)]
