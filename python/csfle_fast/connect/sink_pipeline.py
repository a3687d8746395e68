"""``run_sink``: from topics to a handler, with dead letters, at least once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, Message, Producer
from tenacity import retry_if_exception_type

from csfle_fast.connect.dead_letters import DeadLetter, Stage
from csfle_fast.connect.delivery import Delivery
from csfle_fast.connect.errors import DataException, RetriableError
from csfle_fast.connect.pipeline import GRACE_SEC, Pipeline, PipelineReport
from csfle_fast.connect.records import SinkBatch
from csfle_fast.connect.results import SinkResult
from csfle_fast.connect.sink import SinkHook
from csfle_fast.errors import ConfigError

__all__ = ["TASK_PUT", "Handler", "run_sink"]

#: Stores the records of a batch, and returns once they are safe.
Handler = Callable[[SinkBatch], object]

#: Connect's names for a record that the connector itself gives up.
TASK_PUT = Stage("TASK_PUT", "org.apache.kafka.connect.sink.SinkTask")


def run_sink(
    hook: SinkHook,
    consumer: Consumer,
    handle: Handler,
    *,
    producer: Producer | None = None,
    **options: Any,
) -> PipelineReport:
    """Consume, decrypt, hand over; offsets are committed when rows and dead letters are safe.

    At least once: after a crash, or where another member takes over, records may be handed over again.

    Args:
        hook: opens the messages; its settings decide on failures, dead letters and retries.
        consumer: with ``enable.auto.commit=false``, not subscribed; it stays the caller's.
        handle: stores a SinkBatch and returns once it is safe. It gives up single records by
            ``batch.report(position, reason)``; a RetriableError has it called again with the same batch,
            within ``errors.retry.timeout``; any other exception ends the pipeline, and nothing of the
            batch is committed.
        producer: for dead letters; needed unless the settings name no topic for them. It stays the caller's.
        options: ``topics``, ``stop``, ``batch_size``, ``wait_sec``, ``threads``, ``bodies``,
            ``until_end`` of Pipeline.

    Raises:
        ConfigError: no topics, or no producer for the dead letters.
        PipelineError: tolerance_exceeded, a record failed and ``errors.tolerance`` is none: its dead
            letter is written, and nothing of its batch was handed over; dead_letters_failed, they could
            not be written.
        KafkaException: Kafka refuses for good.
        Exception: whatever ``handle`` raised.
    """
    if producer is None and hook.settings.dead_letter_topic is not None:
        raise ConfigError(
            f"producer: dead letters go to {hook.settings.dead_letter_topic}, which needs a producer; or set "
            "errors.deadletterqueue.topic.name to nothing"
        )
    return _SinkPipeline(hook, consumer, handle, producer, **options).run()


class _SinkPipeline(Pipeline):
    def __init__(
        self,
        hook: SinkHook,
        consumer: Consumer,
        handle: Handler,
        producer: Producer | None,
        **options: Any,
    ) -> None:
        super().__init__(hook, consumer, **options)
        self._handle = handle
        self._delivery = None if producer is None else Delivery(producer, "dead_letters_failed")

    def deliver(self, messages: list[Message], result: SinkResult) -> None:
        self._bury(result.errors, result.dead_letters)
        batch = SinkBatch(messages, result)
        if len(batch):
            self.patience.call(retry_if_exception_type(RetriableError), self._hand_over, batch)
        if batch.rejected:
            errors = [batch.rejected[position] for position in sorted(batch.rejected)]
            letters = [self.hook.dead_letter(batch.messages[error.row], error, TASK_PUT) for error in errors]
            self._bury(errors, [letter for letter in letters if letter is not None])
        self.intake.commit(messages)
        self.report.delivered += len(batch) - len(batch.rejected)
        self.report.batches += 1

    def _hand_over(self, batch: SinkBatch) -> None:
        batch.rejected.clear()  # it may be called again
        self._handle(batch)

    def _bury(self, errors: Sequence[DataException], letters: Sequence[DeadLetter]) -> None:
        """Write dead letters, and then raise if no error is tolerated."""
        if letters and self._delivery is not None:
            for letter in letters:
                self._delivery.send(**letter._asdict())
            self._delivery.settle(max(self.hook.settings.retry_timeout_sec, GRACE_SEC), self.hold)
            self.report.dead_letters += len(letters)
        self.report.failed += len(errors)
        exceeded = self.exceeded(errors)
        if exceeded is not None:
            raise exceeded
