"""Sweeps: which sizes, which contestants, and what becomes of the figures in tables and pictures."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import typer

from bench_samples import table
from benches import __main__ as command
from benches import sweeps
from benches.pictures import draw_all
from benches.results import Bar
from benches.session import Session
from benches.sweeps import SWEEPS, Point, Sweep, left_out, measure_sweep, sweep_markdown
from csfle_fast.cli import bench_session, machine
from csfle_fast.cli.measure import Contestant
from incumbent import SECRET

FIELDS, SIZES, BATCHES, THREADS = SWEEPS


@pytest.fixture(autouse=True)
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tink keeps the first client of a KMS key in a process, and with it the secret."""
    monkeypatch.setattr(bench_session, "_SECRET", SECRET)


def small(sweep: Sweep) -> Sweep:
    """The same with a few rows of the first and the last size."""
    return replace(sweep, sizes=(sweep.sizes[0], sweep.sizes[-1]), rows=lambda _: 3)


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: str(sweep.name))
def test_every_call_is_measured_at_every_size(sweep: Sweep) -> None:
    points = list(measure_sweep(small(sweep), 1))
    there = [name for name, hindrance in machine.providers().items() if hindrance is None]
    ours = {
        ("csfle_fast", f"{call}, {provider}")
        for provider in there
        for call in ("encrypt", "decrypt", "serialize", "deserialize")
    }
    theirs = {("confluent-kafka", call) for call in ("serialize", "deserialize") if sweep.incumbent}
    for size in (sweep.sizes[0], sweep.sizes[-1]):
        at = [(point.engine, point.call) for point in points if point.at == size]
        assert len(at) == len(set(at))
        assert set(at) == ours | theirs
    assert all(point.ns > 0 for point in points)


def test_sizes_are_what_they_say() -> None:
    tagged = [
        sum("confluent:tags" in field for field in FIELDS.workload(size).schema["fields"])
        for size in FIELDS.sizes
    ]
    assert tagged == list(FIELDS.sizes) == [1, 2, 5, 10, 20]
    assert len(FIELDS.workload(20).row(0)) == 20
    assert SIZES.sizes[0] == 8
    assert SIZES.sizes[-1] == 4_096
    assert {len(value) for value in SIZES.workload(64).row(0).values()} == {64}
    assert [BATCHES.rows(size) for size in BATCHES.sizes] == [1, 10, 100, 1_000, 10_000]
    assert [THREADS.threads(size) for size in THREADS.sizes] == [1, 2]


def test_threads_and_providers_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "providers", lambda: {"ring": None, "nobody": "it is not there"})
    given: list[Any] = []
    real = Session.engine_with

    def engine_with(session: Session, conf: Any) -> Any:
        engine = real(session, conf)
        encrypt = engine.encrypt

        def noted(*values: Any, **options: Any) -> Any:
            given.append((conf, options))
            return encrypt(*values, **options)

        monkeypatch.setattr(engine, "encrypt", noted)
        return engine

    monkeypatch.setattr(Session, "engine_with", engine_with)
    list(measure_sweep(replace(small(THREADS), sizes=(2,)), 1))
    conf, options = given[-1]
    assert conf == {"crypto.provider": "ring"}
    assert options == {"threads": 2}
    assert left_out() == ["provider nobody: it is not there"]


def test_times_are_those_of_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def a_second(contestants: dict[str, Contestant], _rounds: int) -> dict[str, float]:
        taken.update({name: len(one.prepare()) for name, one in contestants.items()})
        return dict.fromkeys(contestants, 1.0)

    taken: dict[str, int] = {}
    monkeypatch.setattr(sweeps, "best_seconds", a_second)
    for rows, theirs in ((4, 4), (120, 100)):
        points = list(measure_sweep(replace(BATCHES, sizes=(rows,)), 1))
        assert {point.ns for point in points if point.engine == "csfle_fast"} == {1e9 / rows}
        assert {point.ns for point in points if point.engine == "confluent-kafka"} == {1e9 / theirs}
        assert {count for name, count in taken.items() if name.startswith("csfle_fast")} == {rows}
        assert {count for name, count in taken.items() if name.startswith("confluent")} == {theirs}


