"""moto: an emulator of AWS, here for S3 and KMS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2 as httpx

from services.cache import installed, run_installer
from services.ports import LOOPBACK, free_ports
from services.process import ServerProcess

REQUIREMENT = "moto[server,kms,s3]==5.2.5"


class MotoServer(ServerProcess):
    """AWS on one URL. What was put there is gone with the process.

    Attributes:
        endpoint_url: what AWS clients are given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("moto", folder)
        (self._port,) = free_ports(1)
        self.endpoint_url = f"http://{LOOPBACK}:{self._port}"

    def command(self) -> Sequence[str]:
        python = _environment() / "bin" / "python"
        return [str(python), "-I", "-m", "moto.server", "-H", LOOPBACK, "-p", str(self._port)]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint_url}/moto-api/", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False


def _environment() -> Path:
    """A virtual environment of its own: moto needs much that the package must never find."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return installed("moto", f"{REQUIREMENT.partition('==')[2]}-py{version}", _install)


def _install(folder: Path) -> None:
    # The scripts of the environment name this folder, which is renamed; its python finds the rest by itself.
    run_installer([sys.executable, "-m", "venv", str(folder)])
    python = folder / "bin" / "python"
    run_installer(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
    )
