"""The proxy with faults: what it passes on, every fault, when each happens; nothing is left behind."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.fault_proxy import Fault, FaultProxy, Which
from services.ports import LOOPBACK, free_ports

PATIENCE = 20.0
Answer = tuple[int, dict[str, str], bytes]


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = f"{self.command} {self.path} {self.headers['Host']} {self.headers['X-Amz-Target']} ".encode()
        self.send_response(202)
        self.send_header("X-Twice", "one")
        self.send_header("X-Twice", "two")
        self.send_header("Content-Length", str(len(told + body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told + body)

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815 - as http.server wants it


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with ThreadingHTTPServer((LOOPBACK, 0), Echo) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        with FaultProxy(f"http://{LOOPBACK}:{server.server_address[1]}") as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def connect(proxy: FaultProxy, timeout: float = PATIENCE) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=timeout)


def ask(
    proxy: FaultProxy,
    method: str = "GET",
    path: str = "/",
    body: bytes = b"",
    *,
    target: str = "t",
    timeout: float = PATIENCE,
) -> Answer:
    connection = connect(proxy, timeout)
    try:
        connection.request(method, path, body, {"X-Amz-Target": target})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def get(connection: http.client.HTTPConnection, body: Iterator[bytes] | None = None) -> None:
    connection.request("GET", "/", body)
    connection.getresponse().read()


def test_passes_on_what_it_is_given(proxy: FaultProxy) -> None:
    host = proxy.url.removeprefix("http://")
    connection = connect(proxy)
    for body in (b"one", b""):  # the connection is kept
        connection.request("POST", "/a?b=c", body, {"X-Amz-Target": "T.Encrypt"})
        answer = connection.getresponse()
        assert answer.status == 202
        assert answer.headers.get_all("X-Twice") == ["one", "two"]
        assert answer.read() == f"POST /a?b=c {host} T.Encrypt ".encode() + body
        assert connection.sock is not None
    connection.close()
    status, headers, body = ask(proxy, "HEAD", "/a")
    assert (status, int(headers["Content-Length"]), body) == (202, len(f"HEAD /a {host} t "), b"")
    assert [(one.method, one.path, one.body) for one in proxy.seen()] == [
        ("POST", "/a?b=c", b"one"),
        ("POST", "/a?b=c", b""),
        ("HEAD", "/a", b""),
    ]
    assert len(proxy.seen(Which(header="x-amz-target", value=r"\.Encrypt$"))) == 2


@pytest.mark.parametrize(
    ("which", "hit"),
    [
        (Which(), "0123"),
        (Which(method="POST"), "12"),
        (Which(path=r"^/keks\?x=1$"), "1"),
        (Which(header="X-AMZ-Target", value="Decrypt"), "23"),
        (Which(method="POST", path="deks", header="x-amz-target", value="^Encrypt"), ""),
        (Which(header="X-None"), ""),
    ],
)
def test_a_fault_hits_the_requests_that_fit(proxy: FaultProxy, which: Which, hit: str) -> None:
    proxy.add(Fault(status=503, headers={"Retry-After": "7"}, body=b"busy"), which)
    asked = [
        ("GET", "/keks", "Encrypt"),
        ("POST", "/keks?x=1", "Encrypt"),
        ("POST", "/deks", "Decrypt"),
        ("GET", "/", "Decrypt"),
    ]
    for number, (method, path, target) in enumerate(asked):
        status, headers, body = ask(proxy, method, path, target=target)
        assert (status, headers.get("Retry-After"), body == b"busy") == (
            (503, "7", True) if str(number) in hit else (202, None, False)
        )


def test_a_fault_happens_so_often_and_the_first_added_goes_first(proxy: FaultProxy) -> None:
    proxy.add(Fault(status=500), times=2)
    proxy.add(Fault(status=429), times=1)
    assert [ask(proxy)[0] for _ in range(4)] == [500, 500, 429, 202]
    proxy.add(Fault(status=500))
    assert [ask(proxy)[0] for _ in range(3)] == [500] * 3
    proxy.clear()
    assert proxy.seen() == []
    assert ask(proxy)[0] == 202
    assert len(proxy.seen()) == 1


def test_a_probability_is_the_same_in_every_run(proxy: FaultProxy) -> None:
    proxy.add(Fault(status=500), probability=0.3)
    statuses = [ask(proxy)[0] for _ in range(60)]
    assert 8 <= statuses.count(500) <= 28
    with FaultProxy(f"http://{proxy.upstream[0]}:{proxy.upstream[1]}") as same:
        same.add(Fault(status=500), probability=0.3)
        assert [ask(same)[0] for _ in range(60)] == statuses


def test_a_delay_comes_before_the_answer(proxy: FaultProxy) -> None:
    proxy.add(Fault(delay=0.3), times=1)
    proxy.add(Fault(delay=0.3, status=500), times=1)
    for status in (202, 500):
        begin = time.monotonic()
        assert ask(proxy)[0] == status
        assert time.monotonic() - begin >= 0.3


def test_a_reset_is_one(proxy: FaultProxy) -> None:
    proxy.add(Fault(reset=True), times=1)
    with pytest.raises(ConnectionResetError) as caught:
        ask(proxy, "POST", "/", b"body")
    assert not isinstance(caught.value, http.client.RemoteDisconnected)  # that would be an orderly end
    assert ask(proxy)[0] == 202


def test_a_hang_lasts_until_the_proxy_goes_down(proxy: FaultProxy) -> None:
    proxy.add(Fault(hang=True), times=2)
    with pytest.raises(TimeoutError):
        ask(proxy, timeout=0.3)
    ended: list[type[BaseException]] = []

    def wait() -> None:
        try:
            ask(proxy)
        except (OSError, http.client.HTTPException) as error:
            ended.append(type(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    while len(proxy.seen()) < 2:
        time.sleep(0.01)
    assert waiting.is_alive()
    proxy.down()
    waiting.join(PATIENCE)
    assert len(ended) == 1
    assert not issubclass(ended[0], TimeoutError)


def test_down_refuses_and_up_answers_on_the_same_port(proxy: FaultProxy) -> None:
    kept = connect(proxy)
    get(kept)
    url = proxy.url
    for _ in range(2):
        proxy.down()
        with pytest.raises(ConnectionRefusedError):
            ask(proxy)
        proxy.up()
        assert proxy.url == url
        assert ask(proxy)[0] == 202
    with pytest.raises(ConnectionError):
        get(kept)
    kept.close()


def test_an_upstream_that_is_gone_is_a_bad_gateway() -> None:
    (port,) = free_ports(1)
    with FaultProxy(f"http://{LOOPBACK}:{port}") as proxy:
        assert ask(proxy)[0] == 502


def test_a_body_without_a_length_is_hung_up_on(proxy: FaultProxy) -> None:
    connection = connect(proxy)
    with pytest.raises(ConnectionError):
        get(connection, iter([b"one", b"two"]))
    connection.close()


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    (port,) = free_ports(1)
    with FaultProxy(f"http://{LOOPBACK}:{port}") as proxy:
        proxy.add(Fault(hang=True), Which(path="hang"))
        with pytest.raises(TimeoutError):
            ask(proxy, path="/hang", timeout=0.2)
        idle = connect(proxy)
        get(idle)
        assert len(set(threading.enumerate()) - before) == 3  # one listens, one hangs, one has nothing to do
    assert set(threading.enumerate()) == before
    idle.close()
