"""A worker of the drill of crashes: topic to topic, telling where it is, to be killed at any moment.

It writes a letter each time: R ready, B a transaction has begun, S its offsets are sent, C it is committed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from confluent_kafka import Consumer, Producer

from csfle_fast.connect import SinkHook, SourceHook, run_topic

BEGUN, SENT, COMMITTED, READY = b"B", b"S", b"C", b"R"


class TellingProducer(Producer):
    """A producer whose transactions can be watched from outside."""

    def begin_transaction(self) -> None:
        super().begin_transaction()
        tell(BEGUN)

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        super().send_offsets_to_transaction(*arguments)
        tell(SENT)

    def commit_transaction(self, *arguments: Any) -> None:
        super().commit_transaction(*arguments)
        tell(COMMITTED)


def tell(letter: bytes) -> None:
    """Nothing is buffered, so the last letter that arrived tells where the worker was killed."""
    os.write(1, letter)


def main() -> None:
    given = json.loads(sys.argv[1])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    consumer, producer = Consumer(given["consumer"]), TellingProducer(given["producer"])
    with SinkHook(given["config"]) as sink, SourceHook(given["config"]) as source:
        tell(READY)
        run_topic(
            sink,
            source,
            consumer,
            producer,
            given["target"],
            topics=[given["source"]],
            batch_size=given["batch_size"],
            stop=stop,
        )
    consumer.close()


if __name__ == "__main__":
    main()
