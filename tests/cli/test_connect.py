"""``csfle-fast connect``: the whole way through a real Kafka, in processes of its own."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import fastavro
import pytest

from cli.connect_place import NOWHERE, SECONDS, Place
from connect_world import connect, tampered
from incumbent import SECRET
from kafka_topics import Topics, topics
from services.kafka import KafkaServer
from worlds import FLAT, flat, framed, rule

__all__ = ["connect", "topics"]  # fixtures


def lines(*numbers: int) -> str:
    """Rows of FLAT as JSON lines."""
    rows = [flat(number) for number in numbers]
    return "".join(json.dumps(row | {"w": row["w"] and row["w"].decode("latin-1")}) + "\n" for row in rows)


def parsed(text: str) -> list[Any]:
    """Rows of FLAT out of JSON lines."""
    rows = [json.loads(line) for line in text.splitlines()]
    return [row | {"w": row["w"] and row["w"].encode("latin-1")} for row in rows]


@pytest.fixture
def there(tmp_path: Path, topics: Topics) -> Place:
    return Place(tmp_path, topics.connect, topics.name, topics.kafka.bootstrap_servers)


class TestFiles:
    def test_stdin_to_topic_to_stdout(self, there: Place, topics: Topics) -> None:
        source = there.source({"key.converter": "org.apache.kafka.connect.storage.StringConverter"})
        given = ["source", source, "--topic", topics.name, "--key", "id", "--batch-size", "2", "--json"]
        code, out, err = there.run(*given, stdin=lines(*range(5)))
        assert code == 0, err
        assert json.loads(out) == {
            "consumed": 5, "delivered": 5, "failed": 0, "dead_letters": 0, "batches": 3
        }  # fmt: skip
        messages = topics.read(topics.name)
        assert [message.key() for message in messages] == [b"%d" % number for number in range(5)]
        wire = b"".join(message.value() or b"" for message in messages)
        assert b"note 3" in wire
        assert b"secret" not in wire
        assert b"bytes" not in wire
        sink = ["sink", there.sink({"topics": topics.name}), "--until-end"]
        code, out, err = there.run(*sink)
        assert code == 0, err
        assert parsed(out) == [flat(number) for number in range(5)]
        assert err.endswith("consumed 5, delivered 5, failed 0, dead letters 0, batches 1\n")
        assert there.run(*sink)[:2] == (0, "")  # what was written is committed

    def test_container_to_topic_to_container(self, there: Place, topics: Topics) -> None:
        rows = [flat(number) for number in range(50)]
        given, got = there.folder / "in.avro", there.folder / "out.avro"
        with given.open("wb") as file:
            fastavro.writer(file, FLAT, rows)
        code, _, err = there.run("source", there.source(), "--topic", topics.name, "--input", str(given))
        assert code == 0, err
        topics.produce(None)  # a tombstone, which a container does not hold
        sink = ["sink", there.sink(), "--topic", topics.name, "--output", str(got), "--until-end", "--json"]
        code, out, err = there.run(*sink)
        assert code == 0, err
        report = json.loads(out)
        assert (report["consumed"], report["delivered"], report["dead_letters"]) == (51, 50, 1)
        with got.open("rb") as file:
            reader = fastavro.reader(file)
            assert list(reader) == rows
            assert "confluent:tags" in reader.metadata["avro.schema"]

    def test_so_many_messages_and_no_more(self, there: Place, topics: Topics) -> None:
        topics.produce(*topics.frames(*range(7)), b"junk")
        sink = ["sink", there.sink({"max.poll.records": 2}), "--topic", topics.name]
        code, out, err = there.run(*sink, "--max-messages", "5")
        assert code == 0, err
        assert parsed(out) == [flat(number) for number in range(5)]
        code, out, err = there.run(*sink, "--max-messages", "3")
        assert code == 0, err
        assert parsed(out) == [flat(5), flat(6)]
        assert err.splitlines()[-1].startswith("consumed 3, delivered 2, failed 1, dead letters 1")
        assert "ERROR: " in err

    @pytest.mark.parametrize(
        ("tolerance", "code", "numbers", "report"),
        [
            ("none", 1, [0, 1], "consumed 2, delivered 2, failed 0"),
            ("all", 0, [0, 1, 2], "consumed 4, delivered 3, failed 1"),
        ],
    )
    def test_a_line_that_does_not_fit(
        self, there: Place, topics: Topics, tolerance: str, code: int, numbers: list[int], report: str
    ) -> None:
        text = lines(0, 1) + json.dumps(flat(9, SECRET) | {"w": 1}) + "\n" + lines(2)
        config = there.source({"errors.tolerance": tolerance})
        found, out, err = there.run("source", config, "--topic", topics.name, stdin=text)
        assert found == code
        assert "stdin, line 3: field w: text is wanted" in err
        assert SECRET not in err
        assert out.startswith(report)
        assert topics.sink().decrypt(topics.read(topics.name)).values == [flat(number) for number in numbers]

    def test_a_topic_that_is_not_there_has_no_end(self, there: Place) -> None:
        code, _, err = there.run("sink", there.sink(), "--topic", "nowhere", "--until-end")
        assert code == 2
        assert err.endswith("topic nowhere does not exist\n")


class TestTopics:
    def test_topic_to_topic(self, there: Place, topics: Topics) -> None:
        target = f"target-{topics.name}"
        topics.kafka.create_topic(target)
        topics.connect.put(FLAT, rule(kek=target), subject=f"{target}-value")
        topics.produce(*topics.frames(0, 1, 2), b"junk")
        code, out, err = there.run(
            "sink", there.sink(), "--topic", topics.name, "--until-end",
            "--to-topic", target, "--source-config", there.source(),
        )  # fmt: skip
        assert code == 0, err
        assert out == "consumed 4, delivered 3, failed 1, dead letters 1, batches 1\n"
        messages = topics.read(target)
        assert topics.sink().decrypt(messages).values == [flat(0), flat(1), flat(2)]
        assert [message.key() for message in messages] == [b"key 0", b"key 1", b"key 2"]
        assert len(topics.letters()) == 1

    def test_dead_letters_are_replayed_when_the_cause_is_mended(self, there: Place, topics: Topics) -> None:
        unknown, (one, two) = 999_999, topics.frames(1, 2)
        topics.produce(one, framed(unknown, two[5:]), tampered(two))
        output = str(there.folder / "rows.jsonl")
        sink = ["sink", there.sink({"topics": topics.name}), "--output", output]
        code, out, _ = there.run(*sink, "--until-end")
        assert (code, out) == (0, "consumed 3, delivered 2, failed 1, dead letters 1, batches 1\n")
        topics.connect.put(FLAT, rule(kek=topics.name), subject=f"{topics.name}-value", schema_id=unknown)
        code, out, err = there.run(*sink, "--replay")
        assert (code, out) == (0, "consumed 1, delivered 1, failed 0, dead letters 0, batches 1\n"), err
        assert parsed(Path(output).read_text())[-1] == flat(2)

    def test_a_dead_letter_topic_that_is_missing_is_created(self, there: Place, topics: Topics) -> None:
        dead = f"created-{topics.name}"
        topics.produce(b"junk")
        config = there.sink({"errors.deadletterqueue.topic.name": dead})
        code, _, err = there.run("sink", config, "--topic", topics.name, "--until-end")
        assert code == 0, err
        assert [letter.value() for letter in topics.read(dead)] == [b"junk"]
        assert set(topics.producer.list_topics(dead, timeout=30).topics[dead].partitions) == {0}


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_sink_ends_in_good_order(self, there: Place, topics: Topics, number: signal.Signals) -> None:
        topics.produce(*topics.frames(1))
        with there.start("sink", there.sink(), "--topic", topics.name) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(number)
            out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, err
        assert parsed(line + out) == [flat(1)]
        assert err.endswith("consumed 1, delivered 1, failed 0, dead letters 0, batches 1\n")

    def test_a_source_that_waits_for_stdin_produces_what_it_has(self, there: Place, topics: Topics) -> None:
        given = ["source", there.source(), "--topic", topics.name, "--batch-size", "2"]
        with there.start(*given) as process:
            assert process.stdin is not None
            process.stdin.write(lines(0, 1, 2) + '{"id": 3')
            process.stdin.flush()
            deadline = time.monotonic() + SECONDS
            while not topics.read(topics.name) and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
            assert process.stdout is not None
            assert process.stdout.read().startswith("consumed 3, delivered 3, failed 0")
        assert len(topics.read(topics.name)) == 3

    def test_a_second_signal_ends_at_once(self, there: Place, kafka: KafkaServer) -> None:
        del kafka
        there.servers = NOWHERE  # what was produced is waited for, for minutes
        with there.start("source", there.source(), "--topic", there.name) as process:
            assert process.stdin is not None
            process.stdin.write(lines(*range(600)))
            process.stdin.close()
            assert process.stderr is not None
            assert "Connection refused" in process.stderr.readline()  # librdkafka tells it when it tries
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == -signal.SIGTERM


def test_a_reader_of_stdout_that_goes_away(there: Place, topics: Topics) -> None:
    topics.produce(*topics.frames(*range(3)))
    with there.start("sink", there.sink(), "--topic", topics.name, "--until-end") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(SECONDS) == 1
        assert process.stderr.read().endswith("nobody reads stdout any more\n")
    assert topics.committed() < 0
