"""Faults of confluent-kafka with keys, each shown there first: on show, made twice, used though revoked.

These need the DEK registry over HTTP, which keeps one store for both sides.
"""

from __future__ import annotations

import base64
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.schema_registry.rules.encryption.dek_registry.dek_registry_client import (
    DekRegistryClient,
)
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import FieldEncryptionExecutor
from confluent_kafka.schema_registry.serde import RuleError
from confluent_kafka.serialization import SerializationError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from csfle_fast import CsfleError
from csfle_fast.dev import DevRegistry
from incumbent import (
    KEK,
    SECRET,
    SUBJECT,
    TOPIC,
    Incumbent,
    Subject,
    encrypt_rule,
    field,
    mock_registry,
    record,
)
from key_world import KeyWorld, key_world
from key_world import encrypt_rule as rule_of

__all__ = ["key_world"]  # a fixture

SCHEMA = record(field("v", "string", "PII"))
THREADS = 8


class Http:
    """The development registry, and clients of it that are closed when the test is over."""

    def __init__(self, registry: DevRegistry, open_clients: ExitStack) -> None:
        self.registry = registry
        self._open = open_clients

    def client(self, **settings: object) -> SchemaRegistryClient:
        """A new client of confluent-kafka's."""
        client = SchemaRegistryClient({"url": self.registry.url} | settings)
        self._open.callback(client.close)
        return client

    def subject(self, *rules: dict[str, Any], **settings: object) -> Subject:
        """The subject of these tests, registered; ``settings`` are those of the client."""
        subject = Subject(SCHEMA, *rules, registry=self.client(**settings))
        self._open.callback(subject.theirs.close)
        return subject

    def producer_that_meets(self, meeting: Meeting) -> Incumbent:
        """Their serializer, with a moment in which all have looked for the DEK and none has made one."""
        producer = Incumbent(self.client())
        producer.executor.executor.client = MeetAtTheDek(self.registry, meeting)
        self._open.callback(producer.close)
        return producer

    def posted_deks(self) -> int:
        """How often somebody wanted to make a DEK."""
        return sum(sent.method == "POST" and "/deks" in sent.path for sent in self.registry.requests)


@pytest.fixture
def http() -> Iterator[Http]:
    with DevRegistry(secret=SECRET) as registry, ExitStack() as open_clients:
        yield Http(registry, open_clients)


class Meeting:
    """The first that come wait until as many as expected are there; who comes later walks on."""

    def __init__(self, expected: int) -> None:
        self._over = threading.Event()
        self._barrier = threading.Barrier(expected, action=self._over.set)

    def attend(self) -> None:
        """Wait for the others, up to half a minute."""
        if not self._over.is_set():
            self._barrier.wait(30)


class MeetAtTheDek(DekRegistryClient):
    """Their DEK client; the first looks at the DEK end together."""

    def __init__(self, registry: DevRegistry, meeting: Meeting) -> None:
        super().__init__({"url": registry.url})
        self._meeting = meeting

    def get_dek(self, *args: Any, **kwargs: Any) -> Any:
        """Look the DEK up, then wait for the others."""
        try:
            return super().get_dek(*args, **kwargs)
        finally:
            self._meeting.attend()


def local_kms() -> AESGCM:
    """The KEK of the local KMS, by ``cryptography`` alone."""
    return AESGCM(HKDF(SHA256(), 16, salt=None, info=None).derive(SECRET.encode()))


def backwards(http: Http) -> bytes:
    """The subject's data key, reversed, so that who looks for it in memory does not find his own copy."""
    wrapped = base64.b64decode(http.registry.deks.get(KEK, SUBJECT)["encryptedKeyMaterial"])
    proto = local_kms().decrypt(wrapped[:12], wrapped[12:], b"")
    return proto[:-33:-1]  # the proto ends in the 32 bytes of the key


def is_in_memory(key_backwards: bytes) -> bool:
    """Whether any Python object holds the key: raw, or as base64 text of the key proto."""
    gc.collect()
    for holder in gc.get_objects():
        for thing in gc.get_referents(holder):
            if isinstance(thing, bytes | bytearray) and key_backwards in thing[::-1]:
                return True
    return False


class TestADataKeyIsOnShow:
    """In the repr of a cached DEK, and in Python's memory for as long as the process lives."""

    def test_confluent_kafka_shows_it(self, http: Http) -> None:
        theirs = http.subject().theirs
        theirs.serialize({"v": "mine"})
        client = theirs.executor.executor.client
        assert client is not None
        key_backwards = backwards(http)
        assert repr(key_backwards[::-1])[2:-1] in repr(client.get_dek(KEK, SUBJECT))
        assert is_in_memory(key_backwards)

    def test_csfle_fast_keeps_no_copy_in_python(self, http: Http) -> None:
        with http.subject().engine() as engine:
            engine.serialize(TOPIC, [{"v": "mine"}]).raise_for_errors()
            assert not is_in_memory(backwards(http))
            engine.serialize(TOPIC, [{"v": "still works"}]).raise_for_errors()


