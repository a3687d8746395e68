"""No frame and no row of any kind ends or hangs the process; see hostile_calls.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from csfle_fast import Engine
from hostile_calls import FRAMES, LEAF, MISFITS, ROWS, TREE, tree
from incumbent import TOPIC, Subject
from wire import text

HERE = Path(__file__).parent


def tried(kind: str, *names: str) -> dict[str, dict[str, str]]:
    """The codes by case and call. A case that ends the process is tried alone, so that others are told."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        run = subprocess.run(
            [sys.executable, str(HERE / "hostile_calls.py"), kind, *waiting],
            capture_output=True, text=True, check=False, timeout=110,
        )  # fmt: skip
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        done = {line["case"]: line["codes"] for line in lines if "codes" in line}
        found |= done
        waiting = [name for name in waiting if name not in done]
        if waiting and run.returncode == 0:
            raise AssertionError(run.stderr)
        if waiting:
            found[waiting.pop(0)] = {"ended": f"{run.returncode}: {run.stderr[-500:]}"}
    return found


@pytest.fixture(scope="module")
def frames() -> dict[str, dict[str, str]]:
    return tried("frame", *FRAMES)


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, str]]:
    return tried("row", *ROWS)


@pytest.fixture(scope="module")
def misfits() -> dict[str, dict[str, str]]:
    return tried("misfit", *MISFITS)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_nested_10_000_deep(frames: dict[str, dict[str, str]], name: str) -> None:
    assert frames[name] == dict.fromkeys(("decrypt", "deserialize", "encrypt"), "too_deep")


@pytest.mark.parametrize("name", ROWS)
def test_rows_without_end(rows: dict[str, dict[str, str]], name: str) -> None:
    assert rows[name] == {"serialize": "too_deep"}


@pytest.mark.parametrize("name", MISFITS)
def test_deep_values_where_none_belong(misfits: dict[str, dict[str, str]], name: str) -> None:
    assert misfits[name] == {"serialize": "row_does_not_fit"}


@pytest.fixture
def subject() -> Subject:
    return Subject(TREE)


class TestTheLimit:
    """512 records are read and written, one more is not."""

    @staticmethod
    def row(records: int) -> dict[str, Any]:
        row = tree()
        for _ in range(records - 1):
            row = tree(next=row)
        return row

    def test_rows(self, subject: Subject) -> None:
        with subject.engine() as engine:
            sent = engine.serialize(TOPIC, [self.row(512), self.row(513)])
            assert [(error.row, error.code) for error in sent.errors] == [(1, "too_deep")]
            assert engine.deserialize(TOPIC, sent.values[:1]).values == [self.row(512)]

    @pytest.mark.parametrize("step", [b"\x00\x02", b"\x00\x00\x02", b"\x00\x00\x00\x02" + text("k")])
    def test_bodies(self, subject: Subject, step: bytes) -> None:
        end = b"\x00" * (2 if step.endswith(text("k")) else 3)
        bodies = [step * (records - 1) + LEAF + end * (records - 1) for records in (512, 513)]
        with subject.engine() as engine:
            self.both(engine, bodies, [subject.frame(body) for body in bodies])

    @staticmethod
    def both(engine: Engine, bodies: list[bytes], frames: list[bytes]) -> None:
        sealed = engine.encrypt(TOPIC, bodies)
        opened = engine.decrypt(TOPIC, frames)
        decoded = engine.deserialize(TOPIC, frames)
        for result in (sealed, opened, decoded):
            assert [(error.row, error.code) for error in result.errors] == [(1, "too_deep")]
        assert opened.values == [bodies[0], None]
        assert engine.serialize(TOPIC, decoded.values[:1]).errors == []
