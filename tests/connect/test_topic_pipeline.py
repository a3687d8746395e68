"""run_topic on a real Kafka: records, dead letters and offsets are one transaction."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from connect_world import ConnectWorld, connect, tampered
from csfle_fast import ConfigError
from csfle_fast.connect import PipelineError, PipelineReport, SinkHook, SinkRecord, SourceRecord, run_topic
from kafka_topics import Topics, topics
from worlds import FLAT, flat, rule

__all__ = ["connect", "topics"]  # fixtures


class Bridge:
    """From the topic of ``topics`` to another one."""

    def __init__(self, topics: Topics, **properties: object) -> None:
        self.topics = topics
        self.target = f"target-{topics.name}"
        topics.kafka.create_topic(self.target)
        topics.connect.put(FLAT, rule(kek=self.target), subject=f"{self.target}-value")
        self.sink = topics.sink(**properties)
        self.source = topics.connect.source({"name": topics.name})

    def producer(self, **more: Any) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.topics.kafka.bootstrap_servers,
                "transactional.id": f"bridge-{self.topics.name}",
                **more,
            }
        )

    def run(self, sink: SinkHook | None = None, **options: Any) -> PipelineReport:
        given: dict[str, Any] = {"topics": [self.topics.name], "until_end": True} | options
        producer = given.pop("producer", None) or self.producer()
        consumer = self.topics.consumer()
        try:
            return run_topic(sink or self.sink, self.source, consumer, producer, self.target, **given)
        finally:
            self.topics.close(consumer)

    def rows(self) -> list[Any]:
        result = self.topics.sink().decrypt(self.topics.read(self.target))
        result.raise_for_errors()
        return result.values


def test_records_dead_letters_and_offsets(topics: Topics) -> None:
    bridge = Bridge(topics)
    one, two, three = topics.frames(1, 2, 3)
    topics.produce(one, b"junk", None, two, tampered(three), headers=[("h", b"1"), ("h", None)])
    report = bridge.run(batch_size=2)
    assert report == PipelineReport(consumed=5, delivered=3, failed=2, dead_letters=2, batches=3)
    assert bridge.rows() == [flat(1), None, flat(2)]
    sent = topics.read(bridge.target)
    assert [message.key() for message in sent] == [b"key 0", b"key 2", b"key 3"]
    assert [message.headers() for message in sent] == [[("h", b"1"), ("h", None)]] * 3
    assert [message.timestamp() for message in sent] == [
        message.timestamp() for message in topics.read(topics.name) if message.offset() in (0, 2, 3)
    ]
    assert [letter.value() for letter in topics.letters()] == [b"junk", tampered(three)]
    assert topics.committed() == 5
    assert bridge.run() == PipelineReport(), "nothing is done twice"


def test_the_key_of_the_target_seals(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(1))
    bridge.run()
    (sent,) = topics.read(bridge.target)
    assert b"secret 1" not in (sent.value() or b"")
    assert bridge.source.stats()[f"dek_seals/{bridge.target}/{bridge.target}-value/AES256_GCM/1"] == 2


def test_a_transform_may_drop_change_and_multiply(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(0, 1, 2, 3, 4))

    def transform(record: SinkRecord) -> Any:
        number = record.value["id"]
        if number == 0:
            return None
        if number == 1:
            return SourceRecord(record.value | {"note": "changed"}, headers=[("new", b"1")])
        if number == 2:
            return [SourceRecord(record.value, key=b"a"), SourceRecord(record.value, key=b"b")]
        if number == 3:
            return SourceRecord({"id": "does not fit"}, record.key)
        raise ValueError("secret 4")

    report = bridge.run(transform=transform)
    assert bridge.rows() == [flat(1) | {"note": "changed"}, flat(2), flat(2)]
    assert (report.delivered, report.failed, report.dead_letters) == (3, 2, 2)
    kept, failed = topics.letters()
    assert (kept.value(), failed.value()) == tuple(m.value() for m in topics.read(topics.name)[3:])
    stages = [dict(letter.headers() or ())["__connect.errors.stage"] for letter in (kept, failed)]
    assert stages == [b"VALUE_CONVERTER", b"TRANSFORMATION"]
    headers: Any = failed.headers()
    assert not any(b"secret 4" in value for _, value in headers)
    assert b"transform" in dict(headers)["__connect.errors.class.name"]


def test_none_writes_the_dead_letter_alone_and_fails(topics: Topics) -> None:
    bridge = Bridge(topics, errors_tolerance="none")
    topics.produce(*topics.frames(1), b"junk")
    with pytest.raises(PipelineError) as caught:
        bridge.run()
    assert caught.value.code == "tolerance_exceeded"
    assert bridge.rows() == []
    assert len(topics.letters()) == 1
    assert topics.committed() < 0


def test_a_replayed_dead_letter_is_none_any_more(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(1), headers=[("h", b"1")])
    wrong = topics.connect.sink(
        {"name": topics.name, "rule.executors._default_.param.secret": "another secret"}
    )
    assert bridge.run(sink=wrong).dead_letters == 1
    assert bridge.run(topics=[topics.dead]).delivered == 1
    assert bridge.rows() == [flat(1)]
    assert topics.read(bridge.target)[-1].headers() == [("h", b"1")]


def test_what_would_be_sealed_wrongly_is_refused(topics: Topics) -> None:
    with pytest.raises(ConfigError, match="bodies"):
        Bridge(topics).run(bodies=True)


def test_ciphertext_is_not_encrypted_again(topics: Topics) -> None:
    with pytest.raises(ConfigError, match=r"csfle\.onFailure"):
        Bridge(topics, csfle_onFailure="NONE").run()


def test_a_transform_that_gives_something_else_makes_a_dead_letter(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(1))
    assert bridge.run(transform=lambda record: record.value).dead_letters == 1
    assert bridge.rows() == []


def test_a_second_worker_fences_the_first(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(1, 2))
    first = bridge.producer()

    def transform(record: SinkRecord) -> Any:
        bridge.producer().init_transactions(30)  # somebody else begins under the same name
        return SourceRecord(record.value)

    with pytest.raises(PipelineError) as caught:
        bridge.run(transform=transform, producer=first)
    assert caught.value.code == "transaction_failed"
    assert bridge.rows() == []
    bridge.run()
    assert bridge.rows() == [flat(1), flat(2)]


def test_a_record_that_is_too_large_leaves_no_transaction_open(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(1))
    producer = bridge.producer(**{"message.max.bytes": 1_000})

    def transform(record: SinkRecord) -> Any:
        return SourceRecord(record.value | {"note": "x" * 2_000})

    with pytest.raises(PipelineError, match="MSG_SIZE_TOO_LARGE"):
        bridge.run(transform=transform, producer=producer)
    producer.begin_transaction()  # it would refuse if one were open
    producer.abort_transaction()
    assert topics.committed() < 0


def test_stop_leaves_no_transaction_open(topics: Topics) -> None:
    bridge = Bridge(topics)
    topics.produce(*topics.frames(*range(30)))
    stop = threading.Event()

    def transform(record: SinkRecord) -> Any:
        stop.set()
        return SourceRecord(record.value)

    report = bridge.run(transform=transform, stop=stop, until_end=False, batch_size=10)
    assert 0 < report.delivered == len(bridge.rows()) == topics.committed() < 30


def test_encryption_that_comes_back_costs_no_record(topics: Topics, connect: ConnectWorld) -> None:
    bridge = Bridge(topics)
    bridge.source = connect.source({"name": topics.name, "missing.cache.ttl.sec": "0.1", "max.retries": "0"})
    topics.produce(*topics.frames(1, 2))
    connect.http.faults.add("GET", f"/subjects/{bridge.target}", status=503)
    began = time.monotonic()
    threading.Timer(1.0, connect.http.faults.clear).start()
    report = bridge.run()
    assert time.monotonic() - began > 0.9
    assert report.failed == 0
    assert bridge.rows() == [flat(1), flat(2)]
