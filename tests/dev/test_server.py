from __future__ import annotations

import socket
import threading

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


def test_the_secret_is_not_on_show() -> None:
    assert "a secret" not in repr(DevRegistry(secret="a secret"))
