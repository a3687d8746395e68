"""Wrapping with a KEK: credentials, alternate key ids, failures."""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from csfle_fast.dek_registry import Kek
from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsClient
from csfle_fast.kms.wrapper import DekWrapper
from manual_clock import ManualClock
from own_drivers import registered

SECRET = "hunter2"


class Regional:
    """A KMS; a wrapped DEK opens under its own key only.

    Keys named ``down...`` raise what no driver should, ``away`` cannot be reached, ``busy-N`` throttles
    N times.
    """

    scheme = "regional-kms"

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, object]]] = []
        self.open = 0

    def client(self, uri: str, conf: Mapping[str, object]) -> KmsClient:
        self.made.append((uri, dict(conf)))
        self.open += 1
        return Key(uri.partition("://")[2], self)


class Key:
    def __init__(self, key_id: str, driver: Regional) -> None:
        self._mark = key_id.encode() + b":"
        self._driver = driver
        self._busy = int(key_id.partition("busy-")[2] or 0)

    def wrap(self, plaintext: bytes) -> bytes:
        self._answer()
        return self._mark + plaintext

    def unwrap(self, ciphertext: bytes) -> bytes:
        self._answer()
        if not ciphertext.startswith(self._mark):
            raise KmsError("access_denied", "not this key's")
        return ciphertext.removeprefix(self._mark)

    def close(self) -> None:
        self._driver.open -= 1

    def _answer(self) -> None:
        if self._busy:
            self._busy -= 1
            raise KmsError("kms_throttled", "busy")
        if self._mark.startswith(b"away"):
            raise KmsError("kms_unreachable", "away")
        if self._mark.startswith(b"down"):
            raise OSError(f"POST with {SECRET} timed out")


@pytest.fixture
def driver() -> Iterator[Regional]:
    with registered(Regional()) as driver:
        yield driver


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long calls paused, without the pauses."""
    slept: list[float] = []
    monkeypatch.setattr(DekWrapper, "_pause", lambda _, seconds: slept.append(seconds))
    return slept


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


@pytest.mark.usefixtures("driver")
def test_a_key_that_cannot_be_asked_counts_more_than_one_that_refuses() -> None:
    """The alternate of another region refuses what it did not wrap: that says nothing about the first."""
    alternates = {"encrypt.alternate.kms.key.ids": "eu"}
    with pytest.raises(KmsError) as caught:
        wrapper(alternates).unwrap(kek("away"), b"away:proto")
    assert caught.value.code == "kms_unreachable"


@pytest.mark.usefixtures("driver")
def test_what_a_driver_of_ours_says_is_worth_repeating_is_repeated(sleeps: list[float]) -> None:
    ours = wrapper()
    assert ours.wrap(kek("busy-2"), b"proto") == b"busy-2:proto"
    assert ours.calls == 3
    assert len(sleeps) == 2


@pytest.mark.usefixtures("driver")
def test_what_a_foreign_driver_raises_is_not(sleeps: list[float]) -> None:
    ours = wrapper()
    with pytest.raises(KmsError):
        ours.wrap(kek("down1"), b"proto")
    assert (ours.calls, sleeps) == (1, [])


@pytest.mark.parametrize(("attempts", "calls"), [("1", 1), (3, 3)])
@pytest.mark.usefixtures("driver")
def test_how_often_is_an_option(attempts: object, calls: int, sleeps: list[float]) -> None:
    ours = wrapper({"kms.max.attempts": attempts})
    with pytest.raises(KmsError) as caught:
        ours.wrap(kek("busy-9"), b"proto")
    assert (caught.value.code, ours.calls, len(sleeps)) == ("kms_throttled", calls, calls - 1)


@pytest.mark.usefixtures("driver")
def test_an_option_that_is_none_is_refused() -> None:
    with pytest.raises(KmsError) as caught:
        wrapper({"kms.max.attempts": 0}).wrap(kek(), b"proto")
    assert caught.value.code == "bad_kms_option"


def test_a_registry_cannot_say_where_a_kms_is_called(driver: Regional) -> None:
    ours = wrapper({"kms.aws.endpoint": "https://mine"})
    ours.wrap(kek(**{"kms.aws.endpoint": "https://theirs", "kms.timeout.sec": "300", "token": "kek"}), b"")
    assert driver.made == [("regional-kms://eu", {"kms.aws.endpoint": "https://mine", "token": "kek"})]


def test_clients_are_closed_with_it(driver: Regional) -> None:
    ours = wrapper()
    for key_id in ("eu", "us"):
        ours.wrap(kek(key_id), b"")
    assert driver.open == 2
    ours.close()
    assert driver.open == 0


def test_a_call_that_waits_to_be_repeated_is_given_up_at_the_close(driver: Regional) -> None:
    ours = wrapper({"kms.max.attempts": 10})
    with ThreadPoolExecutor(1) as pool:
        # Ten waits take seconds; the close comes in the midst of them.
        waiting = pool.submit(ours.wrap, kek("busy-99"), b"proto")
        while not ours.calls:
            time.sleep(0.01)
        ours.close()
        error = waiting.exception(10)
    assert isinstance(error, KmsError)
    assert error.code == "engine_closed"
    calls = ours.calls
    with pytest.raises(KmsError, match="closed"):
        ours.wrap(kek("busy-99"), b"proto")
    assert ours.calls == calls + 1, "one attempt, and none behind it"
    assert driver.open == 0


def test_behind_the_close_no_alternate_key_is_tried(driver: Regional) -> None:
    ours = wrapper({"kms.max.attempts": 10, "encrypt.alternate.kms.key.ids": "us,asia"})
    ours.close()
    with pytest.raises(KmsError, match="closed") as caught:
        ours.wrap(kek("busy-99"), b"proto")
    assert (caught.value.code, ours.calls, len(driver.made)) == ("engine_closed", 1, 1)


def test_that_it_is_closed_outlives_a_fork(driver: Regional) -> None:
    ours = wrapper({"kms.max.attempts": 10})
    ours.close()
    ours.reset_locks()
    with pytest.raises(KmsError, match="closed"):
        ours.wrap(kek("busy-99"), b"proto")
    assert ours.calls == 1


@pytest.mark.usefixtures("driver")
def test_a_key_that_could_not_be_wrapped_is_not_held_by_what_was_raised() -> None:
    proto = bytes(bytearray(b"a key of its own"))
    holders = sys.getrefcount(proto)
    collecting = gc.isenabled()
    gc.disable()  # a cycle of frames and tracebacks would only be let go of by the collector
    try:
        # Not by pytest.raises, which keeps what was raised.
        with contextlib.suppress(KmsError):
            wrapper().wrap(kek("down", **{"encrypt.alternate.kms.key.ids": "away,down"}), proto)
        assert sys.getrefcount(proto) == holders
    finally:
        if collecting:
            gc.enable()


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
