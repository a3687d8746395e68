"""The tables."""

from __future__ import annotations

import io

from rich.console import Console

from csfle_fast.cli.demo import DatasetReport, DemoReport, Sample, Throughput
from csfle_fast.cli.demo_view import progress_bar, show_report
from csfle_fast.cli.demo_wire import WireCount


def shown(report: DemoReport) -> str:
    stream = io.StringIO()
    show_report(report, Console(file=stream, width=200))
    return stream.getvalue()


def dataset() -> DatasetReport:
    return DatasetReport(
        "people",
        2,
        wire=WireCount(tagged=4, opened=4),
        equal_rows=2,
        samples=[
            Sample(0, "name", True, "'Ada'", "'" + "Q" * 60 + "'", "'Ada'"),
            *(Sample(0, f"plain{number}", False, "'[bold]'", "'[bold]'", "'[bold]'") for number in range(4)),
            Sample(1, "name", True, "'Grace'", "'xyz='", "'Grace'"),
        ],
        throughput=[Throughput("serialize", 500, 50_000.0, 1_000.0, 50.0)],
    )


def test_rows_wire_and_sink_stand_side_by_side() -> None:
    text = shown(DemoReport(datasets=[dataset()], ok=True))
    (line,) = [line for line in text.splitlines() if "Grace" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == ["name", "'Grace'", "'xyz='", "'Grace'"]
    assert "4 of 4 tagged values" in text
    assert "2 of 2 rows" in text


def test_long_values_are_cut_and_untagged_ones_are_few() -> None:
    text = shown(DemoReport(datasets=[dataset()], ok=True))
    assert "Q" * 60 not in text
    assert "QQQ…QQQ" in text
    assert "plain1" in text
    assert "plain2" not in text


def test_values_are_no_markup() -> None:
    assert "'[bold]'" in shown(DemoReport(datasets=[dataset()], ok=True))


def test_throughput_calls_notes_and_problems() -> None:
    report = DemoReport(
        datasets=[dataset()],
        registry_calls_after_warm_up=3,
        kms_calls_after_warm_up=0,
        problems=["people: rows came back different"],
        notes=["a note"],
    )
    text = shown(report)
    assert "50.0x" in text
    assert "After warm-up: 3 registry calls, 0 KMS calls." in text
    assert "Did not hold: people: rows came back different." in text
    assert "Note: a note." in text
    assert "Everything held" not in text


def test_progress_leaves_stdout_alone() -> None:
    assert progress_bar().console.stderr
