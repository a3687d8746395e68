"""``csfle-fast dev registry`` as a process of its own, as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COMMAND = [sys.executable, "-c", "from csfle_fast.cli.dev import dev_app; dev_app()", "registry"]


@contextmanager
def serving(*options: str, secret: str | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL, on a free port; ``secret`` is what LOCAL_SECRET says."""
    environment = {name: value for name, value in os.environ.items() if name != "LOCAL_SECRET"}
    if secret is not None:
        environment["LOCAL_SECRET"] = secret
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()
