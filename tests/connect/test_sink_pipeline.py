"""run_sink on a real Kafka: what is handed over, what becomes a dead letter, what is committed."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from connect_world import ConnectWorld, connect, tampered
from csfle_fast import ConfigError
from csfle_fast.connect import (
    PipelineError,
    PipelineReport,
    RetriableError,
    SinkBatch,
)
from kafka_topics import Topics, topics
from services.kafka import KafkaServer
from worlds import flat

__all__ = ["connect", "topics"]  # fixtures

STOP_AT = 30.0


class Collector:
    """A handler that keeps what it was given."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.batches = 0

    def __call__(self, batch: SinkBatch) -> None:
        self.batches += 1
        self.rows += batch.values


class TestHandOver:
    def test_rows_dead_letters_and_offsets(self, topics: Topics) -> None:
        one, two, three = topics.frames(1, 2, 3)
        topics.produce(one, b"junk", None, two, tampered(three), three, headers=[("h", b"1"), ("h", None)])
        collector = Collector()
        report = topics.run(topics.sink(), collector, batch_size=2)
        assert collector.rows == [flat(1), None, flat(2), flat(3)]
        assert report == PipelineReport(consumed=6, delivered=4, failed=2, dead_letters=2, batches=3)
        assert topics.committed() == 6
        letters = topics.letters()
        assert [letter.value() for letter in letters] == [b"junk", tampered(three)]
        assert [letter.key() for letter in letters] == [b"key 1", b"key 4"]
        headers: Any = letters[1].headers()
        assert headers[:2] == [("h", b"1"), ("h", None)]
        assert dict(headers[2:])["__connect.errors.offset"] == b"4"

    def test_records_tell_where_they_are_from(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1, 2), headers=[("h", b"1")])
        seen: list[Any] = []
        topics.run(topics.sink(), seen.extend)
        assert [(r.position, r.topic, r.partition, r.offset) for r in seen] == [
            (0, topics.name, 0, 0),
            (1, topics.name, 0, 1),
        ]
        assert seen[0].key == b"key 0"
        assert seen[0].headers == [("h", b"1")]
        assert abs(seen[0].timestamp / 1_000 - time.time()) < 3_600
        assert not seen[0].sealed

    def test_bodies(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1))
        seen = Collector()
        topics.run(topics.sink(), seen, bodies=True)
        assert all(isinstance(body, bytes) for body in seen.rows)

    def test_it_goes_on_where_it_stopped(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1, 2))
        first, second = Collector(), Collector()
        topics.run(topics.sink(), first)
        topics.produce(*topics.frames(3))
        topics.run(topics.sink(), second)
        assert (first.rows, second.rows) == ([flat(1), flat(2)], [flat(3)])

    def test_stop_finishes_what_was_consumed(self, topics: Topics) -> None:
        topics.produce(*topics.frames(*range(40)))
        stop, collector = threading.Event(), Collector()

        def handle(batch: SinkBatch) -> None:
            collector(batch)
            stop.set()

        report = topics.run(topics.sink(), handle, batch_size=10, stop=stop, until_end=False)
        assert report.consumed == report.delivered == len(collector.rows) == topics.committed()
        assert report.batches in (1, 2), "the next one may have been opened meanwhile"

    def test_rows_that_stay_sealed_are_marked(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1), b"junk")
        hook = topics.connect.sink(
            {
                "name": topics.name,
                "csfle.onFailure": "NONE",
                "rule.executors._default_.param.secret": "another secret",
            }
        )
        seen: list[Any] = []
        report = topics.run(hook, seen.extend)
        assert [record.sealed for record in seen] == [True]
        assert report.dead_letters == 1


