"""One server of each kind for the whole test run; tests take names of their own on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from services.cache import NotInstallable
from services.certificates import Certificates, make_certificates
from services.kafka import KafkaServer
from services.moto import MotoServer
from services.process import ServerProcess

if TYPE_CHECKING:
    from conftest import Services


@pytest.fixture(scope="session")
def kafka(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Apache Kafka, running. A test that stops it or kills it starts one of its own."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    start_or_skip(server, services)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The authority of this test run and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def moto(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """AWS as moto plays it, running."""
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    start_or_skip(server, services)
    yield server
    server.stop()


def start_or_skip(server: ServerProcess, services: Services) -> None:
    """Start a server; where it cannot be installed, the test is skipped or fails, as the suite is told."""
    try:
        server.start()
    except NotInstallable as missing:
        reason = missing.reason
    else:
        return
    services.missing(server.name, reason)
