"""One server of each kind for the whole test run; tests take names of their own on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.cache import NotInstallable
from services.certificates import Certificates, make_certificates
from services.kafka import KafkaServer
from services.moto import MotoServer, hide_aws_settings
from services.openbao import OpenBaoServer
from services.process import ServerProcess

if TYPE_CHECKING:
    from conftest import Services
    from services.azure import AzureStandIn
    from services.gcp import GcpKms


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


@pytest.fixture
def gcp_kms(certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcpKms]:
    """The stand-in for Google Cloud KMS, running; new for every test, because it starts at once.

    The test does not see what this machine has of proxies and of Google's credentials.
    """
    from services.gcp import GcpKms  # noqa: PLC0415 - the SDK takes its time to load

    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "CLOUDSDK_", "GCE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with GcpKms(certificates) as kms:
        yield kms


@pytest.fixture
def azure(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureStandIn]:
    """The stand-in for Azure, running, with clients led to it; new for every test.

    The test does not see what this machine has of proxies and of Azure's credentials.
    """
    from services.azure import AzureStandIn  # noqa: PLC0415 - only for those who use it

    with AzureStandIn(certificates) as azure:
        azure.lead_clients(monkeypatch)
        yield azure


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that tells AWS's clients nothing but what a test sets."""
    hide_aws_settings(monkeypatch)


@pytest.fixture(scope="session")
def openbao(
    services: Services, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenBaoServer]:
    """OpenBao, unsealed. Tests take mounts, policies and roles of their own."""
    server = OpenBaoServer(tmp_path_factory.mktemp("openbao"), certificates)
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
