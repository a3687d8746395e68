"""The table of who reads what says what the readers of the test vectors did."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
READERS = {"Java": "java", "Python": "python", "Go": "go-struct", "JavaScript": "node", "Rust": "rust"}


def rows() -> dict[str, dict[str, bool]]:
    """Case of the vectors -> client -> whether the page says that it reads it."""
    table = PAGE.split("## Who reads what csfle_fast writes")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    head, body = lines[0], lines[1:]
    return {
        case: {
            client: {"yes": True, "no": False}[said] for client, said in zip(head[1:], line[1:], strict=True)
        }
        for line in body
        for case in re.findall(r"`(\w+)`[,)]", line[0])
    }


def read_by() -> dict[str, set[str]]:
    """Case of the vectors -> clients that read it, whoever wrote it."""
    vectors = json.loads((ROOT / "tests" / "vectors" / "csfle.json").read_text(encoding="utf-8"))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for vector in vectors:
        found[vector["case"]] |= set(vector["readers"])
    return found


@pytest.mark.parametrize("case", sorted(rows()))
def test_the_page_says_who_reads_it(case: str) -> None:
    assert rows()[case] == {client: reader in read_by()[case] for client, reader in READERS.items()}


def test_every_case_that_not_all_read_is_on_the_page() -> None:
    partial = {case for case, readers in read_by().items() if readers != set(READERS.values())}
    assert partial - set(rows()) == set()
