"""What the benches say is worth what their table, bars and comparisons are: those are tested here."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from benches import object_codec, report
from benches.core_results import CoreResult, best_of, read_core_results
from benches.results import Bar, Line, faster, within
from benches.session import Session, Wrong
from benches.suite import core_lines
from benches.workloads import BY_NAME, DEBEZIUM, WORKLOADS, Workload
from csfle_fast.cli import machine
from incumbent import SECRET

MACHINE: dict[str, Any] = {
    "processor": "A Processor",
    "flags": ["aes", "vaes"],
    "cores": 2,
    "load_at_start": 0.5,
    "system": "Linux",
    "python": "CPython 3.11",
    "packages": {"fastavro": "1.13"},
    "build": {"profile": "release"},
}


def printing(text: str) -> list[str]:
    """A command that prints the text."""
    return [sys.executable, "-c", f"print({text!r})"]


@pytest.mark.parametrize(
    ("line", "ratio", "holds"),
    [
        (faster("w", "c", 2.0, "o", 200.0, 100), 100.0, True),
        (faster("w", "c", 2.0, "o", 198.0, 100), 99.0, False),
        (faster("w", "c", 2.0, "o", 198.0), 99.0, None),
        (within("w", "c", 12.0, "o", 10.0, 1.2), 1.2, True),
        (within("w", "c", 13.0, "o", 10.0, 1.2), 1.3, False),
        (Line("w", "c", 61.0, bar=Bar("at most", 60)), None, False),
        (Line("w", "c", 60.0, bar=Bar("at most", 60)), None, True),
    ],
)
def test_bars(line: Line, ratio: float | None, holds: bool | None) -> None:
    assert line.measured == ratio
    assert line.holds is holds


def test_the_table_has_one_row_a_line_and_names_the_machine() -> None:
    lines = [
        faster("w", "c", 2.0, "o", 198.0, 100),
        Line("m", "growth", 0.25, bar=Bar("at most", 2), unit="MiB"),
    ]
    text = report.markdown(lines, MACHINE)
    assert "| w | c | 2 | o | 198 | 99 | at least 100 | **no** |" in text
    assert "| m | growth | 0.2 MiB |  |  |  | at most 2 | yes |" in text
    for fact in ("A Processor", "vaes", "2 cores", "CPython 3.11", "fastavro 1.13", "profile release"):
        assert fact in text


def test_the_head_says_what_decides_the_numbers_but_not_which_machine_it_was() -> None:
    told = machine.describe()
    assert told["system"] == platform.system()
    assert {"processor", "flags", "cores", "load_at_start", "python", "packages", "build"} <= set(told)
    assert platform.release() not in json.dumps(told)


def test_markdown_and_json_are_written(tmp_path: Path) -> None:
    text = report.write(tmp_path / "results", [faster("w", "c", 2.0, "o", 198.0, 100)], MACHINE)
    assert (tmp_path / "results" / "latest.md").read_text(encoding="utf-8") == text
    document = json.loads((tmp_path / "results" / "latest.json").read_text(encoding="utf-8"))
    assert document["machine"] == MACHINE
    assert document["lines"][0]["measured"] == 99.0
    assert document["lines"][0]["holds"] is False


def test_the_readme_keeps_everything_around_the_table(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n", encoding="utf-8")
    for _ in range(2):
        report.refresh_readme(readme, "new\n")
        assert readme.read_text(encoding="utf-8") == "a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nb\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- bench:begin -->",
        "<!-- bench:end --><!-- bench:begin -->",
        "<!-- bench:begin -->" * 2 + "<!-- bench:end -->",
    ],
)
def test_a_readme_without_its_marks_is_left_alone(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="once each"):
        report.refresh_readme(readme, "new\n")
    assert readme.read_text(encoding="utf-8") == text


def test_the_document_of_the_rust_bench_is_read() -> None:
    results = [
        {"workload": "strings_10x5_gcm", "core_ns": 612, "bare_ns": 595.5},
        {"workload": "strings_10x0", "core_ns": 5.5, "bare_ns": None},
    ]
    assert read_core_results(printing(json.dumps({"results": results}))) == {
        "strings_10x5_gcm": CoreResult(612.0, 595.5),
        "strings_10x0": CoreResult(5.5, None),
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"results": [{"workload": "w"}]}', "612 ns"])
def test_another_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_core_results(printing(text))


def test_the_better_of_two_runs_counts() -> None:
    first = {"a": CoreResult(10, 9), "b": CoreResult(5, None)}
    second = {"a": CoreResult(11, 8), "c": CoreResult(1, 1)}
    assert best_of(first, second) == {"a": CoreResult(10, 8), "b": CoreResult(5, None), "c": CoreResult(1, 1)}


def test_core_and_engine_are_held_to_the_bare_loop() -> None:
    core = {"strings_10x5_gcm": CoreResult(110, 100), "strings_10x0": CoreResult(16, None)}
    engine = [faster(BY_NAME["strings_10x5_gcm"].title, "encrypt", 140, "o", 1)]
    bars = [(line.call, line.measured, line.holds) for line in core_lines(core, engine)]
    assert bars == [("core", 1.1, True), ("encrypt", 1.4, False), ("core", None, False)]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: str(workload.name))
def test_all_ways_agree_on_every_workload(workload: Workload) -> None:
    with Session(workload, 20, secret=SECRET) as session:
        session.compare()


@pytest.mark.parametrize("records", object_codec.RECORDS, ids=lambda records: str(records.title))
def test_the_codec_and_fastavro_agree_on_every_record(records: Any) -> None:
    lines = object_codec.lines_of(object_codec.Pair(records, 5), 1)
    assert [line.call for line in lines] == ["write", "read"]


def test_a_codec_that_disagrees_is_noticed() -> None:
    pair = object_codec.Pair(object_codec.RECORDS[0], 5)
    pair.bodies[3] = pair.bodies[2]
    with pytest.raises(Wrong, match="10 strings"):
        pair.compare()


def test_contestants_that_disagree_are_noticed() -> None:
    with Session(DEBEZIUM, 5, secret=SECRET) as session:
        session.rows[3]["op"] = "another"
        with pytest.raises(Wrong, match="confluent-kafka reads ours"):
            session.compare()


def test_rows_are_what_their_titles_say() -> None:
    row = BY_NAME["strings_10x5_gcm"].row(12)
    assert [len(value) for value in row.values()] == [24] * 10
    assert len(set(row.values())) == 10
    change = DEBEZIUM.row(3)
    assert change["before"] != change["after"]
    assert {len(value) for value in (change["before"] | change["after"]).values()} == {10}
