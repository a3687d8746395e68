"""Free ports of the loopback interface."""

from __future__ import annotations

import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below what Linux gives to outgoing connections: one of those could keep a server from coming back.
_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on."""
    found: set[int] = set()
    while len(found) < count:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        found.add(port)
    return list(found)
