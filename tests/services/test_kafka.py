"""Apache Kafka as the tests use it: records whole, transactions, and what a crash leaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)

from services.cache import NotInstallable
from services.kafka import KafkaServer

HEADERS: list[tuple[str, str | bytes | None]] = [("app", b"one"), ("app", b"two"), ("nul", None), ("e", b"")]
STAMP = 1_700_000_000_123
SECONDS = 30.0


def producer(server: KafkaServer, **settings: str | int) -> Producer:
    names = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer({"bootstrap.servers": server.bootstrap_servers, "log_level": 0, **names})


def consumer(server: KafkaServer, group: str, **settings: str | int | bool) -> Consumer:
    names = {name.replace("_", "."): value for name, value in settings.items()}
    return Consumer(
        {
            "bootstrap.servers": server.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
            **names,
        }
    )


def read(reader: Consumer, count: int) -> list[Message]:
    """The next so many records, or as many as came in time."""
    deadline = time.monotonic() + SECONDS
    found: list[Message] = []
    while len(found) < count and time.monotonic() < deadline:
        for message in reader.consume(count - len(found), timeout=1):
            error = message.error()
            assert error is None, error
            found.append(message)
    return found


def values(messages: list[Message]) -> list[bytes | None]:
    return [message.value() for message in messages]


def test_records_keep_every_header_in_order(kafka: KafkaServer) -> None:
    kafka.create_topic("services-headers", partitions=3)
    writer = producer(kafka)
    writer.produce("services-headers", b"v", b"k", partition=2, timestamp=STAMP, headers=HEADERS)
    writer.produce("services-headers", None, None, partition=2)
    assert writer.flush(SECONDS) == 0
    reader = consumer(kafka, "services-headers")
    reader.assign([TopicPartition("services-headers", 2, OFFSET_BEGINNING)])
    first, second = read(reader, 2)
    assert (first.key(), first.value(), first.timestamp()) == (b"k", b"v", (TIMESTAMP_CREATE_TIME, STAMP))
    assert first.headers() == HEADERS
    assert (second.key(), second.value(), second.headers()) == (None, None, None)
    assert len(reader.list_topics("services-headers", SECONDS).topics["services-headers"].partitions) == 3
    reader.close()


def test_read_committed_hides_what_was_aborted(kafka: KafkaServer) -> None:
    kafka.create_topic("services-source")
    kafka.create_topic("services-target")
    writer = producer(kafka, transactional_id="services-transactions")
    writer.init_transactions(SECONDS)
    source = consumer(kafka, "services-transactions")
    done = [TopicPartition("services-source", 0, 41)]
    for value, good in ((b"aborted", False), (b"committed", True)):
        writer.begin_transaction()
        writer.produce("services-target", value)
        assert writer.flush(SECONDS) == 0  # an abort would take back what was not sent yet
        writer.send_offsets_to_transaction(done, source.consumer_group_metadata(), SECONDS)
        if good:
            writer.commit_transaction(SECONDS)
        else:
            writer.abort_transaction(SECONDS)
            (before,) = source.committed([TopicPartition("services-source", 0)], SECONDS)
            assert before.offset < 0
    (after,) = source.committed([TopicPartition("services-source", 0)], SECONDS)
    assert after.offset == 41
    source.close()
    for level, expected in (
        ("read_committed", [b"committed"]),
        ("read_uncommitted", [b"aborted", b"committed"]),
    ):
        reader = consumer(kafka, f"services-{level}", isolation_level=level, enable_partition_eof=True)
        reader.assign([TopicPartition("services-target", 0, OFFSET_BEGINNING)])
        found: list[bytes | None] = []
        while True:
            message = reader.poll(SECONDS)
            assert message is not None, "the end of the partition did not come"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF
                break
            found.append(message.value())
        assert found == expected
        reader.close()


def test_a_crash_keeps_acked_records_and_committed_offsets(kafka: KafkaServer, tmp_path: Path) -> None:
    del kafka  # its fixture has skipped where there is none; this test kills one of its own
    count, done = 2000, 700
    with KafkaServer(tmp_path) as server:
        server.create_topic("t")
        writer = producer(server, enable_idempotence="true")
        for number in range(count):
            writer.produce("t", str(number))
        assert writer.flush(SECONDS) == 0
        open_one = producer(server, transactional_id="open")
        open_one.init_transactions(SECONDS)
        open_one.begin_transaction()
        open_one.produce("t", b"never committed")
        assert open_one.flush(SECONDS) == 0
        reader = consumer(server, "g")
        reader.subscribe(["t"])
        assert len(read(reader, done)) == done
        reader.commit(offsets=[TopicPartition("t", 0, done)], asynchronous=False)

        address = server.bootstrap_servers
        server.kill()
        assert not server.is_ready()
        server.start()
        assert server.bootstrap_servers == address
        reader.close()

        next_one = producer(server, transactional_id="open")
        next_one.init_transactions(SECONDS)  # ends what the crash left open
        again = consumer(server, "g", isolation_level="read_committed", enable_partition_eof=True)
        again.subscribe(["t"])
        assert values(read(again, count - done)) == [str(number).encode() for number in range(done, count)]
        end = again.poll(SECONDS)
        error = end.error() if end is not None else None
        assert error is not None
        assert error.code() == KafkaError._PARTITION_EOF
        again.close()


def test_without_java_it_is_not_installable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(NotInstallable, match="there is no java in JAVA_HOME"):
        KafkaServer(tmp_path).start()