class TestHandlers:
    def test_one_that_raises_ends_the_pipeline_and_nothing_is_committed(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1, 2, 3, 4))
        collector = Collector()

        def handle(batch: SinkBatch) -> None:
            if batch.values[0]["id"] == 3:
                raise ZeroDivisionError("on row k")
            collector(batch)

        with pytest.raises(ZeroDivisionError):
            topics.run(topics.sink(), handle, batch_size=2)
        assert collector.rows == [flat(1), flat(2)]
        assert topics.committed() == 2
        topics.run(topics.sink(), collector)
        assert collector.rows == [flat(number) for number in (1, 2, 3, 4)]

    def test_one_that_asks_for_another_try_gets_it(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1, 2))
        tries: list[int] = []

        def handle(batch: SinkBatch) -> None:
            tries.append(len(batch))
            batch.report(0, "not yet")
            if len(tries) < 3:
                raise RetriableError("the store is busy")
            batch.rejected.clear()

        report = topics.run(topics.sink(), handle)
        assert tries == [2, 2, 2]
        assert (report.delivered, report.dead_letters) == (2, 0)

    def test_the_tries_end(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1))
        hook = topics.sink(errors_retry_timeout="500")

        def handle(_batch: SinkBatch) -> None:
            raise RetriableError("the store is gone")

        began = time.monotonic()
        with pytest.raises(RetriableError, match="gone"):
            topics.run(hook, handle)
        assert 0.4 < time.monotonic() - began < STOP_AT
        assert topics.committed() < 0

    def test_single_records_can_be_given_up(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1, 2, 3))

        def handle(batch: SinkBatch) -> None:
            batch.report(1, ValueError("secret 2 is not accepted"))

        report = topics.run(topics.sink(), handle)
        assert (report.delivered, report.failed, report.dead_letters) == (2, 1, 1)
        (letter,) = topics.letters()
        headers: Any = letter.headers()
        told = dict(headers)
        assert told["__connect.errors.stage"] == b"TASK_PUT"
        assert told["__connect.errors.class.name"] == b"org.apache.kafka.connect.sink.SinkTask"
        assert b"ValueError" in told["__connect.errors.exception.message"]
        assert not any(b"secret 2" in value for value in told.values())


class TestTolerance:
    def test_none_writes_the_dead_letter_and_fails(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1), b"junk", *topics.frames(3))
        collector = Collector()
        with pytest.raises(PipelineError, match=r"tolerance is none.*offset 1.*not_a_frame") as caught:
            topics.run(topics.sink(errors_tolerance="none"), collector, batch_size=1)
        assert caught.value.code == "tolerance_exceeded"
        assert collector.rows == [flat(1)]
        assert topics.committed() == 1
        assert [letter.value() for letter in topics.letters()] == [b"junk"]

    def test_none_fails_on_a_record_that_a_handler_gives_up(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1))
        with pytest.raises(PipelineError, match="no thanks"):
            topics.run(topics.sink(errors_tolerance="none"), lambda batch: batch.report(0, "no thanks"))
        assert topics.committed() < 0
        assert len(topics.letters()) == 1

    def test_without_a_topic_records_are_counted_and_passed_over(self, topics: Topics) -> None:
        topics.produce(b"junk", *topics.frames(1))
        hook = topics.connect.sink({"errors.deadletterqueue.topic.name": ""})
        collector = Collector()
        report = topics.run(hook, collector, producer=None)
        assert (report.failed, report.dead_letters, collector.rows) == (1, 0, [flat(1)])


class TestRetries:
    def test_a_registry_that_comes_back_costs_no_record(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1, 2))
        hook = topics.connect.sink({"name": topics.name, "missing.cache.ttl.sec": "0.1", "max.retries": "0"})
        topics.connect.http.faults.add("GET", "/schemas/", status=503)
        threading.Timer(1.0, topics.connect.http.faults.clear).start()
        collector = Collector()
        report = topics.run(hook, collector)
        assert collector.rows == [flat(1), flat(2)]
        assert report.failed == 0

    def test_a_dead_letter_topic_that_cannot_be_written_loses_nothing(self, topics: Topics) -> None:
        topics.produce(*topics.frames(1), b"x" * 2_000, *topics.frames(3))
        small = Producer(
            {
                "bootstrap.servers": topics.kafka.bootstrap_servers,
                "message.timeout.ms": 1_500,
                "allow.auto.create.topics": False,
            }
        )
        missing = {"errors.deadletterqueue.topic.name": f"not/{topics.name}"}
        collector = Collector()
        with pytest.raises(PipelineError) as caught:
            topics.run(topics.connect.sink(missing), collector, producer=small)
        assert caught.value.code == "dead_letters_failed"
        assert collector.rows == []
        assert topics.committed() < 0
        topics.run(topics.sink(), collector)
        assert collector.rows == [flat(1), flat(3)]
        assert [letter.value() for letter in topics.letters()] == [b"x" * 2_000]


