"""What the benches say is worth what their table, bars and comparisons are: those are tested here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench_samples import MACHINE, table
from benches import object_codec, report, suite
from benches.bars import BARS
from benches.core_results import CoreResult, best_of, read_core_results
from benches.results import Bar, Line, faster, within
from benches.session import Session, Wrong
from benches.suite import codec_calls, core_lines, one_message_lines, thread_lines, workload_lines
from benches.workloads import BY_NAME, DEBEZIUM, GCM_10X5, UNTAGGED, WORKLOADS, Workload, strings
from csfle_fast._core import Schema
from csfle_fast.cli import bench_session
from csfle_fast.objects import Codec
from incumbent import SECRET

HUNDRED = Bar("at least", 100)


@pytest.fixture(autouse=True)
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tink keeps the first client of a KMS key in a process, and with it the secret."""
    monkeypatch.setattr(bench_session, "_SECRET", SECRET)


def printing(text: str) -> list[str]:
    """A command that prints the text."""
    return [sys.executable, "-c", f"print({text!r})"]


@pytest.mark.parametrize(
    ("line", "ratio", "holds"),
    [
        (faster("w", "c", 2.0, "o", 200.0, HUNDRED), 100.0, True),
        (faster("w", "c", 2.0, "o", 198.0, HUNDRED), 99.0, False),
        (faster("w", "c", 2.0, "o", 198.0), 99.0, None),
        (within("w", "c", 12.0, "o", 10.0, Bar("at most", 1.2)), 1.2, True),
        (within("w", "c", 13.0, "o", 10.0, Bar("at most", 1.2)), 1.3, False),
        (Line("w", "c", 61.0, bar=Bar("at most", 60)), None, False),
        (Line("w", "c", 60.0, bar=Bar("at most", 60)), None, True),
    ],
)
def test_bars(line: Line, ratio: float | None, holds: bool | None) -> None:
    assert line.measured == ratio
    assert line.holds is holds


def test_the_table_has_one_row_a_line_and_names_the_machine() -> None:
    lines = [
        faster("w", "c", 2.0, "o", 198.0, HUNDRED),
        Line("m", "growth", 0.25, bar=Bar("at most", 2), unit="MiB"),
    ]
    text = report.markdown(lines, MACHINE)
    assert "| w | c | 2 | o | 198 | 99 | at least 100 | **no** |" in text
    assert "| m | growth | 0.2 MiB |  |  |  | at most 2 | yes |" in text
    for fact in (
        "A Processor",
        "vaes",
        "2 cores",
        "CPython 3.11",
        "fastavro 1.13",
        "profile release",
        "AES-GCM by many",
    ):
        assert fact in text


def test_markdown_and_json_are_written(tmp_path: Path) -> None:
    text = report.write(tmp_path / "results", [faster("w", "c", 2.0, "o", 198.0, HUNDRED)], MACHINE)
    assert (tmp_path / "results" / "latest.md").read_text(encoding="utf-8") == text
    document = json.loads((tmp_path / "results" / "latest.json").read_text(encoding="utf-8"))
    assert document["machine"] == MACHINE
    assert document["lines"][0]["measured"] == 99.0
    assert document["lines"][0]["holds"] is False


