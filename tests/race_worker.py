"""A process that races others for keys: ``race_worker.py``, with orders on standard input, one a line.

The first line is ``{"url": ..., "conf": {...}, "gates": [...]}``, answered when the worker is ready. Each
line after that is an Order, answered when it is done. Before the first POST to a path that ends like a gate,
the worker says ``{"gate": ...}`` and waits for a line: so all have read before any of them writes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import Engine
from incumbent import SECRET, TOPIC, field, record
from services import launch
from wire import leaves, version_of

__all__ = ["SCHEMA", "THREADS", "Order", "RaceWorker", "version"]

SCHEMA = record(field("id", "string"), field("v", "string", "PII"))
THREADS = 8
_PAUSE_SEC = 0.01
_DEADLINE_SEC = 60.0


class Order(NamedTuple):
    """What each thread has to seal.

    Attributes:
        name: begins the ids of all rows.
        batches: how many batches; with ``until`` so many more once that is reached.
        rows: rows in each batch.
        until: the DEK version that is waited for, while batches are sealed without end.
    """

    name: str
    batches: int
    rows: int
    until: int = 0


def version(frame: bytes) -> int:
    """The DEK version in a frame of a rule that rotates."""
    (leaf,) = (leaf for leaf in leaves(SCHEMA, frame[5:]) if leaf.tags)
    return version_of(leaf.value, leaf.kind)


class RaceWorker:
    """A worker as its parent sees it; it runs for the block, and ends with this process at the latest."""

    def __init__(self, url: str, conf: dict[str, object], gates: tuple[str, ...] = ()) -> None:
        tests = Path(__file__).parent
        self._process = Popen(
            [sys.executable, launch.__file__, str(os.getpid()), sys.executable, __file__],
            stdin=PIPE,
            stdout=PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(tests)},
        )
        self._tell({"url": url, "conf": conf, "gates": gates})

    def order(self, order: Order) -> None:
        """Have it begin; ``hear`` gives what comes of it."""
        self._tell(order._asdict())

    def hear(self) -> Any:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the worker has ended"
        return json.loads(line)

    def open_gate(self) -> None:
        """Let it through the gate that it waits at."""
        self._tell({})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process:  # closes its input, which ends it, and waits
            if error is not None:
                self._process.kill()

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)


class _Gate:
    """Counts the POSTs of a client, and holds the first to each gate."""

    def __init__(self, client: SchemaRegistryClient, gates: list[str]) -> None:
        self.posts: list[str] = []
        self.answered = threading.Event()
        http: Any = client._rest_client
        self._post, http.post = http.post, self.post
        self._closed = set(gates)

    def post(self, path: str, *arguments: Any, **named: Any) -> Any:
        self.posts.append(path)
        gate = next((one for one in self._closed if f"/{path}".partition("?")[0].endswith(one)), None)
        if gate is not None:
            self._closed.discard(gate)
            _say({"gate": gate})
            sys.stdin.readline()
        try:
            return self._post(path, *arguments, **named)
        finally:
            self.answered.set()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


class _Seals:
    """What one thread seals.

    Attributes:
        frames: by the ids of their rows, in hex.
        behind: DEK versions of batches that were begun when a POST of this process had been answered.
    """

    def __init__(self, engine: Engine, gate: _Gate, order: Order, name: str) -> None:
        self.frames: dict[str, str] = {}
        self.behind: set[int] = set()
        self._engine = engine
        self._gate = gate
        self._order = order
        self._name = name

    def run(self, start: threading.Barrier) -> Self:
        """Seal all that is ordered, with the others."""
        deadline = time.monotonic() + _DEADLINE_SEC
        left, reached = self._order.batches, False
        start.wait(_DEADLINE_SEC)
        while left and time.monotonic() < deadline:
            if not self._order.until:
                self._seal()
            else:
                reached = self._seal_and_look() >= self._order.until or reached
                time.sleep(_PAUSE_SEC)
            left -= reached or not self._order.until
        return self

    def _seal(self) -> bytes:
        """One batch; its last frame."""
        ids = [f"{self._name}-{len(self.frames) + row}" for row in range(self._order.rows)]
        result = self._engine.serialize(TOPIC, [{"id": one, "v": f"secret {one}"} for one in ids])
        result.raise_for_errors()
        frames = [frame or b"" for frame in result.values]
        self.frames.update(zip(ids, map(bytes.hex, frames), strict=True))
        return frames[-1]

    def _seal_and_look(self) -> int:
        behind = self._gate.answered.is_set()
        number = version(self._seal())
        if behind:
            self.behind.add(number)
        return number


def _carry_out(engine: Engine, gate: _Gate, order: Order) -> dict[str, Any]:
    before, start = len(gate.posts), threading.Barrier(THREADS)
    seals = [_Seals(engine, gate, order, f"{order.name}-{number}") for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(lambda one: one.run(start), seals))
    return {
        "frames": {id_: frame for one in done for id_, frame in one.frames.items()},
        "behind": sorted(set().union(*(one.behind for one in done))),
        "posts": gate.posts[before:],
        "stats": engine.stats(),
    }


def main() -> None:
    """See the module."""
    given = json.loads(sys.stdin.readline())
    with SchemaRegistryClient({"url": given["url"], "max.retries": 0}) as client:
        gate = _Gate(client, given["gates"])
        with Engine(client, rule_conf={"secret": SECRET}, conf=given["conf"]) as engine:
            _say({"ready": True})
            while line := sys.stdin.readline():
                _say(_carry_out(engine, gate, Order(**json.loads(line))))


if __name__ == "__main__":
    main()
