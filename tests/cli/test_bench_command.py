"""``csfle-fast bench``: files in and out, exit codes, and one clear line where something does not serve."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.test_app import without
from csfle_fast.cli import bench as bench_module
from csfle_fast.cli.app import app
from csfle_fast.cli.bench import BenchReport
from csfle_fast.cli.machine import describe
from datasets import ROOTS

run = CliRunner().invoke
PAYROLL = ROOTS[0] / "payroll_employee"
SCHEMA = str(PAYROLL / "schema.avsc")


def refused(*arguments: str) -> str:
    """The one line that the command ends with."""
    result = run(app, ["bench", *arguments])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_the_whole_command(tmp_path: Path) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "picture.svg"
    options = ["--rules", str(PAYROLL / "ruleset.json"), "--rows", str(PAYROLL / "rows.jsonl")]
    options += ["--batch", "20", "--rounds", "1", "--provider", "ring"]
    options += ["--json", str(figures), "--picture", str(picture)]
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        "from csfle_fast.cli import main; main()",
        "bench",
        SCHEMA,
    ]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "confluent-kafka" in done.stdout
    report: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    assert {one["engine"] for one in report["figures"]} == {"csfle_fast", "confluent-kafka", "fastavro"}
    assert all(one["best_ns"] <= one["median_ns"] for one in report["figures"])
    assert report["machine"]["provider"] == "ring"
    assert report["command"] == (
        "csfle-fast bench schema.avsc --rules ruleset.json --rows rows.jsonl "
        "--batch 20 --rounds 1 --threads 1 --provider ring"
    )
    assert "csfle-fast bench schema.avsc" in picture.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.avsc"], "none.avsc: No such file or directory"),
        ([str(PAYROLL / "rows.jsonl")], "rows.jsonl: it is not JSON"),
        ([SCHEMA, "--rules", "none.json"], "none.json: No such file"),
        ([SCHEMA, "--rules", SCHEMA], "neither domainRules nor encodingRules"),
        ([SCHEMA, "--rows", "none.jsonl"], "none.jsonl: No such file"),
        ([SCHEMA, "--rows", str(PAYROLL / "ruleset.json")], "ruleset.json, line 1: it is not JSON"),
        ([SCHEMA, "--provider", "nobody"], "crypto.provider must be one of"),
        ([SCHEMA, "--picture", "picture.pdf"], "a picture is a file .svg or .png"),
        ([SCHEMA, "--picture", "none/picture.svg"], "there is no such folder"),
        ([SCHEMA, "--json", "none/figures.json"], "there is no such folder"),
    ],
)
def test_what_does_not_serve_ends_with_one_line_and_code_2(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reason in refused(*arguments)


def test_a_schema_that_is_no_avro_ends_likewise(tmp_path: Path) -> None:
    path = tmp_path / "schema.avsc"
    path.write_text('{"type": "record", "name": "R", "fields": [{"name": "f", "type": "none"}]}')
    assert "none" in refused(str(path))


@pytest.mark.parametrize("option", ["--batch", "--rounds", "--threads"])
def test_numbers_must_be_positive(option: str) -> None:
    assert run(app, ["bench", SCHEMA, option, "0"]).exit_code == 2


def test_without_the_extra_it_says_how_to_get_it() -> None:
    done = without("fastapi", "bench", SCHEMA)
    assert done.returncode == 2
    assert "pip install 'csfle-fast[bench]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_missing_module_is_not_mistaken_for_an_extra() -> None:
    done = without("cryptography", "bench", SCHEMA)
    assert done.returncode not in (0, 2)
    assert "No module named 'cryptography" in done.stderr


def test_only_a_picture_needs_matplotlib_and_it_is_missed_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    assert "csfle-fast[bench]" in refused(SCHEMA, "--picture", str(tmp_path / "picture.svg"))
    done = without("matplotlib", "bench", SCHEMA, "--batch", "2", "--rounds", "1")
    assert done.returncode == 0, done.stderr


def test_a_file_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = BenchReport("c", "R", 1, 1, describe())
    monkeypatch.setattr(bench_module, "run_bench", lambda *_given, **_options: report)
    result = run(app, ["bench", SCHEMA, "--json", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"{tmp_path}: Is a directory [bad_config]"]


def test_what_of_ours_did_not_hold_ends_with_code_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = BenchReport("c", "R", 1, 1, describe(), problems=["decrypt(encrypt)"])
    monkeypatch.setattr(bench_module, "run_bench", lambda *_given, **_options: report)
    result = run(app, ["bench", SCHEMA, "--picture", str(tmp_path / "picture.svg")])
    assert result.exit_code == 1
    assert "Did not hold: decrypt(encrypt)." in result.stdout
    assert list(tmp_path.iterdir()) == []
