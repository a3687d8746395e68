"""The folder of what the servers need: installed once per machine, never half, by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD_LINES = 15


class NotInstallable(Exception):
    """A server cannot be had on this machine.

    Attributes:
        reason: what is missing, in words that help to install it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def cache() -> Path:
    """The folder of all installations; CSFLE_SERVICES_CACHE may name another one."""
    return Path(os.environ.get("CSFLE_SERVICES_CACHE") or ROOT / ".services").resolve()


def installed(name: str, key: str, install: Callable[[Path], None]) -> Path:
    """The folder of one installation, which is made by the first who asks for it.

    Args:
        name: what is installed.
        key: changes with every pinned version, so that a folder never holds two of them.
        install: fills the empty folder that it is given. The folder is renamed afterwards, so nothing in it
            may know its own path.
    """
    folder = cache() / f"{name}-{key}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f"{name}.lock"):
        if not folder.is_dir():  # nobody was faster
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
            part.mkdir()
            try:
                install(part)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
            part.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone on this machine; the kernel gives the lock back when the process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_installer(command: Sequence[str]) -> None:
    """Run a package manager.

    Raises:
        NotInstallable: it failed, most often because nothing can be downloaded here.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        told = "\n".join(done.stdout.splitlines()[-TOLD_LINES:])
        raise NotInstallable(f"{command[0]} ended with {done.returncode}:\n{told}")