class TestEnds:
    def test_a_topic_that_is_not_there_has_no_end(self, topics: Topics) -> None:
        with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
            topics.run(topics.sink(), Collector(), topics=[f"no-{topics.name}"])

    def test_an_empty_topic_has_one(self, topics: Topics) -> None:
        assert topics.run(topics.sink(), Collector()) == PipelineReport()

    def test_stop_waits_for_dead_letters_under_way(self, topics: Topics) -> None:
        topics.produce(b"junk", *topics.frames(1))
        stop = threading.Event()

        class Slow(Producer):
            flushes = 0

            def flush(self, timeout: float = -1) -> int:
                stop.set()
                self.flushes += 1
                return len(self) if self.flushes < 5 else super().flush(timeout)

        slow, collector = Slow({"bootstrap.servers": topics.kafka.bootstrap_servers}), Collector()
        report = topics.run(topics.sink(), collector, producer=slow, stop=stop, until_end=False)
        assert slow.flushes >= 5
        assert (collector.rows, report.dead_letters, topics.committed()) == ([flat(1)], 1, 2)


class TestBroker:
    def test_one_that_goes_away_in_the_middle_costs_no_record(
        self, connect: ConnectWorld, tmp_path: Path
    ) -> None:
        with KafkaServer(tmp_path / "kafka") as own:
            topics = Topics(own, connect)
            topics.produce(*topics.frames(*range(60)), b"junk")
            seen: list[int] = []
            stop = threading.Event()
            comes_back = threading.Timer(0.5, own.start)

            def handle(batch: SinkBatch) -> None:
                if not seen:
                    own.kill()
                    comes_back.start()
                seen.extend(row["id"] for row in batch.values)
                if len(set(seen)) == 60:
                    comes_back.join()  # on a busy machine it takes longer than the last commit waits
                    stop.set()

            # Longer than the broker takes to come back, or the group would have given the partitions away.
            consumer = topics.consumer("sink", **{"session.timeout.ms": 60_000})
            report = topics.run(
                topics.sink(), handle, consumer=consumer, batch_size=20, stop=stop, until_end=False
            )
            assert set(seen) == set(range(60)), "at least once each"
            assert topics.committed() in (60, 61)
            assert report.dead_letters == topics.committed() - 60
            topics.end()


class TestGroups:
    def test_a_second_member_takes_over_and_nothing_is_lost_or_doubled(
        self, kafka: KafkaServer, connect: ConnectWorld
    ) -> None:
        topics = Topics(kafka, connect, partitions=2)
        for partition in (0, 1):
            topics.produce(*topics.frames(*range(partition, 1_000, 2)), partition=partition)
        seen: list[int] = []
        stops = threading.Event(), threading.Event()
        hooks = topics.sink(), topics.sink()

        def handle(batch: SinkBatch) -> None:
            time.sleep(0.01)
            seen.extend(row["id"] for row in batch.values)
            if len(seen) > 700:
                stops[0].set()
            if len(set(seen)) == 1_000:
                stops[1].set()

        def work(number: int) -> None:
            topics.run(hooks[number], handle, batch_size=10, stop=stops[number], until_end=False)

        members = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
        members[0].start()
        while len(seen) < 100:
            time.sleep(0.01)
        members[1].start()
        for member in members:
            member.join(STOP_AT)
        stops[0].set()
        stops[1].set()
        assert not any(member.is_alive() for member in members)
        assert sorted(seen) == list(range(1_000)), "in good order, once each"
        assert topics.committed(0) + topics.committed(1) == 1_000
        topics.end()


class TestRefusals:
    def test_dead_letters_need_a_producer(self, topics: Topics) -> None:
        with pytest.raises(ConfigError, match=r"producer.*dlq-"):
            topics.run(topics.sink(), print, producer=None)

    def test_dead_letters_are_not_replayed_for_ever(self, topics: Topics) -> None:
        with pytest.raises(ConfigError, match="until_end"):
            topics.run(topics.sink(), print, topics=[topics.dead], until_end=False)

    def test_topics_are_named(self, topics: Topics) -> None:
        with pytest.raises(ConfigError, match="topics"):
            topics.run(topics.sink(), print, topics=[])
        collector = Collector()
        topics.produce(*topics.frames(1))
        topics.run(topics.sink(topics=topics.name), collector, topics=[])
        assert collector.rows == [flat(1)]
