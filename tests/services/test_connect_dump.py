"""The frozen dead letters are whole, and a difference from them is found; Connect itself is not started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from services.connect_cases import CASES
from services.connect_dump import check
from services.connect_reference import FROZEN, STACK_TRACE, Reference, differences, load, save
from services.java import POM

TEN = [
    f"__connect.errors.{name}"
    for name in (
        "topic",
        "partition",
        "offset",
        "connector.name",
        "task.id",
        "stage",
        "class.name",
        "exception.class.name",
        "exception.message",
        "exception.stacktrace",
    )
]
CONTEXT = "errors.deadletterqueue.context.headers.enable"


@pytest.fixture(scope="module")
def frozen() -> list[Reference]:
    return load()


def test_every_case_is_there(frozen: list[Reference]) -> None:
    assert [reference.name for reference in frozen] == [case.name for case in CASES]
    assert {reference.name for reference in frozen if reference.task == "FAILED"} == {"not-tolerated"}
    version = json.loads(FROZEN.read_text(encoding="utf-8"))["kafka"]
    assert f"<version>{version}</version>" in POM.read_text(encoding="utf-8")


def test_a_dead_letter_is_the_record_and_the_ten_headers(frozen: list[Reference]) -> None:
    for reference in frozen:
        record, letter = reference.record, reference.dead_letter
        assert (letter.key, letter.value) == (record.key, record.value)
        assert (letter.timestamp_type, letter.timestamp) == (record.timestamp_type, record.timestamp)
        assert letter.topic == reference.config["errors.deadletterqueue.topic.name"]
        assert (letter.partitions, letter.offset) == (1, 0)
        own = len(record.headers)
        assert letter.headers[:own] == record.headers
        added = [] if reference.config[CONTEXT] == "false" else TEN
        assert [name for name, _ in letter.headers[own:]] == added
        if added:
            told = dict(letter.headers[own:])
            where = (record.topic, str(record.partition), str(record.offset), reference.name, "0")
            assert [told[name] for name in TEN[:5]] == [text.encode() for text in where]
            trace = told[STACK_TRACE]
            assert trace is not None
            assert trace.endswith(b"\n")


def test_what_the_cases_are_there_for(frozen: list[Reference]) -> None:
    last = {reference.name: dict(reference.dead_letter.headers) for reference in frozen}
    stages = {name: headers.get("__connect.errors.stage") for name, headers in last.items()}
    assert stages == {
        "file-sink": b"VALUE_CONVERTER",
        "null-key": b"VALUE_CONVERTER",
        "bad-key": b"KEY_CONVERTER",
        "both-bad": b"KEY_CONVERTER",
        "bad-cast": b"TRANSFORMATION",
        "bad-header": b"HEADER_CONVERTER",
        "reported": b"TASK_PUT",
        "reported-bare": b"TASK_PUT",
        "replayed": b"VALUE_CONVERTER",
        "not-tolerated": b"VALUE_CONVERTER",
        "without-context": None,
    }
    assert last["reported-bare"]["__connect.errors.exception.message"] is None
    (replayed,) = [reference for reference in frozen if reference.name == "replayed"]
    assert len(replayed.dead_letter.headers) == 3 + 2 * len(TEN)


def test_saved_and_loaded_it_is_the_same(frozen: list[Reference], tmp_path: Path) -> None:
    version = json.loads(FROZEN.read_text(encoding="utf-8"))["kafka"]
    save(frozen, version, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == FROZEN.read_bytes()


def with_header(reference: Reference, at: int, value: bytes | None) -> Reference:
    headers = list(reference.dead_letter.headers)
    headers[at] = (headers[at][0], value)
    return replace(reference, dead_letter=replace(reference.dead_letter, headers=headers))


def test_differences_are_named(frozen: list[Reference]) -> None:
    first, *rest = frozen
    headers = list(first.dead_letter.headers)
    assert headers[2] == ("nul", None)
    swapped = replace(first.dead_letter, headers=[headers[1], headers[0], *headers[2:]])
    for live, expected in (
        (frozen, []),
        (rest, ["cases"]),
        ([with_header(first, 2, b""), *rest], ["dead_letter.headers[2]"]),
        ([replace(first, task="FAILED"), *rest], ["task"]),
        (
            [replace(first, dead_letter=swapped), *rest],
            ["dead_letter.headers[0]", "dead_letter.headers[1]"],
        ),
        (
            [replace(first, dead_letter=replace(first.dead_letter, headers=headers[:-1])), *rest],
            ["dead_letter.headers", "dead_letter.headers[12]"],
        ),
        (
            [replace(first, dead_letter=replace(first.dead_letter, timestamp=1)), *rest],
            ["dead_letter.timestamp"],
        ),
    ):
        assert [difference.where for difference in differences(frozen, live)] == expected


def test_of_a_stack_trace_only_the_first_line_and_the_end_count(frozen: list[Reference]) -> None:
    first, *rest = frozen
    trace = dict(first.dead_letter.headers)[STACK_TRACE]
    assert trace is not None
    lines = trace.split(b"\n")
    for changed, count in (
        (b"\n".join([lines[0], b"\tat elsewhere", b""]), 0),
        (b"\n".join([b"another", *lines[1:]]), 1),
        (trace.rstrip(b"\n"), 1),
    ):
        live = [with_header(first, -1, changed), *rest]
        assert len(list(differences(frozen, live))) == count


def test_the_check_shows_them_and_fails(frozen: list[Reference]) -> None:
    first, *rest = frozen
    console = Console(record=True, quiet=False, width=200)
    assert check(frozen, console) == 0
    assert "11 cases are as they were frozen" in console.export_text()
    assert check([with_header(first, 0, b"other"), *rest], console) == 1
    shown = console.export_text()
    assert "dead_letter.headers[0]" in shown
    assert "('app', b'other')" in shown
