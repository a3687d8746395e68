"""Signing in to Azure on the stand-in: by secret, by what the environment has, again when a token ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from azure_world import PROTO, client, refused
from csfle_fast.kms.azure import AzureKmsClient, AzureKmsDriver
from services.azure import LOGIN, AzureStandIn
from services.azure_answers import Fault
from services.ports import LOOPBACK, free_ports

NAMES = ("tenant.id", "client.id", "client.secret")
VARIABLES = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
TOKEN = "/v2.0/token$"
DISCOVERY = "/openid-configuration$"

SignIn = Callable[..., AzureKmsClient]


def by_secret(azure: AzureStandIn, _: pytest.MonkeyPatch, **settings: object) -> AzureKmsClient:
    return client(azure, azure.make_key(), **settings)


def by_environment(
    azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> AzureKmsClient:
    """A client without credentials in its settings, and azure-identity's variables for them."""
    for variable, name in zip(VARIABLES, NAMES, strict=True):
        monkeypatch.setenv(variable, str(azure.settings()[name]))
    return by_default(azure, monkeypatch, **settings)


def by_default(azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch, **settings: object) -> AzureKmsClient:
    # Without developers' tools: whoever runs the test may have signed in with them.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return AzureKmsDriver().client(f"azure-kms://{azure.make_key()}", named)


by_both = pytest.mark.parametrize("sign_in", [by_secret, by_environment])


@by_both
def test_one_token_serves_many_calls(
    sign_in: SignIn, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sign_in(azure, monkeypatch)) as ours:
        wrapped = ours.wrap(PROTO)
        assert [ours.unwrap(wrapped) for _ in range(5)] == [PROTO] * 5
    assert azure.count(TOKEN) == 1
    assert azure.proxy.refused == []


@by_both
def test_a_token_is_renewed_before_it_ends(
    sign_in: SignIn, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure.token_seconds = 120  # the SDK renews in the last five minutes
    with closing(sign_in(azure, monkeypatch)) as ours:
        wrapped = ours.wrap(PROTO)
        assert ours.unwrap(wrapped) == PROTO
        assert azure.count(TOKEN) >= 2
        # Where that fails, the next call tries again.
        azure.faults.append(Fault(TOKEN, 503, times=1))
        assert refused(ours.unwrap, wrapped).code == "kms_unavailable"
        assert ours.unwrap(wrapped) == PROTO


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[1:2], NAMES[2:], NAMES[:2], NAMES[1:], NAMES[::2]])
@pytest.mark.parametrize("absent", [None, ""])
def test_incomplete_credentials(names: tuple[str, ...], absent: str | None, azure: AzureStandIn) -> None:
    settings = {**azure.settings(), **dict.fromkeys(names, absent)}
    error = refused(
        AzureKmsDriver().client,
        f"azure-kms://{azure.make_key()}",
        settings,
        secrets=(azure.application.secret,),
    )
    assert error.code == "missing_credentials"
    assert azure.requests == []


def test_values_that_cannot_be(azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    key = azure.make_key()
    bad_tenant = {"tenant.id": "one/two"}
    assert refused(lambda: client(azure, key, **bad_tenant)).code == "missing_credentials"
    assert refused(lambda: client(azure, key, client__secret=b"x")).code == "bad_kms_option"
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "nobody")
    uri = f"azure-kms://{key}"
    assert refused(AzureKmsDriver().client, uri, {}).code == "missing_credentials"


