"""One workload, ready to be measured, its results compared."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from csfle_fast.cli.bench_session import BenchSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benches.workloads import Workload

__all__ = ["Session", "Wrong"]


class Wrong(Exception):
    """Two contestants gave different results; what they take is then of no interest."""


class Session(BenchSession):
    """Everything one workload needs; see BenchSession."""

    def __init__(
        self,
        workload: Workload,
        count: int,
        *,
        conf: Mapping[str, object] | None = None,
        incumbent: bool = True,
    ) -> None:
        rows = workload.rows(count)
        super().__init__(workload.name, workload.payload, rows, conf=conf, incumbent=incumbent)

    def compare(self) -> None:
        """Every way gives the same rows and bodies, in lists and packed, by one thread and by two.

        Raises:
            Wrong: two of them differ.
        """
        ways: dict[str, Callable[[], list[bytes]]] = {
            "two threads": lambda: self.decrypt(self.encrypt(self.bodies, 2), 2),
            "packed": lambda: self._packed_round_trip(1),
            "packed, two threads": lambda: self._packed_round_trip(2),
        }
        wrong = [*self.wrong(), *(name for name, way in ways.items() if way() != self.bodies)]
        wrong += self.disagreements()
        if wrong:
            raise Wrong(f"{self.topic}: {', '.join(wrong)}")

    def packed_bodies(self) -> tuple[bytes, np.ndarray[Any, np.dtype[np.int64]]]:
        """All bodies as one buffer with n + 1 offsets."""
        lengths = np.fromiter(map(len, self.bodies), np.int64, len(self.bodies))
        return b"".join(self.bodies), np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)

    def _packed_round_trip(self, threads: int) -> list[bytes]:
        sealed = self.engine.encrypt(self.topic, self.packed_bodies(), threads=threads)
        sealed.raise_for_errors()
        opened = self.engine.decrypt(self.topic, sealed.values, threads=threads)
        opened.raise_for_errors()
        buffer, offsets = opened.values
        return [bytes(buffer[start:end]) for start, end in pairwise(offsets)]
