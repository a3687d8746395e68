"""``csfle-fast dev registry``: what it prints, with and without a secret, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess

import httpx2 as httpx
import pytest

from dev.command import COMMAND, serving

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
    with serving("a secret") as (process, url):
        share_a_key(url)
        process.send_signal(stop)
        assert process.communicate(timeout=30) == ("", "")


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_a_secret_it_makes_one_and_says_so(nothing: str | None) -> None:
    with serving(nothing) as (process, url):
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


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--port", "TAKEN"]])  # noqa: S104 - refused
def test_what_cannot_be_served_is_said_in_one_line(options: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = subprocess.run(
            [*COMMAND, *(port if option == "TAKEN" else option for option in options)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr.startswith("Cannot serve on ")
    assert len(run.stderr.splitlines()) == 1
