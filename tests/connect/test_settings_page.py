"""docs/connector-settings.md says what the table of properties says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from csfle_fast.connect.table import PROPERTIES, ByKind, Property

PAGE = Path(__file__).resolve().parents[2] / "docs" / "connector-settings.md"
#: The heading under which each group stands.
HEADINGS = {
    "Connector": "connector",
    "Converters": "converter",
    "Schema Registry": "registry",
    "Rules and keys": "rules",
}
WITHOUT_EFFECT = "Without effect"


def sections() -> dict[str, str]:
    """The text below each heading."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shown(default: object) -> str:
    if isinstance(default, ByKind):
        return f"{default.source} (source), {default.sink} (sink)"
    if isinstance(default, float):
        return f"{default:g}"
    return {"True": "true", "False": "false", "None": "none", "()": "none"}.get(str(default), str(default))


def row(one: Property) -> str:
    return f"| `{one.name}` | {', '.join(one.kinds)} | {one.type} | {shown(one.default)} | {one.doc} |"


@pytest.mark.parametrize(("heading", "group"), HEADINGS.items())
def test_the_page_has_every_property_as_the_code_describes_it(heading: str, group: str) -> None:
    on_page = [line for line in sections()[heading].splitlines() if line.startswith("| `")]
    assert on_page == [row(one) for one in PROPERTIES if one.group == group]


def test_the_page_has_every_property_without_effect() -> None:
    without_effect = [one.name for one in PROPERTIES if one.group in {"framework", "unused"}]
    assert re.findall(r"`([^`]+)`", sections()[WITHOUT_EFFECT]) == without_effect


def test_no_group_is_left_out() -> None:
    # Those of the Engine stand on the page of its own settings, which this one links to.
    assert {one.group for one in PROPERTIES} == {*HEADINGS.values(), "framework", "unused", "engine"}
    assert "](settings.md)" in PAGE.read_text(encoding="utf-8")
