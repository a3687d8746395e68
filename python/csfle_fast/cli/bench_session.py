"""One schema with its rules, ready to be measured: our Engine, confluent-kafka and fastavro on the same rows.

They share the development registry, over HTTP on loopback, and its local KMS; all are warm, so that no
request is made while a clock runs.
"""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from csfle_fast import Engine
from csfle_fast.cli.demo_incumbent import Incumbent, copies
from csfle_fast.dev import DevRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BenchSession", "fastavro_read", "fastavro_write"]

_SECRET = "bench"  # noqa: S105 - wraps keys that live as long as the bench


def fastavro_write(parsed: Any, rows: Sequence[Any]) -> list[bytes]:
    """Bodies of rows, by a schema that fastavro has parsed."""
    bodies = []
    for row in rows:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed, row)
        bodies.append(stream.getvalue())
    return bodies


def fastavro_read(parsed: Any, bodies: Sequence[bytes]) -> list[Any]:
    """Rows of bodies, likewise."""
    return [fastavro.schemaless_reader(io.BytesIO(body), parsed, None) for body in bodies]


class BenchSession:
    """Everything that is needed, warmed; a context manager that stops the registry.

    Args:
        topic: a name.
        payload: what is registered for its values: schema, rule set, metadata.
        rows: as fastavro takes them.
        conf: settings of the Engine.
        incumbent: whether confluent-kafka takes part.

    Attributes:
        topic: likewise.
        rows: likewise.
        bodies: the rows, encoded by fastavro.
        frames: the bodies, encrypted by us.
        engine: ours.
        incumbent: confluent-kafka's serializers, if they take part.

    Raises:
        CsfleError: the Engine cannot work with the schema, the rules or a row.
        SchemaRegistryError: the registry refuses schema or rules.
    """

    def __init__(
        self,
        topic: str,
        payload: Mapping[str, Any],
        rows: list[Any],
        *,
        conf: Mapping[str, object] | None = None,
        incumbent: bool = True,
    ) -> None:
        self.topic = topic
        self.rows = rows
        self._schema = fastavro.parse_schema(json.loads(payload["schema"]), _ignore_default_error=True)
        with ExitStack() as opened:
            registry = opened.enter_context(DevRegistry(port=0, secret=_SECRET))
            self._client = opened.enter_context(SchemaRegistryClient({"url": registry.url}))
            self._client.register_schema(f"{topic}-value", Schema.from_dict(dict(payload)))
            self._stack = opened
            self.engine = self.engine_with(conf or {})
            self.bodies = self.fastavro_write(rows)
            self.frames: list[bytes] = self.encrypt(self.bodies)
            self.incumbent: Incumbent | None = None
            if incumbent:
                self.incumbent = opened.enter_context(Incumbent(self._client, topic, _SECRET))
            self._stack = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def engine_with(self, conf: Mapping[str, object]) -> Engine:
        """Another Engine on the same registry, warmed; it is closed with the session."""
        engine = self._stack.enter_context(
            Engine(self._client, rule_conf={"secret": _SECRET}, conf=dict(conf))
        )
        engine.warm_up(self.topic)
        return engine

    def encrypt(self, bodies: Sequence[bytes], threads: int = 1) -> list[bytes]:
        """Frames of bodies, in one batch."""
        return _good(self.engine.encrypt(self.topic, bodies, threads=threads))

    def decrypt(self, frames: Sequence[bytes], threads: int = 1) -> list[bytes]:
        """Bodies of frames, in one batch."""
        return _good(self.engine.decrypt(self.topic, frames, threads=threads))

    def serialize(self, rows: Sequence[Any], threads: int = 1) -> list[bytes]:
        """Frames of rows, in one batch."""
        return _good(self.engine.serialize(self.topic, rows, threads=threads))

    def deserialize(self, frames: Sequence[bytes], threads: int = 1) -> list[Any]:
        """Rows of frames, in one batch."""
        return _good(self.engine.deserialize(self.topic, frames, threads=threads))

    def each(self, call: str, given: Sequence[Any]) -> None:
        """One of the four calls above, a message a call."""
        run, topic = getattr(self.engine, call), self.topic
        for one in given:
            run(topic, [one])

    def fastavro_write(self, rows: Sequence[Any]) -> list[bytes]:
        """Bodies, without encryption."""
        return fastavro_write(self._schema, rows)

    def fastavro_read(self, bodies: Sequence[bytes]) -> list[Any]:
        """Rows, without encryption."""
        return fastavro_read(self._schema, bodies)

    def fresh_rows(self) -> list[Any]:
        """Copies for confluent-kafka's serializer, which overwrites the rows it gets."""
        return copies(self.rows)

    def wrong(self) -> list[str]:
        """Those of our ways that give other rows or bodies than went in.

        Raises:
            CsfleError: a row fails.
        """
        expected = self._expected()
        checks = {
            "decrypt(encrypt)": self.decrypt(self.frames) == self.bodies,
            "deserialize(encrypt)": self._again(self.deserialize(self.frames)) == expected,
            "deserialize(serialize)": self._again(self.deserialize(self.serialize(self.rows))) == expected,
        }
        return [name for name, equal in checks.items() if not equal]

    def disagreements(self) -> list[str]:
        """Where confluent-kafka and we do not read each other's frames as the rows that went in."""
        theirs, expected = self.incumbent, self._expected()
        if theirs is None:
            return []
        found = []
        try:
            found += _differing(
                "confluent-kafka reads ours", self._again(theirs.deserialize(self.frames)), expected
            )
            frames = theirs.serialize(self.fresh_rows())
        except Exception as error:  # noqa: BLE001 - of whatever kind, and its text may quote a value
            return [*found, f"confluent-kafka fails on these rows ({type(error).__name__})"]
        rows = self.engine.deserialize(self.topic, frames).values
        return found + _differing("confluent-kafka read by us", self._again(rows), expected)

    def _expected(self) -> list[bytes | None]:
        """Defaults, time zones and the like are as fastavro reads them back: so are everybody's rows."""
        return self._again(self.fastavro_read(self.fastavro_write(self.rows)))

    def _again(self, rows: Sequence[Any]) -> list[bytes | None]:
        """Rows as bodies: there, NaN equals itself. None where a row does not fit."""
        return [self._body(row) for row in rows]

    def _body(self, row: Any) -> bytes | None:
        try:
            return self.fastavro_write([row])[0]
        except Exception:  # noqa: BLE001 - whatever fastavro raises
            return None


def _good(result: Any) -> list[Any]:
    result.raise_for_errors()
    values: list[Any] = result.values
    return values


def _differing(what: str, found: Sequence[bytes | None], expected: Sequence[bytes | None]) -> list[str]:
    count = sum(one != other for one, other in zip(found, expected, strict=True))
    return [f"{what}: {count:,} of {len(expected):,} rows differ"] if count else []
