"""KMS clients: shared, and closed exactly once, when nobody uses them any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from csfle_fast.kms import KmsClient
from csfle_fast.kms.clients import KmsClients
from manual_clock import ManualClock
from own_drivers import registered


class Countdown:
    """A driver that counts how often each of its clients was closed."""

    scheme = "counting-kms"

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()

    def client(self, uri: str, conf: Mapping[str, object]) -> KmsClient:
        del conf
        self.made[uri] += 1
        return Client(f"{uri}#{self.made[uri]}", self)


class Client:
    def __init__(self, name: str, driver: Countdown) -> None:
        self.name = name
        self._driver = driver

    def wrap(self, plaintext: bytes) -> bytes:
        return plaintext

    def unwrap(self, ciphertext: bytes) -> bytes:
        return ciphertext

    def close(self) -> None:
        self._driver.closed[self.name] += 1
        raise OSError("what a client says at its end changes nothing")


@pytest.fixture
def driver() -> Iterator[Countdown]:
    with registered(Countdown()) as driver:
        yield driver


def make(size: int = 1) -> KmsClients:
    return KmsClients({}, size=size, clock=ManualClock())


def uri(name: str) -> str:
    return f"counting-kms://{name}"


def test_a_client_is_made_once_and_closed_once(driver: Countdown) -> None:
    clients = make()
    for _ in range(3):
        with clients.use(uri("a"), {}):
            pass
    assert (driver.made[uri("a")], driver.closed.total()) == (1, 0)
    clients.close()
    clients.close()
    assert driver.closed == {uri("a") + "#1": 1}


def test_one_too_many_is_closed(driver: Countdown) -> None:
    clients = make()
    for name in ("a", "b", "a"):
        with clients.use(uri(name), {}):
            pass
    assert driver.closed == {uri("a") + "#1": 1, uri("b") + "#1": 1}
    assert len(clients) == 1


def test_one_in_use_is_closed_by_its_last_user(driver: Countdown) -> None:
    clients = make()
    with ExitStack() as first:
        first.enter_context(clients.use(uri("a"), {}))
        with clients.use(uri("a"), {}):
            with clients.use(uri("b"), {}):
                pass
            assert driver.closed.total() == 0
        assert driver.closed.total() == 0
    assert driver.closed == {uri("a") + "#1": 1}
    with clients.use(uri("a"), {}):
        assert driver.made[uri("a")] == 2, "a closed one is not used again"


def test_one_in_use_at_the_close_is_closed_behind_it(driver: Countdown) -> None:
    clients = make()
    with ExitStack() as users:
        for _ in range(2):
            users.enter_context(clients.use(uri("a"), {}))
        clients.close()
        assert driver.closed.total() == 0
    assert driver.closed == {uri("a") + "#1": 1}


def test_one_that_is_made_behind_the_close_is_closed_behind_its_use(driver: Countdown) -> None:
    clients = make()
    clients.close()
    with clients.use(uri("a"), {}):
        assert driver.closed.total() == 0
    assert driver.closed == {uri("a") + "#1": 1}


def test_in_many_threads_each_is_closed_once(driver: Countdown) -> None:
    clients = make(2)

    def work(thread: int) -> None:
        for turn in range(200):
            name = f"{thread:x}{turn % 4:x}"
            with clients.use(uri(name), {}) as client:
                assert isinstance(client, Client)
                assert driver.closed[client.name] == 0

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (1, 1, 2, 2)))
    clients.close()
    assert driver.closed.total() == driver.made.total()
    assert set(driver.closed.values()) == {1}


def test_a_forked_child_leaves_every_client_of_its_parents_open(driver: Countdown) -> None:
    clients = make(4)
    for _ in range(3):  # a child of a child of a child
        with clients.use(uri("a"), {}):
            pass
        clients.reset_locks()
    clients.close()
    assert (driver.made[uri("a")], driver.closed.total()) == (3, 0)
    assert len(clients._left_behind) == 3, "not collected either, which would close their sockets"
