"""How the bench looks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from csfle_fast.cli.bench import BenchReport, Figure
from csfle_fast.cli.bench_view import draw_report, show_report
from csfle_fast.cli.machine import describe


@pytest.fixture
def report() -> BenchReport:
    return BenchReport(
        command="csfle-fast bench a.avsc",
        schema="Customer",
        batch=1_000,
        rounds=3,
        machine=describe(),
        fields=2,
        figures=[
            Figure("csfle_fast", "encrypt", 812.4, 850.0, 1_230_921, 123.46),
            Figure("fastavro", "write, unencrypted", 3_000.0, 3_100.0, 333_333, None),
        ],
        notes=["[no] markup"],
    )


def shown(report: BenchReport) -> str:
    out = io.StringIO()
    show_report(report, Console(file=out, width=200))
    return out.getvalue()


def test_the_table_has_a_row_for_each_figure_and_names_the_machine(report: BenchReport) -> None:
    text = shown(report)
    assert "Customer: 2 encrypted fields, batches of 1,000" in text
    rows = [line.split() for line in text.splitlines() if "csfle_fast " in line or "fastavro " in line]
    assert ["csfle_fast", "encrypt", "812", "850", "1,230,921", "123.5"] in rows
    assert ["fastavro", "write,", "unencrypted", "3,000", "3,100", "333,333"] in rows
    assert "Note: [no] markup." in text
    assert f"{report.machine['cores']} cores" in text
    assert f"AES-GCM by {report.machine['provider']}" in text


def test_without_figures_there_is_no_table(report: BenchReport) -> None:
    report.figures, report.problems = [], ["decrypt(encrypt)"]
    text = shown(report)
    assert "records/s" not in text
    assert "Did not hold: decrypt(encrypt)." in text


def test_the_picture_has_every_figure_the_command_and_the_machine(
    report: BenchReport, tmp_path: Path
) -> None:
    path = tmp_path / "picture.svg"
    draw_report(report, path)
    text = path.read_text(encoding="utf-8")
    for part in ("csfle_fast encrypt", "1,230,921", "fastavro write, unencrypted", "csfle-fast bench a.avsc"):
        assert f"<!-- {part}" in text
