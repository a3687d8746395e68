"""Wrapping with a KEK: credentials, alternate key ids, failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from csfle_fast.dek_registry import Kek
from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsClient, register_driver, unregister_driver
from csfle_fast.kms.wrapper import DekWrapper
from manual_clock import ManualClock

SECRET = "hunter2"


class Regional:
    """A KMS whose keys named ``down...`` do not answer; a wrapped DEK opens under its own key only."""

    scheme = "regional-kms"

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, object]]] = []

    def client(self, uri: str, conf: Mapping[str, object]) -> KmsClient:
        self.made.append((uri, dict(conf)))
        return Key(uri.partition("://")[2])


class Key:
    def __init__(self, key_id: str) -> None:
        self._mark = key_id.encode() + b":"

    def wrap(self, plaintext: bytes) -> bytes:
        self._answer()
        return self._mark + plaintext

    def unwrap(self, ciphertext: bytes) -> bytes:
        self._answer()
        if not ciphertext.startswith(self._mark):
            raise KmsError("access_denied", "not this key's")
        return ciphertext.removeprefix(self._mark)

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        if self._mark.startswith(b"down"):
            raise OSError(f"POST with {SECRET} timed out")


@pytest.fixture
def driver() -> Iterator[Regional]:
    driver = Regional()
    register_driver(driver)
    yield driver
    unregister_driver(driver.scheme)


def kek(key_id: str = "eu", **kms_props: str) -> Kek:
    return Kek("kek1", "regional-kms", key_id, kms_props)


def wrapper(conf: Mapping[str, object] | None = None) -> DekWrapper:
    return DekWrapper(conf, size=10, clock=ManualClock())


@pytest.mark.usefixtures("driver")
def test_the_keks_own_key_wraps_and_unwraps() -> None:
    ours = wrapper()
    assert ours.wrap(kek(), b"proto") == b"eu:proto"
    assert ours.unwrap(kek(), b"eu:proto") == b"proto"
    assert ours.calls == 2


@pytest.mark.parametrize("where", ["kmsProps", "rule_conf"])
@pytest.mark.usefixtures("driver")
def test_alternate_keys_are_tried_in_order(where: str) -> None:
    alternates = {"encrypt.alternate.kms.key.ids": "down2, us,,ap "}
    ours = wrapper(alternates if where == "rule_conf" else None)
    one = kek("down1", **(alternates if where == "kmsProps" else {}))
    assert ours.wrap(one, b"proto") == b"us:proto"
    assert ours.unwrap(one, b"ap:proto") == b"proto"


@pytest.mark.usefixtures("driver")
def test_the_keks_alternates_replace_those_of_the_configuration() -> None:
    ours = wrapper({"encrypt.alternate.kms.key.ids": "us"})
    one = kek("down1", **{"encrypt.alternate.kms.key.ids": "ap"})
    assert ours.wrap(one, b"proto") == b"ap:proto"


@pytest.mark.usefixtures("driver")
def test_the_last_failure_counts_and_quotes_nothing() -> None:
    with pytest.raises(KmsError) as caught:
        wrapper().wrap(kek("down1"), b"proto")
    assert caught.value.code == "kms_failed"
    assert "Kek:kek1" in caught.value.message
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    with pytest.raises(KmsError) as caught:
        wrapper({"encrypt.alternate.kms.key.ids": "eu"}).unwrap(kek("down1"), b"us:proto")
    assert caught.value.code == "access_denied"


def test_an_unknown_kms_type_is_named_with_its_kek() -> None:
    with pytest.raises(KmsError, match="Kek:kek1") as caught:
        wrapper().wrap(Kek("kek1", "moon-kms", "key"), b"proto")
    assert caught.value.code == "unknown_kms"


def test_the_keks_properties_lie_over_the_configuration(driver: Regional) -> None:
    wrapper({"token": "conf", "other": "kept"}).wrap(kek(token="kek"), b"")
    assert driver.made == [("regional-kms://eu", {"token": "kek", "other": "kept"})]


def test_a_client_is_made_once_for_each_set_of_credentials(driver: Regional) -> None:
    ours = wrapper()
    for token in ("a", "a", "b"):
        ours.wrap(kek(token=token), b"")
    assert [conf for _, conf in driver.made] == [{"token": "a"}, {"token": "b"}]
    ours.close()
    ours.wrap(kek(token="a"), b"")
    assert len(driver.made) == 3


def test_the_properties_of_a_kek_are_not_shown() -> None:
    assert SECRET not in repr(kek(secret=SECRET))
