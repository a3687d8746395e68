"""``python -m benches``: measure everything, write tables and pictures."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from benches.core_results import CORE_COMMAND, CoreResult, best_of, read_core_results
from benches.memory import memory_lines
from benches.pictures import draw_all
from benches.report import refresh, short, write
from benches.suite import core_lines, one_message_lines, thread_lines, workload_lines
from benches.sweeps import SWEEPS, left_out, measure_sweep, sweep_markdown
from benches.workloads import WORKLOADS
from csfle_fast.cli.machine import describe, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benches.results import Line

_ROOT = Path(__file__).resolve().parent.parent
_console = Console(stderr=True)


def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contestant.")] = 15,
    messages: Annotated[int, typer.Option(min=1_000, help="Messages of the memory bench.")] = 10_000_000,
    core: Annotated[str, typer.Option(help="Command of the Rust bench; empty to leave it out.")] = shlex.join(
        CORE_COMMAND
    ),
    sweeps: Annotated[bool, typer.Option(help="Measure by fields, sizes, batches and threads too.")] = True,
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = _ROOT / "benches" / "results",
    pages: Annotated[
        bool, typer.Option("--pages", help="Refresh README.md and docs/benchmarks.md too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 1 when a bar is missed.")] = False,
) -> None:
    """Measure against confluent-kafka, fastavro and the bare loop; write tables, JSON and pictures."""
    machine = describe()
    lines = _lines(rounds, messages, core)
    text = write(results, lines, machine)
    swept = _sweeps(rounds, machine, results) if sweeps else ""
    pictures = draw_all(results)
    if pages:
        _refresh_pages(lines, machine, text + swept, pictures)
    typer.echo(text + swept)
    missed = [line for line in lines if line.holds is False]
    _console.print(f"{len(missed)} bars missed" if missed else "every bar holds")
    if strict and missed:
        raise typer.Exit(1)


def _lines(rounds: int, messages: int, core: str) -> list[Line]:
    # Before and after the Python side, which is compared with it: the better one of each counts.
    first = _core(core)
    lines: list[Line] = []
    for workload in WORKLOADS:
        _console.print(f"{workload.title} ...")
        lines += workload_lines(workload, rounds)
    _console.print("one message a call ...")
    lines += one_message_lines(rounds)
    _console.print("threads ...")
    lines += thread_lines(rounds)
    _console.print("memory ...")
    lines += memory_lines(messages)
    return [*core_lines(best_of(first, _core(core)), lines), *lines]


def _core(command: str) -> dict[str, CoreResult]:
    if not command:
        return {}
    _console.print("the core, in Rust ...")
    return read_core_results(shlex.split(command))


def _sweeps(rounds: int, machine: Mapping[str, Any], folder: Path) -> str:
    """Measure all sweeps, write them, and return them as Markdown."""
    documents, text = [], ["", *(f"Not measured: {reason}.\n" for reason in left_out())]
    for sweep in SWEEPS:
        _console.print(f"{sweep.title} ...")
        points = list(measure_sweep(sweep, rounds))
        text.append(sweep_markdown(sweep, points))
        described = {"name": sweep.name, "title": sweep.title, "across": sweep.across}
        documents.append(described | {"points": [asdict(point) for point in points]})
    whole = {"machine": machine, "left_out": left_out(), "sweeps": documents}
    (folder / "sweeps.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    written = "\n".join(text)
    (folder / "sweeps.md").write_text(f"`make bench` on {told(machine)}.\n{written}", encoding="utf-8")
    return written


def _refresh_pages(lines: list[Line], machine: Mapping[str, Any], text: str, pictures: list[Path]) -> None:
    for page, body in (
        ("README.md", _picture(pictures[0], _ROOT) + short(lines, machine)),
        ("docs/benchmarks.md", "".join(_picture(path, _ROOT / "docs") for path in pictures) + text),
    ):
        refresh(_ROOT / page, body)


def _picture(path: Path, folder: Path) -> str:
    return f"![Messages a second: {path.stem}]({os.path.relpath(path, folder)})\n\n"


if __name__ == "__main__":
    typer.run(main)
