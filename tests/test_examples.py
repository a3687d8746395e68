"""The examples as users start them: S3 to Kafka and back, encrypted in between, and started again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fastavro
import pytest

from connect_world import connect
from kafka_topics import Topics, topics
from services.moto import MotoServer
from worlds import FLAT, flat

__all__ = ["connect", "topics"]  # fixtures

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
#: moto takes any.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Bucket:
    """A bucket of its own, and the examples on it."""

    def __init__(self, moto: MotoServer, topics: Topics, folder: Path) -> None:
        self.name = topics.name
        self.url = moto.endpoint_url
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="tests",
            aws_secret_access_key="tests",
            region_name="us-east-1",
        )
        self.s3.create_bucket(Bucket=self.name)
        self.config = folder / "connector.json"
        given = {"name": topics.name, "bootstrap.servers": topics.kafka.bootstrap_servers}
        self.config.write_text(json.dumps(topics.connect.config() | given))

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", ())]

    def run(self, example: str, *arguments: str) -> str:
        """What an example prints."""
        done = subprocess.run(
            [
                sys.executable, str(EXAMPLES / f"{example}.py"), str(self.config),
                "--bucket", self.name, "--topic", self.name, "--endpoint-url", self.url, *arguments,
            ],
            env=os.environ | CREDENTIALS,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def bucket(moto: MotoServer, topics: Topics, tmp_path: Path) -> Iterator[Bucket]:
    made = Bucket(moto, topics, tmp_path)
    yield made
    made.s3.close()


def container(rows: list[Any]) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, FLAT, rows)
    return out.getvalue()


def lines(numbers: range) -> bytes:
    return b"".join(json.dumps(flat(number) | {"w": None}).encode() + b"\n" for number in numbers)


def received(topics: Topics) -> list[Any]:
    return list(topics.sink().decrypt(topics.read(topics.name)).values)


def test_s3_to_kafka_and_back(bucket: Bucket, topics: Topics) -> None:
    rows = [flat(number) for number in range(700)]
    bucket.put("in/1.avro", container(rows))
    bucket.put("in/2.jsonl", lines(range(700, 710)))
    rows += [flat(number) | {"w": None} for number in range(700, 710)]
    assert bucket.run("s3_source", "--prefix", "in/") == "in/1.avro: 700 rows\nin/2.jsonl: 10 rows\n"
    wire = b"".join(message.value() or b"" for message in topics.read(topics.name))
    assert b"note 699" in wire
    assert b"secret" not in wire
    assert b"bytes" not in wire
    topics.produce(None, b"junk")
    assert bucket.run("s3_sink", "--until-end") == "710 rows, 2 dead letters\n"
    folder = f"topics/{topics.name}/partition=0/{topics.name}+0+"
    stored: list[Any] = []
    for key in bucket.keys("topics/"):
        assert key == f"{folder}{len(stored):010d}.avro"
        stored += fastavro.reader(io.BytesIO(bucket.get(key)))
    assert stored == rows
    assert len(topics.letters()) == 2
    assert bucket.run("s3_sink", "--until-end") == "0 rows, 0 dead letters\n"


def test_the_source_goes_on_where_rows_are_safe(bucket: Bucket, topics: Topics) -> None:
    bucket.put("a.jsonl", lines(range(3)))
    bucket.run("s3_source")
    (mark,) = bucket.keys("_progress/")
    assert mark == f"_progress/{topics.name}/a.jsonl"
    state = json.loads(bucket.get(mark))
    assert (state["rows"], state["done"]) == (3, True)
    # As if it had been killed behind the first row; and another object is there.
    bucket.put(mark, json.dumps(state | {"rows": 1, "done": False}).encode())
    bucket.put("b.jsonl", lines(range(3, 4)))
    assert bucket.run("s3_source") == "a.jsonl: 2 rows\nb.jsonl: 1 rows\n"
    assert [row["id"] for row in received(topics)] == [0, 1, 2, 1, 2, 3]
    # An object that is replaced begins anew.
    bucket.put("a.jsonl", lines(range(9, 10)))
    assert bucket.run("s3_source") == "a.jsonl: 1 rows\n"


def test_what_a_crash_of_the_sink_left_is_overwritten(bucket: Bucket, topics: Topics) -> None:
    topics.produce(*topics.frames(0, 1, 2))
    # A batch of another size was stored, and its offsets were not committed.
    key = f"topics/{topics.name}/partition=0/{topics.name}+0+0000000000.avro"
    bucket.put(key, container([flat(0), flat(1)]))
    bucket.run("s3_sink", "--until-end")
    assert bucket.keys("topics/") == [key]
    assert list(fastavro.reader(io.BytesIO(bucket.get(key)))) == [flat(0), flat(1), flat(2)]
