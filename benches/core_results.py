"""The numbers of the Rust bench: the core on packed bodies, and beside it the bare loop.

The bare loop draws a nonce, seals with ring (SIV: aes-siv) and encodes the same values, without
any Avro. The program that is run prints one JSON document on stdout::

    {"results": [{"workload": "strings_10x5_gcm", "core_ns": 612.0, "bare_ns": 595.0}, ...]}

``workload`` is a name of ``benches.workloads``; times are nanoseconds a message, of the
best round; ``bare_ns`` is null where a workload has no bare loop.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CORE_COMMAND", "CoreResult", "best_of", "read_core_results"]

#: What `python -m benches` runs from the root of the project.
CORE_COMMAND = ("cargo", "bench", "--quiet", "--locked", "-p", "csfle-core", "--bench", "core")


@dataclass(frozen=True, slots=True)
class CoreResult:
    """Nanoseconds a message of one workload."""

    core_ns: float
    bare_ns: float | None


def read_core_results(command: Sequence[str] = CORE_COMMAND) -> dict[str, CoreResult]:
    """Run the Rust bench and read its document.

    Raises:
        subprocess.CalledProcessError: the program failed.
        ValueError: it did not print the document above.
    """
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    try:
        return {
            one["workload"]: CoreResult(float(one["core_ns"]), _optional(one["bare_ns"]))
            for one in json.loads(printed)["results"]
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the document of the Rust bench: {error!r}") from error


def best_of(*runs: dict[str, CoreResult]) -> dict[str, CoreResult]:
    """The better time of several runs, for the core and for the bare loop each."""
    best: dict[str, CoreResult] = {}
    for run in runs:
        for name, one in run.items():
            known = best.get(name, one)
            bare = [ns for ns in (known.bare_ns, one.bare_ns) if ns is not None]
            best[name] = CoreResult(min(known.core_ns, one.core_ns), min(bare, default=None))
    return best


def _optional(number: object) -> float | None:
    return None if number is None else float(str(number))
