"""The Engine: the facade that everything else is built on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import fork
from csfle_fast._core import MISSES_PER_BATCH, Tally
from csfle_fast.batches import (
    Batch,
    Fault,
    as_batch,
    check_call,
    headers_for,
    nothing,
    nothing_in,
    packed_rows,
    row_errors,
)
from csfle_fast.errors import BatchError, ConfigError, CsfleError
from csfle_fast.explain import FieldPlan, explain
from csfle_fast.keys import KeyService
from csfle_fast.objects import decode
from csfle_fast.plans import Plans
from csfle_fast.read_sides import ReadSides, ReadTarget
from csfle_fast.reading import ReadSide
from csfle_fast.refresher import Refresher
from csfle_fast.registry import Registry
from csfle_fast.results import Headers, PackedRows, Result
from csfle_fast.rules import RulesToRun
from csfle_fast.sealing import Done, seal
from csfle_fast.settings import Settings
from csfle_fast.writing import WriteSnapshot, WriteSnapshots, WriteTarget

__all__ = ["Engine"]

_Values = list[bytes | None]

#: The threads that need no check: the very object, since 1.0 and True equal it.
_ONE = 1

#: Topics that snapshots are kept for, for reading and for writing.
_MOST_TOPICS = 1_000


class Engine:
    """Encrypts and decrypts batches by the rules in a Schema Registry. Safe to share between threads.

    A batch is a ``list[bytes]`` (``None`` items are tombstones and stay ``None``), and gives a list;
    or a pair ``(buffer, int64 offsets)``, and gives a PackedRows. Rows fail one by one: see Result.
    What concerns the whole batch (no schema, no key to seal with) is raised.

    Args:
        schema_registry_client: confluent-kafka's own client, real or ``mock://``. It stays the
            caller's, and is never closed here.
        rule_conf: KMS credentials, by the names that Confluent's clients use (``secret``, ...).
        conf: settings; see docs/settings.md or ``csfle_fast.settings.SETTINGS``.

    Raises:
        ConfigError: (a ValueError) a setting is unknown or not allowed.
    """

    def __init__(
        self,
        schema_registry_client: SchemaRegistryClient,
        rule_conf: Mapping[str, object] | None = None,
        conf: Mapping[str, object] | None = None,
    ) -> None:
        self._settings = Settings.parse(conf)
        self._refresher = Refresher()
        self._registry = Registry(schema_registry_client, settings=self._settings, refresher=self._refresher)
        self._keys = KeyService(schema_registry_client, rule_conf, self._settings, refresher=self._refresher)
        self._plans = Plans(self._settings)
        self._tally = Tally()
        self._writes = WriteSnapshots(self._registry, self._keys, self._plans, _MOST_TOPICS)
        self._reads = ReadSides(self._registry, self._keys, self._plans, self._settings, _MOST_TOPICS)
        self._closed = False
        fork.register(self)

    @overload
    def encrypt(
        self, topic: str, bodies: Sequence[bytes | None], *, schema_id: int | None = ..., field: str = ...,
        framing: Literal["prefix", "header"] = ..., threads: int = ..., rules: Literal["all", "none"] = ...,
    ) -> Result[_Values]: ...  # fmt: skip

    @overload
    def encrypt(
        self, topic: str, bodies: tuple[Any, Any], *, schema_id: int | None = ..., field: str = ...,
        framing: Literal["prefix", "header"] = ..., threads: int = ..., rules: Literal["all", "none"] = ...,
    ) -> Result[PackedRows]: ...  # fmt: skip

    def encrypt(
        self,
        topic: str,
        bodies: Batch,
        *,
        schema_id: int | None = None,
        field: str = "value",
        framing: Literal["prefix", "header"] = "prefix",
        threads: int = 1,
        rules: Literal["all", "none"] = "all",
    ) -> Result[Any]:
        """Bodies to frames.

        Args:
            topic: the topic they will be produced to.
            bodies: Avro bodies of the subject's latest schema, or of ``schema_id``'s.
            schema_id: the version that the bodies were encoded with, where that may not be the latest.
            field: ``key`` or ``value``.
            framing: where the schema is named: in front of each body, or in a header.
            threads: how many may work on the batch; small batches use one.
            rules: ``none`` runs none: tagged values stay plaintext.

        Raises:
            CsfleError: the schema, a rule or a key cannot be had, or the batch is malformed.
        """
        batch, packed, length = as_batch(bodies)
        snapshot = self._writes.at_hand(topic, field, schema_id, framing, False, rules) if length else None
        if snapshot is None or threads is not _ONE:
            check_call(topic, field, threads, rules, framing)
        if snapshot is None:
            self._check_open()
            if nothing_in(batch, packed, length):
                self._tally.encrypted(length, 0, length, 0, 0)
                return nothing(length, packed, framing)
            snapshot = self._write(WriteTarget(topic, field, schema_id, framing, False, rules))
        values, faults, done = seal(self._writes, snapshot, batch, threads, packed)
        self._tally.encrypted(length, len(faults), done[3], done[0], done[2])
        headers = headers_for(snapshot.header, range(length) if packed else values)
        return Result(packed_rows(values) if packed else values, row_errors(faults), headers=headers)

    @overload
    def decrypt(
        self, topic: str, frames: Sequence[bytes | None], *, headers: Sequence[Headers | None] | None = ...,
        field: str = ..., threads: int = ..., rules: RulesToRun = ...,
    ) -> Result[_Values]: ...  # fmt: skip

    @overload
    def decrypt(
        self, topic: str, frames: tuple[Any, Any], *, headers: Sequence[Headers | None] | None = ...,
        field: str = ..., threads: int = ..., rules: RulesToRun = ...,
    ) -> Result[PackedRows]: ...  # fmt: skip

    def decrypt(
        self,
        topic: str,
        frames: Batch,
        *,
        headers: Sequence[Headers | None] | None = None,
        field: str = "value",
        threads: int = 1,
        rules: RulesToRun = "all",
    ) -> Result[Any]:
        """Frames to bodies, each of its own writer schema (``Result.schema_ids``).

        Args:
            topic: the topic they come from.
            frames: what was consumed.
            headers: the Kafka headers of each row; one that names a schema goes before the frame's prefix.
            field: ``key`` or ``value``.
            threads: how many may work on the batch; small batches use one.
            rules: ``none`` opens nothing: tagged values stay as they are. ``own`` lets each frame's own
                version decide, also under ``use.latest.version``.

        Raises:
            CsfleError: the batch is malformed, or the subject cannot be told.
        """
        batch, packed, length = as_batch(frames)
        side = self._side(topic, field, False, rules, threads)
        values, faults, lanes, done, missed = self._open(side, batch, headers, field, threads, packed)
        self._tally.decrypted(length, len(faults), done[3], done[1], missed)
        values = packed_rows(values) if packed else values
        return Result(values, row_errors(faults), schema_ids=(side.schema_ids, lanes))

    def serialize(
        self,
        topic: str,
        rows: Sequence[Any],
        *,
        field: str = "value",
        framing: Literal["prefix", "header"] = "prefix",
        threads: int = 1,
        rules: Literal["all", "none"] = "all",
    ) -> Result[_Values]:
        """Rows (dicts, for a record schema) to frames, by the subject's latest schema.

        Args:
            topic: the topic they will be produced to.
            rows: rows as fastavro takes them. They are not changed.
            field: ``key`` or ``value``.
            framing: where the schema is named: in front of each body, or in a header.
            threads: how many may work on the batch; small batches use one.
            rules: ``none`` runs none: tagged values stay plaintext.

        Raises:
            CsfleError: the schema, a rule or a key cannot be had.
        """
        if isinstance(rows, Mapping | str | bytes):
            raise BatchError("bad_batch", "rows are a sequence of rows, not one row")
        rows = tuple(rows)  # ours alone, whatever becomes of the caller's
        snapshot = self._writes.at_hand(topic, field, None, framing, True, rules)
        if snapshot is None or threads is not _ONE:
            check_call(topic, field, threads, rules, framing)
        if snapshot is None:
            self._check_open()
            if nothing_in(rows, False, len(rows)):
                self._tally.encrypted(len(rows), 0, len(rows), 0, 0)
                return nothing(len(rows), False, framing)
            snapshot = self._write(WriteTarget(topic, field, None, framing, True, rules))
        assert snapshot.codec is not None  # noqa: S101 - a snapshot for rows has one
        encoded = snapshot.codec.encode(rows)
        values, faults, done = seal(self._writes, snapshot, encoded.bodies, threads, packed=False)
        errors = row_errors(faults, encoded.rows)
        if encoded.rows is not None:
            spread: _Values = [None] * len(rows)
            for row, value in zip(encoded.rows, values, strict=True):
                spread[row] = value
            values = spread
            errors = sorted(errors + encoded.errors, key=lambda error: error.row)
        self._tally.encrypted(len(rows), len(errors), encoded.tombstones, done[0], done[2])
        self._tally.coded(len(rows) - encoded.tombstones, encoded.by_fastavro)
        return Result(values, errors, headers=headers_for(snapshot.header, values))

    def deserialize(
        self,
        topic: str,
        frames: Sequence[bytes | None],
        *,
        headers: Sequence[Headers | None] | None = None,
        field: str = "value",
        threads: int = 1,
        rules: RulesToRun = "all",
    ) -> Result[list[Any]]:
        """Frames to rows, as fastavro gives them; in the latest schema's shape with ``use.latest.version``.

        Args:
            topic: the topic they come from.
            frames: what was consumed.
            headers: the Kafka headers of each row; one that names a schema goes before the frame's prefix.
            field: ``key`` or ``value``.
            threads: how many may work on the batch; small batches use one.
            rules: as for ``decrypt``; a field that is left as it is comes without its logical type.

        Raises:
            CsfleError: the batch is malformed, or the subject cannot be told.
        """
        batch, packed, length = as_batch(frames)
        if packed:
            raise BatchError("bad_batch", "deserialize takes a list of frames")
        side = self._side(topic, field, True, rules, threads)
        bodies, faults, lanes, done, missed = self._open(side, batch, headers, field, threads, packed)
        errors = row_errors(faults)
        decoded = decode(bodies, side.codecs(lanes), side.latest_codec)
        if decoded.errors:
            errors = sorted(errors + decoded.errors, key=lambda error: error.row)
        self._tally.decrypted(length, len(errors), done[3], done[1], missed)
        self._tally.coded(len(bodies) - bodies.count(None), decoded.by_fastavro)
        return Result(decoded.rows, errors, schema_ids=(side.schema_ids, lanes))

    def writer_schema(self, topic: str, field: str = "value") -> tuple[int, str]:
        """The subject's latest schema id, and its schema as JSON text with all references written out.

        Encode bodies with that text and hand them to ``encrypt`` with that id: the two stay a pair
        when a newer version is registered in between.

        Raises:
            CsfleError: there is no such subject, or its schema is not valid.
        """
        self._check_open()
        version = self._registry.latest(self._registry.subject(topic, field))
        if version.schema_id is None:
            raise CsfleError("no_schema_id", f"subject {version.subject}: the registry tells no schema id")
        text = self._plans.schema(version).codec_schema() if version.references else version.schema
        return version.schema_id, text

    def warm_up(
        self, topic: str, field: str = "value", mode: Literal["WRITE", "READ", "WRITEREAD"] = "WRITEREAD"
    ) -> None:
        """Do now what the first batch would have to wait for: schema, rules, KEKs, DEKs, plans.

        Args:
            topic: the topic.
            field: ``key`` or ``value``.
            mode: what the program will do; READ alone registers nothing.

        Raises:
            CsfleError: the schema, a rule or a key cannot be had; on READ, a key that no writer has
                made yet is no error.
        """
        if mode not in ("WRITE", "READ", "WRITEREAD"):
            raise ConfigError("mode is WRITE, READ or WRITEREAD")
        self._check_open()
        if mode != "READ":
            for rows in (False, True):
                self._write(WriteTarget(topic, field, None, "prefix", rows))
        if mode != "WRITE":
            latest = self._registry.latest(self._registry.subject(topic, field))
            for rows in (False, True):
                self._reads.get(ReadTarget(topic, field, rows)).preload(latest)

    def explain(self, topic: str, field: str = "value") -> list[FieldPlan]:
        """What would happen to each tagged field of the subject's latest schema, and why.

        Raises:
            CsfleError: the schema cannot be had, or a rule is not valid.
        """
        self._check_open()
        version = self._registry.latest(self._registry.subject(topic, field))
        write, read = self._plans.select(version, "WRITE"), self._plans.select(version, "READ")
        return explain(version, self._plans.schema(version), write, read, self._settings.tag_inheritance)

    def stats(self) -> dict[str, int]:
        """Counters by the names in ``csfle_fast.metrics``, and the seals of each DEK in use."""
        stats = self._tally.read()
        stats.update(self._keys.counters())
        stats["registry_requests"] = self._registry.requests
        stats["failures_bridged"] += self._registry.bridged
        stats["background_refreshes"] = self._refresher.submitted
        stats.update(self._keys.seals())
        return stats

    def close(self) -> None:
        """Forget every key. Later calls on batches are errors."""
        self._closed = True
        self._refresher.close()
        self._writes.close()
        self._reads.close()
        self._keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reset_locks(self) -> None:
        """In a forked child: gives it locks that no thread of its parent holds."""
        self._refresher.reset_locks()
        self._registry.reset_locks()
        self._keys.reset_locks()
        self._writes.reset_locks()
        self._reads.reset_locks()

    def _check_open(self) -> None:
        if self._closed:
            raise CsfleError("engine_closed", "the Engine is closed")

    def _write(self, target: WriteTarget) -> WriteSnapshot:
        snapshot = self._writes.get(target)
        self._check_open()  # behind the making: a snapshot made while the Engine was closed is dropped
        return snapshot

    def _side(self, topic: str, field: str, rows: bool, rules: RulesToRun, threads: int) -> ReadSide:
        side = self._reads.at_hand(topic, field, rows, rules)
        if side is None or threads is not _ONE:
            check_call(topic, field, threads, rules)
        if side is None:
            self._check_open()
            side = self._reads.get(ReadTarget(topic, field, rows, rules))
        return side

    @staticmethod
    def _open(
        side: ReadSide,
        batch: Any,
        headers: Sequence[Headers | None] | None,
        field: str,
        threads: int,
        packed: bool,
    ) -> tuple[Any, list[Fault], list[int | None], Done, int]:
        """What the core gives of frames, once nothing is missing, and how much was."""
        named = None if headers is None else list(headers)
        header_name = f"__{field}_schema_id"
        missed = 0
        reader = side.reader
        while True:
            # What is missing is found once a batch; then the batch is opened by one new snapshot.
            room = MISSES_PER_BATCH - missed
            values, faults, misses, lanes, done = reader.decrypt(
                batch, fork.pool(), threads, packed, named, header_name, room
            )
            if not misses:
                return values, faults, lanes, done, missed
            found = misses[:room]
            side.resolve(found)
            reader = side.resolved
            missed += len(found)
