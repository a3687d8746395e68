"""``csfle-fast dev registry``: what it prints, with and without a secret, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import httpx2 as httpx
import pytest

from csfle_fast.cli.dev import _named_secrets
from csfle_fast.errors import ConfigError
from dev.command import COMMAND, serving
from dev.implementations import trusting
from services.certificates import Certificates

SHARED = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": True}


def share_a_key(url: str) -> str:
    """Have the registry make the DEK of a shared KEK; returns the wrapped DEK."""
    keks = f"{url}/dek-registry/v1/keks"
    assert httpx.post(keks, json=SHARED).status_code == 200
    assert httpx.post(f"{keks}/k/test").status_code == 200
    dek = httpx.post(f"{keks}/k/deks/s", json={})
    assert dek.json()["keyMaterial"]
    return str(dek.json()["encryptedKeyMaterial"])


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_prints_its_url_serves_and_stops(stop: signal.Signals) -> None:
    with serving(secret="a secret") as (process, url):
        share_a_key(url)
        process.send_signal(stop)
        assert process.communicate(timeout=30) == ("", "")


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_a_secret_it_makes_one_and_says_so(nothing: str | None) -> None:
    with serving(secret=nothing) as (process, url):
        share_a_key(url)
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert out == ""
    assert err == "No secret given (LOCAL_SECRET): shared KEKs use a random one until this process ends.\n"


def test_the_secret_that_it_makes_is_another_each_time() -> None:
    with serving() as (_, one), serving() as (_, other):
        wrapped = share_a_key(one)
        httpx.post(f"{other}/dek-registry/v1/keks", json=SHARED)
        foreign = httpx.post(f"{other}/dek-registry/v1/keks/k/deks/s", json={"encryptedKeyMaterial": wrapped})
        assert (foreign.status_code, foreign.json()["error_code"]) == (500, 50070)


def start_of(*options: object) -> str:
    """The one line that the command ends with, because it cannot serve."""
    run = subprocess.run(
        [*COMMAND, "--port", "0", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith("Cannot serve on ")
    return run.stderr


def test_what_cannot_be_served_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in start_of("--port", taken.getsockname()[1])
    assert "loopback" in start_of("--host", "0.0.0.0")  # noqa: S104 - refused


def test_certificate_and_key_go_together(certificates: Certificates) -> None:
    for options in (
        ("--certificate", certificates.server.certificate),
        ("--key", certificates.server.key),
        ("--client-authority", certificates.authority),
    ):
        assert "https needs --certificate and --key" in start_of(*options)
    wrong = start_of("--certificate", certificates.server.certificate, "--key", certificates.client.key)
    assert "TLS cannot use" in wrong


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"alice:one\nSECRET\n", "line 2"),
        (b"alice:SECRET\n\nalice:two\n", "line 3"),
        (b"alice:\n", "line 1"),
        (b":SECRET\n", "line 1"),
        (b"\n", "there is no line"),
        (b"", "there is no line"),
        (b"SECRET:\xff\n", "there is no line"),
    ],
)
def test_a_file_of_secrets_that_is_wrong_is_not_quoted(tmp_path: Path, content: bytes, where: str) -> None:
    file = tmp_path / "accounts"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=where) as refused:
        _named_secrets(file)
    assert f"{file}" in refused.value.message
    assert "SECRET" not in refused.value.message
    assert "name:secret" in refused.value.message
    assert refused.value.__context__ is None


def test_wrong_files_are_said_in_one_line(tmp_path: Path) -> None:
    empty, foreign = tmp_path / "empty", tmp_path / "foreign"
    empty.touch()
    foreign.write_text("mine\n")
    assert "there is no line 'name:secret'" in start_of("--users", empty)
    assert "No such file" in start_of("--tokens", tmp_path / "none")
    assert "it is no state file" in start_of("--state", foreign)
    assert foreign.read_text() == "mine\n"


def test_everything_at_once(certificates: Certificates, tmp_path: Path) -> None:
    users, tokens, state = tmp_path / "users", tmp_path / "tokens", tmp_path / "state"
    users.write_text("alice:one:two\n\nbob:other\n")
    tokens.write_text("app:a-token")
    words = [
        *("--certificate", certificates.server.certificate, "--key", certificates.server.key),
        *("--client-authority", certificates.authority),
        *("--users", users, "--tokens", tokens, "--state", state),
    ]
    context = trusting(certificates)
    context.load_cert_chain(certificates.client.certificate, certificates.client.key)
    for subjects in ([], ["s"]):
        with serving(*map(str, words), secret="a secret") as (process, url):
            with httpx.Client(base_url=url, verify=context) as client:
                assert client.get("/subjects").status_code == 401
                assert client.get("/subjects", auth=("alice", "one:two")).json() == subjects
                bearer = {"Authorization": "Bearer a-token"}
                client.post("/subjects/s/versions", json={"schema": '"string"'}, headers=bearer)
            process.terminate()
            assert process.communicate(timeout=30) == ("", "")


def test_with_a_state_it_makes_no_secret_that_would_be_lost(tmp_path: Path) -> None:
    with serving("--state", str(tmp_path / "state")) as (process, url):
        httpx.post(f"{url}/dek-registry/v1/keks", json=SHARED)
        refused = httpx.post(f"{url}/dek-registry/v1/keks/k/deks/s", json={})
        assert (refused.status_code, refused.json()["error_code"]) == (500, 50070)
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert err.startswith("No secret given (LOCAL_SECRET): shared KEKs are refused")


def test_a_state_is_for_one_process(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with serving("--state", state):
        assert "in use by another registry" in start_of("--state", state)
