"""The proxy to the stand-ins of clouds: what it lets through, what it refuses, and that it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from services.connect_proxy import ConnectProxy
from services.ports import LOOPBACK, free_ports


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers with what it got, for each connection until its end."""
    with echo_server(lambda one: one.recv(65_536)) as port:
        yield port


@contextmanager
def echo_server(next_piece: Callable[[socket.socket], bytes]) -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        thread = threading.Thread(target=serve_echo, args=(server, next_piece))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def serve_echo(server: socket.socket, next_piece: Callable[[socket.socket], bytes]) -> None:
    while True:
        try:
            one, _ = server.accept()
        except OSError:
            return
        with one:
            while data := next_piece(one):
                one.sendall(data)


def connected(proxy: ConnectProxy, request: str) -> tuple[socket.socket, str]:
    """A connection on which ``request`` was sent, and the status line of the answer."""
    host, _, port = proxy.url.removeprefix("http://").partition(":")
    one = socket.create_connection((host, int(port)), 10)
    one.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer and (data := one.recv(1)):  # nothing behind the head
        answer += data
    return one, answer.decode().partition("\r\n")[0]


def connect(name: str) -> str:
    return f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: test\r\n\r\n"


def read(one: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (data := one.recv(size - len(got))):
        got += data
    return got


def becomes(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_known_name_leads_to_its_port_and_bytes_go_both_ways(echo: int) -> None:
    with ConnectProxy({"*.vault.azure.net:443": echo}) as proxy:
        one, status = connected(proxy, connect("KV1.vault.azure.net:443"))
        with closing(one):
            assert status == "HTTP/1.1 200 OK"
            sent = bytes(range(256)) * 4096
            sender = threading.Thread(target=one.sendall, args=(sent,))
            sender.start()
            assert read(one, len(sent)) == sent
            sender.join()
            assert proxy.open_tunnels() == 1
            one.shutdown(socket.SHUT_WR)  # the end of one side arrives at the other
            assert one.recv(1) == b""
        assert becomes(lambda: proxy.open_tunnels() == 0)
        assert proxy.opened == ["kv1.vault.azure.net:443"]
        assert proxy.refused == []


def test_what_a_client_sends_right_behind_its_request_is_not_lost(echo: int) -> None:
    with ConnectProxy({"a:1": echo}) as proxy:
        one, _ = connected(proxy, connect("a:1") + "early")
        with closing(one):
            assert read(one, 5) == b"early"


@pytest.mark.parametrize("name", ["example.com:443", "kv1.vault.azure.net:80", "vault.azure.net:443", ""])
def test_any_other_name_is_refused_and_counted(name: str, echo: int) -> None:
    with ConnectProxy({"*.vault.azure.net:443": echo}) as proxy:
        one, status = connected(proxy, connect(name))
        with closing(one):
            assert status == "HTTP/1.1 403 Forbidden"
            assert one.recv(1) == b""
        assert (proxy.refused, proxy.opened) == ([name], [])


def test_it_is_no_proxy_for_plain_requests(echo: int) -> None:
    with ConnectProxy({"a:80": echo}) as proxy:
        one, status = connected(proxy, "GET http://a/ HTTP/1.1\r\n\r\n")
        one.close()
        assert status == "HTTP/1.1 405 Method Not Allowed"


def test_a_name_whose_server_is_gone() -> None:
    with ConnectProxy({"a:1": free_ports(1)[0]}) as proxy:
        one, status = connected(proxy, connect("a:1"))
        one.close()
        assert status == "HTTP/1.1 502 Bad Gateway"


def test_open_tunnels_can_be_dropped_and_new_ones_opened(echo: int) -> None:
    with ConnectProxy({"a:1": echo}) as proxy:
        one, _ = connected(proxy, connect("a:1"))
        with closing(one):
            proxy.drop()
            assert one.recv(1) == b""
        again, status = connected(proxy, connect("a:1"))
        again.close()
        assert status == "HTTP/1.1 200 OK"


def test_it_ends_at_once_though_a_tunnel_and_half_a_request_are_open(echo: int) -> None:
    before = threading.active_count()
    with ConnectProxy({"a:1": echo}) as proxy:
        one, _ = connected(proxy, connect("a:1"))
        host, _, port = proxy.url.removeprefix("http://").partition(":")
        half = socket.create_connection((host, int(port)), 10)
        half.sendall(b"CONNECT a:1")
        start = time.monotonic()
    assert time.monotonic() - start < 10
    assert threading.active_count() == before
    with closing(one), closing(half):
        assert one.recv(1) == b""


def test_small_requests_do_not_wait_for_late_acknowledgements() -> None:
    # A request of two small packets, with Nagle's algorithm on: the second waits until the first is
    # acknowledged, and no answer can bring the acknowledgement along.
    with (
        echo_server(lambda one: read(one, 2)) as port,
        ConnectProxy({"a:1": port}) as proxy,
        closing(connected(proxy, connect("a:1"))[0]) as one,
    ):
        start = time.monotonic()
        for _ in range(200):
            one.sendall(b"x")
            one.sendall(b"y")
            assert read(one, 2) == b"xy"
        assert time.monotonic() - start < 4  # 8 s at 40 ms each
