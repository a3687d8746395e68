"""The README's example runs as it stands, and the files that it points to exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_example_prints_the_rows_that_went_in() -> None:
    match = re.search(r"<!-- example:begin -->\n```python\n(.*?)```", README, re.DOTALL)
    assert match is not None
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", match[1]],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.stderr == ""
    assert run.stdout == "[{'id': 1, 'email': 'ada@example.org'}, {'id': 2, 'email': None}]\n"


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []
