"""docs/connectors.md: its code prints what it says, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

from page_code import blocks, run

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "connectors.md"
TESTS = re.compile(r"`(test_\w+\.py)((?:::\w+)*)`((?:, `(?!test_)\w+`)*)")


def test_every_block_prints_what_the_page_says(tmp_path: Path) -> None:
    assert len(blocks(PAGE)) >= 2
    log = "customers-sync-0: topic customers, value, row 1"  # of the records that fail on purpose
    assert run(PAGE, tmp_path, log=log) == [block.printed for block in blocks(PAGE)]


def test_the_tests_that_it_names_are_there() -> None:
    named = TESTS.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 15
    lost = []
    for file, names, more in named:
        places = [ROOT / "tests" / "connect" / file, ROOT / "tests" / file]
        text = "".join(place.read_text(encoding="utf-8") for place in places if place.exists())
        wanted = [*names.split("::")[1:], *re.findall(r"`(\w+)`", more)]
        if not text or any(not re.search(rf"(def|class) {name}\b", text) for name in wanted):
            lost.append((file, names, more))
    assert lost == []