class TestAKeyOfTheWrongLengthIsUsed:
    """A 128-bit key registered under AES256_GCM."""

    def test_confluent_kafka_seals_with_it(self, http: Http) -> None:
        key = self.register_short_key(http)
        wire = http.subject()
        sealed = base64.b64decode(wire.on_the_wire(wire.theirs.serialize({"v": "mine"}))["v"])
        assert AESGCM(key).decrypt(sealed[:12], sealed[12:], b"") == b"mine"

    def test_csfle_fast_refuses_it(self, http: Http) -> None:
        self.register_short_key(http)
        with http.subject().engine() as engine, pytest.raises(CsfleError) as caught:
            engine.serialize(TOPIC, [{"v": "mine"}]).raise_for_errors()
        assert caught.value.code == "wrong_key_length"

    @staticmethod
    def register_short_key(http: Http) -> bytes:
        key, nonce = os.urandom(16), os.urandom(12)
        wrapped = nonce + local_kms().encrypt(nonce, b"\x1a\x10" + key, b"")
        kek = {"name": KEK, "kmsType": "local-kms", "kmsKeyId": "tests-key"}
        dek = {"kekName": KEK, "subject": SUBJECT, "encryptedKeyMaterial": base64.b64encode(wrapped).decode()}
        http.registry.keks.put(kek)
        http.registry.deks.put(dek)
        return key


def withdraw_access(registry: DevRegistry) -> None:
    """The registry gives this client no key any more."""
    registry.faults.add("GET|POST", "^/dek-registry/", status=403)


def delete_for_good(registry: DevRegistry) -> None:
    """DEK and KEK are gone."""
    for permanent in (False, True):
        registry.deks.delete(KEK, SUBJECT, permanent=permanent)
    for permanent in (False, True):
        registry.keks.delete(KEK, permanent=permanent)


TTL = 0.2  # seconds
SHORT = {"dek.cache.ttl.sec": TTL, "kek.cache.ttl.sec": TTL}


class TestARevokedKeyIsUsedForEver:
    """Their KEKs and DEKs are cached without an end; the client's settings for caches reach schemas only."""

    @pytest.mark.parametrize("revoke", [withdraw_access, delete_for_good])
    def test_confluent_kafka_does(self, http: Http, revoke: Callable[[DevRegistry], None]) -> None:
        theirs = http.subject(**{"cache.capacity": 1, "cache.latest.ttl.sec": TTL}).theirs
        assert theirs.deserialize(theirs.serialize({"v": "mine"})) == {"v": "mine"}
        revoke(http.registry)
        http.registry.clear_requests()
        for _ in range(3):
            time.sleep(TTL)
            assert theirs.deserialize(theirs.serialize({"v": "mine"})) == {"v": "mine"}
        paths = [sent.path for sent in http.registry.requests]
        assert sum("/subjects/" in path for path in paths) == 3  # the latest version did expire
        assert not any("/dek-registry/" in path for path in paths)

    @pytest.mark.parametrize(
        ("revoke", "code"), [(withdraw_access, "forbidden"), (delete_for_good, "no_kek")]
    )
    def test_csfle_fast_reads_nothing_after_the_ttl(
        self, http: Http, revoke: Callable[[DevRegistry], None], code: str
    ) -> None:
        with http.subject().engine(SHORT) as engine:
            frames = engine.serialize(TOPIC, [{"v": "mine"}]).values
            assert engine.deserialize(TOPIC, frames).values == [{"v": "mine"}]
            revoke(http.registry)
            time.sleep(TTL)
            assert [error.code for error in engine.deserialize(TOPIC, frames).errors] == [code]

    def test_csfle_fast_writes_nothing_after_the_ttl(self, http: Http) -> None:
        with http.subject().engine(SHORT) as engine:
            engine.serialize(TOPIC, [{"v": "mine"}]).raise_for_errors()
            withdraw_access(http.registry)
            time.sleep(TTL)
            with pytest.raises(CsfleError) as caught:
                engine.serialize(TOPIC, [{"v": "mine"}])
        assert caught.value.code == "forbidden"


class TestADeletedKeySealsRowsThatNobodyCanRead:
    def test_confluent_kafka_loses_them(self, http: Http) -> None:
        wire = http.subject()
        wire.theirs.serialize({"v": "mine"})
        delete_for_good(http.registry)
        lost = wire.theirs.serialize({"v": "mine"})
        with pytest.raises(SerializationError):
            http.subject().theirs.deserialize(lost)

    def test_csfle_fast_makes_a_new_key(self, http: Http) -> None:
        wire = http.subject()
        with wire.engine(SHORT) as engine:
            engine.serialize(TOPIC, [{"v": "mine"}]).raise_for_errors()
            delete_for_good(http.registry)
            time.sleep(TTL)
            [frame] = engine.serialize(TOPIC, [{"v": "mine"}]).values
        assert wire.theirs.deserialize(frame or b"") == {"v": "mine"}


