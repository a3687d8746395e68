"""``run_source``: from anything that yields records to a topic."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from confluent_kafka import Producer

from csfle_fast.connect.delivery import Delivery
from csfle_fast.connect.errors import PipelineError
from csfle_fast.connect.pipeline import GRACE_SEC, UNTIL_SETTLED, Patience, PipelineReport, StoppedError
from csfle_fast.connect.records import SourceRecord
from csfle_fast.connect.results import SourceResult
from csfle_fast.connect.source import SourceHook

__all__ = ["run_source"]


def run_source(
    hook: SourceHook,
    producer: Producer,
    topic: str,
    rows: Iterable[Any],
    *,
    safe: Callable[[int], object] | None = None,
    stop: threading.Event | None = None,
    batch_size: int = 500,
    threads: int = 1,
) -> PipelineReport:
    """Encrypt and produce; at least once, if what yields the rows begins again behind those that are safe.

    Args:
        hook: seals the records; its settings decide on failures and retries.
        producer: confluent-kafka's; it stays the caller's.
        topic: where the records go.
        rows: rows, bodies or SourceRecords. A batch is read ahead of what is delivered.
        safe: told, after each batch, how many rows from the first on are dealt with: delivered, or
            failed and tolerated.
        stop: ends the pipeline when it is set; what was produced is delivered first.
        batch_size: most records in a batch.
        threads: how many may seal one batch.

    Raises:
        PipelineError: tolerance_exceeded, a record failed and ``errors.tolerance`` is none: nothing of its
            batch is produced; not_delivered.
    """
    return _SourcePipeline(hook, producer, topic, safe, stop or threading.Event(), threads).run(
        iter(rows), batch_size
    )


class _SourcePipeline:
    def __init__(
        self,
        hook: SourceHook,
        producer: Producer,
        topic: str,
        safe: Callable[[int], object] | None,
        stop: threading.Event,
        threads: int,
    ) -> None:
        self._hook = hook
        self._delivery = Delivery(producer)
        self._topic = topic
        self._safe = safe
        self._stop = stop
        self._threads = threads
        self._patience = Patience(hook.settings, self._wait)
        self._report = PipelineReport()
        self._stopped_at: float | None = None

    def run(self, rows: Iterator[Any], batch_size: int) -> PipelineReport:
        """Batch by batch; one is sealed while the one before is delivered."""
        while not self._stop.is_set():
            try:
                records = [_record(row) for row in islice(rows, batch_size)]
            except BaseException:
                self._settle()  # what was there before is safe, and told so
                raise
            if not records:
                break
            try:
                sealed = self._seal(records)
            except StoppedError:
                break
            self._settle()
            self._produce(records, sealed)
        self._settle()
        return self._report

    def _seal(self, records: list[SourceRecord]) -> SourceResult[list[bytes | None]]:
        values = [record.value for record in records]
        keys = [record.key for record in records]
        sealed = self._patience.call(
            UNTIL_SETTLED, lambda: self._hook.encrypt(self._topic, values, keys, threads=self._threads)
        )
        if sealed.errors and self._hook.settings.tolerance == "none":
            self._settle()
            first = sealed.errors[0]
            row = self._report.consumed + first.row
            raise PipelineError(
                "tolerance_exceeded",
                f"{self._hook.settings.name}: errors.tolerance is none, and record {row} for topic "
                f"{self._topic} failed: {first.part}, {first.reason} [{first.code}]",
            ) from first
        return sealed

    def _produce(self, records: list[SourceRecord], sealed: SourceResult[list[bytes | None]]) -> None:
        failed = {error.row for error in sealed.errors}
        for row, record in enumerate(records):
            if row in failed:
                continue
            headers = record.outgoing(sealed.headers[row] if sealed.headers else ())
            self._delivery.send(
                topic=self._topic,
                key=None if sealed.keys is None else sealed.keys[row],
                value=sealed.values[row],
                headers=headers,
                timestamp=max(record.timestamp, 0),
            )
        self._report.consumed += len(records)
        self._report.failed += len(failed)

    def _settle(self) -> None:
        try:
            self._delivery.settle(max(self._hook.settings.retry_timeout_sec, GRACE_SEC), self._hold)
        except StoppedError:
            raise PipelineError(
                "not_delivered", "the pipeline was stopped, and Kafka does not take what was produced"
            ) from None
        handled = self._report.consumed
        if self._safe is not None and handled:
            self._safe(handled)
        delivered = handled - self._report.failed
        self._report.batches += delivered > self._report.delivered
        self._report.delivered = delivered

    def _hold(self, seconds: float) -> None:
        """Spend time while Kafka takes what was produced; not for long once the pipeline is to stop."""
        time.sleep(seconds)
        if self._stop.is_set() and self._stopped_at is None:
            self._stopped_at = time.monotonic()
        if self._stopped_at is not None and time.monotonic() > self._stopped_at + GRACE_SEC:
            raise StoppedError

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError


def _record(row: Any) -> SourceRecord:
    return row if isinstance(row, SourceRecord) else SourceRecord(row)
