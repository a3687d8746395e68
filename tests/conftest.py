"""What the whole suite shares: how missing servers are treated, hypothesis without a clock, --provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NoReturn

import hypothesis
import pytest

from csfle_fast import deks
from csfle_fast._core import Cipher

pytest_plugins = ["services.fixtures"]

# A deadline is a timed assertion: it would fail on a busy machine and show nothing.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")

REQUIRE_SERVICES = os.environ.get("CSFLE_REQUIRE_SERVICES", "") not in {"", "0"}


class Services:
    """What a test does where a server of somebody else's is not on the machine: skip, or fail if told so.

    Attributes:
        skipped: names of the servers that tests were skipped for.
    """

    def __init__(self) -> None:
        self.skipped: set[str] = set()

    def missing(self, name: str, reason: str) -> NoReturn:
        """Skip the running test, or fail it where CSFLE_REQUIRE_SERVICES is set.

        Args:
            name: the server, for instance ``openbao``.
            reason: why it cannot be used, in words that help to install it.
        """
        if REQUIRE_SERVICES:
            pytest.fail(f"service {name} is required here: {reason}", pytrace=False)
        self.skipped.add(name)
        pytest.skip(f"service {name}: {reason}")


_SERVICES = pytest.StashKey[Services]()


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> Services:
    """For tests and fixtures that need a server which the suite does not bring."""
    return pytestconfig.stash[_SERVICES]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--provider", choices=("ring", "many"), help="who seals and opens AES-GCM values where no test says"
    )


@pytest.fixture(scope="session", autouse=True)
def provider(pytestconfig: pytest.Config) -> Iterator[None]:
    """Engines of this process take the provider of the command line where theirs is auto."""
    chosen = pytestconfig.getoption("--provider")

    def cipher(algorithm: str, proto: bytes, *, provider: str, **more: Any) -> Cipher:
        return Cipher(algorithm, proto, provider=chosen if provider == "auto" else provider, **more)

    with pytest.MonkeyPatch.context() as patch:
        if chosen is not None:
            patch.setattr(deks, "Cipher", cipher)
        yield


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SERVICES] = Services()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = sorted(config.stash[_SERVICES].skipped)
    terminalreporter.write_line(f"services skipped: {len(skipped)} {' '.join(skipped)}".rstrip())
