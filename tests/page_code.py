"""The code on a page of documentation: its blocks, and what they print when they are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(
    r"(?:<!-- (?:file: (?P<file>\S+)|(?P<sketch>sketch)) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARK = "end of block"


class Block(NamedTuple):
    """A block that is run, and what the page says it prints."""

    code: str
    printed: str


def fences(page: Path) -> list[re.Match[str]]:
    """Every fenced block of a page; one may be marked as a file, or as a sketch that is not run."""
    return list(FENCE.finditer(page.read_text(encoding="utf-8")))


def blocks(page: Path) -> list[Block]:
    """The Python blocks of a page that are run, in order."""
    found = [fence for fence in fences(page) if not (fence["file"] or fence["sketch"])]
    made: list[Block] = []
    for fence, after in zip(found, [*found[1:], None], strict=True):
        if fence["language"] == "python":
            told = after is not None and after["language"] == "text"
            made.append(Block(fence["code"], after["code"] if told and after is not None else ""))
    return made


def run(page: Path, folder: Path, *, log: str = "") -> list[str]:
    """What each block prints, all of them run in one process that regards a warning as an error.

    ``log`` is a pattern of the lines that may stand on stderr.
    """
    script = folder / f"{page.stem}.py"
    script.write_text("".join(f"{block.code}\nprint({MARK!r})\n" for block in blocks(page)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert [line for line in done.stderr.splitlines() if not (log and re.match(log, line))] == []
    assert done.returncode == 0
    return done.stdout.split(f"{MARK}\n")[:-1]
