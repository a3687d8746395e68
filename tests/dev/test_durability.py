"""The command is killed while clients write to it: what it acknowledged is there when it comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from dev.command import serving
from dev.samples import SECRET, rule

WRITERS = 4
ROUNDS = 4
ENOUGH = 5
KEKS = "/dek-registry/v1/keks"
KEK = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": True}


class Writer(threading.Thread):
    """Registers schemas, and has DEKs made, until the registry is gone.

    Attributes:
        acknowledged: answers, by path of the thing.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name=name)
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self._url = url

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            try:
                for number in range(1_000_000):
                    self._write(client, f"{self.name}-{number}")
            except httpx.TransportError:
                return

    def _write(self, client: httpx.Client, subject: str) -> None:
        schema = {
            "schema": f'{{"type":"enum","name":"E","symbols":["A"],"doc":"{subject}"}}',
            "ruleSet": {"domainRules": [rule()]},
        }
        version = client.post(f"/subjects/{subject}/versions", json=schema)
        self.acknowledged[f"/subjects/{subject}/versions/1"] = version.raise_for_status().json()
        dek = client.post(f"{KEKS}/k/deks/{subject}", json={})
        self.acknowledged[f"{KEKS}/k/deks/{subject}"] = dek.raise_for_status().json()


def killed_while_it_is_written_to(state: Path, name: str, delay: float) -> dict[str, dict[str, Any]]:
    """What a registry acknowledged before it was killed, some time after all writers got something."""
    with serving("--state", str(state), secret=SECRET) as (process, url):
        httpx.post(f"{url}{KEKS}", json=KEK)
        writers = [Writer(url, f"{name}-{number}") for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 60
        while min(len(writer.acknowledged) for writer in writers) < ENOUGH:
            assert time.monotonic() < deadline, "nothing is acknowledged"
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        for writer in writers:
            writer.join()
    return {path: answer for writer in writers for path, answer in writer.acknowledged.items()}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_what_was_acknowledged_is_there_after_every_kill(tmp_path: Path, stack: ExitStack) -> None:
    state = tmp_path / "state"
    acknowledged: dict[str, dict[str, Any]] = {}
    for number in range(ROUNDS):
        # Different each time, so that the kill meets different moments of a write.
        acknowledged |= killed_while_it_is_written_to(state, f"round-{number}", 0.0137 * number)
        DevRegistry(state=state).close()  # it can be loaded, whatever the kill met
    registry = stack.enter_context(DevRegistry(secret=SECRET, state=state))
    client = stack.enter_context(httpx.Client(base_url=registry.url))
    for path, answer in acknowledged.items():
        assert client.get(path).json() == answer
    contents = {version["id"]: version["guid"] for version in client.get("/schemas").json()}
    promised = {
        answer["id"]: answer["guid"] for path, answer in acknowledged.items() if path.startswith("/subjects")
    }
    # No id was promised twice, and none stands for another content than was promised.
    assert len(promised) == sum(path.startswith("/subjects") for path in acknowledged)
    assert promised.items() <= contents.items()
    assert len(set(contents.values())) == len(contents)


def test_a_restart_in_between_is_not_noticed(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with serving("--state", state, secret=SECRET) as (process, url):
        httpx.post(f"{url}{KEKS}", json=KEK).raise_for_status()
        made = httpx.post(f"{url}{KEKS}/k/deks/s", json={}).raise_for_status().json()
        process.terminate()
        assert process.communicate(timeout=30) == ("", "")
    with serving("--state", state, secret=SECRET) as (_, url):
        assert httpx.get(f"{url}{KEKS}/k/deks/s").json() == made
