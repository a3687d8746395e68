"""How the demo looks in a terminal: a progress bar while it runs, tables when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from csfle_fast.cli.demo import DatasetReport, DemoReport

__all__ = ["progress_bar", "show_report"]

_WIDTH = 36  # of one value in the table; the middle of the longer ones is left out
_UNTAGGED_SHOWN = 2


def progress_bar() -> Progress:
    """A progress bar on stderr, so that stdout holds the result alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def show_report(report: DemoReport, console: Console | None = None) -> None:
    """Print the whole report."""
    console = console or Console()
    for dataset in report.datasets:
        console.print(_rows_table(dataset))
        console.print(_wire_line(dataset))
    if any(dataset.throughput for dataset in report.datasets):
        console.print(_throughput_table(report))
    for note in report.notes:
        console.print(f"Note: {note}.", style="yellow", markup=False)
    calls = (report.registry_calls_after_warm_up, report.kms_calls_after_warm_up)
    console.print("After warm-up: {} registry calls, {} KMS calls.".format(*calls))
    for problem in report.problems:
        console.print(f"Did not hold: {problem}.", style="bold red", markup=False)
    if report.ok:
        console.print(f"Everything held, in {report.seconds:.1f} seconds.", style="bold green")


def _rows_table(dataset: DatasetReport) -> Table:
    table = Table(title=f"{dataset.name}: rows on their way", title_justify="left")
    for column in ("field", "source row", "wire", "sink row"):
        table.add_column(column, overflow="fold")
    row, untagged = 0, 0
    for sample in dataset.samples:
        if sample.row != row:
            table.add_section()
            row, untagged = sample.row, 0
        untagged += not sample.tagged
        if not sample.tagged and untagged > _UNTAGGED_SHOWN:
            continue
        style = "bold magenta" if sample.tagged else ""
        values = (sample.source, sample.wire, sample.sink)
        source, wire, sink = (_short(value) for value in values)
        # Text, not markup: a value may hold square brackets.
        table.add_row(Text(sample.path), Text(source), Text(wire, style), Text(sink))
    return table


def _short(value: str) -> str:
    half = (_WIDTH - 1) // 2
    return value if len(value) <= _WIDTH else f"{value[:half]}…{value[-half:]}"


def _wire_line(dataset: DatasetReport) -> str:
    wire = dataset.wire
    return (
        f"{wire.opened:,} of {wire.tagged:,} tagged values on the wire opened with cryptography alone "
        f"and equal to the source, {wire.plain} in plaintext; "
        f"{dataset.equal_rows:,} of {dataset.rows:,} rows came back equal.\n"
    )


def _throughput_table(report: DemoReport) -> Table:
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    table = Table(
        title="Rows a second, best of the same rows in turns, one thread",
        title_justify="left",
        caption=machine,
        caption_justify="left",
    )
    table.add_column("data set")
    table.add_column("call")
    for column in ("rows", "csfle_fast", "confluent-kafka", "ratio"):
        table.add_column(column, justify="right")
    for dataset in report.datasets:
        for one in dataset.throughput:
            table.add_row(
                dataset.name,
                one.call,
                f"{one.rows:,}",
                f"{one.csfle_fast:,.0f}",
                f"{one.confluent_kafka:,.0f}",
                f"{one.ratio:,.1f}x",
            )
    return table
