"""A sink connector: topics to Avro containers in an S3 bucket, decrypted.

    python examples/s3_sink.py customers.properties --bucket b --topic customers

with customers.properties such as

    name=customers-sink
    bootstrap.servers=broker:9092
    csfle.enabled=true
    value.converter.schema.registry.url=https://registry.example
    value.converter.rule.executors._default_.param.secret=...

The rows of a batch become one object for each partition, named by the first offset in it, in the layout of
Confluent's S3 sink: ``topics/<topic>/partition=<p>/<topic>+<p>+<offset>.avro``. Larger objects: more
max.poll.records.

Offsets are committed when the objects are there, so every record is stored at least once. After a crash, a
batch begins again where offsets were committed, and so overwrites what the crashed process left instead of
adding to it: each record stands in one object. That holds as long as the batch begins with the same record.
It does not if that record can be read one time and not the other (or is gone, by compaction): then the
older object stays beside the newer one. And a process that is frozen during a PUT, for longer than its
place in the group is kept, may overwrite its successor's object when it wakes up: keep versions in the
bucket where that matters.
"""

from __future__ import annotations

import argparse
import io
import signal
import threading
from collections import defaultdict
from typing import Any

import boto3
import fastavro
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Consumer, Producer

from csfle_fast.cli.latest import LatestSchemas
from csfle_fast.connect import RetriableError, SinkBatch, SinkHook, run_sink


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--topic", action="append", required=True)
    parser.add_argument("--until-end", action="store_true", help="end where the topics ended at the start")
    parser.add_argument("--endpoint-url")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    s3 = boto3.client("s3", endpoint_url=given.endpoint_url)
    with SinkHook.from_file(given.config) as hook, LatestSchemas(hook.settings.value) as schemas:
        consumer = Consumer(
            {
                "group.id": f"connect-{hook.settings.name}",
                "auto.offset.reset": "earliest",
                **hook.settings.consumer,
                "enable.auto.commit": False,
                "enable.partition.eof": given.until_end,
            }
        )
        try:
            report = run_sink(
                hook,
                consumer,
                lambda batch: store(s3, given.bucket, schemas, batch),
                producer=Producer(dict(hook.settings.producer)),  # for dead letters
                topics=given.topic,
                stop=stop,
                until_end=given.until_end,
            )
        finally:
            consumer.close()
    print(f"{report.delivered} rows, {report.dead_letters} dead letters")


def store(s3: Any, bucket: str, schemas: LatestSchemas, batch: SinkBatch) -> None:
    """One object for each partition of a batch."""
    parts: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for position, (message, row) in enumerate(zip(batch.messages, batch.values, strict=True)):
        if row is None:
            batch.report(position, "a container holds no tombstones")
        else:
            parts[message.topic(), message.partition()].append(position)
    for (topic, partition), positions in parts.items():
        rows = [batch.values[position] for position in positions]
        first = batch.messages[positions[0]].offset()
        body = io.BytesIO()
        fastavro.writer(body, schemas.fitting(topic, rows[0]).schema, rows, codec="deflate")
        key = f"topics/{topic}/partition={partition}/{topic}+{partition}+{first:010d}.avro"
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=body.getvalue())
        except (BotoCoreError, ClientError) as error:  # the same batch again, for errors.retry.timeout
            raise RetriableError(f"S3 did not take an object ({type(error).__name__})") from error


if __name__ == "__main__":
    main()