def test_a_wrong_secret(azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key(), client__secret="hunter2")) as ours:
        error = refused(ours.wrap, PROTO, secrets=("hunter2", azure.application.secret))
    assert error.code == "kms_unauthenticated"
    assert "AADSTS7000215" in error.message
    assert azure.count("/encrypt$") == 0


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AZURE_CLIENT_SECRET", "hunter2", "kms_unauthenticated"),
        ("AZURE_TENANT_ID", "hunter2.example", "kms_wrong_location"),
        ("AZURE_CLIENT_ID", "hunter2", "kms_unauthenticated"),
    ],
)
def test_wrong_variables(
    variable: str, value: str, code: str, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_environment(azure, monkeypatch).close()
    monkeypatch.setenv(variable, value)
    with closing(by_default(azure, monkeypatch)) as ours:
        assert refused(ours.wrap, PROTO, secrets=("hunter2",)).code == code


def test_a_tenant_that_is_not_there(azure: AzureStandIn) -> None:
    azure.told_tenant = tenant = "3f8c9f1e-0000-4000-8000-000000000000"
    with closing(client(azure, azure.make_key(), tenant__id=tenant)) as ours:
        error = refused(ours.wrap, PROTO)
    assert error.code == "kms_wrong_location"
    assert "AADSTS90002" in error.message


@by_both
def test_a_vault_of_another_tenant(
    sign_in: SignIn, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure.told_tenant = "3f8c9f1e-0000-4000-8000-000000000000"
    with closing(sign_in(azure, monkeypatch)) as ours:
        error = refused(ours.wrap, PROTO)
    assert error.code == "kms_wrong_location"
    assert "tenant" in error.message
    assert azure.count(TOKEN) == 0  # the secret is not sent


@by_both
@pytest.mark.parametrize("where", [DISCOVERY, TOKEN])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("", 429, headers={"Retry-After": "7"}), "kms_throttled"),
        (Fault("", 503, headers={"Retry-After": "7"}), "kms_unavailable"),
        (Fault("", 500, body=b"<html>", content_type="text/html"), "kms_unavailable"),
        (Fault("", -1), "kms_unavailable"),
        (Fault("", 0), "kms_timeout"),
    ],
)
def test_an_outage_of_the_login_is_no_refusal(
    sign_in: SignIn,
    where: str,
    fault: Fault,
    code: str,
    azure: AzureStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    azure.faults.append(Fault(**{**vars(fault), "on": where}))
    with closing(sign_in(azure, monkeypatch, kms__timeout__sec=0.5)) as ours:
        error = refused(ours.wrap, PROTO, secrets=(azure.application.secret,))
    assert error.code == code
    assert error.retry_after == (7 if fault.headers else None)
    assert azure.count(where) == 1  # not repeated here


@by_both
def test_a_login_that_cannot_be_reached(
    sign_in: SignIn, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"kms.azure.authority": "login.example.net"}
    with closing(sign_in(azure, monkeypatch, **settings)) as ours:
        assert refused(ours.wrap, PROTO).code == "kms_unreachable"
    # It was the given one that was looked for, and nobody was asked whether it exists.
    assert set(azure.proxy.refused) == {"login.example.net:443"}
    assert azure.count(f"^/{azure.tenant}/") == 0


@pytest.mark.parametrize("authority", [LOGIN, f"https://{LOGIN}", f"https://{LOGIN}/"])
def test_an_authority_that_is_given(authority: str, azure: AzureStandIn) -> None:
    settings: dict[str, object] = {"kms.azure.authority": authority}
    with closing(client(azure, azure.make_key(), **settings)) as ours:
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO


@pytest.mark.parametrize("authority", [f"http://{LOGIN}", f"https://{LOGIN}/tenant", "a b", "u@h", 3])
def test_an_authority_that_is_none(authority: object, azure: AzureStandIn) -> None:
    settings = {"kms.azure.authority": authority}
    assert refused(lambda: client(azure, azure.make_key(), **settings)).code == "bad_kms_option"


def test_a_managed_identity(azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "https://localhost/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", azure.application.secret)
    with closing(by_default(azure, monkeypatch)) as ours:
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
        assert azure.count("/msi/token$") == 1
    with closing(by_default(azure, monkeypatch)) as ours:
        azure.faults.append(Fault("/msi/token$", 429, headers={"Retry-After": "3"}, times=1))
        error = refused(ours.wrap, PROTO)
        assert (error.code, error.retry_after) == ("kms_throttled", 3)


def test_a_workload_identity(azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assertion = tmp_path / "token"
    assertion.write_text(azure.application.secret, encoding="utf-8")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(assertion))
    monkeypatch.setenv("AZURE_CLIENT_ID", azure.application.client_id)
    monkeypatch.setenv("AZURE_TENANT_ID", azure.tenant)
    with closing(by_default(azure, monkeypatch)) as ours:
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    assert azure.count(TOKEN) == 1


@pytest.mark.parametrize(
    ("which", "code"),
    [
        ("prod", "missing_credentials"),
        ("ManagedIdentityCredential", "kms_unreachable"),  # there ought to be one
    ],
)
def test_no_credentials_anywhere(
    which: str, code: str, azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where managed identities are looked for: nobody listens there.
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://{LOOPBACK}:{free_ports(1)[0]}")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", which)
    with closing(AzureKmsDriver().client(f"azure-kms://{azure.make_key()}", {})) as ours:
        assert refused(ours.wrap, PROTO).code == code


def test_an_identity_that_was_there_and_does_not_answer_now(
    azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure.token_seconds = 120  # a new one for each call
    monkeypatch.setenv("IDENTITY_ENDPOINT", "https://localhost/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", azure.application.secret)
    with closing(by_default(azure, monkeypatch, kms__timeout__sec=0.5)) as ours:
        wrapped = ours.wrap(PROTO)
        azure.faults.append(Fault("/msi/token$", 0, times=2))
        for _ in range(2):
            assert refused(ours.unwrap, wrapped).code == "kms_timeout"
        assert ours._tokens._met == []  # nothing is kept of it
        assert ours.unwrap(wrapped) == PROTO


def test_the_log_names_the_credential_that_failed(
    azure: AzureStandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    azure.faults.append(Fault(TOKEN, 503))
    with closing(by_environment(azure, monkeypatch)) as ours:
        refused(ours.wrap, PROTO)
    assert "EnvironmentCredential: Authentication failed" in caplog.text
    assert azure.application.secret not in caplog.text


def test_threads_do_not_queue_for_a_login_that_hangs(azure: AzureStandIn) -> None:
    azure.faults.append(Fault(TOKEN, 0))
    with (
        closing(client(azure, azure.make_key(), kms__timeout__sec=1)) as ours,
        ThreadPoolExecutor(8) as pool,
    ):
        start = time.monotonic()
        codes = [error.code for error in pool.map(lambda _: refused(ours.wrap, PROTO), range(8))]
        assert time.monotonic() - start < 6  # 8 s one behind the other
    assert set(codes) == {"kms_timeout"}