def test_the_table_has_a_row_a_call_and_a_column_a_size() -> None:
    points = [
        Point(8, "csfle_fast", "encrypt, ring", 1_234.5),
        Point(8, "confluent-kafka", "serialize", 99_000),
        Point(4_096, "csfle_fast", "encrypt, ring", 5_000),
        Point(4_096, "confluent-kafka", "serialize", 150_000),
    ]
    text = sweep_markdown(SIZES, points)
    assert "| bytes of each string | 8 | 4,096 |\n|---|--:|--:|" in text
    assert "| csfle_fast encrypt, ring | 1,234 | 5,000 |" in text
    assert "| confluent-kafka serialize | 99,000 | 150,000 |" in text


def test_the_whole_command_writes_tables_json_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    pages = (tmp_path / "README.md", tmp_path / "docs" / "benchmarks.md")
    for page in pages:
        page.write_text("before\n<!-- bench:begin -->\n<!-- bench:end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(command, "_ROOT", tmp_path)
    monkeypatch.setattr(command, "_lines", lambda *_given: table())
    monkeypatch.setattr(command, "SWEEPS", (small(FIELDS), small(THREADS)))
    folder = tmp_path / "benches" / "results"
    options: dict[str, Any] = {"rounds": 1, "messages": 1_000, "core": "", "sweeps": True, "results": folder}
    command.main(**options, pages=True, strict=False)
    names = ["engines", "fields", "threads"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["latest.json", "latest.md", "sweeps.json", "sweeps.md", *(f"{name}.svg" for name in names)]
    )
    readme, benchmarks = (page.read_text(encoding="utf-8") for page in pages)
    assert "](benches/results/engines.svg)" in readme
    assert "| bodies to frames (`encrypt`) | 100 | 25,000 | 250 |" in readme
    for name in names:
        assert f"](../benches/results/{name}.svg)" in benchmarks
    for sweep in (FIELDS, THREADS):
        assert sweep.title in benchmarks
        assert sweep.title in (folder / "sweeps.md").read_text(encoding="utf-8")
    assert "| 10 strings, 5 tagged | encrypt | 100 |" in benchmarks
    assert "AES-GCM by" in capsys.readouterr().out
    # Drawn anew from the JSON, the pictures are the same.
    before = {path.name: path.read_bytes() for path in folder.glob("*.svg")}
    assert sorted(path.name for path in draw_all(folder)) == sorted(before)
    assert {path.name: path.read_bytes() for path in folder.glob("*.svg")} == before


def test_a_missed_bar_ends_the_strict_command_with_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = replace(table()[0], bar=Bar("at least", 251))
    monkeypatch.setattr(command, "_lines", lambda *_given: [missed, *table()[1:]])
    options: dict[str, Any] = {
        "rounds": 1,
        "messages": 1_000,
        "core": "",
        "sweeps": False,
        "results": tmp_path,
    }
    command.main(**options, pages=False, strict=False)
    assert "**no**" in (tmp_path / "latest.md").read_text(encoding="utf-8")
    with pytest.raises(typer.Exit) as ended:
        command.main(**options, pages=False, strict=True)
    assert ended.value.exit_code == 1


def test_dict_calls_are_drawn_under_the_last_provider_only(tmp_path: Path) -> None:
    calls = [f"{call}, {who}" for who in ("ring", "many") for call in ("encrypt", "serialize")]
    points = [asdict(Point(at, "csfle_fast", call, 1_000)) for at in (1, 2) for call in calls]
    described = {"name": "fields", "title": "t", "across": "a", "points": points}
    head = {"machine": machine.describe(), "sweeps": [described]}
    (tmp_path / "sweeps.json").write_text(json.dumps(head), encoding="utf-8")
    lines = {"machine": machine.describe(), "lines": [asdict(line) for line in table()]}
    (tmp_path / "latest.json").write_text(json.dumps(lines), encoding="utf-8")
    draw_all(tmp_path)
    text = (tmp_path / "fields.svg").read_text(encoding="utf-8")
    for label in ("encrypt, ring", "encrypt, many", "serialize, many"):
        assert f"<!-- {label} -->" in text
    assert "<!-- serialize, ring -->" not in text
