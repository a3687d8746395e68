"""What the pipelines that consume have in common: batches that are opened while the next one is fetched."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, Message
from tenacity import (
    RetryCallState,
    Retrying,
    retry_base,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from csfle_fast.connect.errors import DataException, PipelineError
from csfle_fast.connect.intake import Intake, Place, is_passing, last_offsets
from csfle_fast.connect.results import SinkResult
from csfle_fast.connect.settings import ConnectorSettings
from csfle_fast.connect.sink import SinkHook
from csfle_fast.errors import ConfigError

__all__ = ["GRACE_SEC", "UNTIL_SETTLED", "Patience", "Pipeline", "PipelineReport", "StoppedError"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_FIRST_DELAY_SEC = 0.2
_SLICE_SEC = 0.1
#: How long what was sent to Kafka may take once a pipeline is to stop.
GRACE_SEC = 30.0


@dataclass
class PipelineReport:
    """What a pipeline did.

    Attributes:
        consumed: messages that were taken.
        delivered: records that were handed over, or produced.
        failed: records that failed.
        dead_letters: dead letters written; fewer than ``failed`` where there is no topic for them.
        batches: batches that were committed.
    """

    consumed: int = 0
    delivered: int = 0
    failed: int = 0
    dead_letters: int = 0
    batches: int = 0


class StoppedError(Exception):
    """Somebody asked the pipeline to stop while it waited; the batch at hand is not committed."""


class Patience:
    """Trying again, by ``errors.retry.timeout`` and ``errors.retry.delay.max.ms``.

    Args:
        settings: for the two.
        sleep: spends seconds.
    """

    def __init__(self, settings: ConnectorSettings, sleep: Callable[[float], None]) -> None:
        self._settings = settings
        self._sleep = sleep

    def call(self, again: retry_base, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Call a function until ``again`` is content or the time is over; then its last outcome holds."""
        retrying = Retrying(
            sleep=self._sleep,
            stop=stop_after_delay(self._settings.retry_timeout_sec),
            wait=wait_random_exponential(_FIRST_DELAY_SEC, self._settings.retry_delay_max_sec),
            retry=again,
            retry_error_callback=lambda state: state.outcome.result(),  # type: ignore[union-attr]
        )
        return retrying(function, *args, **named)


class _Batch(NamedTuple):
    messages: list[Message]
    opened: Future[SinkResult]


@dataclass
class _Claim:
    """Whether what is being delivered is still ours to deliver."""

    messages: list[Message]
    lost: bool = False

    def is_of(self, places: Collection[Place]) -> bool:
        """Whether it holds messages of these partitions."""
        return not last_offsets(self.messages).keys().isdisjoint(places)


