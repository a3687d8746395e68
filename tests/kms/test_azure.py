"""Azure Key Vault on the stand-in: wrapping, versions, threads, and confluent-kafka's own driver."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from azure_world import PROTO, SAVE_VERSION, client, refused, theirs
from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsDriver, driver_for
from csfle_fast.kms.azure import AzureKmsDriver
from services.azure import AzureStandIn
from services.azure_answers import Fault

SAVES = {SAVE_VERSION: "true"}
KEY = "https://kv1.vault.azure.net/keys/kek"


def test_it_is_found_by_its_scheme() -> None:
    driver = driver_for(f"azure-kms://{KEY}")
    assert isinstance(driver, AzureKmsDriver)
    assert isinstance(driver, KmsDriver)


def test_each_operation_is_one_request_and_needs_one_right(azure: AzureStandIn) -> None:
    key = azure.make_key()
    with closing(client(azure, key)) as ours:
        azure.application.may = {"encrypt"}
        wrapped = ours.wrap(PROTO)
        assert len(wrapped) == 256  # of a 2048-bit key
        assert wrapped != ours.wrap(PROTO)
        azure.application.may = {"decrypt"}
        assert ours.unwrap(wrapped) == PROTO
    assert azure.count("^/keys/kek/encrypt$") == 2
    assert azure.count("^/keys/kek/decrypt$") == 1
    assert azure.count("^/keys/") == 3
    assert azure.count("/v2.0/token$") == 1
    assert azure.count("") == 5  # with the one that finds out where tokens are to be had
    assert azure.proxy.refused == []


def test_the_longest_dek_is_wrapped(azure: AzureStandIn) -> None:
    proto = b"\x12\x40" + bytes(range(64))  # AES256_SIV
    with closing(client(azure, azure.make_key())) as ours:
        assert ours.unwrap(ours.wrap(proto)) == proto


@pytest.mark.parametrize("flag", [True, "true", "True"])
def test_the_version_is_saved_and_used(flag: object, azure: AzureStandIn) -> None:
    key = azure.make_key()
    old = azure.version(key).id
    with closing(client(azure, key, **{SAVE_VERSION: flag})) as ours, closing(client(azure, key)) as reader:
        wrapped = ours.wrap(PROTO)
        assert wrapped.startswith(f"azure:v1:{old}:".encode())
        assert len(wrapped) == 42 + 256
        azure.rotate(key)
        newer = ours.wrap(PROTO)  # at once with the new version, which only the service knows of
        assert newer.startswith(f"azure:v1:{azure.version(key).id}:".encode())
        assert azure.version(key).id != old
        for one in (wrapped, newer):
            assert ours.unwrap(one) == PROTO
            assert reader.unwrap(one) == PROTO  # without the setting
    assert azure.count(f"^/keys/kek/{old}/decrypt$") == 2


def test_without_a_saved_version_a_rotation_ends_it(
    azure: AzureStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    key = azure.make_key()
    with closing(client(azure, key)) as ours, caplog.at_level(logging.WARNING, "csfle_fast"):
        wrapped = ours.wrap(PROTO)
        ours.wrap(PROTO)
        assert ours.unwrap(wrapped) == PROTO
        azure.rotate(key)
        error = refused(ours.unwrap, wrapped)
    assert error.code == "unwrap_refused"
    assert "neither key id nor DEK name a version" in error.message
    (told,) = [record for record in caplog.records if record.name == "csfle_fast.kms.azure"]
    assert key in told.getMessage()
    assert SAVE_VERSION in told.getMessage()


def test_a_key_id_may_name_a_version(azure: AzureStandIn, caplog: pytest.LogCaptureFixture) -> None:
    key = azure.make_key()
    old = f"{key}/{azure.version(key).id}"
    azure.rotate(key)
    with (
        closing(client(azure, old)) as ours,
        closing(client(azure, old, **{SAVE_VERSION: True})) as saving,
        closing(client(azure, key)) as newest,
        caplog.at_level(logging.WARNING, "csfle_fast"),
    ):
        wrapped = ours.wrap(PROTO)
        assert ours.unwrap(wrapped) == PROTO
        assert refused(newest.unwrap, wrapped).code == "unwrap_refused"
        saved = saving.wrap(PROTO)
        assert saved.startswith(f"azure:v1:{azure.version(old).id}:".encode())
        assert newest.unwrap(saved) == PROTO
        # What a DEK says of its version goes before what the key id says.
        with closing(client(azure, f"{key}/{azure.version(key).id}")) as other:
            assert other.unwrap(saved) == PROTO
    assert [record for record in caplog.records if record.name.startswith("csfle_fast")] == []


def test_damaged_versions(azure: AzureStandIn) -> None:
    key = azure.make_key()
    old = azure.version(key).id.encode()
    azure.rotate(key)
    with closing(client(azure, key, **{SAVE_VERSION: True})) as ours:
        wrapped = ours.wrap(PROTO)
        current, ciphertext = wrapped[9:41], wrapped[42:]
        before = azure.count("decrypt")
        for damaged in (
            b"azure:v1:",
            b"azure:v1:" + ciphertext,
            b"azure:v1:" + current + b"/" + ciphertext,
            b"azure:v1:" + current[:-1] + b":" + ciphertext,
            b"azure:v1:" + b"../" + current[3:] + b":" + ciphertext,
        ):
            assert refused(ours.unwrap, damaged).code == "unwrap_refused"
        assert azure.count("decrypt") == before
        assert refused(ours.unwrap, b"azure:v1:" + old + b":" + ciphertext).code == "unwrap_refused"
        unknown = b"azure:v1:" + b"0" * 32 + b":" + ciphertext
        assert refused(ours.unwrap, unknown).code == "kms_key_unknown"


@pytest.mark.parametrize(
    "key_id",
    [
        "",
        "kek",
        "http://kv1.vault.azure.net/keys/kek",
        "https://kv1.vault.azure.net/secrets/kek",
        "https://kv1.vault.azure.net/keys",
        "https://kv1.vault.azure.net/keys/",
        "https://kv1.vault.azure.net/keys/k_k",
        "https://kv1.vault.azure.net/keys/kek/latest",
        f"https://kv1.vault.azure.net/keys/kek/{'0' * 31}g",
        f"https://kv1.vault.azure.net/keys/kek/{'0' * 32}/encrypt",
        f"https://kv1.vault.azure.net/keys/{'k' * 128}",
        "https://kv1.vault.azure.net/keys/kek?api-version=1",
        "https://kv1.vault.azure.net/keys/kek#x",
        "https://kv1.vault.azure.net/keys/../kek",
        "https://hunter2@kv1.vault.azure.net/keys/kek",
        "https://hunter2:x@kv1.vault.azure.net/keys/kek",
        "https://kv1.vault.azure.net:99999/keys/kek",
        "https://kv1.vault.azure.net\\@evil.example/keys/kek",
        "https://kv1.vault.azure.net/keys/kek\n",
        "https://kv\uff11.vault.azure.net/keys/kek",  # a full-width 1
        "https:///keys/kek",
    ],
)
def test_other_key_ids_are_refused(key_id: str, azure: AzureStandIn) -> None:
    error = refused(client, azure, key_id, secrets=("hunter2",))
    assert error.code == "bad_key_id"
    assert azure.requests == []


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/{version}", "{}/{version}/", "{upper}"])
def test_key_ids_that_are_taken(form: str, azure: AzureStandIn) -> None:
    key = azure.make_key()
    host = azure.vault
    spelt = form.format(key, version=azure.version(key).id, upper=key.replace(host, host.upper() + ":443"))
    with closing(client(azure, spelt)) as ours:
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO


@pytest.mark.parametrize("value", ["yes", 1, ""])
def test_a_flag_that_is_none(value: object, azure: AzureStandIn) -> None:
    assert refused(lambda: client(azure, KEY, **{SAVE_VERSION: value})).code == "bad_kms_option"


@pytest.mark.parametrize("module", ["azure.identity", "azure.keyvault.keys"])
def test_without_the_sdk(module: str, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(KmsError, match=r"csfle-fast\[azure\]") as caught:
        client(azure, KEY)
    assert caught.value.code == "kms_sdk_missing"


def test_threads_share_a_client_and_its_token(azure: AzureStandIn) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> bool:
        start.wait()
        proto = PROTO[:-1] + bytes([number])
        return all(ours.unwrap(ours.wrap(proto)) == proto for _ in range(10))

    with closing(client(azure, azure.make_key())) as ours, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert azure.count("/v2.0/token$") == 1
    assert azure.count("/encrypt$") == 80
    # No more connections to the vault than threads.
    assert azure.proxy.opened.count(f"{azure.vault}:443") <= 8


def await_no_tunnel(azure: AzureStandIn) -> bool:
    deadline = time.monotonic() + 10
    while azure.proxy.open_tunnels() and time.monotonic() < deadline:
        time.sleep(0.01)
    return azure.proxy.open_tunnels() == 0


def test_closing_leaves_no_connection(azure: AzureStandIn) -> None:
    ours = client(azure, azure.make_key())
    ours.wrap(PROTO)
    assert azure.proxy.open_tunnels() == 2  # vault and login
    ours.close()
    assert await_no_tunnel(azure)


def test_closing_during_a_call_lets_it_end_and_leaves_no_connection(azure: AzureStandIn) -> None:
    ours = client(azure, azure.make_key(), kms__timeout__sec=30)
    ours.wrap(PROTO)
    azure.faults.append(Fault("/encrypt$", 0))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ours.wrap, PROTO)
        while azure.count("/encrypt$") < 2 and not waiting.done():
            time.sleep(0.01)
        ours.close()
        azure.let_go()
        assert len(waiting.result()) == 256
    assert await_no_tunnel(azure)


def test_a_connection_that_was_dropped_meanwhile_is_made_anew(azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key())) as ours:
        wrapped = ours.wrap(PROTO)
        azure.proxy.drop()
        assert await_no_tunnel(azure)
        assert ours.unwrap(wrapped) == PROTO


@pytest.mark.parametrize("conf", [{}, SAVES, {SAVE_VERSION: "false"}])
@pytest.mark.parametrize("with_version", [False, True])
def test_theirs_unwraps_ours_and_ours_theirs(
    conf: dict[str, object], with_version: bool, azure: AzureStandIn
) -> None:
    azure.application.may.add("get")  # their client gets the public key
    key = azure.make_key()
    if with_version:
        key = f"{key}/{azure.version(key).id}"
    other = theirs(azure, key, **conf)
    with closing(client(azure, key, **conf)) as ours:
        assert other.decrypt(ours.wrap(PROTO), b"") == PROTO
        assert ours.unwrap(other.encrypt(PROTO, b"")) == PROTO
        form = re.compile(rb"azure:v1:[0-9a-f]{32}:.{256}" if conf == SAVES else rb".{256}", re.DOTALL)
        assert form.fullmatch(ours.wrap(PROTO))
        assert form.fullmatch(other.encrypt(PROTO, b""))


def test_across_a_rotation_both_drivers_open_what_has_its_version(azure: AzureStandIn) -> None:
    azure.application.may.add("get")
    key = azure.make_key()
    first = theirs(azure, key, **SAVES)
    with closing(client(azure, key, **SAVES)) as ours, closing(client(azure, key)) as plain:
        saved = [ours.wrap(PROTO), first.encrypt(PROTO, b"")]
        unsaved = plain.wrap(PROTO)
        azure.rotate(key)
        second = theirs(azure, key, **SAVES)
        for wrapped in saved:
            assert second.decrypt(wrapped, b"") == PROTO
            assert ours.unwrap(wrapped) == PROTO
        assert second.decrypt(ours.wrap(PROTO), b"") == PROTO
        assert ours.unwrap(second.encrypt(PROTO, b"")) == PROTO
        # Neither of them can open this.
        assert refused(plain.unwrap, unsaved).code == "unwrap_refused"
        with pytest.raises(Exception, match="BadParameter"):
            second.decrypt(unsaved, b"")
