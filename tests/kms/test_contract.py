"""What a KMS driver owes its caller, held against every one of them on its server or stand-in."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csfle_fast import KmsError
from csfle_fast.kms import KmsClient, KmsDriver, driver_for
from csfle_fast.kms.driver import _BUILT_IN
from kms_worlds import KMS_TYPES, REMOTE_TYPES, KmsWorld, kms_world

__all__ = ["kms_world"]  # a fixture

# The Tink protos of the three algorithms.
PROTOS = (b"\x1a\x10" + bytes(16), b"\x1a\x20" + bytes(range(32)), b"\x12\x40" + bytes(range(64)))


@pytest.fixture
def client(kms_world: KmsWorld) -> Iterator[KmsClient]:
    with closing(make(kms_world)) as client:
        yield client


def make(world: KmsWorld, key_id: str | None = None, **conf: object) -> KmsClient:
    uri = f"{world.kms_type}://{world.key_id if key_id is None else key_id}"
    return driver_for(uri).client(uri, {**world.conf, **conf})


def refusal(client: KmsClient, wrapped: bytes) -> KmsError:
    with pytest.raises(KmsError) as caught:
        client.unwrap(wrapped)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


def test_every_built_in_driver_is_held_to_it() -> None:
    assert set(KMS_TYPES) == set(_BUILT_IN)


def test_it_is_found_by_its_scheme(kms_world: KmsWorld) -> None:
    driver = driver_for(f"{kms_world.kms_type}://{kms_world.key_id}")
    assert isinstance(driver, KmsDriver)
    assert driver.scheme == kms_world.kms_type


def test_every_dek_comes_back_and_none_is_wrapped_alike_twice(client: KmsClient) -> None:
    for proto in PROTOS:
        wrapped = [client.wrap(proto), client.wrap(proto)]
        assert wrapped[0] != wrapped[1]
        assert proto[2:] not in wrapped[0]
        assert [client.unwrap(one) for one in wrapped] == [proto, proto]


def test_another_client_of_the_same_key_opens_it(kms_world: KmsWorld, client: KmsClient) -> None:
    with closing(make(kms_world)) as other:
        assert other.unwrap(client.wrap(PROTOS[1])) == PROTOS[1]


def test_a_changed_byte_is_refused(client: KmsClient) -> None:
    wrapped = client.wrap(PROTOS[1])
    for place in (len(wrapped) // 2, len(wrapped) - 5):
        # A letter for a letter, for a KMS whose ciphertext is text.
        changed = (
            wrapped[:place] + (b"B" if wrapped[place : place + 1] == b"A" else b"A") + wrapped[place + 1 :]
        )
        assert refusal(client, changed).code == "unwrap_refused"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wrapped=st.binary(max_size=400))
def test_rubbish_is_refused_and_not_quoted(client: KmsClient, wrapped: bytes) -> None:
    error = refusal(client, wrapped)
    assert error.code in {"unwrap_refused", "kms_denied"}  # moto's word for what it cannot parse
    if len(wrapped) > 8:
        assert wrapped.decode("latin-1") not in str(error)


def test_another_keys_ciphertext_is_refused(kms_world: KmsWorld, client: KmsClient) -> None:
    one_key = kms_world.other_key_id == kms_world.key_id
    conf = {"secret": "another secret"} if one_key else {}
    with closing(make(kms_world, kms_world.other_key_id, **conf)) as other:
        error = refusal(other, client.wrap(PROTOS[1]))
    assert error.code in kms_world.refuses_foreign


@pytest.mark.parametrize("kms_world", REMOTE_TYPES, indirect=True)
def test_a_key_that_is_not_there_is_named(kms_world: KmsWorld, client: KmsClient) -> None:
    assert kms_world.unknown_key_id is not None
    with closing(make(kms_world, kms_world.unknown_key_id)) as unknown:
        error = refusal(unknown, client.wrap(PROTOS[1]))
    assert error.code == "kms_key_unknown"
    assert kms_world.unknown_key_id in error.message


def test_threads_share_a_client(client: KmsClient) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> bool:
        start.wait(30)
        proto = b"\x1a\x10" + bytes([number] * 16)
        return client.unwrap(client.wrap(proto)) == proto

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.parametrize("kms_world", REMOTE_TYPES, indirect=True)
def test_a_bad_time_out_is_refused_before_anything_is_sent(kms_world: KmsWorld) -> None:
    with pytest.raises(KmsError, match=r"kms\.timeout\.sec") as caught:
        make(kms_world, **{"kms.timeout.sec": "soon"})
    assert caught.value.code == "bad_kms_option"


def test_nothing_shows_a_secret(kms_world: KmsWorld, client: KmsClient) -> None:
    client.unwrap(client.wrap(PROTOS[1]))
    shown = repr(client) + str(client)
    secrets = [value for name, value in kms_world.conf.items() if "secret" in name or "token" in name]
    assert [value for value in secrets if str(value) in shown] == []


def test_closing_lets_go_of_everything(kms_world: KmsWorld) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(make(kms_world))) for _ in range(3)]
        for one in clients:
            one.unwrap(one.wrap(PROTOS[1]))
    clients.clear()
    gc.collect()  # a socket that was left open is a ResourceWarning, and so an error here
