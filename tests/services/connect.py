"""Kafka Connect: one standalone worker, with the file connectors and those that the tests bring."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx

from services.java import java_command, kafka_jars, write_properties
from services.ports import LOOPBACK, free_ports
from services.process import ServerProcess

STATE_SECONDS = 60.0


class ConnectWorker(ServerProcess):
    """A worker that begins without connectors.

    Attributes:
        rest_url: where its REST interface listens.
        plugins: a folder for connectors of the tests' own, each a folder of jars; read at the start.
    """

    def __init__(self, folder: Path, bootstrap_servers: str) -> None:
        super().__init__("connect", folder)
        (port,) = free_ports(1)
        self.rest_url = f"http://{LOOPBACK}:{port}"
        self.plugins = folder / "plugins"
        self._bootstrap_servers = bootstrap_servers

    def command(self) -> Sequence[str]:
        self.plugins.mkdir(exist_ok=True)
        settings = self.folder / "worker.properties"
        write_properties(
            settings,
            {
                "bootstrap.servers": self._bootstrap_servers,
                "key.converter": "org.apache.kafka.connect.storage.StringConverter",
                "value.converter": "org.apache.kafka.connect.json.JsonConverter",
                "offset.storage.file.filename": self.folder / "offsets",
                "offset.flush.interval.ms": 1000,
                "plugin.path": f"{kafka_jars() / 'plugins'},{self.plugins}",
                "listeners": self.rest_url,
                "rest.advertised.host.name": LOOPBACK,
            },
        )
        return java_command("org.apache.kafka.connect.cli.ConnectStandalone", str(settings), heap_mb=320)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.rest_url}/connectors", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def put_connector(self, name: str, config: Mapping[str, str]) -> None:
        """Make a connector, or give it new settings.

        Args:
            name: of the connector.
            config: its settings, ``name`` left out.
        """
        answer = httpx.put(
            f"{self.rest_url}/connectors/{name}/config", json=dict(config), timeout=30, trust_env=False
        )
        assert answer.is_success, answer.text

    def await_task(self, name: str, state: str) -> dict[str, Any]:
        """Wait until the connector's only task is in a state, and return what Connect tells of it."""
        deadline = time.monotonic() + STATE_SECONDS
        while True:
            answer = httpx.get(f"{self.rest_url}/connectors/{name}/status", timeout=10, trust_env=False)
            tasks: list[dict[str, Any]] = answer.json()["tasks"] if answer.is_success else []
            if [task["state"] for task in tasks] == [state]:
                return tasks[0]
            assert time.monotonic() < deadline, f"{name} is not {state}: {answer.text}"
            time.sleep(0.1)
