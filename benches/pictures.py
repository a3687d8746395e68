"""Every picture, drawn from the JSON of the results; ``python -m benches.pictures`` draws them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.workloads import GCM_10X5
from csfle_fast.cli.machine import told
from csfle_fast.cli.pictures import CONFLUENT, FASTAVRO, OURS, Bars, Curve, Curves, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["draw_all"]

_UNIT = "messages a second"
_CALLS = (("encrypt", "serialize"), ("decrypt", "deserialize"))


def draw_all(folder: Path) -> list[Path]:
    """Draw what the results in a folder have, beside them; returns the files."""
    latest = json.loads((folder / "latest.json").read_text(encoding="utf-8"))
    pictures: dict[str, Bars | Curves] = {"engines": _engines(latest)}
    sweeps = folder / "sweeps.json"
    if sweeps.exists():
        document = json.loads(sweeps.read_text(encoding="utf-8"))
        pictures |= {one["name"]: _curves(one, document) for one in document["sweeps"]}
    paths = []
    for name, picture in pictures.items():
        paths.append(folder / f"{name}.svg")
        draw(picture, paths[-1])
    return paths


def _engines(document: Mapping[str, Any]) -> Bars:
    """The four calls beside the others, on one kind of records."""
    title = GCM_10X5.title
    lines = {
        (line["call"], line["other"].partition(" ")[0]): line
        for line in document["lines"]
        if line["workload"] == title
    }
    bars = []
    for calls in _CALLS:
        bars += [(f"{OURS} {call}", OURS, 1e9 / lines[call, CONFLUENT]["ours"]) for call in calls]
        for engine, note in ((CONFLUENT, ""), (FASTAVRO, ", unencrypted")):
            line = lines[calls[-1], engine]
            bars.append((f"{line['other']}{note}", engine, 1e9 / line["theirs"]))
    caption = f"make bench on {told(document['machine'])}"
    return Bars(f"{title}; batches of 1,000, one thread", _UNIT, bars, caption)


def _curves(sweep: Mapping[str, Any], document: Mapping[str, Any]) -> Curves:
    """Our calls on bodies under every provider, those on dicts under the last, and confluent-kafka's."""
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point in sweep["points"]:
        points.setdefault((point["engine"], point["call"]), []).append((point["at"], 1e9 / point["ns"]))
    last = [call for engine, call in points if engine == OURS][-1].rpartition(", ")[2]
    curves = [
        Curve(call if engine == OURS else f"{engine} {call}", engine, found)
        for (engine, call), found in points.items()
        if engine != OURS or "crypt" in call or call.endswith(f", {last}")
    ]
    caption = f"make bench on {told(document['machine'])}"
    across: Sequence[float] = [point["at"] for point in sweep["points"]]
    log = max(across) / min(across) > 4
    return Curves(sweep["title"], sweep["across"], _UNIT, curves, caption, log_across=log)


if __name__ == "__main__":
    for path in draw_all(Path(__file__).resolve().parent / "results"):
        print(path.name)