class TestKeysAreKeptWithoutABound:
    names = tuple(f"kek{number}" for number in range(50))

    def test_confluent_kafka_keeps_them_all(self, http: Http) -> None:
        client = DekRegistryClient({"url": http.registry.url, "cache.capacity": 1})
        with client:
            for name in self.names:
                client.register_kek(name, "local-kms", "tests-key")
            http.registry.clear_requests()
            for name in self.names:
                client.get_kek(name)
        assert http.registry.requests == []

    def test_csfle_fast_keeps_as_many_as_it_may(self, key_world: KeyWorld) -> None:
        keys = key_world.service(conf={"kek.cache.size": 1, "dek.cache.size": 1})
        for _ in range(2):
            for name in self.names:
                keys.writer_key(rule_of(kek_name=name), SUBJECT)
        assert keys.counters()["key_loads"] == 2 * len(self.names)


class TestThreadsThatStartTogetherMakeADekEach:
    def test_confluent_kafka_posts_one_each(self, http: Http) -> None:
        http.subject()
        theirs = http.producer_that_meets(Meeting(THREADS))
        at_once([lambda: theirs.serialize({"v": "mine"})] * THREADS)
        assert http.posted_deks() == THREADS

    def test_csfle_fast_posts_one(self, http: Http) -> None:
        http.registry.faults.add(
            "GET", "/deks/", delay=0.2
        )  # every thread is there before the first answer is
        with http.subject().engine() as engine:
            at_once([lambda: engine.serialize(TOPIC, [{"v": "mine"}]).raise_for_errors()] * THREADS)
        assert http.posted_deks() == 1


class TestTheLoserOfARotationPostsForEver:
    """Two producers find the DEK expired and both make version 2; only one of them is accepted."""

    rotating = encrypt_rule(params=encrypt_rule()["params"] | {"encrypt.dek.expiry.days": "1"})
    messages = 5

    def test_confluent_kafka_does_with_the_expired_key(self, http: Http) -> None:
        wire = self.make_an_old_dek(http)
        both = Meeting(2)
        producers = [http.producer_that_meets(both) for _ in range(2)]
        at_once([partial(producer.serialize, {"v": "mine"}) for producer in producers])
        http.registry.clear_requests()
        frames = [p.serialize({"v": "mine"}) for p in producers for _ in range(self.messages)]
        assert sorted(self.version(wire, frame) for frame in frames) == sorted([1, 2] * self.messages)
        assert http.posted_deks() == self.messages

    def test_csfle_fast_moves_on_to_the_winners_key(self, http: Http) -> None:
        wire = self.make_an_old_dek(http)
        http.registry.faults.add("GET|POST", "/deks", delay=0.3)  # both have read before either writes
        with wire.engine() as one, wire.engine() as two:
            at_once([partial(engine.serialize, TOPIC, [{"v": "mine"}]) for engine in (one, two)])
            http.registry.clear_requests()
            sent = [e.serialize(TOPIC, [{"v": "mine"}]) for e in (one, two) for _ in range(self.messages)]
        assert [self.version(wire, result.values[0] or b"") for result in sent] == [2] * 2 * self.messages
        assert http.registry.requests == []

    def make_an_old_dek(self, http: Http) -> Subject:
        http.registry.clock.advance(days=-2)
        wire = http.subject(self.rotating)
        wire.theirs.serialize({"v": "mine"})
        http.registry.clock.reset()
        return wire

    @staticmethod
    def version(wire: Subject, frame: bytes) -> int:
        """The DEK version in front of the sealed value."""
        return int.from_bytes(base64.b64decode(wire.on_the_wire(frame)["v"])[1:5], "big")


def at_once(jobs: Sequence[Callable[[], Any]]) -> None:
    """Run each job in a thread of its own; all start together."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> None:
        start.wait(30)
        job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(run, job) for job in jobs]:
            future.result()


class TestASecondRegistryIsRefused:
    """confluent-kafka's executor serves the whole process, and only the first registry that it sees."""

    def test_confluent_kafka_refuses(self) -> None:
        rules = RuleRegistry()
        rules.register_executor(FieldEncryptionExecutor())
        executor = rules.get_executor("ENCRYPT")
        assert executor is not None
        executor.configure({"url": "mock://one"}, {"secret": SECRET})
        with pytest.raises(RuleError, match="already configured"):
            executor.configure({"url": "mock://two"}, {"secret": SECRET})

    def test_csfle_fast_serves_both(self) -> None:
        one, two = Subject(SCHEMA), Subject(SCHEMA, encrypt_rule(), registry=mock_registry())
        with one.engine() as first, two.engine() as second:
            for engine in (first, second):
                sent = engine.serialize(TOPIC, [{"v": "mine"}])
                assert engine.deserialize(TOPIC, sent.values).values == [{"v": "mine"}]
