"""Ask Kafka Connect itself what its dead letters look like: ``python -m services.connect_dump [--check]``.

Writes ``tests/data/connect_dead_letters.json``, or compares a new run with it: exit code 1 where they differ.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_CREATE_TIME, Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from services.cache import NotInstallable
from services.connect import ConnectWorker
from services.connect_cases import CASES, FILE_SINK, REPORTING_SINK, Case
from services.connect_reference import FROZEN, Headers, Record, Reference, differences, load, save
from services.java import jdk_program, kafka_jars
from services.kafka import KafkaServer

STAMP = 1_700_000_000_123
SECONDS = 60.0


class Desk:
    """The running servers, and what is done with them for each case."""

    def __init__(self, kafka: KafkaServer, connect: ConnectWorker) -> None:
        self._kafka = kafka
        self._connect = connect
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})

    def references(self) -> list[Reference]:
        """All cases, run one after the other."""
        found: dict[str, Reference] = {}
        for case in CASES:
            earlier = found[case.replayed].dead_letter if case.replayed else None
            found[case.name] = self._run(case, earlier)
        return list(found.values())

    def _run(self, case: Case, earlier: Record | None) -> Reference:
        record = self._write(case, earlier)
        config = {
            "connector.class": FILE_SINK,
            "tasks.max": "1",
            "topics": case.input_topic,
            "errors.tolerance": "all",
            "errors.deadletterqueue.topic.name": case.dead_letter_topic,
            "errors.deadletterqueue.topic.replication.factor": "1",
            "errors.deadletterqueue.context.headers.enable": "true",
            **case.config,
        }
        # Where the file lies is not part of the reference.
        file = (
            {"file": str(self._connect.folder / case.name)} if config["connector.class"] == FILE_SINK else {}
        )
        self._connect.put_connector(case.name, config | file)
        dead_letter = self._read(case.dead_letter_topic, 0, 0)
        state = "FAILED" if case.fails else "RUNNING"
        self._connect.await_task(case.name, state)
        return Reference(
            name=case.name,
            shows=case.shows,
            config=config,
            task=state,
            record=record,
            dead_letter=dead_letter,
        )

    def _write(self, case: Case, earlier: Record | None) -> Record:
        topic, partition = case.input_topic, case.partition
        self._kafka.create_topic(topic, partitions=partition + 1)
        for _ in range(case.ahead):
            self._producer.produce(topic, partition=partition)
        key, value, headers = (
            (earlier.key, earlier.value, earlier.headers) if earlier else (case.key, case.value, case.headers)
        )
        self._producer.produce(topic, value, key, partition=partition, timestamp=STAMP, headers=list(headers))
        assert self._producer.flush(SECONDS) == 0
        return self._read(topic, partition, case.ahead)

    def _read(self, topic: str, partition: int, offset: int) -> Record:
        """The last record of a partition, which must be the one at the offset."""
        consumer = Consumer(
            {"bootstrap.servers": self._kafka.bootstrap_servers, "group.id": "dump", "log_level": 0}
        )
        try:
            consumer.assign([TopicPartition(topic, partition, offset or OFFSET_BEGINNING)])
            message = None
            deadline = time.monotonic() + SECONDS
            while message is None or message.error():
                assert time.monotonic() < deadline, f"{topic} has no record at {offset}"
                message = consumer.poll(1)  # an error until Connect has made the topic
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), SECONDS)
            assert end == offset + 1, f"{topic} has {end} records"
            kind, stamp = message.timestamp()
            partitions = consumer.list_topics(topic, SECONDS).topics[topic].partitions
            return Record(
                topic=topic,
                partition=partition,
                partitions=len(partitions),
                offset=offset,
                timestamp_type="CREATE_TIME" if kind == TIMESTAMP_CREATE_TIME else "LOG_APPEND_TIME",
                timestamp=stamp,
                key=message.key(),
                value=message.value(),
                headers=cast(Headers, message.headers() or ()),
            )
        finally:
            consumer.close()


def compile_sink(plugins: Path) -> None:
    """The sink of the tests' own, as a plug-in: a folder of classes is one."""
    source = Path(__file__).with_name(f"{REPORTING_SINK}.java")
    jars = f"{kafka_jars() / 'libs'}/*"
    subprocess.run(
        [jdk_program("javac"), "-cp", jars, "-d", str(plugins / "reporting"), str(source)], check=True
    )


def kafka_version() -> str:
    """Of the jars that are run."""
    (jar,) = (kafka_jars() / "libs").glob("connect-runtime-*.jar")
    return jar.stem.removeprefix("connect-runtime-")


def run() -> list[Reference]:
    """Start Kafka and Connect, run all cases, stop both."""
    with (
        tempfile.TemporaryDirectory(prefix="connect-dump-") as there,
        KafkaServer(Path(there, "kafka")) as kafka,
    ):
        connect = ConnectWorker(Path(there, "connect"), kafka.bootstrap_servers)
        compile_sink(connect.plugins)
        with connect:
            return Desk(kafka, connect).references()


def check(live: list[Reference], console: Console) -> int:
    """Show what is not as it was frozen; the exit code is 1 if there is anything."""
    table = Table("case", "where", "frozen", "now")
    for difference in differences(load(), live):
        table.add_row(difference.case, difference.where, repr(difference.frozen), repr(difference.live))
    if table.row_count:
        console.print(table)
        return 1
    console.print(f"{len(live)} cases are as they were frozen")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="services.connect_dump", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the frozen file, write nothing")
    console = Console()
    only_check = parser.parse_args().check
    try:
        live = run()
    except NotInstallable as missing:
        console.print(f"Kafka Connect cannot be installed here: {missing.reason}")
        return 2
    if only_check:
        return check(live, console)
    save(live, kafka_version())
    console.print(f"{len(live)} cases written to {FROZEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
