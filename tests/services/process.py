"""A server as a process of its own: started, waited for, stopped by pid, killed, started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from services import launch

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
TOLD_LINES = 30

# The kernel kills a server with the thread that started it, not with the process: so one thread that lives as
# long as the process starts them all, and a test may start them from any thread.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="services")


class StartFailed(Exception):
    """A server did not come up; the message ends with the last lines of its log."""


class ServerProcess(ABC):
    """One server process that can be started more than once; as a context manager it runs for the block.

    It is killed by the kernel when this process is gone, so nothing is left behind by a killed test run.

    Attributes:
        name: what messages call it.
        folder: where it lives; it is the working directory and holds the log.
        log: what the process wrote, over all its starts.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What is run, in the folder; called at every start and may prepare it."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers now; it may take a second to find out."""

    def environment(self) -> Mapping[str, str]:
        """The environment variables of the server; by default those of this process."""
        return os.environ

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not started"
        return self._process.pid

    def start(self, limit: float = READY_SECONDS) -> None:
        """Start the process and wait until the server answers.

        Args:
            limit: seconds after which the wait is given up.

        Raises:
            StartFailed: it ended by itself or did not answer in time; it is stopped then.
        """
        assert not self.is_running(), f"{self.name} is running"
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        self._process = _STARTER.submit(self._spawn, command).result()
        try:
            self._wait(self._process, limit)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end, and kill it when it has not after ten seconds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a crash does: without a chance to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop it and start it again in the same folder."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *command],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the tests, and they end the servers
            )

    def _wait(self, process: subprocess.Popen[bytes], limit: float) -> None:
        deadline = time.monotonic() + limit
        while process.poll() is None:
            if self.is_ready():
                return
            if time.monotonic() > deadline:
                raise StartFailed(self._told(f"did not answer within {limit:g} s"))
            time.sleep(0.05)
        raise StartFailed(self._told(f"ended with {process.returncode} while it was started"))

    def _told(self, what: str) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TOLD_LINES:]
        return "\n".join([f"{self.name} {what}; its log {self.log} ends with:", *lines])
