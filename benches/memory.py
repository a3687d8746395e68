"""Memory: flat over millions of messages, and no more than output, input and a constant.

Runs in a process of its own, so that the peak of another bench does not hide anything:
``python -m benches.memory 10000000`` prints one JSON document. Linux only: the peak is
reset through /proc.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benches.results import Bar, Line
from benches.session import Session
from benches.workloads import GCM_10X5

__all__ = ["MemoryResult", "measure_memory", "memory_lines"]

_BATCH = 1_000
_WARM_BATCHES = 200
_LARGE = 200_000  # rows of the one large batch: about 50 MB in, 77 MB out
_MIB = 1 << 20
# The allocator's own slack: neither depends on the number of messages.
_FLAT_MIB = 2.0
_CONSTANT_MIB = 4.0


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """What was seen, in MiB.

    Attributes:
        messages: encrypted and decrypted again, in batches of 1,000.
        growth: of the resident memory at its highest, from the end of the warm-up.
        beyond_output: of the peak during one batch of 200,000 packed rows, over the output and the copy
            of the offsets that the Engine makes so that nobody can move them while it works.
    """

    messages: int
    growth: float
    beyond_output: float


def measure_memory(messages: int) -> MemoryResult:
    """Measure in this process."""
    with Session(GCM_10X5, _BATCH, incumbent=False) as session:
        session.compare()
        for _ in range(_WARM_BATCHES):
            session.decrypt(session.encrypt(session.bodies))
        start = highest = _status("VmRSS")
        for batch in range(messages // _BATCH):
            session.decrypt(session.encrypt(session.bodies))
            if batch % 100 == 0:
                highest = max(highest, _status("VmRSS"))
        highest = max(highest, _status("VmRSS"))
    return MemoryResult(messages, (highest - start) / _MIB, _beyond_output() / _MIB)


def _beyond_output() -> int:
    """Bytes of the peak that are neither the input nor the output of one large packed batch."""
    with Session(GCM_10X5, _BATCH, incumbent=False) as session:
        session.rows = session.rows * (_LARGE // _BATCH)
        session.bodies = session.bodies * (_LARGE // _BATCH)
        packed = session.packed_bodies()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts from here
        before = _status("VmRSS")
        sealed = session.engine.encrypt(session.topic, packed).values
        output = len(memoryview(sealed.buffer)) + memoryview(sealed.offsets).nbytes
        return _status("VmHWM") - before - output - packed[1].nbytes  # offsets are copied in


def _status(name: str) -> int:
    """A size out of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {name}")


def memory_lines(messages: int) -> list[Line]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "benches.memory", str(messages)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result = MemoryResult(**json.loads(printed))
    title = GCM_10X5.title
    return [
        Line(
            title,
            f"growth over {result.messages:,} messages, encrypt and decrypt",
            result.growth,
            bar=Bar("at most", _FLAT_MIB),
            unit="MiB",
        ),
        Line(
            title,
            f"peak beyond input and output, {_LARGE:,} rows packed",
            result.beyond_output,
            bar=Bar("at most", _CONSTANT_MIB),
            unit="MiB",
        ),
    ]


if __name__ == "__main__":
    print(json.dumps(asdict(measure_memory(int(sys.argv[1])))))
