"""run_source on a real Kafka: what is produced, what is safe, what fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from connect_world import ConnectWorld, connect
from csfle_fast.connect import PipelineError, PipelineReport, SourceRecord, run_source, source_pipeline
from kafka_topics import Topics, topics
from worlds import FLAT, flat, rule

__all__ = ["connect", "topics"]  # fixtures


def test_rows_and_records(topics: Topics, connect: ConnectWorld) -> None:
    safe: list[int] = []
    records = [
        flat(1),
        SourceRecord(flat(2), b"k", [("h", b"1"), ("h", None)], 1_700_000_000_000),
        None,
        flat(4),
    ]
    report = run_source(
        connect.source(), topics.producer, topics.name, iter(records), safe=safe.append, batch_size=2
    )
    assert report == PipelineReport(consumed=4, delivered=4, batches=2)
    assert safe == [2, 4]
    messages = topics.read(topics.name)
    assert connect.sink().decrypt(messages).values == [flat(1), flat(2), None, flat(4)]
    assert messages[1].key() == b"k"
    assert messages[1].headers() == [("h", b"1"), ("h", None)]
    assert messages[1].timestamp()[1] == 1_700_000_000_000


def test_a_schema_in_headers(topics: Topics, connect: ConnectWorld) -> None:
    source = connect.source(
        {"value.schema.id.serializer": "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer"}
    )
    run_source(source, topics.producer, topics.name, [flat(1), flat(2)])
    messages = topics.read(topics.name)
    headers: list[Any] = [message.headers() for message in messages]
    assert [[name for name, _ in there] for there in headers] == [["__value_schema_id"]] * 2
    assert connect.sink().decrypt(messages).values == [flat(1), flat(2)]


def test_a_record_keeps_no_schema_of_what_it_was_read_from(topics: Topics, connect: ConnectWorld) -> None:
    record = SourceRecord(flat(1), headers=[("__value_schema_id", b"\x01" + bytes(16)), ("h", b"1")])
    run_source(connect.source(), topics.producer, topics.name, [record])
    messages = topics.read(topics.name)
    assert messages[0].headers() == [("h", b"1")]
    assert connect.sink().decrypt(messages).values == [flat(1)]


def test_an_error_ends_it_and_what_was_before_is_safe(topics: Topics, connect: ConnectWorld) -> None:
    safe: list[int] = []
    rows = [flat(0), flat(1), flat(2), {"id": "a plain text"}]
    with pytest.raises(PipelineError, match=r"record 3 .* failed: value.*row_does_not_fit") as caught:
        run_source(connect.source(), topics.producer, topics.name, rows, safe=safe.append, batch_size=2)
    assert caught.value.code == "tolerance_exceeded"
    assert "a plain text" not in str(caught.value)
    assert safe[-1] == 2
    assert len(topics.read(topics.name)) == 2


def test_errors_may_be_tolerated(topics: Topics, connect: ConnectWorld) -> None:
    rows = [flat(0), {"id": "no"}, flat(2)]
    report = run_source(connect.source(errors_tolerance="all"), topics.producer, topics.name, rows)
    assert report == PipelineReport(consumed=3, delivered=2, failed=1, batches=1)
    assert connect.sink().decrypt(topics.read(topics.name)).values == [flat(0), flat(2)]


def test_stop(topics: Topics, connect: ConnectWorld) -> None:
    stop = threading.Event()

    def endless() -> Iterator[Any]:
        number = 0
        while True:
            yield flat(number)
            number += 1
            if number == 35:
                stop.set()

    report = run_source(connect.source(), topics.producer, topics.name, endless(), stop=stop, batch_size=10)
    assert report.delivered == report.consumed == len(topics.read(topics.name)) == 40


def test_rows_that_end_with_an_exception_are_safe_so_far(topics: Topics, connect: ConnectWorld) -> None:
    def rows() -> Iterator[Any]:
        yield from (flat(number) for number in range(5))
        raise ZeroDivisionError

    safe: list[int] = []
    with pytest.raises(ZeroDivisionError):
        run_source(connect.source(), topics.producer, topics.name, rows(), safe=safe.append, batch_size=2)
    assert safe[-1] == len(topics.read(topics.name)) == 4


def test_stop_does_not_wait_for_ever_for_a_broker(
    topics: Topics, connect: ConnectWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_pipeline, "GRACE_SEC", 0.5)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    away = Producer({"bootstrap.servers": "127.0.0.1:9", "log_level": 0})
    with pytest.raises(PipelineError, match="stopped") as caught:
        run_source(connect.source(), away, topics.name, [flat(1)], stop=stop)
    assert caught.value.code == "not_delivered"
    away.purge()


def test_a_registry_that_comes_back_costs_no_record(topics: Topics, connect: ConnectWorld) -> None:
    source = connect.source({"missing.cache.ttl.sec": "0.1", "max.retries": "0"})
    connect.http.faults.add("GET", "/subjects/", status=503)
    threading.Timer(0.7, connect.http.faults.clear).start()
    assert run_source(source, topics.producer, topics.name, [flat(1)]).delivered == 1


@pytest.mark.parametrize("limit", [{"message.max.bytes": 1_000}, {"message.timeout.ms": 1_500}])
def test_a_record_that_kafka_does_not_take(
    connect: ConnectWorld, topics: Topics, limit: dict[str, int]
) -> None:
    small = Producer({"bootstrap.servers": topics.kafka.bootstrap_servers, **limit})
    topic = topics.name if "message.max.bytes" in limit else "not/there"
    connect.put(FLAT, rule(), subject=f"{topic}-value")
    safe: list[int] = []
    with pytest.raises(PipelineError, match="Kafka does not take a record") as caught:
        run_source(connect.source(), small, topic, [flat(1, "x" * 2_000)], safe=safe.append)
    assert caught.value.code == "not_delivered"
    assert safe == []
