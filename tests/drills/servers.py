"""The servers that the drill of outages kills: a registry with a state file, and a KMS over HTTP as well."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2 as httpx

from services.certificates import Certificates
from services.openbao import OpenBaoServer
from services.ports import LOOPBACK, free_ports
from services.process import ServerProcess

__all__ = ["OpenBaoWithHttp", "RegistryServer"]

_COMMAND = "from csfle_fast.cli.dev import dev_app; dev_app()"


class RegistryServer(ServerProcess):
    """The development registry as a process; what it holds outlives that.

    Attributes:
        url: what clients are given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("registry", folder)
        (self._port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{self._port}"

    def command(self) -> Sequence[str]:
        options = ["--port", str(self._port), "--state", str(self.folder / "state")]
        return [sys.executable, "-c", _COMMAND, "registry", *options]

    def environment(self) -> Mapping[str, str]:
        return {name: value for name, value in os.environ.items() if name != "LOCAL_SECRET"}

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False


class OpenBaoWithHttp(OpenBaoServer):
    """OpenBao that also speaks HTTP, for a proxy that answers in its place.

    Attributes:
        http_url: the same server without TLS.
    """

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self._http_port, self._http_cluster_port = free_ports(2)
        self.http_url = f"http://{LOOPBACK}:{self._http_port}"

    def _settings(self) -> str:
        listener = f"""
listener "tcp" {{
  address = "{LOOPBACK}:{self._http_port}"
  cluster_address = "{LOOPBACK}:{self._http_cluster_port}"
  tls_disable = true
}}
"""
        return super()._settings() + listener
