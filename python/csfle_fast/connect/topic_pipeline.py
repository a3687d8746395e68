"""``run_topic``: from topics to a topic, exactly once, by Kafka's transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer
from tenacity import retry_if_exception, retry_if_exception_type

from csfle_fast.connect.dead_letters import CONTEXT_HEADERS, DeadLetter, Stage
from csfle_fast.connect.errors import DataException, PipelineError
from csfle_fast.connect.intake import next_offsets
from csfle_fast.connect.pipeline import UNTIL_SETTLED, Patience, Pipeline, PipelineReport
from csfle_fast.connect.records import SinkBatch, SinkRecord, SourceRecord
from csfle_fast.connect.results import SinkResult, SourceResult
from csfle_fast.connect.sink import SinkHook
from csfle_fast.connect.source import SourceHook
from csfle_fast.errors import ConfigError, CsfleError

__all__ = ["Transform", "run_topic"]

_CALL_SEC = 10.0
_LOST_SEC = 40.0
_SLICE_SEC = 0.1


#: What becomes of one record: none, one, or several.
Transform = Callable[[SinkRecord], SourceRecord | Iterable[SourceRecord] | None]


def run_topic(
    sink: SinkHook,
    source: SourceHook,
    consumer: Consumer,
    producer: Producer,
    topic: str,
    *,
    transform: Transform | None = None,
    **options: Any,
) -> PipelineReport:
    """Consume, decrypt, encrypt for another topic, produce: exactly once.

    A batch, its dead letters and its offsets are one transaction. Hooks without encryption
    (``csfle.enabled=false``) make it a pipeline that only encrypts, or only decrypts.

    Args:
        sink: opens what is consumed; its settings decide on failures, dead letters and retries.
        source: seals what is produced.
        consumer: with ``enable.auto.commit=false``, not subscribed; it stays the caller's.
        producer: with a ``transactional.id``, not initialised; it stays the caller's.
        topic: where the records go.
        transform: makes the records to produce of one that was consumed; by default the same value, key,
            headers and timestamp. If it raises, that record is a dead letter.
        options: as for ``run_sink``, without ``bodies``.

    Raises:
        ConfigError: no topics; ``bodies``, or ``csfle.onFailure=NONE`` where the source encrypts; or the dead
            letter topic without ``until_end``.
        PipelineError: tolerance_exceeded, a record failed and ``errors.tolerance`` is none: its dead
            letter is written, and nothing else of its batch; transaction_failed, another producer with
            the same ``transactional.id`` has taken over, or Kafka did not take the batch in time.
        KafkaException: Kafka refuses for good.
    """
    if options.get("bodies"):
        raise ConfigError("bodies: those of another schema would be sealed in the wrong places; leave it out")
    if source.settings.value.encrypts and "NONE" in (
        sink.settings.value.on_failure,
        sink.settings.key.on_failure,
    ):
        raise ConfigError(
            "csfle.onFailure: NONE hands on ciphertext, which would be encrypted again; use ERROR"
        )
    return _TopicPipeline(sink, source, consumer, producer, topic, transform, options).run()


class _AbortedError(Exception):
    """The transaction was given up, and may be tried again."""


class _TopicPipeline(Pipeline):
    def __init__(
        self,
        sink: SinkHook,
        source: SourceHook,
        consumer: Consumer,
        producer: Producer,
        topic: str,
        transform: Transform | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__(sink, consumer, **options)
        self._source = source
        self._producer = producer
        self._topic = topic
        self._transform = transform or _the_same
        self._stage = Stage("TRANSFORMATION", getattr(transform, "__qualname__", type(transform).__name__))

    def run(self) -> PipelineReport:
        self._persist(self._producer.init_transactions)
        return super().run()

    def deliver(self, messages: list[Message], result: SinkResult) -> None:
        batch = SinkBatch(messages, result)
        errors, letters = list(result.errors), list(result.dead_letters)
        records, origins = self._transformed(batch)
        sealed = self._seal(records)
        for failure in sealed.errors:
            position = origins[failure.row]
            batch.rejected.setdefault(position, _of_message(failure, batch.messages[position], position))
        for position in sorted(batch.rejected):
            error = batch.rejected[position]
            errors.append(error)
            stage = self._stage if error.code == "rejected" else None
            letter = self.hook.dead_letter(batch.messages[position], error, stage)
            letters += [] if letter is None else [letter]
        outgoing = [row for row in range(len(records)) if origins[row] not in batch.rejected]
        exceeded = self.exceeded(errors)
        if exceeded is not None:
            if letters:
                self._until_committed(letters, [], sealed, [], [])
            self.report.dead_letters += len(letters)
            self.report.failed += len(errors)
            raise exceeded
        self._until_committed(letters, messages, sealed, records, outgoing)
        self.report.delivered += len(outgoing)
        self.report.dead_letters += len(letters)
        self.report.failed += len(errors)
        self.report.batches += 1

    def _transformed(self, batch: SinkBatch) -> tuple[list[SourceRecord], list[int]]:
        """The records to produce, and which of the batch each comes from."""
        records: list[SourceRecord] = []
        origins: list[int] = []
        for record in batch:
            try:
                made = self._transform(record)
                several = [made] if isinstance(made, SourceRecord) else list(made or ())
                if not all(isinstance(one, SourceRecord) for one in several):
                    batch.report(record.position, "the transform gave something that is no SourceRecord")
                    continue
            except Exception as error:  # noqa: BLE001 - the function is the user's
                reason = f"the transform failed ({type(error).__name__})"
                batch.report(record.position, error if isinstance(error, CsfleError) else reason)
                continue
            records += several
            origins += [record.position] * len(several)
        return records, origins

    def _seal(self, records: list[SourceRecord]) -> SourceResult[list[bytes | None]]:
        rows = [record.value for record in records]
        keys = [record.key for record in records]
        return self.patience.call(UNTIL_SETTLED, lambda: self._source.encrypt(self._topic, rows, keys))

    def _until_committed(self, *batch: Any) -> None:
        try:
            self.patience.call(retry_if_exception_type(_AbortedError), self._transact, *batch)
        except _AbortedError:
            raise PipelineError(
                "transaction_failed",
                f"Kafka did not take a transaction in {self.hook.settings.retry_timeout_sec:g} seconds",
            ) from None

    def _transact(
        self,
        letters: Sequence[DeadLetter],
        messages: list[Message],
        sealed: SourceResult[list[bytes | None]],
        records: list[SourceRecord],
        outgoing: list[int],
    ) -> None:
        try:
            self._producer.begin_transaction()
            for row in outgoing:
                self._produce(**self._outgoing(row, records[row], sealed))
            for letter in letters:
                self._produce(**letter._asdict())
            if messages:
                self._send_offsets(messages)
        except TimeoutError:
            # The call is still in there, so that nothing more can be asked of this producer.
            raise PipelineError(
                "transaction_failed", f"the producer has not come back in {_LOST_SEC:g} seconds"
            ) from None
        except KafkaException as error:
            raise self._given_up(error) from None
        except BaseException:
            # Stopped, or lost to another member: what was produced must not become visible.
            self._persist(self._producer.abort_transaction)
            raise
        try:
            self._persist(self._producer.commit_transaction)
        except KafkaException as error:
            raise self._given_up(error, messages) from None

    def _send_offsets(self, messages: list[Message]) -> None:
        """Put the offsets into the transaction.

        Not again within it: what a broker that was killed has forgotten of it, it does not remember by
        being asked more often. Once in a while librdkafka does not come back from such a broker at all,
        whatever time it was given; so a thread waits for it that nobody waits for.

        Raises:
            KafkaException: Kafka did not take them, or not in time.
            TimeoutError: librdkafka does not come back.
        """
        offsets, group = next_offsets(messages), self.consumer.consumer_group_metadata()
        done: Future[None] = Future()

        def send() -> None:
            try:
                self._producer.send_offsets_to_transaction(offsets, group, _CALL_SEC)
            except BaseException as error:  # noqa: BLE001 - told to the one who waits
                done.set_exception(error)
            else:
                done.set_result(None)

        threading.Thread(target=send, name="csfle-fast-offsets", daemon=True).start()
        done.result(_LOST_SEC)

    def _given_up(self, error: KafkaException, committing: list[Message] | None = None) -> Exception:
        """Aborts the transaction, unless it may be committed already; what to raise.

        ``committing`` is the batch whose commit failed. A broker that was killed may have committed it and
        not have come to say so; what is committed decides, so it is not just produced once more.
        """
        reason = error.args[0]
        aborts = not reason.fatal() and (reason.txn_requires_abort() or committing is None)
        if aborts:
            self._persist(self._producer.abort_transaction)
        if aborts and committing:
            return self.start_over(committing)
        if aborts and (reason.txn_requires_abort() or reason.retriable()):
            return _AbortedError()
        return PipelineError("transaction_failed", f"Kafka refuses a transaction ({reason.name()})")

    def _persist(self, call: Callable[[float], object]) -> None:
        """A call that must be made again until it does not time out; also while the pipeline is to stop."""
        Patience(self.hook.settings, time.sleep).call(_WHILE_RETRIABLE, call, _CALL_SEC)

    def _outgoing(
        self, row: int, record: SourceRecord, sealed: SourceResult[list[bytes | None]]
    ) -> dict[str, Any]:
        headers = record.outgoing(sealed.headers[row] if sealed.headers else ())
        return {
            "topic": self._topic,
            "key": None if sealed.keys is None else sealed.keys[row],
            "value": sealed.values[row],
            "headers": headers,
            "timestamp": max(record.timestamp, 0),
        }

    def _produce(self, **record: Any) -> None:
        while True:
            try:
                self._producer.produce(**record)
            except BufferError:
                self._producer.poll(_SLICE_SEC)
            else:
                return


def _the_same(record: SinkRecord) -> SourceRecord:
    # A dead letter that is replayed is none any more.
    headers = [header for header in record.headers if header[0] not in CONTEXT_HEADERS]
    return SourceRecord(record.value, record.key, headers, record.timestamp)


def _of_message(failure: DataException, message: Message, position: int) -> DataException:
    """A failure of what was to be produced, told of the record that it was made of."""
    return DataException(
        position,
        failure.field,
        failure.code,
        failure.reason,
        failure.offset,
        part=failure.part,
        topic=message.topic() or "",
        partition=message.partition(),
        kafka_offset=message.offset(),
    )


_WHILE_RETRIABLE = retry_if_exception(
    lambda error: isinstance(error, KafkaException) and bool(error.args[0].retriable())
)
