"""AWS KMS on moto: wrapping and unwrapping, key ids, endpoints, threads, and confluent-kafka's own driver."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from confluent_kafka.schema_registry.rules.encryption.awskms.aws_driver import (
    AwsKmsDriver as ConfluentAwsKmsDriver,
)

from aws_world import ARN, PROTO, ROLE, failure
from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsDriver, driver_for
from csfle_fast.kms.aws import AwsKmsClient, AwsKmsDriver
from services.fault_proxy import FaultProxy, Which
from services.moto import MotoServer

pytestmark = pytest.mark.usefixtures("aws_environment")

ENCRYPT = Which(header="X-Amz-Target", value=r"^TrentService\.Encrypt$")
DECRYPT = Which(header="X-Amz-Target", value=r"^TrentService\.Decrypt$")


class Clients:
    """Makes clients on moto, and closes them when the test is over."""

    def __init__(self, endpoint: str, stack: ExitStack) -> None:
        self._stack = stack
        self._conf = {
            "access.key.id": "testing",
            "secret.access.key": "testing",
            "kms.aws.endpoint": endpoint,
            "kms.aws.sts.endpoint": endpoint,
        }

    def __call__(self, key_id: str, **conf: object) -> AwsKmsClient:
        uri = f"aws-kms://{key_id}"
        return self._stack.enter_context(closing(AwsKmsDriver().client(uri, {**self._conf, **conf})))


@pytest.fixture
def proxy(moto: MotoServer) -> Iterator[FaultProxy]:
    """In front of moto, to see what reaches it."""
    with FaultProxy(moto.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def clients(proxy: FaultProxy) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(proxy.url, stack)


def test_the_driver_is_built_in() -> None:
    assert isinstance(driver_for("aws-kms://key"), AwsKmsDriver)
    assert isinstance(AwsKmsDriver(), KmsDriver)


def test_wraps_and_unwraps_with_one_request_each(
    moto: MotoServer, clients: Clients, proxy: FaultProxy
) -> None:
    ours = clients(moto.create_key())
    wrapped = ours.wrap(PROTO)
    assert PROTO not in wrapped
    assert ours.wrap(PROTO) != wrapped
    assert ours.unwrap(wrapped) == PROTO
    assert (len(proxy.seen(ENCRYPT)), len(proxy.seen(DECRYPT)), len(proxy.seen())) == (2, 1, 3)
    assert not any(b"EncryptionContext" in one.body for one in proxy.seen())


def test_another_client_unwraps(moto: MotoServer, clients: Clients) -> None:
    arn = moto.create_key()
    assert clients(arn).unwrap(clients(arn).wrap(PROTO)) == PROTO


def test_an_alias_stands_for_its_key(moto: MotoServer, clients: Clients, proxy: FaultProxy) -> None:
    arn = moto.create_key()
    alias = moto.create_alias("csfle/dek-1", arn)
    by_alias, by_key = clients(alias), clients(arn)
    assert by_key.unwrap(by_alias.wrap(PROTO)) == PROTO
    assert by_alias.unwrap(by_key.wrap(PROTO)) == PROTO
    assert [alias.encode() in one.body for one in proxy.seen()] == [True, False, False, True]


def test_the_region_is_the_keys(
    moto: MotoServer, clients: Clients, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    ours = clients(moto.create_key("ap-southeast-1"))
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    assert all("/ap-southeast-1/kms/" in one.headers["authorization"] for one in proxy.seen())


def test_an_unknown_key_and_an_unknown_alias(moto: MotoServer, clients: Clients) -> None:
    wrapped = clients(moto.create_key()).wrap(PROTO)
    for key_id in (ARN, ARN.partition(":key/")[0] + ":alias/none"):
        assert failure(clients(key_id).wrap, PROTO).code == "kms_key_unknown"
        assert failure(clients(key_id).unwrap, wrapped).code == "kms_key_unknown"


def test_what_was_changed_is_not_unwrapped(moto: MotoServer, clients: Clients) -> None:
    ours = clients(moto.create_key())
    wrapped = ours.wrap(PROTO)
    assert failure(ours.unwrap, wrapped[:-1] + bytes([wrapped[-1] ^ 1])).code == "unwrap_refused"


def test_what_another_key_wrapped_is_not_unwrapped(moto: MotoServer, clients: Clients) -> None:
    # moto says AccessDeniedException where AWS says IncorrectKeyException; see test_aws_failures for that.
    wrapped = clients(moto.create_key()).wrap(PROTO)
    assert failure(clients(moto.create_key()).unwrap, wrapped).code == "kms_denied"


@pytest.mark.parametrize("size", [0, 6145])
def test_what_no_key_can_have_wrapped_is_not_sent(clients: Clients, proxy: FaultProxy, size: int) -> None:
    assert failure(clients(ARN).unwrap, bytes(size)).code == "unwrap_refused"
    assert proxy.seen() == []


@pytest.mark.parametrize(
    "key_id",
    [
        "",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/dek",
        "arn:aws:kms:eu-central-1:123456789012",
        "arn:aws:kms:eu-central-1:123456789012:key/",
        "arn:aws:kms:eu-central-1:12345678901:key/a",
        "arn:aws:kms::123456789012:key/a",
        "arn:aws:s3:eu-central-1:123456789012:key/a",
        "arn:aws:kms:evil.example/:123456789012:key/a",
        "arn:aws:kms:evil.example#:123456789012:key/a",
        "arn:gcp:kms:eu-central-1:123456789012:key/a",
        ARN + "\n",
        ARN + "\r\nHost: evil.example",
        "x" * 100_000,
    ],
)
def test_other_key_ids_are_refused(key_id: str) -> None:
    with pytest.raises(KmsError) as caught:
        AwsKmsDriver().client(f"aws-kms://{key_id}", {})
    assert caught.value.code == "bad_key_id"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("partition", "region", "endpoint"),
    [
        ("aws", "eu-central-1", "https://kms.eu-central-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "https://kms.cn-north-1.amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "https://kms.us-gov-west-1.amazonaws.com"),
    ],
)
def test_each_partition_has_its_endpoint(partition: str, region: str, endpoint: str) -> None:
    arn = f"arn:{partition}:kms:{region}:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    conf = {"access.key.id": "testing", "secret.access.key": "testing", "role.arn": "arn:aws:iam::1:role/r"}
    with closing(AwsKmsDriver().client(f"aws-kms://{arn}", conf)) as ours:
        sdk = ours._connected()
        assert sdk.kms.meta.endpoint_url == endpoint
        assert sdk._sts is not None
        assert sdk._sts.meta.endpoint_url == endpoint.replace("kms", "sts")


@pytest.mark.parametrize("option", ["kms.aws.endpoint", "kms.aws.sts.endpoint"])
@pytest.mark.parametrize(
    "value", ["kms.eu-central-1.amazonaws.com", "ftp://host", "https://", "http://[::1", 7]
)
def test_an_endpoint_that_is_no_url_is_refused(option: str, value: object) -> None:
    with pytest.raises(KmsError, match=option) as caught:
        AwsKmsDriver().client(f"aws-kms://{ARN}", {option: value})
    assert caught.value.code == "bad_kms_option"


def test_boto3s_own_variables_for_endpoints_work(
    moto: MotoServer, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", proxy.url)
    conf = {"access.key.id": "testing", "secret.access.key": "testing"}
    with closing(AwsKmsDriver().client(f"aws-kms://{moto.create_key()}", conf)) as ours:
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    assert len(proxy.seen()) == 2


def test_threads_share_a_client(moto: MotoServer, clients: Clients, proxy: FaultProxy) -> None:
    ours = clients(moto.create_key(), **{"role.arn": ROLE})
    protos = [bytes([number]) * 34 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        wrapped = list(pool.map(ours.wrap, protos))
        assert list(pool.map(ours.unwrap, wrapped)) == protos
    assert len(proxy.seen(Which(header="x-amz-target"))) == 80
    assert len(proxy.seen()) == 81  # and the role was assumed once


def test_a_closed_client_keeps_no_connection(moto: MotoServer, clients: Clients) -> None:
    ours = clients(moto.create_key())
    ours.close()  # before the first call there is nothing to close
    ours.wrap(PROTO)
    manager = ours._connected().kms._endpoint.http_session._manager
    assert len(manager.pools) == 1
    ours.close()
    assert len(manager.pools) == 0


def test_theirs_unwraps_ours_and_ours_theirs(
    moto: MotoServer, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", moto.endpoint_url)
    arn = moto.create_key()
    for key_id in (arn, moto.create_alias("interop", arn)):
        uri, ours = f"aws-kms://{key_id}", clients(key_id)
        conf = {"access.key.id": "testing", "secret.access.key": "testing"}
        client = ConfluentAwsKmsDriver().new_kms_client(conf, uri)
        theirs = client.get_aead(uri)
        assert theirs.decrypt(ours.wrap(PROTO), b"") == PROTO
        assert ours.unwrap(theirs.encrypt(PROTO, b"")) == PROTO
        client._boto3_client.close()


def test_no_dek_is_written_into_a_log(
    moto: MotoServer, clients: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ours = clients(moto.create_key())
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    assert caplog.records, "the SDK tells what it does"
    for secret in (repr(PROTO)[2:-1], base64.b64encode(PROTO).decode()):
        assert [one.name for one in caplog.records if secret in one.getMessage()] == []
