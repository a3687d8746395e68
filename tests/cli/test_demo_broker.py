"""The mock cluster: everything comes back, in order."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from csfle_fast.cli import demo_broker
from csfle_fast.cli.demo_broker import MockBroker


def test_frames_come_back_in_order() -> None:
    frames = [f"frame {number}".encode() for number in range(2_000)]
    with MockBroker() as broker:
        assert broker.round_trip("a", frames) == frames
        assert broker.round_trip("a", frames[:3]) == frames[:3]
        assert broker.round_trip("b", frames[:2]) == frames[:2]


def test_more_than_the_mock_cluster_keeps() -> None:
    frame = bytes(100_000)
    with MockBroker() as broker:
        for _ in range(10):
            assert broker.round_trip("large", [frame] * 10) == [frame] * 10


def test_a_frame_that_cannot_be_sent_is_an_error() -> None:
    with MockBroker() as broker, pytest.raises(KafkaException):
        broker.round_trip("large", [bytes(2_000_000)])


def test_frames_that_do_not_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with MockBroker() as broker:
        broker.round_trip("few", [b"one"])
        monkeypatch.setattr(demo_broker, "_TIMEOUT_SEC", 0.1)
        with pytest.raises(KafkaException, match="1 messages did not come"):
            broker._consume("few", 1)
