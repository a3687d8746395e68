"""A source connector: objects of an S3 bucket to a topic, encrypted.

    python examples/s3_source.py customers.properties --bucket b --prefix in/ --topic customers

with customers.properties such as

    name=customers-source
    bootstrap.servers=broker:9092
    csfle.enabled=true
    value.converter.schema.registry.url=https://registry.example
    value.converter.rule.executors._default_.param.secret=...

Objects that end in ``.avro`` are Avro containers; all others are JSON lines, with what JSON has: text,
numbers, lists and objects. How far an object is done stands in an object of the same bucket below
``_progress/<name>/``, which is written when rows are safe in Kafka. Started again, the source goes on
there: at least once, since what was produced after the last mark is produced again. An object that was
replaced begins anew. Run one such process at a time.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, BinaryIO

import boto3
import fastavro
from confluent_kafka import Producer

from csfle_fast.connect import SourceHook, run_source

PROGRESS = "_progress/"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--endpoint-url")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    s3 = boto3.client("s3", endpoint_url=given.endpoint_url)
    with SourceHook.from_file(given.config) as hook:
        producer = Producer(dict(hook.settings.producer))
        for key, etag in objects(s3, given.bucket, given.prefix):
            progress = Progress(s3, given.bucket, f"{PROGRESS}{hook.settings.name}/{key}", etag)
            if progress.done:
                continue
            with tempfile.TemporaryFile() as file:
                s3.download_fileobj(given.bucket, key, file)
                file.seek(0)
                rows = islice(rows_of(key, file), progress.rows, None)
                safe = partial(progress.mark, progress.rows)
                report = run_source(hook, producer, given.topic, rows, safe=safe, stop=stop)
            if stop.is_set():
                break
            progress.mark(progress.rows, 0, done=True)
            print(f"{key}: {report.delivered} rows")


def objects(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Name and ETag of each object, in the order of the names."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", ()):
            if not found["Key"].startswith(PROGRESS):
                yield found["Key"], found["ETag"]


def rows_of(key: str, file: BinaryIO) -> Iterator[Any]:
    if key.endswith(".avro"):
        # The records of a union keep their names, which tell the branch.
        return iter(fastavro.reader(file, return_named_type=True, return_named_type_override=True))
    return (json.loads(line) for line in file if line.strip())


class Progress:
    """How far one object is done."""

    def __init__(self, s3: Any, bucket: str, key: str, etag: str) -> None:
        self._s3, self._where, self._etag = s3, {"Bucket": bucket, "Key": key}, etag
        self.rows, self.done = 0, False
        try:
            state = json.load(s3.get_object(**self._where)["Body"])
        except s3.exceptions.NoSuchKey:
            return
        if state["etag"] == etag:
            self.rows, self.done = state["rows"], state["done"]

    def mark(self, before: int, safe: int, *, done: bool = False) -> None:
        """So many rows more than before are safe."""
        self.rows = before + safe
        state = {"etag": self._etag, "rows": self.rows, "done": done}
        self._s3.put_object(**self._where, Body=json.dumps(state).encode())


if __name__ == "__main__":
    main()
