"""Pictures: what stands in them, and that the same figures give the same file."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from csfle_fast.cli.pictures import CONFLUENT, FASTAVRO, OURS, Bars, Curve, Curves, draw

BARS = Bars(
    "What is compared",
    "messages a second",
    [("ours, batch", OURS, 1_234_567.0), ("theirs", CONFLUENT, 9_876.0), ("alone", FASTAVRO, 300_000.0)],
    "drawn by a test on A Processor",
)
CURVES = Curves(
    "By size",
    "bytes of each string",
    "messages a second",
    [
        Curve("encrypt, ring", OURS, [(8, 1e6), (4_096, 1e5)]),
        Curve("decrypt, ring", OURS, [(8, 1.1e6), (4_096, 1.001e5)]),
        Curve("confluent-kafka serialize", CONFLUENT, [(8, 1e4), (4_096, 9e3)]),
    ],
    "drawn by a test on A Processor",
)


def texts(path: Path) -> list[str]:
    """Letters are drawn as outlines; what they say stands in comments before them."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def heights(path: Path, labels: list[str]) -> list[float]:
    """How far down each of the labels stands."""
    text = path.read_text(encoding="utf-8")
    found = []
    for label in labels:
        match = re.search(rf"<!-- {re.escape(label)} -->\s*<g [^>]*translate\([\d.]+ ([\d.]+)\)", text)
        assert match is not None, label
        found.append(float(match[1]))
    return found


@pytest.mark.parametrize("picture", [BARS, CURVES], ids=["bars", "curves"])
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_figures_give_the_same_file(picture: Bars | Curves, suffix: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    draw(picture, first)
    draw(picture, second)
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 1_000


def test_an_svg_names_no_date_and_has_a_light_ground(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    draw(BARS, path)
    text = path.read_text(encoding="utf-8")
    ET.fromstring(text)  # noqa: S314 - of our own making
    assert not re.search(r"\d{4}-\d{2}-\d{2}T", text)
    assert "fill: #ffffff" in text


def test_bars_have_their_labels_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    draw(BARS, path)
    found = texts(path)
    for text in (
        "What is compared",
        "messages a second",
        "ours, batch",
        "1,234,567",
        "theirs",
        "9,876",
        "alone",
    ):
        assert text in found
    assert any("drawn by a test on A Processor" in text for text in found)
    assert heights(path, ["ours, batch", "theirs", "alone"]) == sorted(
        heights(path, ["ours, batch", "theirs", "alone"])
    )


def test_each_engine_has_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    draw(BARS, path)
    text = path.read_text(encoding="utf-8").lower()
    assert all(colour in text for colour in ("#0072b2", "#d55e00", "#777777"))


def test_curves_have_labelled_axes_and_labels_that_do_not_cover_each_other(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    draw(CURVES, path)
    found = texts(path)
    for text in ("By size", "bytes of each string", "messages a second", "8", "4,096"):
        assert text in found
    decrypt, encrypt, theirs = heights(path, ["decrypt, ring", "encrypt, ring", "confluent-kafka serialize"])
    assert encrypt - decrypt > 9  # a line of text; the two curves end at the same place
    assert theirs > encrypt


@pytest.mark.parametrize("name", ["picture.pdf", "picture", "svg"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        draw(BARS, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_curves_that_stay_at_one_number_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    draw(Curves("t", "a", "u", [Curve("flat", OURS, [(1, 1e6), (2, 1e6)])], "c", log_across=False), path)
    assert {"flat", "1,000,000", "10,000,000", "1", "2"} <= set(texts(path))
