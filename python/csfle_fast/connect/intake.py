"""Consuming in batches, and staying a member of the group while other things take their time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

__all__ = ["Intake", "Place", "is_passing", "last_offsets", "next_offsets"]

_log = logging.getLogger(__name__)

#: Topic and partition.
Place = tuple[str, int]

_SLICE_SEC = 0.1
_QUERY_SEC = 30.0
#: Errors that nobody but an administrator can end.
_HOPELESS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - the public name of librdkafka's own codes
    }
)
#: A topic that is not there has no end to wait for.
_NO_END = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART})


class Intake:
    """The consuming end of a pipeline.

    Args:
        consumer: confluent-kafka's, with ``enable.auto.commit=false``; it stays the caller's.
        topics: what to subscribe to.
        size: most messages in a batch.
        give_up: called before partitions go to another member in good order.
        lost: called when they are gone already.
        until_end: whether to end where each partition ended when it was assigned; needs
            ``enable.partition.eof=true``, since behind the last record there may be marks of transactions.
    """

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        *,
        size: int,
        give_up: Callable[[Collection[Place]], None],
        lost: Callable[[Collection[Place]], None],
        until_end: bool,
    ) -> None:
        self._consumer = consumer
        self._topics = list(topics)
        self._size = size
        self._give_up = give_up
        self._lost = lost
        self._until_end = until_end
        self._ends: dict[Place, int] = {}
        self._ended: set[Place] = set()
        self._early: list[Message] = []
        self._moved: set[Place] = set()
        self._dropped: dict[Place, int] = {}
        self._to_settle: dict[Place, int] = {}
        self._assigned = False
        self._in_callback = False

    def start(self) -> None:
        """Subscribe."""
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def stop(self) -> None:
        """Leave the topics; the consumer stays open."""
        self._consumer.unsubscribe()

    @property
    def ended(self) -> bool:
        """Whether every partition was read to the end that it had."""
        if not self._until_end or not self._assigned:
            return False
        return all(_of(place) in self._ended for place in self._consumer.assignment())

    def take(self, timeout_sec: float) -> list[Message]:
        """The next messages: a full batch, or what came within so many seconds.

        Raises:
            KafkaException: an error that waiting will not end.
        """
        self._go_back()
        self._moved.clear()
        early, self._early = self._early[: self._size], self._early[self._size :]
        found = early + self._consumer.consume(self._size - len(early), timeout=0 if early else timeout_sec)
        if self._moved or self._dropped:
            # One call may gather messages from before and from behind a rebalance; those of partitions that
            # moved would be seen twice, even where the partition has come back to this member.
            unsure = self._moved | self._dropped.keys()
            self.drop([message for message in found if _place(message) in unsure])
            found = [message for message in found if _place(message) not in unsure]
        if any(message.error() for message in found) or (self._until_end and self._reaches_an_end(found)):
            found = [message for message in found if not self._is_event(message) and self._is_wanted(message)]
        return found

    def drop(self, messages: Iterable[Message]) -> None:
        """Have these messages consumed again, and what followed them, by whoever has their partitions."""
        for message in messages:
            if message.error() is None:
                place, offset = _place(message), message.offset() or 0
                self._dropped[place] = min(self._dropped.get(place, offset), offset)

    def wait(self, seconds: float) -> None:
        """Spend some time without messages, but not without heartbeats."""
        if self._in_callback:  # the consumer must not be asked again from inside of it
            time.sleep(seconds)
            return
        paused = self._consumer.assignment()
        self._consumer.pause(paused)
        deadline = time.monotonic() + seconds
        try:
            while True:
                left = deadline - time.monotonic()
                message = self._consumer.poll(max(0.0, min(left, _SLICE_SEC)))
                if message is not None:  # of a partition that was assigned meanwhile
                    self._early.append(message)
                if left <= 0:
                    break
        finally:
            kept = set(map(_of, self._consumer.assignment()))
            self._consumer.resume([place for place in paused if _of(place) in kept - self._ended])

    def commit(self, messages: Sequence[Message]) -> None:
        """Commit that these messages, and those before them, are done, without waiting for it.

        What becomes of it is seen by ``settle``; until then a crash has them handed over again.
        """
        last = last_offsets(messages)
        self._to_settle |= last
        self._consumer.commit(offsets=_behind(last), asynchronous=True)

    def settle(self) -> None:
        """Return when everything that was committed is.

        Raises:
            KafkaException: it is not, and not because the partitions have gone to another member.
        """
        mine = set(map(_of, self._consumer.assignment()))
        offsets = _behind({place: last for place, last in self._to_settle.items() if place in mine})
        try:
            if offsets:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _NO_LONGER_OURS:
                raise
            # The new owner reads these messages again: at least once is what was promised.
            _log.warning(
                "offsets not committed, the partitions are another member's (%s)", error.args[0].name()
            )
        self._to_settle.clear()

    def _go_back(self) -> None:
        """Consume what was dropped again, from the committed offset: batches are committed in their order."""
        mine = set(map(_of, self._consumer.assignment())) if self._dropped else set()
        self._dropped = {place: offset for place, offset in self._dropped.items() if place in mine}
        if not self._dropped:
            return
        try:
            there = [TopicPartition(*place) for place in self._dropped]
            for found in self._consumer.committed(there, timeout=_QUERY_SEC):
                offset = found.offset if found.offset >= 0 else self._dropped[_of(found)]
                offset = max(offset, self._to_settle.get(_of(found), -1) + 1)  # the broker may hear of it yet
                self._consumer.seek(TopicPartition(found.topic, found.partition, offset))
                # What came of it while this member waited is among what is consumed again.
                self._early = [message for message in self._early if _place(message) != _of(found)]
                del self._dropped[_of(found)]
        except KafkaException as error:  # not reachable, or not fetching yet: the next call tries again
            _log.warning("Kafka: %s", error.args[0].name())

    def _is_event(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - as above
            if self._until_end:
                self._end(_place(message))
        elif error.fatal() or error.code() in _HOPELESS or (self._until_end and error.code() in _NO_END):
            raise KafkaException(error)
        else:
            _log.warning("Kafka: %s", error.name())
        return True

    def _reaches_an_end(self, messages: list[Message]) -> bool:
        return any(offset + 1 >= self._ends.get(place, 0) for place, offset in last_offsets(messages).items())

    def _is_wanted(self, message: Message) -> bool:
        """Whether a message stands before the end; a dead letter of ours that came later does not."""
        if not self._until_end:
            return True
        place, offset = _place(message), message.offset() or 0
        end = self._ends.get(place, 0)
        if offset + 1 >= end:
            self._end(place)
        return offset < end

    def _end(self, place: Place) -> None:
        if place not in self._ended:
            self._ended.add(place)
            self._consumer.pause([TopicPartition(*place)])

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned = True
        for there in partitions if self._until_end else ():
            self._ended.discard(_of(there))
            self._ends[_of(there)] = consumer.get_watermark_offsets(there, timeout=_QUERY_SEC)[1]

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._within(self._hand_on, partitions)

    def _hand_on(self, places: Collection[Place]) -> None:
        self._give_up(places)
        try:
            self.settle()
        except KafkaException as error:
            _log.warning("offsets not committed (%s): the next owner reads some again", error.args[0].name())

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._within(self._lost, partitions)

    def _within(self, call: Callable[[Collection[Place]], None], partitions: list[TopicPartition]) -> None:
        places = set(map(_of, partitions))
        self._early = [message for message in self._early if _place(message) not in places]
        self._moved |= places
        self._in_callback = True
        try:
            call(places)
        finally:
            self._in_callback = False
            # A pause outlives the assignment, and ``wait`` may not meet these partitions again.
            self._consumer.resume(partitions)
            self._assigned = self._assigned and bool(set(map(_of, self._consumer.assignment())) - places)
            # Another member may get further; should they come back, an older offset must not be committed.
            for place in places:
                self._to_settle.pop(place, None)


#: What a commit says when the group has moved on without this member.
_NO_LONGER_OURS = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001 - as above
    }
)


def is_passing(error: BaseException) -> bool:
    """Whether a broker or coordinator was only away when something was asked of it."""
    return isinstance(error, KafkaException) and error.args[0].code() in _PASSING


#: What a request says while brokers and coordinators come and go.
_PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - as above
        KafkaError._TIMED_OUT,  # noqa: SLF001 - as above
        KafkaError._TRANSPORT,  # noqa: SLF001 - as above
        KafkaError._WAIT_COORD,  # noqa: SLF001 - as above
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)


def last_offsets(messages: Iterable[Message]) -> dict[Place, int]:
    """The offset of the last message of each partition; within one they rise."""
    return {(m.topic() or "", m.partition() or 0): m.offset() or 0 for m in messages}


def next_offsets(messages: Iterable[Message]) -> list[TopicPartition]:
    """Where each partition goes on after these messages."""
    return _behind(last_offsets(messages))


def _behind(last: dict[Place, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset + 1) for (topic, partition), offset in last.items()]


def _place(message: Any) -> Place:
    return message.topic() or "", message.partition() or 0


def _of(place: TopicPartition) -> Place:
    return place.topic, place.partition
