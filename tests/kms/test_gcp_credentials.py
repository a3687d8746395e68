"""Who calls Google Cloud KMS: the configuration's account, else what the environment has."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from csfle_fast.kms.gcp import GcpKmsClient, GcpKmsDriver
from csfle_fast.kms.gcp_credentials import GcpCredentials
from gcp_world import EMAIL, KEY, PROTO, GcpWorld, refused
from services.certificates import Certificates
from services.gcp import GcpKms
from services.gcp_tokens import GcpTokens
from services.ports import LOOPBACK

URI = f"gcp-kms://{KEY}"
WORKLOAD = "workload@p.iam.gserviceaccount.com"
PARTS = ("client.id", "client.email", "private.key.id", "private.key")


@pytest.fixture
def world(gcp_kms: GcpKms, certificates: Certificates) -> GcpWorld:
    return GcpWorld(gcp_kms, certificates)


@pytest.fixture
def tokens(world: GcpWorld) -> Iterator[GcpTokens]:
    """A token service whose tokens the stand-in takes."""
    world.kms.account(WORKLOAD)
    with GcpTokens(lambda token: world.kms.accept(token, WORKLOAD)) as tokens:
        yield tokens


class Environment:
    """A client without an account in its configuration, and the file that the environment names."""

    def __init__(self, world: GcpWorld, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._options = world.options()
        self._file = folder / "credentials.json"
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(self._file))
        self._clients: list[GcpKmsClient] = []

    def write(self, content: object) -> None:
        self._file.write_text(json.dumps(content), encoding="utf-8")

    def client(self, conf: Mapping[str, object] | None = None) -> GcpKmsClient:
        self._clients.append(GcpKmsDriver().client(URI, {**self._options, **(conf or {})}))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def environment(world: GcpWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    found = Environment(world, tmp_path, monkeypatch)
    yield found
    found.close()


def workload(tokens_url: str, folder: Path) -> dict[str, object]:
    """The file of a workload identity whose own token lies in a file."""
    subject = folder / "subject"
    subject.write_text("subject-1", encoding="utf-8")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": tokens_url,
        "credential_source": {"file": str(subject)},
    }


def test_an_account_of_the_configuration_signs_its_own_tokens(world: GcpWorld) -> None:
    with world.client() as client:
        client.wrap(PROTO)
        client.wrap(PROTO)
    first, second = world.kms.calls
    assert first.email == EMAIL
    assert first.metadata["authorization"] == second.metadata["authorization"]  # signed once


@pytest.mark.parametrize("missing", PARTS)
def test_an_account_with_a_part_missing_is_refused(world: GcpWorld, missing: str) -> None:
    conf = {name: value for name, value in world.account.settings().items() if name != missing}
    error = refused(lambda: GcpKmsDriver().client(URI, conf))
    assert error.code == "missing_credentials"
    assert f"without {missing}" in error.message


def test_the_id_of_another_kms_is_no_account(world: GcpWorld, environment: Environment) -> None:
    environment.write(world.account.file())
    client = environment.client({"client.id": "of an application", "account.type": "service_account"})
    client.wrap(PROTO)
    assert world.kms.calls[0].email == EMAIL


def elliptic_key() -> str:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


@pytest.mark.parametrize("change", ["junk", "cut", "escaped", "elliptic"])
def test_a_private_key_that_is_none_is_refused_and_not_quoted(world: GcpWorld, change: str) -> None:
    pem = world.account.private_key
    changed = {
        "junk": "my secret",
        "cut": pem[:-200],
        "escaped": pem.replace("\n", "\\n"),
        "elliptic": elliptic_key(),
    }[change]
    error = refused(lambda: GcpKmsDriver().client(URI, {**world.account.settings(), "private.key": changed}))
    assert error.code == "missing_credentials"
    assert "private.key is no RSA key in PEM" in error.message
    assert changed[:20] not in error.message


def test_other_kinds_of_accounts_are_refused(world: GcpWorld) -> None:
    conf = {**world.account.settings(), "account.type": "authorized_user"}
    error = refused(lambda: GcpKmsDriver().client(URI, conf))
    assert error.code == "bad_kms_option"
    assert "account.type" in error.message


def test_the_file_of_an_account_in_the_environment(world: GcpWorld, environment: Environment) -> None:
    environment.write({**world.account.file(), "quota_project_id": "payer"})
    client = environment.client()
    assert client.unwrap(client.wrap(PROTO)) == PROTO
    assert {call.email for call in world.kms.calls} == {EMAIL}


def test_a_quota_project_of_the_environment_is_told(
    world: GcpWorld, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer")
    environment.write(world.account.file())
    environment.client().wrap(PROTO)
    assert world.kms.calls[0].metadata["x-goog-user-project"] == "payer"


def test_without_credentials_there_is_no_call(
    world: GcpWorld, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = environment.client()
    assert refused(lambda: client.wrap(PROTO)).code == "missing_credentials"  # the file is not there
    environment.write({"type": "my secret"})
    error = refused(lambda: client.wrap(PROTO))
    assert error.code == "missing_credentials"
    assert "my secret" not in str(error)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    assert refused(lambda: client.wrap(PROTO)).code == "missing_credentials"
    assert world.kms.calls == []


def test_credentials_that_come_later_are_found(world: GcpWorld, environment: Environment) -> None:
    client = environment.client()
    assert refused(lambda: client.wrap(PROTO)).code == "missing_credentials"
    environment.write(world.account.file())
    assert client.unwrap(client.wrap(PROTO)) == PROTO


def test_a_workload_identity_brings_its_token(
    world: GcpWorld, environment: Environment, tokens: GcpTokens, tmp_path: Path
) -> None:
    environment.write(workload(tokens.url, tmp_path))
    client = environment.client()
    assert client.unwrap(client.wrap(PROTO)) == PROTO
    assert {call.email for call in world.kms.calls} == {WORKLOAD}
    assert tokens.subjects == ["subject-1"]  # one token served both calls


def test_a_token_is_renewed_before_it_ends(
    environment: Environment, tokens: GcpTokens, tmp_path: Path
) -> None:
    tokens.lifetime = 60  # less than google-auth's margin
    environment.write(workload(tokens.url, tmp_path))
    client = environment.client()
    wrapped = client.wrap(PROTO)
    (tmp_path / "subject").write_text("subject-2", encoding="utf-8")
    assert client.unwrap(wrapped) == PROTO
    assert tokens.subjects == ["subject-1", "subject-2"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "kms_unauthenticated"),
        (403, "kms_unauthenticated"),
        (429, "kms_throttled"),
        (500, "kms_unavailable"),
        (503, "kms_unavailable"),
    ],
)
def test_a_token_service_that_refuses(
    world: GcpWorld, environment: Environment, tokens: GcpTokens, tmp_path: Path, status: int, code: str
) -> None:
    environment.write(workload(tokens.url, tmp_path))
    tokens.refuse = status
    error = refused(lambda: environment.client().wrap(PROTO))
    assert error.code == code
    assert "token: " in error.message
    assert "subject-1" not in str(error)  # which the service's words quote
    assert world.kms.calls == []


def test_a_workload_without_its_own_token(
    environment: Environment, tokens: GcpTokens, tmp_path: Path
) -> None:
    environment.write(workload(tokens.url, tmp_path))
    (tmp_path / "subject").unlink()
    assert refused(lambda: environment.client().wrap(PROTO)).code == "kms_unauthenticated"


def test_a_token_service_that_does_not_answer(
    environment: Environment, tokens: GcpTokens, tmp_path: Path
) -> None:
    environment.write(workload(tokens.url, tmp_path))
    tokens.hold()
    began = time.monotonic()
    assert refused(lambda: environment.client({"kms.timeout.sec": 0.5}).wrap(PROTO)).code == "kms_timeout"
    assert time.monotonic() - began < 10


def test_a_token_service_that_is_not_there(environment: Environment, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = gone.getsockname()[1]
    environment.write(workload(f"http://{LOOPBACK}:{port}/v1/token", tmp_path))
    assert refused(lambda: environment.client().wrap(PROTO)).code == "kms_unreachable"


def test_a_metadata_server_that_does_not_answer_is_asked_within_the_time_out(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.delenv("NO_GCE_CHECK")
    with socket.create_server((LOOPBACK, 0)) as mute:
        address = f"{LOOPBACK}:{mute.getsockname()[1]}"
        monkeypatch.setenv("GCE_METADATA_HOST", address)
        monkeypatch.setenv("GCE_METADATA_IP", address)
        began = time.monotonic()
        error = refused(lambda: environment.client({"kms.timeout.sec": 0.5}).wrap(PROTO))
    assert error.code == "missing_credentials"
    assert time.monotonic() - began < 9  # by itself, google-auth asks three times for three seconds


def test_nothing_of_the_account_is_shown(world: GcpWorld) -> None:
    with world.client() as client:
        client.wrap(PROTO)
        credentials = client._credentials
    assert isinstance(credentials, GcpCredentials)
    assert credentials.principal == EMAIL
    assert EMAIL not in repr(credentials)
    assert "PRIVATE" not in repr(credentials)
