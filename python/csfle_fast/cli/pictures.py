"""Pictures of figures: bars, and curves over a size. The same figures give the same file, byte by byte.

Needs matplotlib, which ``csfle-fast[bench]`` brings.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["CONFLUENT", "FASTAVRO", "FORMATS", "OURS", "Bars", "Curve", "Curves", "draw"]

OURS, CONFLUENT, FASTAVRO = "csfle_fast", "confluent-kafka", "fastavro"
#: Suffixes of the files that can be drawn.
FORMATS = (".svg", ".png")

# Of the palette of Okabe and Ito, which people of every colour vision tell apart.
_COLOURS = {OURS: "#0072B2", CONFLUENT: "#D55E00", FASTAVRO: "#777777"}
_MARKS = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", "-"), ("P", "--"))
_INK = "#222222"
_WIDTH = 8.0  # inches, as all sizes here
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "csfle_fast",  # or the names within the file would be drawn at random
}
# Neither the date nor the version of the tool belongs to the figures.
_METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
}
_LABEL_GAP = 0.055  # between the labels of two curves, in parts of the height


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars, one below the other, from zero.

    Attributes:
        title: what is compared.
        unit: of the numbers.
        bars: label, engine (one of the three above) and number.
        caption: machine, provider and command.
    """

    title: str
    unit: str
    bars: Sequence[tuple[str, str, float]]
    caption: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve; its label stands at its end.

    Attributes:
        label: its name.
        engine: one of the three above.
        points: where, and the number there.
    """

    label: str
    engine: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves over a size.

    Attributes:
        title: what is compared.
        across: what the size is, with its unit.
        unit: of the numbers.
        curves: all of them; they have the same sizes.
        caption: machine, provider and command.
        log_across: whether sizes that double are equally far apart.
    """

    title: str
    across: str
    unit: str
    curves: Sequence[Curve]
    caption: str
    log_across: bool = True


def draw(picture: Bars | Curves, path: Path) -> None:
    """Draw into a file.

    Raises:
        ValueError: its suffix is not one of FORMATS.
        OSError: it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path.name}: a picture is a file {' or '.join(FORMATS)}")
    # No pyplot: it would choose a window system, and keep the figure.
    with mpl.rc_context(_STYLE):
        height = 4.2 if isinstance(picture, Curves) else 0.8 + 0.32 * len(picture.bars)
        figure = Figure(figsize=(_WIDTH, height), facecolor="white")
        axes = figure.subplots()
        axes.set_title(picture.title, loc="left", fontsize=11)
        if isinstance(picture, Curves):
            _draw_curves(picture, axes)
        else:
            _draw_bars(picture, axes)
        _draw_caption(picture.caption, axes)
        figure.savefig(
            path, format=suffix[1:], dpi=150, bbox_inches="tight", pad_inches=0.15, metadata=_METADATA[suffix]
        )


def _draw_bars(picture: Bars, axes: Axes) -> None:
    labels, engines, numbers = zip(*picture.bars, strict=True)
    axes.barh(range(len(labels)), numbers, color=[_COLOURS[engine] for engine in engines], height=0.7)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    for row, number in enumerate(numbers):
        axes.annotate(
            f"{number:,.0f}", (number, row), (4, 0), textcoords="offset points", verticalalignment="center"
        )
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.set_xlabel(picture.unit)


def _draw_curves(picture: Curves, axes: Axes) -> None:
    marks = {engine: count() for engine in _COLOURS}
    for curve in picture.curves:
        marker, line = _MARKS[next(marks[curve.engine]) % len(_MARKS)]
        across, heights = zip(*curve.points, strict=True)
        axes.plot(across, heights, color=_COLOURS[curve.engine], marker=marker, linestyle=line, markersize=4)
    sizes = sorted({size for curve in picture.curves for size, _ in curve.points})
    if picture.log_across:
        axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    numbers = [number for curve in picture.curves for _, number in curve.points]
    # Whole decades: every axis then has numbers that one can read.
    axes.set_ylim(
        10 ** math.floor(math.log10(min(numbers))), 10 ** (math.floor(math.log10(max(numbers))) + 1)
    )
    axes.set_xticks(sizes, [f"{size:,g}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_xlabel(picture.across)
    axes.set_ylabel(picture.unit)
    _draw_labels(picture.curves, axes)


def _draw_labels(curves: Sequence[Curve], axes: Axes) -> None:
    """Each label beside the end of its curve, moved up where another stands there."""
    to_part = axes.transData + axes.transAxes.inverted()
    last = [curve.points[-1] for curve in curves]
    wanted = [(to_part.transform(point)[1], curve) for point, curve in zip(last, curves, strict=True)]
    below = float("-inf")
    for height, curve in sorted(wanted, key=lambda one: one[0]):
        below = max(height, below + _LABEL_GAP)
        axes.text(
            1.02,
            below,
            curve.label,
            color=_COLOURS[curve.engine],
            transform=axes.transAxes,
            verticalalignment="center",
        )


def _draw_caption(caption: str, axes: Axes) -> None:
    axes.annotate(
        textwrap.fill(caption, 125),
        (0, 0),
        (0, -0.62 * 72),
        xycoords="axes fraction",
        textcoords="offset points",
        verticalalignment="top",
        fontsize=7,
        color="#555555",
    )


def _thousands(number: float, _position: object) -> str:
    return f"{number:,.0f}"
