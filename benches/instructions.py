"""``python -m benches.instructions``: how many instructions the core executes a message, by callgrind.

The count does not depend on the load of the machine, so that it can be watched where times cannot. It
depends on the compiler, and callgrind offers the core no instruction beyond AVX2: see benches/README.md.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benches.core_results import CORE_COMMAND
from benches.workloads import WORKLOADS
from csfle_fast.cli.machine import providers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Count", "compare", "count_all", "table", "total"]

_ROOT = Path(__file__).resolve().parent.parent
_RESULTS = _ROOT / "benches" / "results" / "instructions.json"
_ROWS = 1_000  # of a batch of the Rust bench
_MORE = 1.05  # beyond it, a change has a price that somebody should have seen
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions a message of one workload under one provider.

    Attributes:
        workload: its name.
        provider: of AES-GCM.
        seal: packed bodies to frames.
        open: frames to packed bodies.
    """

    workload: str
    provider: str
    seal: int
    open: int


def count_all(program: Path) -> Iterator[Count]:
    """Every workload under every provider that is there."""
    for workload in WORKLOADS:
        for provider, hindrance in providers().items():
            if hindrance is not None:
                continue
            # What is done once, to begin with and to end, is in all three and cancels out.
            first = _instructions(program, workload.name, provider, 1, 1)
            seal = _instructions(program, workload.name, provider, 3, 1) - first
            opened = _instructions(program, workload.name, provider, 1, 3) - first
            yield Count(workload.name, provider, round(seal / 2 / _ROWS), round(opened / 2 / _ROWS))


def _instructions(program: Path, workload: str, provider: str, seals: int, opens: int) -> int:
    with TemporaryDirectory(prefix="csfle-fast-") as folder:
        out = Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(program)]
        command += ["--count", workload, provider, str(seals), str(opens)]
        subprocess.run(command, check=True, capture_output=True)
        return total(out.read_text(encoding="utf-8"))


def total(profile: str) -> int:
    """The instructions of a profile of callgrind.

    Raises:
        ValueError: it is none.
    """
    found = _TOTAL.search(profile)
    if found is None:
        raise ValueError("callgrind wrote no total")
    return int(found[1])


def compare(now: Sequence[Count], committed: Mapping[str, Any]) -> list[str]:
    """What takes over 5 % more instructions than was committed."""
    before = {(one["workload"], one["provider"]): one for one in committed["counts"]}
    worse = []
    for one in now:
        old = before.get((one.workload, one.provider), {})
        for way, count in (("seal", one.seal), ("open", one.open)):
            if way in old and count > old[way] * _MORE:
                grown = f"{old[way]:,} to {count:,} ({count / old[way] - 1:+.1%})"
                worse.append(f"{one.workload} by {one.provider}, {way}: {grown}")
    return worse


def table(counts: Sequence[Count]) -> str:
    """Instructions a message, as Markdown."""
    rows = [f"| {one.workload} | {one.provider} | {one.seal:,} | {one.open:,} |" for one in counts]
    return "\n".join(["| workload | provider | seal | open |", "|---|---|--:|--:|", *rows, ""])


def _program() -> Path:
    """The Rust bench, built."""
    command = [*CORE_COMMAND, "--no-run", "--message-format=json"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=_ROOT).stdout
    built = [json.loads(line) for line in printed.splitlines()]
    (program,) = [one["executable"] for one in built if one.get("executable")]
    return Path(program)


def _tools() -> dict[str, str]:
    """What moves the count without a change of ours."""
    return {
        tool: subprocess.run(
            [tool, "--version"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        for tool in ("rustc", "valgrind")
    }


def main(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the committed counts; code 1 beyond +5 %.")
    ] = False,
) -> None:
    """Count the instructions of the core a message; write benches/results/instructions.json."""
    if shutil.which("valgrind") is None:
        typer.echo("skipped: valgrind is not installed, which counts the instructions", err=True)
        raise typer.Exit(0 if check else 1)
    counts, tools = list(count_all(_program())), _tools()
    typer.echo(table(counts))
    if not check:
        document = {"tools": tools, "counts": [asdict(one) for one in counts]}
        _RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return
    committed = json.loads(_RESULTS.read_text(encoding="utf-8"))
    if committed["tools"] != tools:
        typer.echo(f"counted with {tools}, committed with {committed['tools']}", err=True)
    for name, hindrance in providers().items():
        if hindrance is not None:
            typer.echo(f"not counted: provider {name}: {hindrance}", err=True)
    worse = compare(counts, committed)
    for line in worse:
        typer.echo(f"more than 5 % more instructions: {line}", err=True)
    if worse:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