class Pipeline(ABC):
    """Consumes, opens and delivers; one batch is opened by a thread while the next one is consumed.

    A batch is finished before the next, and before its partitions go to another member of the group.

    Args:
        hook: what opens messages.
        consumer: with ``enable.auto.commit=false``; it stays the caller's.
        topics: what to subscribe to; by default ``topics`` of the settings.
        stop: ends the pipeline when it is set; what was consumed is finished first.
        batch_size: most messages in a batch; by default ``max.poll.records``.
        wait_sec: how long to wait at most for a batch to fill.
        threads: how many may open one batch.
        bodies: Avro bodies instead of rows.
        until_end: end where each partition ended when it was assigned.

    Raises:
        ConfigError: there are no topics, or the dead letter topic is among them without ``until_end``.
    """

    def __init__(
        self,
        hook: SinkHook,
        consumer: Consumer,
        *,
        topics: Sequence[str] = (),
        stop: threading.Event | None = None,
        batch_size: int | None = None,
        wait_sec: float = 0.1,
        threads: int = 1,
        bodies: bool = False,
        until_end: bool = False,
    ) -> None:
        subscribed = list(topics) or list(hook.settings.topics)
        if not subscribed:
            raise ConfigError("topics: name the topics to consume, as an argument or in the properties")
        if hook.settings.dead_letter_topic in subscribed and not until_end:
            raise ConfigError(
                "topics: dead letters that fail again would be read again for ever; replay with until_end"
            )
        self.hook = hook
        self.consumer = consumer
        self.report = PipelineReport()
        self.intake = Intake(
            consumer,
            subscribed,
            size=batch_size or hook.settings.max_poll_records,
            give_up=self._give_up,
            lost=self._lost,
            until_end=until_end,
        )
        self.patience = Patience(hook.settings, self.wait)
        self._stop = stop or threading.Event()
        self._wait_sec = wait_sec
        self._threads = threads
        self._bodies = bodies
        self._pending: deque[_Batch] = deque()
        self._claim: _Claim | None = None
        self._giving_up = False
        self._stopped_at: float | None = None

    def run(self) -> PipelineReport:
        """Work until ``stop`` is set, the end is reached, or something is wrong.

        Raises:
            PipelineError: tolerance_exceeded, dead_letters_failed, not_delivered, transaction_failed.
            KafkaException: Kafka refuses for good.
            Exception: whatever a handler raised.
        """
        with ThreadPoolExecutor(1, "csfle-fast-open") as pool:
            self.intake.start()
            try:
                while not self._stop.is_set() and not self.intake.ended:
                    self._step(pool)
                while self._pending:
                    self._finish(self._pending.popleft())
            except StoppedError:
                pass
            finally:
                self._pending.clear()
                self._leave()
        return self.report

    @abstractmethod
    def deliver(self, messages: list[Message], result: SinkResult) -> None:
        """Bring a batch to safety and commit it; raises where that cannot be done."""

    def wait(self, seconds: float) -> None:
        """Spend time as a member of the group.

        Raises:
            StoppedError: the pipeline is to stop; or what is being delivered belongs to another member now,
                or will in a moment: the whole group waits for this one to give its partitions up.
        """
        if self._giving_up and self._claim is not None:
            raise self.start_over(self._claim.messages)
        left = seconds
        while True:
            self.intake.wait(min(left, _SLICE_SEC))
            left -= _SLICE_SEC
            if self._stop.is_set() or (self._claim is not None and self._claim.lost):
                raise StoppedError
            if left <= 0:
                return

    def hold(self, seconds: float) -> None:
        """As ``wait``, for what is under way: it is not given up at once when the pipeline is to stop.

        Raises:
            StoppedError: it still is not done half a minute later, or it belongs to another member now.
        """
        self.intake.wait(seconds)
        if self._stop.is_set() and self._stopped_at is None:
            self._stopped_at = time.monotonic()
        late = self._stopped_at is not None and time.monotonic() > self._stopped_at + GRACE_SEC
        if late or (self._claim is not None and self._claim.lost):
            raise StoppedError

    def start_over(self, messages: list[Message]) -> StoppedError:
        """Have a batch, and what stands behind it, consumed again from where offsets are committed.

        For a batch of which it is not known whether it was committed. Gives what to raise.
        """
        self._lost(last_offsets(messages).keys())
        return StoppedError()

    def exceeded(self, errors: Sequence[DataException]) -> PipelineError | None:
        """What to raise, once the dead letters are written, where no error is tolerated."""
        if not errors or self.hook.settings.tolerance == "all":
            return None
        first, name = errors[0], self.hook.settings.name
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        error = PipelineError(
            "tolerance_exceeded",
            f"{name}: errors.tolerance is none, and a record of topic {first.topic}, partition "
            f"{first.partition}, offset {first.kafka_offset} failed: {first.message} [{first.code}]{more}",
        )
        error.__cause__ = first
        return error

    def _step(self, pool: ThreadPoolExecutor) -> None:
        taken = self.intake.take(0 if self._pending else self._wait_sec)
        if taken:
            self.report.consumed += len(taken)
            self._pending.append(_Batch(taken, pool.submit(self._open, taken)))
        if len(self._pending) > 1 or (self._pending and not taken):
            self._finish(self._pending.popleft())

    def _leave(self) -> None:
        """See that what was delivered is committed, and leave the group."""
        try:
            patience = Patience(self.hook.settings, self.hold)
            patience.call(retry_if_exception(is_passing), self.intake.settle)
        except (KafkaException, StoppedError) as error:
            _log.warning(
                "%s: the last offsets are not committed (%s), some records will be handed over again",
                self.hook.settings.name,
                type(error).__name__,
            )
        finally:
            self.intake.stop()

    def _open(self, messages: list[Message]) -> SinkResult:
        return self.hook.decrypt(messages, threads=self._threads, bodies=self._bodies)

    def _finish(self, batch: _Batch) -> None:
        claim = self._claim = _Claim(batch.messages)
        try:
            result = batch.opened.result()
            if result.retriable:
                result = self.patience.call(UNTIL_SETTLED, self._open, batch.messages)
            self.deliver(batch.messages, result)
        except StoppedError:
            if not claim.lost:
                raise
            self.intake.drop(batch.messages)
        finally:
            self._claim = None

    def _give_up(self, places: Collection[Place]) -> None:
        """Partitions go to another member: finish what is at hand, or leave it to that member."""
        if self._claim is not None:  # a batch is being delivered and waits: this is told from inside of it
            self._lost(places)
            return
        self._giving_up = True
        try:
            while self._pending:
                self._finish(self._pending.popleft())
        finally:
            self._giving_up = False

    def _lost(self, places: Collection[Place]) -> None:
        if self._claim is not None and self._claim.is_of(places):
            self._claim.lost = True
        kept: deque[_Batch] = deque()
        dropping = self._claim is not None and self._claim.lost
        for batch in self._pending:
            # Behind a batch that is dropped none may be delivered: its rest is consumed again, in order.
            dropping = dropping or _Claim(batch.messages).is_of(places)
            if dropping:
                self.intake.drop(batch.messages)
            else:
                kept.append(batch)
        self._pending = kept


class _UntilSettled(retry_base):
    """Again while the result of a hook says that it may be better next time."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        outcome = retry_state.outcome
        return outcome is not None and not outcome.failed and outcome.result().retriable


UNTIL_SETTLED = _UntilSettled()
