"""The stage of the drills: topics, schemas with rules, and records that can be told apart."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer

from csfle_fast.connect import SourceHook
from csfle_fast.dev import DevRegistry
from incumbent import SECRET
from services.kafka import KafkaServer
from worlds import FLAT, encode, flat, rule

__all__ = ["HARMS", "Stage"]

PARTITIONS = 4
#: What may be wrong with a record, and the code that it fails with.
HARMS = {
    "bad frame": "not_a_frame",
    "unknown schema": "unknown_schema_id",
    "wrong key": "authentication_failed",
    "tampered": "authentication_failed",
}
_UNKNOWN_SCHEMA = 999_999
_WAIT_SEC = 30.0


@dataclass
class Stage:
    """An input topic, an output topic and a dead letter topic of their own on shared servers.

    Attributes:
        kafka: the broker.
        registry: holds the rules of both topics.
        run: a name that no other run has.
        older: schema id of the input's first version, which has a KEK of its own.
    """

    kafka: KafkaServer
    registry: DevRegistry
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    older: int = 0

    def __post_init__(self) -> None:
        for topic in (self.source, self.target, self.dead_letters):
            self.kafka.create_topic(topic, partitions=1 if topic == self.dead_letters else PARTITIONS)
        self.older = self._register(f"{self.source}-value", self._kek("older"))
        for topic in (self.source, self.target):
            self._register(f"{topic}-value", self._kek("newer"))

    @property
    def source(self) -> str:
        """The topic that is consumed."""
        return f"source-{self.run}"

    @property
    def target(self) -> str:
        """The topic that ``run_topic`` produces to."""
        return f"target-{self.run}"

    @property
    def dead_letters(self) -> str:
        """The dead letter topic."""
        return f"dlq-{self.run}"

    def config(self) -> dict[str, object]:
        """Properties of the hooks."""
        return {
            "name": self.run,
            "csfle.enabled": "true",
            "value.converter.schema.registry.url": self.registry.url,
            "rule.executors._default_.param.secret": SECRET,
            "errors.log.enable": "false",
        }

    def consumer(self, group: str, **more: object) -> Consumer:
        """A consumer from the beginning, read_committed, that says where partitions end."""
        return Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "group.id": f"{group}-{self.run}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                **more,
            }
        )

    def producer(self, **more: object) -> Producer:
        """A producer."""
        return Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "linger.ms": 5, **more})

    def frames(
        self, hook: SourceHook, first: int, count: int, dice: random.Random, share: float
    ) -> Iterator[Any]:
        """Sealed records with rising ids, as ``(id, frame, harm or None)``."""
        numbers = range(first, first + count)
        harms = [dice.choice(list(HARMS)) if dice.random() < share else None for _ in numbers]
        rows = [
            encode(FLAT, flat(number)) if harm == "wrong key" else None
            for number, harm in zip(numbers, harms, strict=True)
        ]
        newer = hook.encrypt(self.source, [flat(number) for number in numbers])
        older = hook.encrypt(self.source, rows, schema_id=self.older)
        newer.raise_for_errors()
        older.raise_for_errors()
        for number, harm, new, old in zip(numbers, harms, newer.values, older.values, strict=True):
            yield number, old if harm == "wrong key" else _harmed(new or b"", harm), harm

    def break_key(self) -> Callable[[], None]:
        """Have the registry hold another DEK for the older version; gives what mends it."""
        subject, deks = f"{self.source}-value", self.registry.deks
        right = deks.get(self._kek("older"), subject, 1, "AES256_GCM", deleted=True)
        other = deks.get(self._kek("newer"), subject, 1, "AES256_GCM", deleted=True)
        deks.put(right | {"encryptedKeyMaterial": other["encryptedKeyMaterial"]})

        def mend() -> None:
            deks.put(right)

        return mend

    def add_schema(self) -> None:
        """Register the schema that nobody knew."""
        self._register(f"{self.source}-value", self._kek("newer"), schema_id=_UNKNOWN_SCHEMA)

    def drain(self, topic: str) -> Iterator[Message[bytes, bytes]]:
        """Every committed message of a topic."""
        consumer = self.consumer(f"drain-{uuid.uuid4().hex[:6]}")
        try:
            partitions = consumer.list_topics(topic, timeout=_WAIT_SEC).topics[topic].partitions
            consumer.subscribe([topic])
            ended: set[int | None] = set()
            while len(ended) < len(partitions):
                messages = consumer.consume(10_000, timeout=1.0)
                for message in messages:
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
        finally:
            consumer.close()

    def ids(self, topic: str) -> Counter[int]:
        """How often each id stands in a topic; the key of a record is its id."""
        return Counter(int(message.key() or b"-1") for message in self.drain(topic))

    def _kek(self, which: str) -> str:
        return f"{which}-{self.run}"

    def _register(self, subject: str, kek: str, schema_id: int | None = None) -> int:
        payload = {"schema": json.dumps(FLAT), "ruleSet": {"domainRules": [rule(kek=kek)]}}
        return self.registry.store.register(subject, payload, schema_id=schema_id).id


def _harmed(frame: bytes, harm: str | None) -> bytes:
    if harm == "bad frame":
        return b"\x07" + frame[1:]
    if harm == "unknown schema":
        return frame[:1] + _UNKNOWN_SCHEMA.to_bytes(4, "big") + frame[5:]
    if harm == "tampered":
        changed = bytearray(frame)
        place = frame.index(b"note ") - 10  # in the base64 text of the field before
        changed[place] = ord("A") if changed[place] != ord("A") else ord("B")
        return bytes(changed)
    return frame
