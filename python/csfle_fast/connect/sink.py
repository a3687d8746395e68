"""SinkHook: decrypts what a sink connector consumed, before it is written anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, cast

from confluent_kafka import KafkaError, Message
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.connect.dead_letters import (
    AnyHeaders,
    DeadLetter,
    Stage,
    dead_letter,
    origin,
)
from csfle_fast.connect.errors import DataException
from csfle_fast.connect.hook import Hook
from csfle_fast.connect.opener import Opener
from csfle_fast.connect.results import SinkResult
from csfle_fast.errors import RowError

__all__ = ["SinkHook"]


class SinkHook(Hook):
    """Decrypts batches of consumed messages by the properties of a sink connector. See Hook."""

    kind: ClassVar[Literal["sink"]] = "sink"

    def __init__(
        self,
        config: Mapping[str, object],
        *,
        schema_registry_client: SchemaRegistryClient | None = None,
    ) -> None:
        super().__init__(config, schema_registry_client=schema_registry_client)
        settings = self.settings
        passes = settings.read_plaintext == "pass"
        self._keys = Opener(settings.key, self._key_engine, passes_plaintext=passes)
        self._values = Opener(settings.value, self._value_engine, passes_plaintext=passes)

    def decrypt(self, messages: Sequence[Message], *, threads: int = 1, bodies: bool = False) -> SinkResult:
        """Messages to keys and rows. Never raises for a message: what fails is in the result.

        Args:
            messages: ``confluent_kafka.Message`` objects of any topics, as ``consume`` gives them.
            threads: how many may work on the batch; small batches use one.
            bodies: Avro bodies of the writer schemas instead of rows, for keys and values.
        """
        events = [message.error() for message in messages]
        broken = {row: event for row, event in enumerate(events) if event is not None} if any(events) else {}
        raw_keys = [message.key() for message in messages]
        raw_values = [message.value() for message in messages]
        for row in broken:  # its bytes are a sentence of librdkafka's
            raw_keys[row] = raw_values[row] = None
        found = cast(list[AnyHeaders | None], [message.headers() for message in messages])
        headers = found if any(found) else None
        topics = self._origins(messages, found)
        keys = self._keys.open(topics, raw_keys, headers, threads=threads, bodies=bodies)
        values = self._values.open(topics, raw_values, headers, threads=threads, bodies=bodies)
        # Connect converts the key first, and does not look at the value of a record whose key failed.
        failures = {row: (self._values, error) for row, error in values.errors.items()}
        failures |= {row: (self._keys, error) for row, error in keys.errors.items()}
        failures |= {row: (self._values, _broker_error(row, event)) for row, event in broken.items()}
        errors: list[DataException] = []
        letters: list[DeadLetter] = []
        for row in sorted(failures):
            opener, cause = failures[row]
            error = _exception(row, messages[row], opener, cause)
            keys.values[row] = values.values[row] = None
            errors.append(error)
            self._tell(messages[row], error)
            letter = None if row in broken else self.dead_letter(messages[row], error)
            if letter is not None:
                letters.append(letter)
        sealed = {
            row: _exception(row, messages[row], opener, cause)
            for opener, opened in ((self._values, values), (self._keys, keys))
            for row, cause in opened.sealed.items()
            if row not in failures
        }
        passed = sorted({*keys.passed, *values.passed} - failures.keys())
        self._count(
            records=len(messages),
            records_failed=len(errors),
            dead_letters=len(letters),
            records_sealed=len(sealed),
            records_passed=len(passed),
        )
        return SinkResult(values.values, keys.values, errors, letters, sealed, passed, values.schema_ids)

    def dead_letter(
        self, message: Message, error: DataException, stage: Stage | None = None
    ) -> DeadLetter | None:
        """The dead letter of a message; None where the settings name no topic for them.

        Args:
            message: the message as it was consumed.
            error: why it failed.
            stage: where it failed; by default, in the converter of ``error.part``.
        """
        settings = self.settings
        if settings.dead_letter_topic is None:
            return None
        if stage is None:
            converter = settings.key if error.part == "key" else settings.value
            stage = Stage(f"{error.part.upper()}_CONVERTER", converter.class_name)
        return dead_letter(
            message,
            error,
            stage,
            topic=settings.dead_letter_topic,
            connector=settings.name,
            task_id=settings.task_id,
            context=settings.dead_letter_headers,
        )

    def _origins(self, messages: Sequence[Message], headers: Sequence[AnyHeaders | None]) -> list[str]:
        dead = self.settings.dead_letter_topic
        several = {message.topic() for message in messages}
        if len(several) == 1 and dead not in several:
            return [several.pop() or ""] * len(messages)
        topics = [message.topic() or "" for message in messages]
        return [origin(topic, there or (), dead) for topic, there in zip(topics, headers, strict=True)]

    def _tell(self, message: Message, error: DataException) -> None:
        if not self.settings.log_errors:
            return
        where = ""
        if self.settings.log_messages:
            where = f"; the record is at topic {message.topic()}, partition {message.partition()}, "
            where += f"offset {message.offset()}, timestamp {message.timestamp()[1]}"
        task = f"{self.settings.name}-{self.settings.task_id}"
        self._log.error("%s: topic %s, %s, %s%s", task, error.topic, error.part, error, where)


def _exception(row: int, message: Message, opener: Opener, cause: RowError) -> DataException:
    return DataException(
        row,
        cause.field,
        cause.code,
        cause.reason,
        cause.offset,
        part=opener.converter.part,
        topic=message.topic() or "",
        partition=message.partition(),
        kafka_offset=message.offset(),
    )


def _broker_error(row: int, event: KafkaError) -> RowError:
    return RowError(row, None, "broker_error", f"it is no record, but an error of Kafka ({event.name()})")
