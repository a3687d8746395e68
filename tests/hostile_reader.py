"""Reads one frame in a process of its own, which may die of it: ``hostile_reader.py theirs|ours``.

Standard input is ``{"schema": ..., "frame": hex}``, hex without the five bytes of the schema id. Prints the
row, or ``{"code": ...}`` where ours refuses it. Dies of SIGXCPU after more than five seconds of CPU time.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from incumbent import TOPIC, Subject

CPU_SECONDS = 5  # far beyond what any frame of some kilobytes needs, on any machine
MEMORY = 6 << 30  # a reader that collects without bound shall not take the machine down


def main() -> None:
    """See the module."""
    order = json.load(sys.stdin)
    subject = Subject(order["schema"])
    frame = subject.frame(bytes.fromhex(order["frame"]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(_theirs(subject, frame) if sys.argv[1] == "theirs" else _ours(subject, frame), sys.stdout)


def _theirs(subject: Subject, frame: bytes) -> Any:
    return subject.theirs.deserialize(frame)


def _ours(subject: Subject, frame: bytes) -> Any:
    with subject.engine() as engine:
        result = engine.deserialize(TOPIC, [frame])
        return {"code": result.errors[0].code} if result.errors else result.values[0]


if __name__ == "__main__":
    main()
