"""Registry clients: made of properties, refused without a secret, shared in memory by scope."""

from __future__ import annotations

import multiprocessing
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from csfle_fast.connect import registry_client as room
from csfle_fast.connect.converters import ConverterSettings
from csfle_fast.connect.registry_client import registry_client
from csfle_fast.connect.settings import ConnectorSettings
from csfle_fast.errors import ConfigError

SECRET = "pa55word-of-nobody"


def converter(config: dict[str, object]) -> ConverterSettings:
    return ConnectorSettings.parse({"schema.registry.url": "http://127.0.0.1:1"} | config, "sink").value


def refusal(config: dict[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        registry_client(converter(config))
    assert caught.value.code == "bad_config"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.message


def a_scope() -> str:
    return f"mock://{uuid.uuid4()}"


def test_a_client_over_http_is_the_callers() -> None:
    settings = converter({"basic.auth.user.info": f"u:{SECRET}", "timeout": 5})
    with registry_client(settings) as one, registry_client(settings) as other:
        assert one is not other
        assert one.config() == dict(settings.registry)


def test_registries_in_memory_are_shared_by_scope() -> None:
    scope = a_scope()
    one = registry_client(converter({"schema.registry.url": scope}))
    one.register_schema("s", Schema('"string"', "AVRO"))
    other = registry_client(converter({"schema.registry.url": f"{scope}/", "timeout": 1}))
    assert other is one
    assert other.get_latest_version("s").version == 1
    assert registry_client(converter({"schema.registry.url": a_scope()})) is not one


def test_the_scope_may_be_empty() -> None:
    settings = converter({"schema.registry.url": "mock://"})
    assert registry_client(settings) is registry_client(settings)


def test_threads_that_come_together_get_one_client() -> None:
    settings = converter({"schema.registry.url": a_scope()})
    together = threading.Barrier(8)

    def ask(_: int) -> SchemaRegistryClient:
        together.wait(10)
        return registry_client(settings)

    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(ask, range(8)))
    assert {id(client) for client in clients} == {id(clients[0])}


# A fork while a lock is held is what is tested; Python warns of threads from 3.12 on.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_lock() -> None:
    settings = converter({"schema.registry.url": a_scope()})
    with room._mocks._lock:
        child = multiprocessing.get_context("fork").Process(target=registry_client, args=(settings,))
        child.start()
        child.join(20)
        stuck = child.is_alive()
        child.kill()
        child.join()
    assert not stuck
    assert child.exitcode == 0


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("ssl.ca.location", "schema.registry.ssl.truststore.location"),
        ("ssl.certificate.location", "schema.registry.ssl.keystore.location"),
    ],
)
@pytest.mark.parametrize("java", [False, True])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, files: str, java: bool) -> None:
    message = refusal({files if java else name: str(tmp_path / "none.pem")})
    assert message.startswith(f"value.converter: the file of {name} ({files}) cannot be read")
    assert "check its name" in message


@pytest.mark.parametrize("name", ["ssl.ca.location", "ssl.certificate.location"])
def test_a_file_that_is_no_pem_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "not.pem"
    path.write_text(SECRET)
    message = refusal({name: str(path)})
    assert "the registry client refuses its configuration (SSLError): check" in message
    assert name in message


def test_a_wrong_password_is_refused_without_it(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "me.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"another"))
    )
    message = refusal({"ssl.certificate.location": str(path), "ssl.key.password": SECRET})
    assert message.endswith("check ssl.certificate.location, ssl.key.password")


def test_a_proxy_of_another_kind_is_refused_without_its_password() -> None:
    message = refusal({"proxy": f"gopher://u:{SECRET}@127.0.0.1"})
    assert message.endswith("check proxy")
