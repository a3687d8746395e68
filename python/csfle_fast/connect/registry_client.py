"""confluent-kafka's SchemaRegistryClient for a converter; registries in memory are shared by their scope."""

from __future__ import annotations

import os
import threading

from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast import fork
from csfle_fast.connect.converters import ConverterSettings
from csfle_fast.errors import ConfigError

__all__ = ["registry_client"]

_MOCK = "mock://"
#: The client's names of files, with Java's.
_FILES = {
    "ssl.ca.location": "schema.registry.ssl.truststore.location",
    "ssl.certificate.location": "schema.registry.ssl.keystore.location",
    "ssl.key.location": "schema.registry.ssl.keystore.location",
}


class _MockRegistries:
    """One client for each scope, for the life of the process: what was registered must not be lost.

    They are for tests and demos, so their number is the caller's affair.
    """

    def __init__(self) -> None:
        self._clients: dict[str, SchemaRegistryClient] = {}
        self._lock = threading.Lock()

    def client(self, url: str) -> SchemaRegistryClient:
        with self._lock:
            client = self._clients.get(url)
            if client is None:
                client = self._clients[url] = SchemaRegistryClient.new_client({"url": url})
            return client

    def reset_locks(self) -> None:
        self._lock = threading.Lock()


_mocks = _MockRegistries()
fork.register(_mocks)


def registry_client(settings: ConverterSettings) -> SchemaRegistryClient:
    """A client by the properties of a converter.

    Every call makes a new one, which is the caller's to close; only those of ``mock://<scope>`` are one
    for each scope in the process, so that a source and a sink see one registry. They stay open.

    Args:
        settings: of a converter that is Avro, and for which no client was handed in.

    Raises:
        ConfigError: (a ValueError) a certificate or key cannot be used, or the client refuses the
            configuration.
    """
    conf = dict(settings.registry)
    url = str(conf.get("url", ""))
    if url.startswith(_MOCK):
        return _mocks.client(url.rstrip("/") if url != _MOCK else url)
    for name, in_java in _FILES.items():
        if name in conf and not os.access(str(conf[name]), os.R_OK):
            raise ConfigError(
                f"{settings.part}.converter: the file of {name} ({in_java}) cannot be read: check its name "
                "and permissions"
            )
    try:
        return SchemaRegistryClient.new_client(conf)
    except Exception as error:  # noqa: BLE001 - its text, and what it is caused by, may quote credentials
        kind = type(error).__name__
    raise ConfigError(
        f"{settings.part}.converter: the registry client refuses its configuration ({kind}): check "
        f"{_suspects(conf)}"
    )


def _suspects(conf: dict[str, object]) -> str:
    """The properties that the client checks when it is made, as far as they are given."""
    checked = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "proxy")
    given = [name for name in checked if name in conf]
    return ", ".join(given or ["schema.registry.url"])
