"""How the bench looks: a table in a terminal, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from csfle_fast.cli.machine import told

if TYPE_CHECKING:
    from pathlib import Path

    from csfle_fast.cli.bench import BenchReport

__all__ = ["draw_report", "show_report"]


def show_report(report: BenchReport, console: Console | None = None) -> None:
    """Print the whole report."""
    console = console or Console()
    if report.figures:
        console.print(_table(report))
    for note in report.notes:
        console.print(f"Note: {note}.", style="yellow", markup=False)
    for problem in report.problems:
        console.print(f"Did not hold: {problem}.", style="bold red", markup=False)
    console.print(told(report.machine), markup=False, highlight=False)


def _table(report: BenchReport) -> Table:
    table = Table(
        title=f"{report.schema}: {report.fields} encrypted fields, batches of {report.batch:,}",
        title_justify="left",
        caption="best, median: ns a record; singly: one record a call; ratio: to confluent-kafka",
        caption_justify="left",
        box=SIMPLE,
    )
    table.add_column("engine")
    table.add_column("call", overflow="fold")
    for column in ("best", "median", "records/s", "ratio"):
        table.add_column(column, justify="right")
    for one in report.figures:
        table.add_row(
            one.engine,
            one.call,
            f"{one.best_ns:,.0f}",
            f"{one.median_ns:,.0f}",
            f"{one.per_second:,}",
            "" if one.ratio is None else f"{one.ratio:,.1f}",
        )
    return table


def draw_report(report: BenchReport, path: Path) -> None:
    """Draw the records a second of every figure.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    from csfle_fast.cli.pictures import Bars, draw  # noqa: PLC0415 - only a picture needs matplotlib

    bars = [(f"{one.engine} {one.call}", one.engine, float(one.per_second)) for one in report.figures]
    title = f"{report.schema}: records a second, batches of {report.batch:,}"
    draw(Bars(title, "records a second", bars, f"{report.command} on {told(report.machine)}"), path)
