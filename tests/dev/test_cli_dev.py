"""``csfle-fast dev registry`` as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx2 as httpx
import pytest

COMMAND = [sys.executable, "-c", "from csfle_fast.cli.dev import dev_app; dev_app()", "registry"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOCAL_SECRET": "a secret"},
    ) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_prints_its_url_serves_and_stops(process: subprocess.Popen[str], stop: signal.Signals) -> None:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    keks = f"{url}/dek-registry/v1/keks"
    kek = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": True}
    assert httpx.post(keks, json=kek).status_code == 200
    assert httpx.post(f"{keks}/k/test").status_code == 200
    process.send_signal(stop)
    out, err = process.communicate(timeout=30)
    assert (out, err) == ("", "")


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
