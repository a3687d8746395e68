"""docs/settings.md says what the settings table of the code says."""

from __future__ import annotations

from pathlib import Path

from csfle_fast.settings import RULE_OVERRIDES, SETTINGS, Setting

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"


def row(setting: Setting, prefix: str = "") -> str:
    default = {True: "true", False: "false", None: "none"}.get(setting.default, setting.default)
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"| `{prefix}{setting.name}` | {setting.type} | {shown} | {setting.doc} |"


def test_the_page_has_every_setting_as_the_code_describes_it() -> None:
    expected = [row(setting) for setting in SETTINGS]
    expected += [row(setting, "rule.executors.<who>.") for setting in RULE_OVERRIDES]
    on_page = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert on_page == expected
