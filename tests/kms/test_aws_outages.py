"""AWS KMS and STS that cannot be reached, break off or do not answer, over a real connection each time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from aws_world import ARN, KEYS, PROTO, client_behind, failure, make_client, refused, role_client
from csfle_fast.kms.aws import AwsKmsClient
from services.fault_proxy import Fault, FaultProxy
from services.moto import MotoServer
from services.ports import LOOPBACK

pytestmark = pytest.mark.usefixtures("aws_environment")


@pytest.fixture
def proxy(moto: MotoServer) -> Iterator[FaultProxy]:
    with FaultProxy(moto.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def client(moto: MotoServer, proxy: FaultProxy) -> Iterator[AwsKmsClient]:
    """A key on moto, behind the proxy."""
    with closing(client_behind(proxy, moto.create_key())) as client:
        yield client


def test_boto3s_variables_do_not_bring_its_retries_back(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    proxy.add(refused("ThrottlingException"))
    with closing(client_behind(proxy)) as client:
        assert failure(client.wrap).code == "kms_throttled"
    assert len(proxy.seen()) == 1


def test_a_connection_that_breaks_is_worth_repeating(client: AwsKmsClient, proxy: FaultProxy) -> None:
    proxy.add(Fault(reset=True), times=1)
    assert failure(client.wrap).code == "kms_unavailable"
    assert len(proxy.seen()) == 1
    assert client.wrap(PROTO)


def test_a_kms_that_is_down_and_comes_back(client: AwsKmsClient, proxy: FaultProxy) -> None:
    wrapped = client.wrap(PROTO)
    proxy.down()
    for _ in range(2):
        assert failure(client.unwrap, wrapped).code == "kms_unreachable"
    proxy.up()
    assert client.unwrap(wrapped) == PROTO


def test_no_answer_in_time(proxy: FaultProxy) -> None:
    proxy.add(Fault(hang=True))
    with closing(client_behind(proxy, **{"kms.timeout.sec": 0.5})) as client:
        begin = time.monotonic()
        assert failure(client.wrap).code == "kms_timeout"
        assert 0.4 < time.monotonic() - begin < 10
    assert len(proxy.seen()) == 1


def test_no_connection_in_time() -> None:
    with socket.create_server((LOOPBACK, 0), backlog=0) as server, ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(4):  # what is waiting here is never accepted, and then nothing more may wait
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((LOOPBACK, port))
        conf = {**KEYS, "kms.aws.endpoint": f"http://{LOOPBACK}:{port}", "kms.timeout.sec": "0.5"}
        client = stack.enter_context(closing(make_client(ARN, **conf)))
        begin = time.monotonic()
        error = failure(client.wrap)
        assert (error.code, "ConnectTimeoutError" in error.message) == ("kms_timeout", True)
        assert time.monotonic() - begin < 10


def test_a_slow_answer_is_waited_for(client: AwsKmsClient, proxy: FaultProxy) -> None:
    proxy.add(Fault(delay=0.5))
    assert client.wrap(PROTO)


@pytest.mark.parametrize("web_identity", [False, True])
def test_an_sts_that_does_not_answer(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, web_identity: bool
) -> None:
    with closing(role_client(proxy, monkeypatch, tmp_path, web_identity=web_identity)) as client:
        proxy.add(Fault(hang=True))
        begin = time.monotonic()
        error = failure(client.wrap)
        assert (error.code, "while fetching credentials" in error.message) == ("kms_timeout", True)
        assert time.monotonic() - begin < 10
        assert len(proxy.seen()) == 1
        proxy.down()
        assert failure(client.wrap).code == "kms_unreachable"
