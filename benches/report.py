"""The results as Markdown and JSON, and the blocks of the pages that show them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benches.workloads import GCM_10X5
from csfle_fast.cli.machine import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benches.results import Line

__all__ = ["markdown", "refresh", "short", "write"]

_BEGIN, _END = "<!-- bench:begin -->", "<!-- bench:end -->"
_CALLS = {
    "encrypt": "bodies to frames (`encrypt`)",
    "decrypt": "frames to bodies (`decrypt`)",
    "serialize": "dicts to frames (`serialize`)",
    "deserialize": "frames to dicts (`deserialize`)",
}


def write(
    folder: Path,
    lines: Sequence[Line],
    machine: Mapping[str, Any],
    *,
    name: str = "latest",
    command: str = "make bench",
    batch: int = 1_000,
) -> str:
    """Write ``<name>.md`` and ``<name>.json`` into the folder; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(lines, machine, command, batch)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    document = {"machine": machine, "lines": [{**asdict(line), "holds": line.holds} for line in lines]}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return text


def markdown(
    lines: Sequence[Line], machine: Mapping[str, Any], command: str = "make bench", batch: int = 1_000
) -> str:
    """The table, under one paragraph that says where it comes from."""
    head = (
        f"`{command}` on {told(machine)}. Times are the best of all turns in ns a message, "
        f"batches of {batch:,} and one thread unless said.\n"
    )
    rows = [
        "| records | measured | csfle_fast | compared with | that takes | ratio | bar | holds |",
        "|---|---|--:|---|--:|--:|---|---|",
        *(_row(line) for line in lines),
    ]
    return "\n".join([head, *rows]) + "\n"


def _row(line: Line) -> str:
    bar = "" if line.bar is None else f"{line.bar.sense} {line.bar.limit:g}"
    verdict = {None: "", True: "yes", False: "**no**"}[line.holds]
    theirs = "" if line.theirs is None else _number(line.theirs, line.unit)
    cells = (
        line.workload,
        line.call,
        _number(line.ours, line.unit),
        line.other,
        theirs,
        _ratio(line.measured),
        bar,
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def _ratio(measured: float | None) -> str:
    if measured is None:
        return ""
    return f"{measured:.2f}" if measured < 10 else f"{measured:,.0f}"


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit == "ns" else f"{value:.1f} {unit}"


def short(lines: Sequence[Line], machine: Mapping[str, Any]) -> str:
    """The four calls on one kind of records beside the others, and where the figures come from."""
    found = {(line.workload, line.call, line.other.partition(" ")[0]): line for line in lines}
    title = GCM_10X5.title
    columns = (
        f"{title}, of 24 bytes",
        "csfle_fast, ns",
        "confluent-kafka, ns",
        "ratio",
        "fastavro alone, ns",
    )
    rows = [
        f"| {' | '.join(columns)} |",
        "|---|--:|--:|--:|--:|",
    ]
    for call, words in _CALLS.items():
        line = found[title, call, "confluent-kafka"]
        alone = found.get((title, call, "fastavro"))
        plain = "" if alone is None else _number(alone.theirs or 0, "ns")
        theirs = _number(line.theirs or 0, "ns")
        rows.append(
            f"| {words} | {_number(line.ours, 'ns')} | {theirs} | {_ratio(line.measured)} | {plain} |"
        )
    return "\n".join([*rows, "", f"`make bench` on {told(machine)}."]) + "\n"


def refresh(page: Path, text: str) -> None:
    """Put the text between the two marks.

    Raises:
        ValueError: the page does not have each mark once, in this order.
    """
    whole = page.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end or _BEGIN in rest or _END in after:
        raise ValueError(f"{page.name} needs {_BEGIN} and {_END} once each, in this order")
    page.write_text(f"{before}{_BEGIN}\n{text}{_END}{after}", encoding="utf-8")
