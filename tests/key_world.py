"""A DEK registry over HTTP, clocks, and key services on it: what the tests of the key service stand on."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast._core import Cipher, Plan, Pool, Schema, Writer
from csfle_fast.dev import DevRegistry
from csfle_fast.keys import KeyService
from csfle_fast.kms.local import LocalKmsClient
from csfle_fast.rules import EncryptRule
from csfle_fast.settings import Settings
from incumbent import field, record
from manual_clock import ManualClock

SECRET = "the secret of the tests"
KEK = "tests-kek"
SUBJECT = "t-value"
ALGORITHM = "AES256_GCM"


def encrypt_rule(**changes: Any) -> EncryptRule:
    """A rule of the local KMS that does not rotate; ``changes`` replaces attributes."""
    rule: dict[str, Any] = {
        "name": "encryptPII",
        "tags": ("PII",),
        "mode": "WRITEREAD",
        "kek_name": KEK,
        "kms_type": "local-kms",
        "kms_key_id": "key",
        "algorithm": ALGORITHM,
        "expiry_days": 0,
    }
    return EncryptRule(**(rule | changes))


class KeyWorld:
    """One registry and any number of key services, which share two clocks.

    Attributes:
        http: the registry.
        clock: monotonic seconds of every service.
        wall: seconds since 1970 of every service; ``move_days`` moves it, and not the registry's.
    """

    def __init__(self, http: DevRegistry, stack: ExitStack) -> None:
        self.http = http
        self.clock = ManualClock()
        # A minute ahead of the registry's, so that a DEK made later in a test is not younger than a full day.
        self.wall = ManualClock(time.time() + 60)
        self._stack = stack

    def service(
        self,
        client: SchemaRegistryClient | None = None,
        *,
        rule_conf: Mapping[str, object] | None = None,
        conf: Mapping[str, object] | None = None,
    ) -> KeyService:
        """A cold key service with a client of its own, as another process would have."""
        return KeyService(
            client or self.client(),
            {"secret": SECRET} if rule_conf is None else rule_conf,
            Settings.parse(conf),
            clock=self.clock,
            wall=self.wall,
        )

    def client(self) -> SchemaRegistryClient:
        """A client of the registry, closed when the test is over."""
        client = SchemaRegistryClient({"url": self.http.url, "max.retries": 0})
        self._stack.callback(client.close)
        return client

    @staticmethod
    def mock_client() -> SchemaRegistryClient:
        """An empty registry in memory."""
        return SchemaRegistryClient.new_client({"url": f"mock://{uuid.uuid4().hex}"})

    def move_days(self, days: float) -> None:
        """Later, for DEKs and for caches alike; what is made from now on has the new time."""
        self.wall.now += days * 86_400
        self.clock.now += days * 86_400
        self.http.clock.advance(days=days)

    def put_kek(self, *, shared: bool = False) -> None:
        """A KEK that somebody else made."""
        self.http.keks.put({"name": KEK, "kmsType": "local-kms", "kmsKeyId": "key", "shared": shared})

    def put_dek(self, proto: bytes, version: int = 1) -> None:
        """A DEK that somebody else made."""
        self.http.deks.put(
            {
                "kekName": KEK,
                "subject": SUBJECT,
                "version": version,
                "algorithm": ALGORITHM,
                "encryptedKeyMaterial": self.wrap(proto),
            }
        )

    @staticmethod
    def wrap(proto: bytes, secret: str = SECRET) -> str:
        """Wrapped material as the registry stores it."""
        return base64.b64encode(LocalKmsClient(secret).wrap(proto)).decode()

    def wrapped(self, version: int = 1, algorithm: str = ALGORITHM) -> bytes:
        """The wrapped material that the registry has."""
        return base64.b64decode(self.http.deks.get(KEK, SUBJECT, version, algorithm)["encryptedKeyMaterial"])

    def posts(self, part: str) -> int:
        """How many POSTs went to paths with that part."""
        return sum(r.method == "POST" and part in r.path for r in self.http.requests)


@pytest.fixture
def key_world() -> Iterator[KeyWorld]:
    with ExitStack() as stack:
        yield KeyWorld(stack.enter_context(DevRegistry(secret=SECRET)), stack)


def spend(cipher: Cipher, seals: int) -> int:
    """Seal so many values with a DEK; how many it did, each in a row of its own."""
    schema = Schema(json.dumps(record(field("v", "string", "PII"))))
    plan = Plan(schema, "WRITE", [({"PII"}, cipher.algorithm, False)])
    frames = Writer(plan, [cipher], b"").encrypt([b"\x02x"] * seals, Pool())[0]
    return sum(frame is not None for frame in frames)
