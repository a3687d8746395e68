"""The command: what it prints, and the code it ends with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from csfle_fast.cli.app import app
from csfle_fast.cli.demo import DatasetReport, DemoReport

run = CliRunner().invoke

# The command in a process where modules of one package cannot be found, as without an extra.
WITHOUT = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
sys.argv = ["csfle-fast", *{arguments!r}]
from csfle_fast.cli import main
main()
"""


def without(hidden: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(hidden=hidden, arguments=arguments)
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )


def demo_finds(report: DemoReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csfle_fast.cli.demo.run_demo", lambda _rows, _progress: report)


def test_help_names_the_commands() -> None:
    result = run(app, ["--help"])
    assert result.exit_code == 0
    assert "demo" in result.stdout
    assert "dev" in result.stdout


def test_without_the_extra_it_says_how_to_get_it() -> None:
    result = without("typer")
    assert result.returncode == 1
    assert "pip install 'csfle-fast[cli]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_demo_without_its_extra_says_how_to_get_it() -> None:
    result = without("fastapi", "demo")
    assert result.returncode == 2
    assert "pip install 'csfle-fast[demo]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_another_missing_module_is_not_mistaken_for_an_extra() -> None:
    result = without("cryptography", "demo")
    assert result.returncode != 0
    assert "No module named 'cryptography" in result.stderr


def test_rows_must_be_positive() -> None:
    assert run(app, ["demo", "--rows", "0"]).exit_code == 2


def test_json_is_one_document_on_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    demo_finds(DemoReport(datasets=[DatasetReport("d", 3)], ok=True), monkeypatch)
    result = run(app, ["demo", "--json"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert document["datasets"][0]["rows"] == 3


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_did_not_hold_ends_with_code_1(form: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    demo_finds(DemoReport(problems=["d: rows came back different"]), monkeypatch)
    result = run(app, ["demo", *form])
    assert result.exit_code == 1
    assert "rows came back different" in result.stdout


def test_a_traceback_shows_no_local_variables() -> None:
    assert app.pretty_exceptions_show_locals is False
