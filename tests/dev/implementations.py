"""The ways to run the registry, each behind the same way to ask: the contract holds for all of them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx2 as httpx

from csfle_fast.dev import DevRegistry, Tls
from dev.command import serving
from dev.samples import SECRET
from services.certificates import Certificates

#: Sends a request (method, path, JSON body or None).
Ask: TypeAlias = Callable[[str, str, Any], httpx.Response]
#: Runs a registry for the block; it may use the folder.
Implementation: TypeAlias = Callable[[Certificates, Path], AbstractContextManager[Ask]]

USER, PASSWORD, TOKEN = "alice", "pass:wörd", "a.token-of+somebody/="


def trusting(certificates: Certificates) -> ssl.SSLContext:
    """What a client trusts that knows the test run's authority only."""
    return ssl.create_default_context(cafile=certificates.authority)


def server_tls(certificates: Certificates, *, clients: bool = False) -> Tls:
    """TLS with the test run's certificates; with ``clients`` they need one, too."""
    server = certificates.server
    return Tls(server.certificate, server.key, certificates.authority if clients else None)


@contextmanager
def asking(url: str, **settings: Any) -> Iterator[Ask]:
    """A client of a registry that runs."""
    with httpx.Client(base_url=url, **settings) as client:
        yield lambda method, path, body: client.request(method, path, json=body)


@contextmanager
def in_process(certificates: Certificates, folder: Path) -> Iterator[Ask]:
    """By a thread of this process."""
    with DevRegistry(secret=SECRET) as registry, asking(registry.url) as ask:
        yield ask


@contextmanager
def as_command(certificates: Certificates, folder: Path) -> Iterator[Ask]:
    """The command, without any setting."""
    with serving() as (_, url), asking(url) as ask:
        yield ask


@contextmanager
def with_tls_and_basic(certificates: Certificates, folder: Path) -> Iterator[Ask]:
    """https, for a user with a password."""
    tls = server_tls(certificates)
    with (
        DevRegistry(secret=SECRET, tls=tls, users={USER: PASSWORD}) as registry,
        asking(registry.url, verify=trusting(certificates), auth=(USER, PASSWORD)) as ask,
    ):
        yield ask


@contextmanager
def with_tls_and_bearer(certificates: Certificates, folder: Path) -> Iterator[Ask]:
    """The command with everything that it can be given, for the bearer of a token."""
    tokens = folder / "tokens"
    tokens.write_text(f"app:{TOKEN}\n", encoding="utf-8")
    server = certificates.server
    options = {
        "--certificate": server.certificate,
        "--key": server.key,
        "--tokens": tokens,
        "--state": folder / "state",
    }
    words = [str(word) for pair in options.items() for word in pair]
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serving(*words, secret=SECRET) as (_, url),
        asking(url, verify=trusting(certificates), headers=bearer) as ask,
    ):
        yield ask


@contextmanager
def made_anew_from_its_state(certificates: Certificates, folder: Path) -> Iterator[Ask]:
    """From its state file alone, before each request that reads what one before it wrote."""
    registry = DevRegistry(secret=SECRET, state=folder / "state")
    registry.start()
    written = False

    def ask(method: str, path: str, body: Any) -> httpx.Response:
        nonlocal registry, written
        if written and method == "GET":
            registry.close()
            registry = DevRegistry(secret=SECRET, state=folder / "state")
            registry.start()
        written = method != "GET"
        return client.request(method, registry.url + path, json=body)

    try:
        with httpx.Client() as client:
            yield ask
    finally:
        registry.close()


IMPLEMENTATIONS: dict[str, Implementation] = {
    "in process": in_process,
    "command": as_command,
    "TLS and basic": with_tls_and_basic,
    "command, TLS and bearer": with_tls_and_bearer,
    "state": made_anew_from_its_state,
}
