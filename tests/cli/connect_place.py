"""``csfle-fast connect`` as a process of its own, with its configurations in a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from connect_world import ConnectWorld

COMMAND = [sys.executable, "-c", "from csfle_fast.cli import main; main()", "connect"]
SECONDS = 60.0
#: Nobody answers there.
NOWHERE = "127.0.0.1:9"


class Place:
    """A folder with configurations, and the command."""

    def __init__(self, folder: Path, connect: ConnectWorld, name: str, servers: str = NOWHERE) -> None:
        self.folder = folder
        self.connect = connect
        self.name = name
        self.servers = servers

    def sink(self, properties: dict[str, object] | None = None) -> str:
        """A file of settings of a sink, with brokers and encryption."""
        return self.source({"errors.deadletterqueue.topic.replication.factor": 1} | (properties or {}))

    def source(self, properties: dict[str, object] | None = None) -> str:
        """Likewise of a source."""
        given = {"bootstrap.servers": self.servers}
        path = self.folder / f"{len(list(self.folder.iterdir()))}.json"
        path.write_text(json.dumps(self.connect.config(name=self.name) | given | (properties or {})))
        return str(path)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        with self.start(*arguments) as process:
            out, err = process.communicate(stdin, timeout=SECONDS)
            return process.returncode, out, err
