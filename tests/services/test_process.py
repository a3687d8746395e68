"""A server process: what happens when it does not come up, ends, is killed, or loses its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.cache import ROOT
from services.ports import LOOPBACK, free_ports
from services.process import ServerProcess, StartFailed

LISTEN = """
import signal, socket, sys, time
print("starting", flush=True)
STUBBORN
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""
# Starts a server and waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from services.test_process import Listener
server = Listener(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


class Listener(ServerProcess):
    """A server that accepts connections; ``script`` may be one that does not."""

    def __init__(self, folder: Path, script: str = LISTEN.replace("STUBBORN", "")) -> None:
        super().__init__("listener", folder)
        (self.port,) = free_ports(1)
        self.script = script

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self.script, str(self.port)]

    def is_ready(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((LOOPBACK, self.port)) == 0


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_runs_for_the_block(tmp_path: Path) -> None:
    with Listener(tmp_path / "made") as server:
        pid = server.pid
        assert server.is_running()
        assert server.is_ready()
        assert Path(f"/proc/{pid}/cwd").resolve() == tmp_path / "made"
    assert not server.is_running()
    assert not server.is_ready()
    assert not alive(pid)


def test_starts_again_on_its_port(tmp_path: Path) -> None:
    with Listener(tmp_path) as server:
        pid, port = server.pid, server.port
        server.restart()
        assert (server.port, alive(pid), server.is_running()) == (port, False, True)
        server.kill()
        assert not server.is_running()
        server.start()
        assert server.log.read_text().split() == ["starting"] * 3
    server.stop()  # once more does nothing


def test_one_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    server = Listener(tmp_path, "print('disk is full'); exit(7)")
    with pytest.raises(StartFailed) as caught:
        server.start()
    assert "listener ended with 7 while it was started" in str(caught.value)
    assert str(caught.value).endswith(f"{server.log} ends with:\ndisk is full")


def test_one_that_never_answers_is_stopped(tmp_path: Path) -> None:
    server = Listener(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(StartFailed, match=r"listener did not answer within 0\.2 s"):
        server.start(limit=0.2)
    assert not server.is_running()


def test_one_that_does_not_want_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.process.STOP_SECONDS", 0.2)
    stubborn = LISTEN.replace("STUBBORN", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with Listener(tmp_path, stubborn) as server:
        assert server._process is not None
    assert server._process.returncode == -signal.SIGKILL


def test_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = Listener(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert server.is_running()
    server.stop()


def test_does_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT / "tests"
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.01)


def test_ports_are_free_and_differ() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.create_server((LOOPBACK, port)):
            pass
