"""``python -m benches``: measure everything and write the table."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benches.core_results import CORE_COMMAND, CoreResult, best_of, read_core_results
from benches.memory import memory_lines
from benches.report import refresh_readme, write
from benches.results import Line
from benches.suite import core_lines, one_message_lines, thread_lines, workload_lines
from benches.workloads import WORKLOADS
from csfle_fast.cli.machine import describe

_ROOT = Path(__file__).resolve().parent.parent
_console = Console(stderr=True)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contestant.")] = 15,
    messages: Annotated[int, typer.Option(min=1_000, help="Messages of the memory bench.")] = 10_000_000,
    core: Annotated[str, typer.Option(help="Command of the Rust bench; empty to leave it out.")] = shlex.join(
        CORE_COMMAND
    ),
    readme: Annotated[bool, typer.Option("--readme", help="Refresh the table in README.md as well.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 1 when a bar is missed.")] = False,
) -> None:
    """Measure against confluent-kafka, fastavro and the bare loop; write benches/results/latest.{md,json}."""
    machine = describe()
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
    lines = [*core_lines(best_of(first, _core(core)), lines), *lines]
    text = write(_ROOT / "benches" / "results", lines, machine)
    if readme:
        refresh_readme(_ROOT / "README.md", text)
    typer.echo(text)
    missed = [line for line in lines if line.holds is False]
    _console.print(f"{len(missed)} bars missed" if missed else "every bar holds")
    if strict and missed:
        raise typer.Exit(1)


def _core(command: str) -> dict[str, CoreResult]:
    if not command:
        return {}
    _console.print("the core, in Rust ...")
    return read_core_results(shlex.split(command))


if __name__ == "__main__":
    typer.run(main)