def test_a_page_keeps_everything_around_the_table(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n", encoding="utf-8")
    for _ in range(2):
        report.refresh(readme, "new\n")
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
def test_a_page_without_its_marks_is_left_alone(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="once each"):
        report.refresh(readme, "new\n")
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
    core = {"strings_10x5_gcm": CoreResult(45, 100), "strings_10x0": CoreResult(8.1, None)}
    engine = [faster(GCM_10X5.title, "encrypt", 56, "o", 1)]
    bars = [(line.call, line.measured, line.holds) for line in core_lines(core, engine)]
    assert bars == [("core", 0.45, True), ("encrypt", 0.56, False), ("core", None, False)]


def small_lines(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """The whole table from batches of a few rows."""
    monkeypatch.setattr(suite, "BATCH", 10)
    monkeypatch.setattr(suite, "_REPEAT", 1)
    lines = [line for workload in WORKLOADS for line in workload_lines(workload, 1)]
    lines += one_message_lines(1)
    lines += thread_lines(1, sizes=(5, 10))
    core = {workload.name: CoreResult(8.0, None if workload is UNTAGGED else 18.0) for workload in WORKLOADS}
    return [*core_lines(core, lines), *lines]


def test_every_bar_judges_a_line_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = small_lines(monkeypatch)
    judged = {(line.workload, line.call, line.other): line.bar for line in lines if line.bar is not None}
    threads = {key for key in judged if "2 threads" in key[1]}
    assert {key: judged[key] for key in judged.keys() - threads} == BARS
    assert {key[1]: judged[key] for key in threads} == {
        "encrypt packed, 2 threads, 5 rows": Bar("at least", 0.95),
        "encrypt list, 2 threads, 5 rows": Bar("at least", 0.95),
        "encrypt packed, 2 threads, 10 rows": Bar("at least", 1.9),
        "encrypt list, 2 threads, 10 rows": Bar("at least", 1.7),
    }
    assert len({(line.workload, line.call, line.other) for line in lines}) == len(lines)
    assert all(line.ours > 0 for line in lines)


def test_bars_are_what_the_design_asks_for() -> None:
    ten, siv, change, plain = (BY_NAME[name].title for name in (
        "strings_10x5_gcm", "strings_10x5_siv", "debezium", "strings_10x0"
    ))  # fmt: skip
    assert {(title, call, other): (one.sense, one.limit) for (title, call, other), one in BARS.items()} == {
        (ten, "core", "bare loop"): ("at most", 0.45),
        (ten, "encrypt", "bare loop"): ("at most", 0.55),
        (ten, "encrypt", "confluent-kafka serialize"): ("at least", 250),
        (ten, "decrypt", "our encrypt"): ("at most", 1.15),
        (ten, "decrypt", "confluent-kafka deserialize"): ("at least", 220),
        (ten, "serialize", "confluent-kafka serialize"): ("at least", 150),
        (ten, "serialize", "fastavro write alone"): ("at least", 1),
        (ten, "deserialize", "confluent-kafka deserialize"): ("at least", 110),
        (ten, "dict codec, write", "fastavro write alone"): ("at least", 10),
        (ten, "dict codec, read", "fastavro read alone"): ("at least", 6),
        (change, "encrypt", "confluent-kafka serialize"): ("at least", 1_800),
        (siv, "encrypt", "confluent-kafka serialize"): ("at least", 60),
        (plain, "core", ""): ("at most", 8),
        (plain, "encrypt", ""): ("at most", 40),
    }


def test_threads_are_measured_below_and_above_a_batch_that_is_split() -> None:
    sizes = suite._THREAD_SIZES
    assert sizes[0] == 1
    assert len([size for size in sizes if 100 < size < 1_000]) >= 4
    assert sizes[-1] == 10_000


def test_a_codec_that_writes_or_reads_something_else_is_not_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Session(GCM_10X5, 5, incumbent=False) as session:
        write, read = codec_calls(session, GCM_10X5)
        assert write is not read
        bodies, session.bodies = session.bodies, session.bodies[::-1]
        with pytest.raises(Wrong, match="writes other bodies"):
            codec_calls(session, GCM_10X5)
        session.bodies = bodies
        monkeypatch.setattr(session, "fastavro_read", lambda _bodies: [])
        with pytest.raises(Wrong, match="reads other rows"):
            codec_calls(session, GCM_10X5)
        refused = Codec.encode(codec_of(GCM_10X5), [{"f0": None}])
        assert refused.errors


def codec_of(workload: Workload) -> Codec:
    return Codec(Schema(json.dumps(workload.schema)), workload.name)


def test_the_short_table_has_the_four_calls_beside_the_others() -> None:
    lines = [*table(), faster("others", "encrypt", 1, "confluent-kafka serialize", 2)]
    text = report.short(lines, MACHINE)
    assert "| bodies to frames (`encrypt`) | 100 | 25,000 | 250 |  |" in text
    assert "| frames to bodies (`decrypt`) | 90 | 18,000 | 200 |  |" in text
    assert "| dicts to frames (`serialize`) | 500 | 25,000 | 50 | 3,500 |" in text
    assert "| frames to dicts (`deserialize`) | 600 | 18,000 | 30 | 3,600 |" in text
    assert "A Processor" in text
    assert "AES-GCM by many" in text


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: str(workload.name))
def test_all_ways_agree_on_every_workload(workload: Workload) -> None:
    with Session(workload, 20) as session:
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
    with Session(DEBEZIUM, 5) as session:
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
    wide = strings("wide", "wide", tagged=3, count=20, size=4_096)
    assert [len(value) for value in wide.row(1).values()] == [4_096] * 20
    assert sum("confluent:tags" in field for field in wide.schema["fields"]) == 3
