"""Intake beside a stand-in for the consumer, which can hold a rebalance in the middle of one call.

A real group does so only by chance; what it does by itself is shown on a real Kafka by the tests of the
pipelines and by the drills.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from connect_world import message
from consumer_stand_in import StandIn, at, places
from csfle_fast.connect.intake import Intake, Place


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


def test_what_was_handed_over_is_not_consumed_again_for_a_commit_that_is_under_way() -> None:
    consumer = StandIn(0)
    taking = intake(consumer)
    taking.commit(at(0, 5, 6))
    consumer.offsets = {0: 4}  # the broker has not heard of it
    taking.drop(at(0, 7, 8))
    taking.take(0)
    assert ("seek", (0, 7)) in consumer.done


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
