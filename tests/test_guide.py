"""The guide's code runs as it stands and prints what the guide says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from page_code import blocks, fences, run

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide.md"


def files() -> dict[str, str]:
    """Blocks that are files of a package of the reader's."""
    return {fence["file"]: fence["code"] for fence in fences(GUIDE) if fence["file"]}


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
    return run(GUIDE, folder)


def test_the_guide_has_blocks_that_print() -> None:
    assert len([block for block in blocks(GUIDE) if block.printed]) > 5


def test_every_block_prints_what_the_guide_says(printed: list[str]) -> None:
    assert printed == [block.printed for block in blocks(GUIDE)]


def test_every_text_block_follows_one_that_is_run() -> None:
    kinds = [fence["language"] for fence in fences(GUIDE) if not fence["file"]]
    assert set(kinds) == {"python", "text"}
    assert ("text", "text") not in set(zip(["text", *kinds], kinds, strict=False))
