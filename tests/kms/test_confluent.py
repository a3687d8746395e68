"""KMS drivers that were registered with confluent-kafka."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry.rules.encryption.kms_driver_registry import (
    KmsDriver as ConfluentKmsDriver,
)
from confluent_kafka.schema_registry.rules.encryption.kms_driver_registry import (
    register_kms_driver,
    reset_kms_drivers,
)
from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import (
    LocalKmsDriver as ConfluentLocalKmsDriver,
)
from tink import KmsClient as TinkKmsClient
from tink import aead

from csfle_fast.kms import driver_for, register_driver, unregister_driver
from csfle_fast.kms.confluent import ConfluentDriver
from csfle_fast.kms.local import LocalKmsDriver


class Marking(aead.Aead):  # type: ignore[misc]  # tink has no types
    """Puts a mark in front, so that a test sees who was asked."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        assert associated_data == b""
        return self._mark + plaintext

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        assert associated_data == b""
        assert ciphertext.startswith(self._mark)
        return ciphertext.removeprefix(self._mark)


class Client(TinkKmsClient):  # type: ignore[misc]  # tink has no types
    def __init__(self, conf: dict[str, Any]) -> None:
        self._mark = conf["mark"].encode()

    def does_support(self, key_uri: str) -> bool:
        return True

    def get_aead(self, key_uri: str) -> aead.Aead:
        return Marking(self._mark + key_uri.encode())


class Driver(ConfluentKmsDriver):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def get_key_url_prefix(self) -> str:
        return self._prefix

    def new_kms_client(self, conf: dict[str, Any], key_url: str) -> TinkKmsClient:
        return Client(conf)


@pytest.fixture(autouse=True)
def their_registry() -> Iterator[None]:
    reset_kms_drivers()
    yield
    reset_kms_drivers()


def test_a_users_driver_serves_its_scheme() -> None:
    register_kms_driver(Driver("my-kms://"))
    client = driver_for("my-kms://key").client("my-kms://key", {"mark": "M"})
    assert client.wrap(b"proto") == b"Mmy-kms://keyproto"
    assert client.unwrap(client.wrap(b"proto")) == b"proto"


def test_the_first_credentials_are_not_kept_for_the_next_client() -> None:
    register_kms_driver(Driver("my-kms://"))
    driver = driver_for("my-kms://key")
    marks = [driver.client("my-kms://key", {"mark": mark}).wrap(b"")[:1] for mark in "AB"]
    assert marks == [b"A", b"B"]


def test_a_users_driver_comes_before_a_built_in_one_and_after_one_registered_here() -> None:
    register_kms_driver(Driver("local-kms://"))
    assert isinstance(driver_for("local-kms://key"), ConfluentDriver)
    mine = LocalKmsDriver()
    register_driver(mine)
    try:
        assert driver_for("local-kms://key") is mine
    finally:
        unregister_driver("local-kms")


def test_their_own_driver_comes_after_a_built_in_one() -> None:
    ConfluentLocalKmsDriver.register()
    assert isinstance(driver_for("local-kms://key"), LocalKmsDriver)


def test_without_their_rules_nothing_loads_tink() -> None:
    code = (
        "import sys\n"
        "from csfle_fast.kms import driver_for\n"
        "from csfle_fast.keys import KeyService\n"
        "driver_for('local-kms://key').client('local-kms://key', {'secret': 's'}).wrap(b'proto')\n"
        "assert 'tink' not in sys.modules, 'tink was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
