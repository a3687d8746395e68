"""The demo from end to end, and that it notices what does not hold."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from rich.progress import Progress

from csfle_fast import Engine
from csfle_fast.cli import demo, demo_incumbent
from csfle_fast.cli.demo import DemoReport, run_demo


def quick_demo(monkeypatch: pytest.MonkeyPatch, engine: type = Engine) -> DemoReport:
    """A few rows in this process, with another Engine, without confluent-kafka."""
    monkeypatch.setattr(demo, "Engine", engine)
    monkeypatch.setattr(demo_incumbent, "missing", lambda: "left out by the test")
    return run_demo(5, Progress(disable=True))


def test_the_whole_demo_as_a_command() -> None:
    command = [
        sys.executable,
        "-c",
        "from csfle_fast.cli import main; main()",
        "demo",
        "--rows",
        "90",
        "--json",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["ok"] is True
    assert report["problems"] == []
    assert (report["registry_calls_after_warm_up"], report["kms_calls_after_warm_up"]) == (0, 0)
    fhir, debezium = report["datasets"]
    for dataset in (fhir, debezium):
        wire = dataset["wire"]
        assert wire["tagged"] > 0
        assert (wire["opened"], wire["plain"], wire["wrong"]) == (wire["tagged"], 0, 0)
        assert dataset["equal_rows"] == dataset["rows"] == 90
        assert [one["call"] for one in dataset["throughput"]] == ["serialize", "deserialize"]
        assert all(sample["source"] == sample["sink"] for sample in dataset["samples"])
        assert all((sample["wire"] != sample["source"]) == sample["tagged"] for sample in dataset["samples"])
    assert fhir["confluent_kafka_wire"]["plain"] > 0
    assert debezium["confluent_kafka_wire"]["plain"] == 0
    assert any("in plaintext" in note for note in report["notes"])


def test_without_confluent_kafkas_rules_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    report = quick_demo(monkeypatch)
    assert report.ok
    assert report.notes == ["no comparison with confluent-kafka: left out by the test"]
    assert all(not dataset.throughput for dataset in report.datasets)


def test_plaintext_on_the_wire_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Engine):
        """Seals on one side, but sends plaintext; the rows come back equal all the same."""

        def serialize(self, topic: str, rows: Any, **options: Any) -> Any:
            result = super().serialize(topic, rows, **options)
            bodies = self.decrypt(topic, result.values).values
            result.values[:] = [
                frame[:5] + body for frame, body in zip(result.values, bodies, strict=True) if frame and body
            ]
            return result

        def deserialize(self, topic: str, frames: Any, **options: Any) -> Any:
            bodies = [frame[5:] for frame in frames]
            return super().deserialize(topic, self.encrypt(topic, bodies).values, **options)

    report = quick_demo(monkeypatch, Forgetful)
    assert not report.ok
    assert any("are plaintext on the wire" in problem for problem in report.problems)


def test_rows_that_come_back_different_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sloppy(Engine):
        def deserialize(self, topic: str, frames: Any, **options: Any) -> Any:
            result = super().deserialize(topic, frames, **options)
            result.values[0] = result.values[1]
            return result

    report = quick_demo(monkeypatch, Sloppy)
    assert report.problems == [
        "fhir_patient: rows came back different",
        "debezium_customers: rows came back different",
    ]


def test_calls_after_warm_up_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cold(Engine):
        def warm_up(self, *_topics: str, **_options: Any) -> None:
            """Leaves everything to the first row."""

    report = quick_demo(monkeypatch, Cold)
    assert not report.ok
    assert report.registry_calls_after_warm_up > 0
    assert report.kms_calls_after_warm_up > 0
    assert any("after warm-up" in problem for problem in report.problems)
