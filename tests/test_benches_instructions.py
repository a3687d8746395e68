"""Counts of instructions: read, compared, and kept for every workload."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from benches import instructions
from benches.instructions import Count, compare, count_all, table, total
from benches.workloads import WORKLOADS

COMMITTED: dict[str, Any] = {"counts": [{"workload": "w", "provider": "ring", "seal": 1_000, "open": 2_000}]}
ROOT = Path(__file__).resolve().parent.parent


def test_five_percent_more_is_still_the_same() -> None:
    assert compare([Count("w", "ring", 1_050, 2_100)], COMMITTED) == []
    assert compare([Count("w", "ring", 10, 10)], COMMITTED) == []


def test_more_than_five_percent_is_told() -> None:
    assert compare([Count("w", "ring", 1_051, 2_000)], COMMITTED) == [
        "w by ring, seal: 1,000 to 1,051 (+5.1%)"
    ]
    assert compare([Count("w", "ring", 1_000, 2_500)], COMMITTED) == [
        "w by ring, open: 2,000 to 2,500 (+25.0%)"
    ]


def test_what_was_not_committed_is_not_compared() -> None:
    assert compare([Count("w", "many", 9_999, 9_999), Count("v", "ring", 9_999, 9_999)], COMMITTED) == []


def test_the_total_of_a_profile_is_read() -> None:
    assert total("events: Ir\nsummary: 50831692\n\nfn=(1)\n0 1\ntotals: 50831692\n") == 50_831_692
    with pytest.raises(ValueError, match="no total"):
        total("events: Ir\n")


def test_what_is_done_once_cancels_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(_program: Path, workload: str, _provider: str, seals: int, opens: int) -> int:
        assert workload in {one.name for one in WORKLOADS}
        return 77_000_000 + 1_000 * (300 * seals + 200 * opens)

    monkeypatch.setattr(instructions, "_instructions", counted)
    monkeypatch.setattr(instructions, "providers", lambda: {"ring": None, "many": "it is not there"})
    counts = list(count_all(Path("unused")))
    assert counts == [Count(workload.name, "ring", 300, 200) for workload in WORKLOADS]


def test_the_table_has_a_row_for_each() -> None:
    assert "| w | ring | 1,234 | 2,345 |" in table([Count("w", "ring", 1_234, 2_345)])


def test_every_workload_is_committed_with_the_tools_that_counted() -> None:
    committed = json.loads((ROOT / "benches" / "results" / "instructions.json").read_text(encoding="utf-8"))
    found = {(one["workload"], one["provider"]) for one in committed["counts"]}
    assert {(workload.name, "ring") for workload in WORKLOADS} <= found
    assert all(one["seal"] > 100 and one["open"] > 100 for one in committed["counts"])
    assert set(committed["tools"]) == {"rustc", "valgrind"}


def test_callgrind_counts_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    assert 10_000 < instructions._instructions(program, "w", "ring", 1, 1) < 100_000_000


def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *counts: Count) -> Path:
    """The command with counts of ours; returns the file of results."""
    results = tmp_path / "instructions.json"
    results.write_text(json.dumps(COMMITTED | {"tools": {"rustc": "1"}}))
    monkeypatch.setattr(instructions, "_RESULTS", results)
    monkeypatch.setattr(instructions, "_program", lambda: Path(sys.executable))
    monkeypatch.setattr(instructions, "_tools", lambda: {"rustc": "2"})
    monkeypatch.setattr(instructions, "count_all", lambda _program: iter(counts))
    monkeypatch.setattr(shutil, "which", lambda _name: "valgrind")
    return results


def test_the_check_fails_on_more_and_says_what_else_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = counting(monkeypatch, tmp_path, Count("w", "ring", 2_000, 2_000))
    before = results.read_text()
    with pytest.raises(typer.Exit) as ended:
        instructions.main(check=True)
    assert ended.value.exit_code == 1
    told = capsys.readouterr().err
    assert "more than 5 % more instructions: w by ring, seal: 1,000 to 2,000 (+100.0%)" in told
    assert "counted with {'rustc': '2'}, committed with {'rustc': '1'}" in told
    assert results.read_text() == before


def test_the_check_passes_on_the_same_and_leaves_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = counting(monkeypatch, tmp_path, Count("w", "ring", 1_001, 2_001))
    before = results.read_text()
    instructions.main(check=True)
    assert results.read_text() == before


def test_without_the_check_counts_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = counting(monkeypatch, tmp_path, Count("w", "ring", 1_001, 2_001))
    instructions.main(check=False)
    assert json.loads(results.read_text()) == {
        "tools": {"rustc": "2"},
        "counts": [{"workload": "w", "provider": "ring", "seal": 1_001, "open": 2_001}],
    }


@pytest.mark.parametrize(("check", "code"), [(True, 0), (False, 1)])
def test_without_valgrind_it_says_so(
    check: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(typer.Exit) as ended:
        instructions.main(check=check)
    assert ended.value.exit_code == code
    assert "valgrind is not installed" in capsys.readouterr().err
