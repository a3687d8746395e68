"""One workload, ready to be measured: registry, Engine, confluent-kafka and fastavro on the same rows."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import fastavro
import numpy as np
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from csfle_fast import Engine
from csfle_fast.cli.demo_incumbent import Incumbent, copies
from csfle_fast.dev import DevRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benches.workloads import Workload

__all__ = ["Session", "Wrong"]

_SECRET = "bench"


class Wrong(Exception):
    """Two contestants gave different results; what they take is then of no interest."""


class Session:
    """Everything one workload needs, warmed and compared; close it to stop the registry."""

    def __init__(
        self, workload: Workload, count: int, *, incumbent: bool = True, secret: str = _SECRET
    ) -> None:
        self.workload = workload
        self.topic = workload.name
        self.rows = workload.rows(count)
        with ExitStack() as opened:
            registry = opened.enter_context(DevRegistry(port=0, secret=secret))
            client = opened.enter_context(SchemaRegistryClient({"url": registry.url}))
            client.register_schema(f"{self.topic}-value", Schema.from_dict(workload.payload))
            self.engine = opened.enter_context(Engine(client, rule_conf={"secret": secret}))
            self.engine.warm_up(self.topic)
            self._schema = fastavro.parse_schema(json.loads(workload.payload["schema"]))
            self.bodies = self.fastavro_write(self.rows)
            self.frames: list[bytes] = self.encrypt(self.bodies)
            self.incumbent: Incumbent | None = None
            if incumbent:
                self.incumbent = opened.enter_context(Incumbent(client, self.topic, secret))
            self._stack = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def encrypt(self, bodies: Sequence[bytes], threads: int = 1) -> list[bytes]:
        return self._good(self.engine.encrypt(self.topic, bodies, threads=threads))

    def decrypt(self, frames: Sequence[bytes], threads: int = 1) -> list[bytes]:
        return self._good(self.engine.decrypt(self.topic, frames, threads=threads))

    def serialize(self, rows: Sequence[dict[str, Any]]) -> list[bytes]:
        return self._good(self.engine.serialize(self.topic, rows))

    def deserialize(self, frames: Sequence[bytes]) -> list[Any]:
        return self._good(self.engine.deserialize(self.topic, frames))

    def encrypt_each(self, bodies: Sequence[bytes]) -> None:
        """One call a message."""
        encrypt, topic = self.engine.encrypt, self.topic
        for body in bodies:
            encrypt(topic, [body])

    def serialize_each(self, rows: Sequence[dict[str, Any]]) -> None:
        """One call a message."""
        serialize, topic = self.engine.serialize, self.topic
        for row in rows:
            serialize(topic, [row])

    def fastavro_write(self, rows: Sequence[dict[str, Any]]) -> list[bytes]:
        """Bodies, without encryption."""
        bodies = []
        for row in rows:
            stream = io.BytesIO()
            fastavro.schemaless_writer(stream, self._schema, row)
            bodies.append(stream.getvalue())
        return bodies

    def fastavro_read(self, bodies: Sequence[bytes]) -> list[Any]:
        """Rows, without encryption."""
        return [fastavro.schemaless_reader(io.BytesIO(body), self._schema, None) for body in bodies]

    def fresh_rows(self) -> list[dict[str, Any]]:
        """Copies for confluent-kafka's serializer, which overwrites the rows it gets."""
        return copies(self.rows)

    def compare(self) -> None:
        """Every way gives the same rows and bodies.

        Raises:
            Wrong: two of them differ.
        """
        checks = {
            "decrypt(encrypt)": self.decrypt(self.frames) == self.bodies,
            "deserialize(encrypt)": self.deserialize(self.frames) == self.rows,
            "deserialize(serialize)": self.deserialize(self.serialize(self.rows)) == self.rows,
            "two threads": self.decrypt(self.encrypt(self.bodies, 2), 2) == self.bodies,
            "packed": self._packed_round_trip(1) == self.bodies,
            "packed, two threads": self._packed_round_trip(2) == self.bodies,
        }
        if self.incumbent is not None:
            checks["confluent-kafka reads ours"] = self.incumbent.deserialize(self.frames) == self.rows
            theirs = self.incumbent.serialize(self.fresh_rows())
            checks["confluent-kafka read by us"] = self.deserialize(theirs) == self.rows
        wrong = [name for name, equal in checks.items() if not equal]
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

    @staticmethod
    def _good(result: Any) -> list[Any]:
        result.raise_for_errors()
        values: list[Any] = result.values
        return values
