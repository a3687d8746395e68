from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from csfle_fast.errors import ConfigError
from dev.samples import payload


def serving_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "csfle-fast-dev-registry"]


def test_ready_inside_the_block_and_gone_behind_it() -> None:
    with DevRegistry() as registry:
        assert httpx.get(f"{registry.url}/subjects").json() == []
        assert len(serving_threads()) == 1
    assert serving_threads() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{registry.url}/subjects")


def test_it_can_go_away_and_come_back_with_everything() -> None:
    registry = DevRegistry()
    registry.start()
    url = registry.url
    registry.store.register("s", payload())
    registry.stop()
    registry.stop()
    registry.start()
    try:
        assert registry.url == url
        assert httpx.get(f"{url}/subjects").json() == ["s"]
        with pytest.raises(RuntimeError, match="running already"):
            registry.start()
    finally:
        registry.stop()


def test_a_stop_does_not_wait_for_a_held_request() -> None:
    with DevRegistry() as registry:
        registry.faults.add("GET", "/subjects", delay=3600)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{registry.url}/subjects", timeout=0.1)
    assert serving_threads() == []


def test_two_registries_know_nothing_of_each_other() -> None:
    with DevRegistry() as one, DevRegistry() as other:
        assert one.url != other.url
        one.store.register("s", payload())
        assert httpx.get(f"{other.url}/subjects").json() == []
        assert other.requests[-1].path == "/subjects"
        assert one.requests == []


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        registry = DevRegistry(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            registry.start()
    registry.start()
    registry.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "", "::"])  # noqa: S104 - refused
def test_other_than_loopback_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        DevRegistry(host=host)


def test_loopback_by_its_other_names() -> None:
    assert DevRegistry(host="localhost", port=1).url == "http://127.0.0.1:1"
    assert DevRegistry(host="::1", port=1).url == "http://[::1]:1"


def test_with_a_state_file_another_one_takes_over(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with DevRegistry(state=path) as one:
        one.store.register("s", payload())
        with pytest.raises(ConfigError, match="in use"):
            DevRegistry(state=path)
        one.stop()
        one.start()
        assert httpx.get(f"{one.url}/subjects").json() == ["s"]
    assert one.store.subjects() == ["s"]
    with pytest.raises(RuntimeError, match="closed"):
        one.store.register("t", payload())
    with pytest.raises(RuntimeError, match="closed"):
        one.start()
    with DevRegistry(state=path) as other:
        assert httpx.get(f"{other.url}/subjects").json() == ["s"]


def test_what_is_stored_before_the_start_is_kept_too(tmp_path: Path) -> None:
    registry = DevRegistry(state=tmp_path / "state")
    registry.keks.put({"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey", "ts": 5})
    registry.close()
    registry.close()
    again = DevRegistry(state=tmp_path / "state")
    assert again.keks.get("k").ts == 5
    again.close()


def test_a_start_that_fails_lets_go_of_the_state_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        registry = DevRegistry(port=taken.getsockname()[1], state=path)
        with pytest.raises(OSError, match="in use"):
            registry.__enter__()
        registry = DevRegistry(port=taken.getsockname()[1], state=path)
        with pytest.raises(OSError, match="in use"):
            registry.serve_forever()
    DevRegistry(state=path).close()


def test_a_write_that_cannot_be_kept_is_an_error_and_has_not_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space")

    with DevRegistry(state=tmp_path / "state") as registry:
        path = f"{registry.url}/subjects/s/versions"
        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            answer = httpx.post(path, json=payload())
        assert (answer.status_code, answer.json()["error_code"]) == (500, 50001)
        assert httpx.get(f"{registry.url}/subjects").json() == []
        assert httpx.post(path, json=payload()).json()["id"] == 1


def test_the_secret_is_not_on_show() -> None:
    assert "a secret" not in repr(DevRegistry(secret="a secret"))
