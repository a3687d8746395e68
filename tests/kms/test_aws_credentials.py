"""Who calls AWS KMS: every source of credentials, roles and their renewal, and IAM's answers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

import pytest

from aws_world import KEYS, PROTO, ROLE, failure, make_client
from csfle_fast.errors import KmsError
from csfle_fast.kms.aws_credentials import AwsIdentity
from page_code import fences
from services.cache import ROOT
from services.fault_proxy import Fault, FaultProxy
from services.fixtures import start_or_skip
from services.moto import AccessKey, MotoServer

if TYPE_CHECKING:
    from conftest import Services

pytestmark = pytest.mark.usefixtures("aws_environment")

PAGE = ROOT / "docs" / "kms-aws.md"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"


@pytest.fixture
def kms(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """KMS, where boto3 finds it."""
    with FaultProxy(moto.endpoint_url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", proxy.url)
        yield proxy


@pytest.fixture
def sts(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """STS, where boto3 finds it."""
    with FaultProxy(moto.endpoint_url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
        yield proxy


@pytest.fixture(scope="session")
def arn(moto: MotoServer) -> str:
    return moto.create_key()


def round_trip(arn: str, **conf: object) -> None:
    with closing(make_client(arn, **conf)) as ours:
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO


def refusal(arn: str, **conf: object) -> KmsError:
    with closing(make_client(arn, **conf)) as ours:
        return failure(ours.wrap)


def callers(proxy: FaultProxy) -> set[str]:
    """The ids of the access keys that requests were signed with."""
    return {
        one.headers["authorization"].partition("Credential=")[2].partition("/")[0] for one in proxy.seen()
    }


def asked(proxy: FaultProxy) -> list[dict[str, str]]:
    """What STS was asked, without what all such requests hold."""
    forms = [parse_qs(one.body.decode()) for one in proxy.seen()]
    return [{name: values[0] for name, values in form.items() if name != "Version"} for form in forms]


def test_an_access_key_goes_before_everything_else(
    arn: str, kms: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    round_trip(arn, **KEYS, profile="nobody-has-it")
    assert callers(kms) == {"AKIAFROMCONF"}


def test_a_profile_goes_before_the_environment(
    arn: str, kms: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    credentials = "[writer]\naws_access_key_id = AKIAFROMPROFILE\naws_secret_access_key = x\n"
    (tmp_path / "credentials").write_text(credentials, encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    round_trip(arn, profile="writer")
    assert callers(kms) == {"AKIAFROMPROFILE"}


def test_else_it_is_boto3s_chain(arn: str, kms: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    round_trip(arn)
    assert callers(kms) == {"AKIAFROMENVIRONMENT"}


def test_credentials_may_turn_up_after_a_failure(
    arn: str, kms: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(make_client(arn)) as ours:
        with pytest.raises(KmsError) as caught:
            ours.wrap(PROTO)
        assert caught.value.code == "missing_credentials"
        assert kms.seen() == []
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALATE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO


def test_an_unknown_profile_is_missing(arn: str) -> None:
    assert refusal(arn, profile="nobody-has-it").code == "missing_credentials"


@pytest.mark.parametrize(
    "conf", [{"access.key.id": "a"}, {"secret.access.key": "s3cr3t", "access.key.id": ""}]
)
def test_half_an_access_key_is_refused(arn: str, conf: Mapping[str, object]) -> None:
    with pytest.raises(KmsError, match=r"both access\.key\.id and secret\.access\.key") as caught:
        make_client(arn, **conf)
    assert caught.value.code == "missing_credentials"
    assert "s3cr3t" not in str(caught.value)


def test_settings_are_text(arn: str) -> None:
    for name in (*KEYS, "profile", "role.arn", "role.session.name", "role.external.id"):
        with pytest.raises(KmsError, match=name) as caught:
            make_client(arn, **{**KEYS, name: 7})
        assert caught.value.code == "bad_kms_option"


def test_a_role_is_assumed_with_the_other_credentials(arn: str, kms: FaultProxy, sts: FaultProxy) -> None:
    conf = {**KEYS, "role.arn": ROLE, "role.session.name": "loader-7", "role.external.id": "partner-1"}
    round_trip(arn, **conf)
    assert asked(sts) == [
        {"Action": "AssumeRole", "RoleArn": ROLE, "RoleSessionName": "loader-7", "ExternalId": "partner-1"}
    ]
    assert callers(sts) == {"AKIAFROMCONF"}
    assert "/eu-central-1/sts/" in sts.seen()[0].headers["authorization"]
    (caller,) = callers(kms)
    assert caller.startswith("ASIA")
    assert all(one.headers["x-amz-security-token"] for one in kms.seen())


def test_a_session_is_called_as_other_clients_call_it(arn: str, kms: FaultProxy, sts: FaultProxy) -> None:
    round_trip(arn, **KEYS, **{"role.arn": ROLE})
    assert asked(sts) == [{"Action": "AssumeRole", "RoleArn": ROLE, "RoleSessionName": "confluent-encrypt"}]
    assert len(kms.seen()) == 2


def test_the_role_may_come_from_the_environment(
    arn: str, kms: FaultProxy, sts: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "from-environment")
    monkeypatch.setenv("AWS_ROLE_EXTERNAL_ID", "partner-2")
    round_trip(arn, **KEYS)
    round_trip(arn, **KEYS, **{"role.arn": OTHER_ROLE})
    told = {"Action": "AssumeRole", "RoleSessionName": "from-environment", "ExternalId": "partner-2"}
    assert asked(sts) == [{**told, "RoleArn": ROLE}, {**told, "RoleArn": OTHER_ROLE}]
    assert len(kms.seen()) == 4


def test_with_a_token_file_the_environments_role_is_boto3s(
    arn: str, kms: FaultProxy, sts: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-web-identity-token", encoding="utf-8")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "pod")
    round_trip(arn)
    web_identity = {
        "Action": "AssumeRoleWithWebIdentity",
        "RoleArn": ROLE,
        "RoleSessionName": "pod",
        "WebIdentityToken": "a-web-identity-token",
    }
    assert asked(sts) == [web_identity]
    (caller,) = callers(kms)
    assert caller.startswith("ASIA")
    # A role that is named in the settings is assumed with what the token gave.
    sts.clear()
    round_trip(arn, **{"role.arn": OTHER_ROLE})
    assert asked(sts) == [
        web_identity,
        {"Action": "AssumeRole", "RoleArn": OTHER_ROLE, "RoleSessionName": "pod"},
    ]


def test_a_token_file_that_is_gone_is_missing(
    arn: str, sts: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    error = refusal(arn)
    assert error.code == "missing_credentials"
    assert str(tmp_path) not in str(error)
    assert sts.seen() == []


def test_a_role_without_credentials_to_assume_it_is_missing(arn: str, sts: FaultProxy) -> None:
    assert refusal(arn, **{"role.arn": ROLE}).code == "missing_credentials"
    assert refusal(arn, **KEYS, **{"role.arn": "no-role"}).code == "missing_credentials"  # too short for one
    assert sts.seen() == []


def test_an_sts_endpoint_of_our_own(arn: str, moto: MotoServer, kms: FaultProxy) -> None:
    with FaultProxy(moto.endpoint_url) as private:
        round_trip(arn, **KEYS, **{"role.arn": ROLE, "kms.aws.sts.endpoint": private.url})
        assert len(private.seen()) == 1
    assert len(kms.seen()) == 2


@pytest.mark.parametrize(("minutes", "renewed"), [(60, False), (5, True)])
def test_what_was_assumed_is_renewed_before_it_expires(
    arn: str, kms: FaultProxy, sts: FaultProxy, minutes: float, renewed: bool
) -> None:
    sts.add(Fault(status=200, body=assumed("ASIAFIRST", minutes)), times=1)
    sts.add(Fault(status=200, body=assumed("ASIANEXT", 60)))
    with closing(make_client(arn, **KEYS, **{"role.arn": ROLE})) as ours:
        for _ in range(4):
            ours.wrap(PROTO)
    assert len(sts.seen()) == 1 + renewed
    assert callers(kms) == {"ASIANEXT" if renewed else "ASIAFIRST"}


def test_credentials_that_come_expired_are_not_used(arn: str, kms: FaultProxy, sts: FaultProxy) -> None:
    sts.add(Fault(status=200, body=assumed("ASIAEXPIRED", -1)))
    assert refusal(arn, **KEYS, **{"role.arn": ROLE}).code == "kms_unauthenticated"
    assert kms.seen() == []


def assumed(access_key_id: str, minutes: float) -> bytes:
    """STS's answer to AssumeRole, good for so many minutes."""
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    return (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>{access_key_id}</AccessKeyId><SecretAccessKey>x</SecretAccessKey>"
        f"<SessionToken>y</SessionToken><Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ).encode()


def test_no_secret_is_shown() -> None:
    identity = AwsIdentity.of({**KEYS, "role.external.id": "partner-secret"})
    for text in (repr(identity), str(identity)):
        assert "s3cr3t-of-conf" not in text
        assert "partner-secret" not in text


def page_actions(sid: str) -> list[str]:
    """What the policy of that name on the page allows."""
    policies = [json.loads(fence["code"]) for fence in fences(PAGE) if fence["language"] == "json"]
    (found,) = (one for policy in policies for one in policy["Statement"] if one.get("Sid") == sid)
    return [found["Action"]] if isinstance(found["Action"], str) else found["Action"]


class Guarded(NamedTuple):
    """moto that checks signatures and policies, and who is known to it."""

    moto: MotoServer
    arn: str
    writer: AccessKey
    reader: AccessKey
    assumer: AccessKey
    role: str

    def conf(self, user: AccessKey, **more: object) -> dict[str, object]:
        url = self.moto.endpoint_url
        keys = {"access.key.id": user.id, "secret.access.key": user.secret}
        return {**keys, "kms.aws.endpoint": url, "kms.aws.sts.endpoint": url, **more}


@pytest.fixture(scope="module")
def guarded(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    moto = MotoServer(tmp_path_factory.mktemp("guarded-moto"))
    start_or_skip(moto, services)
    try:
        writer = moto.create_user("writer", *page_actions("Writer"))
        reader = moto.create_user("reader", *page_actions("Reader"))
        assumer = moto.create_user("assumer", "sts:AssumeRole")
        role = moto.create_role("csfle", "kms:Encrypt", "kms:Decrypt", external_id="partner")
        arn = moto.create_key()
        moto.enforce_iam()
        yield Guarded(moto, arn, writer, reader, assumer, role)
    finally:
        moto.stop()


def test_a_reader_unwraps_and_may_not_wrap(guarded: Guarded) -> None:
    with closing(make_client(guarded.arn, **guarded.conf(guarded.writer))) as writer:
        wrapped = writer.wrap(PROTO)
    with closing(make_client(guarded.arn, **guarded.conf(guarded.reader))) as reader:
        assert reader.unwrap(wrapped) == PROTO
    error = refusal(guarded.arn, **guarded.conf(guarded.reader))
    assert error.code == "kms_denied"
    assert f"Encrypt with key {guarded.arn}" in error.message


def test_a_role_does_what_its_user_may_not(guarded: Guarded) -> None:
    assert refusal(guarded.arn, **guarded.conf(guarded.assumer)).code == "kms_denied"
    as_role = {"role.arn": guarded.role, "role.external.id": "partner"}
    round_trip(guarded.arn, **guarded.conf(guarded.assumer, **as_role))


def test_a_role_is_not_assumed_with_another_external_id(guarded: Guarded) -> None:
    as_role = {"role.arn": guarded.role, "role.external.id": "stranger"}
    error = refusal(guarded.arn, **guarded.conf(guarded.assumer, **as_role))
    assert error.code == "kms_denied"
    assert f"AssumeRole for Encrypt with key {guarded.arn}" in error.message
    assert error.message.endswith("(AccessDenied), as arn:aws:iam::123456789012:user/assumer")


def test_a_wrong_secret_and_an_unknown_access_key_id(guarded: Guarded) -> None:
    as_role = {"role.arn": guarded.role, "role.external.id": "partner"}
    wrong = AccessKey(guarded.assumer.id, "s3cr3t")
    unknown = AccessKey("AKIANOBODY", "s3cr3t")
    for user, told in ((wrong, "SignatureDoesNotMatch"), (unknown, "InvalidClientTokenId")):
        error = refusal(guarded.arn, **guarded.conf(user, **as_role))
        assert (error.code, told in error.message) == ("kms_unauthenticated", True)
        assert "s3cr3t" not in str(error)
        # For KMS itself, moto's answer is XML: all that is understood of it is that it is a refusal.
        assert refusal(guarded.arn, **guarded.conf(user)).code == "kms_denied"
