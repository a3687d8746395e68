"""The guide's code runs as it stands and prints what the guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide.md"
FENCE = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
MARK = "end of block"


class Block(NamedTuple):
    """A block of the guide that is run, and what it is said to print."""

    code: str
    printed: str


def fences() -> list[re.Match[str]]:
    return list(FENCE.finditer(GUIDE.read_text(encoding="utf-8")))


def files() -> dict[str, str]:
    """Blocks that are files of a package of the reader's."""
    return {fence["file"]: fence["code"] for fence in fences() if fence["file"]}


def blocks() -> Iterator[Block]:
    found = [fence for fence in fences() if not fence["file"]]
    for fence, after in zip(found, [*found[1:], None], strict=True):
        if fence["language"] == "python":
            told = after is not None and after["language"] == "text"
            yield Block(fence["code"], after["code"] if told and after is not None else "")


def install(folder: Path) -> None:
    """Put the guide's package where pip would put it."""
    package = files()
    project = tomllib.loads(package.pop("pyproject.toml"))["project"]
    for name, text in package.items():
        (folder / name).write_text(text, encoding="utf-8")
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block prints, all of them run in one process that regards a warning as an error."""
    folder = tmp_path_factory.mktemp("guide")
    install(folder)
    script = folder / "guide.py"
    script.write_text("".join(f"{block.code}\nprint({MARK!r})\n" for block in blocks()), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert run.stderr == ""
    assert run.returncode == 0
    return run.stdout.split(f"{MARK}\n")[:-1]


def test_the_guide_has_blocks_that_print() -> None:
    assert len([block for block in blocks() if block.printed]) > 5


def test_every_block_prints_what_the_guide_says(printed: list[str]) -> None:
    assert printed == [block.printed for block in blocks()]


def test_every_text_block_follows_one_that_is_run() -> None:
    kinds = [fence["language"] for fence in fences() if not fence["file"]]
    assert set(kinds) == {"python", "text"}
    assert ("text", "text") not in set(zip(["text", *kinds], kinds, strict=False))
