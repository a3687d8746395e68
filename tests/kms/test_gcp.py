"""The driver for Google Cloud KMS against the stand-in: wrapping, rotation, threads, roads to it, interop."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

import gcp_interop
from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsDriver, driver_for, gcp
from csfle_fast.kms.gcp import GcpKmsDriver
from gcp_world import EMAIL, KEY, PROTO, GcpWorld, refused
from services.certificates import Certificates
from services.connect_proxy import ConnectProxy
from services.gcp import GcpKms

URI = f"gcp-kms://{KEY}"
THREADS = 8
GONE = {"kms_unreachable", "kms_unavailable"}  # the second, while the connection is just breaking


@pytest.fixture
def world(gcp_kms: GcpKms, certificates: Certificates) -> GcpWorld:
    return GcpWorld(gcp_kms, certificates)


def test_the_driver_is_built_in() -> None:
    driver = driver_for(URI)
    assert isinstance(driver, GcpKmsDriver)
    assert isinstance(driver, KmsDriver)


def test_what_is_wrapped_is_unwrapped_with_one_call_each(world: GcpWorld) -> None:
    with world.client() as client:
        assert world.kms.calls == []  # making a client asks nobody
        wrapped = client.wrap(PROTO)
        assert PROTO not in wrapped
        assert client.unwrap(wrapped) == PROTO
    calls = [(call.operation, call.key_id, call.email) for call in world.kms.calls]
    assert calls == [("Encrypt", KEY, EMAIL), ("Decrypt", KEY, EMAIL)]


def test_an_empty_text_survives(world: GcpWorld) -> None:
    with world.client() as client:
        assert client.unwrap(client.wrap(b"")) == b""


def test_a_rotated_key_opens_what_its_older_versions_wrapped(world: GcpWorld) -> None:
    with world.client() as client:
        old = client.wrap(PROTO)
        world.kms.rotate(KEY)
        new = client.wrap(PROTO)
        world.kms.set_state(KEY, 1, "DESTROYED")
        assert client.unwrap(new) == PROTO
        assert refused(lambda: client.unwrap(old)).code == "kms_key_disabled"
        world.kms.set_state(KEY, 1, "ENABLED")
        assert client.unwrap(old) == PROTO


def test_threads_share_a_client(world: GcpWorld) -> None:
    together = Barrier(THREADS)

    def work(number: int) -> bool:
        text = bytes([number]) * 34
        together.wait(30)
        return all(client.unwrap(client.wrap(text)) == text for _ in range(10))

    with world.client() as client, ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(work, range(THREADS))) == [True] * THREADS
    assert len({call.peer for call in world.kms.calls}) == 1  # over one connection


def test_a_client_comes_back_after_an_outage(world: GcpWorld) -> None:
    with world.client() as client:
        wrapped = client.wrap(PROTO)
        world.kms.stop()
        assert outcome(lambda: client.unwrap(wrapped)) in GONE
        world.kms.start()
        deadline = time.monotonic() + 60
        while (code := outcome(lambda: client.unwrap(wrapped))) is not None:
            assert code in GONE
            assert time.monotonic() < deadline
            time.sleep(0.1)


def outcome(call: Callable[[], object]) -> str | None:
    try:
        call()
    except KmsError as error:
        return error.code
    return None


def test_an_idle_connection_is_not_used_again(world: GcpWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name, _ in gcp._CHANNEL_OPTIONS]
    assert "grpc.client_idle_timeout_ms" in names
    monkeypatch.setattr(gcp, "_CHANNEL_OPTIONS", (("grpc.client_idle_timeout_ms", 1000),))
    with world.client() as client:
        wrapped = client.wrap(PROTO)
        time.sleep(4)
        assert client.unwrap(wrapped) == PROTO
    assert len({call.peer for call in world.kms.calls}) == 2


@pytest.mark.parametrize("port", ["", ":443"])
def test_a_proxy_of_the_environment_leads_to_google(
    world: GcpWorld, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    with ConnectProxy({"cloudkms.googleapis.com:443": world.kms.port}) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        endpoint = f"cloudkms.googleapis.com{port}" if port else None
        with world.client(options={"kms.gcp.endpoint": endpoint}) as client:
            assert client.unwrap(client.wrap(PROTO)) == PROTO
        assert proxy.opened == ["cloudkms.googleapis.com:443"]
        with world.client(options={"kms.gcp.endpoint": "else.where"}) as client:
            error = refused(lambda: client.wrap(PROTO))
        assert error.code == "kms_unreachable"
        assert "HTTP proxy returned response code 403" in error.message
        assert proxy.refused == ["else.where:443"]


def test_confluents_driver_opens_ours_and_ours_theirs(world: GcpWorld, tmp_path: Path) -> None:
    file = tmp_path / "account.json"  # their base class wants one, though it is not used
    file.write_text(json.dumps(world.account.file()), encoding="utf-8")
    order = {"conf": world.account.settings(), "key": KEY, "plaintext": PROTO.hex()}
    with ConnectProxy({"cloudkms.googleapis.com:443": world.kms.port}) as proxy:
        environment = {
            **os.environ,
            "https_proxy": proxy.url,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(world.certificates.authority),
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
        }
        run = subprocess.run(
            [sys.executable, str(gcp_interop.__file__)],
            input=json.dumps(order),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"ours": PROTO.hex(), "theirs": PROTO.hex()}
    assert sorted(call.operation for call in world.kms.calls) == ["Decrypt"] * 2 + ["Encrypt"] * 2
    assert set(proxy.opened) == {"cloudkms.googleapis.com:443"}


def test_a_forked_child_may_make_a_client_of_its_own(world: GcpWorld) -> None:
    code = (
        "import json, os, signal, sys\n"
        "from csfle_fast.kms.gcp import GcpKmsDriver\n"
        "uri, conf = json.load(sys.stdin)\n"
        "mine = GcpKmsDriver().client(uri, conf)\n"
        "wrapped = mine.wrap(b'proto')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(60)\n"
        "    client = GcpKmsDriver().client(uri, conf)\n"
        "    os._exit(0 if client.unwrap(wrapped) == b'proto' else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert mine.unwrap(wrapped) == b'proto'\n"
        "mine.close()\n"
    )
    order = json.dumps([URI, {**world.account.settings(), **world.options()}])
    subprocess.run([sys.executable, "-c", code], input=order, text=True, check=True, timeout=90)
    assert [call.operation for call in world.kms.calls] == ["Encrypt", "Decrypt", "Decrypt"]


@pytest.mark.parametrize(
    "key_id",
    [
        "",
        "k",
        f"{KEY}/cryptoKeyVersions/1",
        f"/{KEY}",
        f"{KEY}/",
        f"{KEY}\n",
        f"https://cloudkms.googleapis.com/v1/{KEY}",
        KEY.replace("/p/", "//"),
        KEY.replace("/p/", "/-/../"),
        KEY.replace("/europe-west3/", "/europe west3/"),
        KEY + "k" * 63,
        KEY.replace("cryptoKeys", "importJobs"),
    ],
)
def test_a_key_id_of_another_form_is_refused(key_id: str) -> None:
    error = refused(lambda: GcpKmsDriver().client(f"gcp-kms://{key_id}", {}))
    assert error.code == "bad_key_id"
    assert repr(key_id) in error.message


@pytest.mark.parametrize("project", ["my-project-1", "example.com:my-project", "1234567890"])
def test_each_kind_of_project_is_taken(world: GcpWorld, project: str) -> None:
    key_id = KEY.replace("/p/", f"/{project}/")
    world.kms.create_key(key_id)
    with world.client(key_id=key_id) as client:
        assert client.unwrap(client.wrap(PROTO)) == PROTO


def test_a_version_belongs_to_a_key_by_either_name_of_its_project() -> None:
    number = KEY.replace("/p/", "/42/")
    other = KEY.replace("/p/", "/q/")
    for name, key_id, belongs in (
        (KEY, KEY, True),
        (number, KEY, True),
        (KEY, number, True),
        (other, KEY, False),
        (number, KEY.replace("/p/", "/43/"), False),
        (f"{KEY}2", KEY, False),
        ("", KEY, False),
    ):
        assert gcp._is_version(f"{name}/cryptoKeyVersions/7", key_id) is belongs
    assert not gcp._is_version(KEY, KEY)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("kms.gcp.endpoint", "https://cloudkms.googleapis.com"),
        ("kms.gcp.endpoint", "unix:/tmp/socket"),
        ("kms.gcp.endpoint", "host:port"),
        ("kms.gcp.endpoint", 443),
        ("kms.gcp.ca.location", "/nowhere/ca.pem"),
        ("kms.gcp.ca.location", __file__),
        ("kms.timeout.sec", 0),
    ],
)
def test_an_option_that_is_not_allowed_is_named(world: GcpWorld, option: str, value: object) -> None:
    conf = {**world.account.settings(), option: value}
    error = refused(lambda: GcpKmsDriver().client(URI, conf))
    assert error.code == "bad_kms_option"
    assert option in error.message


def test_neither_keys_nor_deks_are_shown_or_logged(world: GcpWorld, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(str(record.__dict__))

    google = logging.getLogger("google")  # which does not hand on what it gets
    everything = Everything()
    google.addHandler(everything)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "google")
    try:
        with world.client() as client:
            wrapped = client.wrap(b"plaintext of a DEK")
            assert client.unwrap(wrapped) == b"plaintext of a DEK"
            shown = repr(client) + str(client)
    finally:
        google.removeHandler(everything)
    everything_said = "".join(seen) + caplog.text + shown
    for secret in (
        "plaintext of a DEK",
        "cGxhaW50ZXh0IG9mIGEgREVL",
        "PRIVATE KEY",
        world.account.private_key,
    ):
        assert secret not in everything_said
    assert KEY not in "".join(seen)  # requests are not logged at all


@pytest.mark.parametrize("module", ["google.oauth2", "google.cloud.kms_v1", "google_crc32c"])
def test_without_its_sdk_the_driver_says_what_to_install(
    world: GcpWorld, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(KmsError, match=r"csfle-fast\[gcp\]") as caught:
        GcpKmsDriver().client(URI, world.account.settings())
    assert caught.value.code == "kms_sdk_missing"
    assert module in caught.value.message
