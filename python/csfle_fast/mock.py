"""``mock://`` clients: confluent-kafka's registry in memory, and the DEK store that belongs to it."""

from __future__ import annotations

import sys
import weakref

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rules.encryption.dek_registry.mock_dek_registry_client import (
    MockDekRegistryClient,
)

__all__ = ["is_mock", "mock_dek_client"]


def is_mock(client: SchemaRegistryClient) -> bool:
    """Whether ``client`` has its registry in memory, so that nothing may be asked over HTTP."""
    return str(client.config().get("url", "")).startswith("mock://")


_mock_clients: weakref.WeakKeyDictionary[SchemaRegistryClient, MockDekRegistryClient] = (
    weakref.WeakKeyDictionary()
)


def mock_dek_client(client: SchemaRegistryClient) -> MockDekRegistryClient:
    """The in-memory DEK store that belongs to a ``mock://`` client, the same one at every call.

    confluent-kafka keeps such a store inside each of its encryption executors. If one is registered
    globally and was configured with an equal configuration, its store is taken, so that records of
    its serializers and of an Engine are sealed and opened with the same DEKs.
    """
    store = _mock_clients.get(client)
    if store is None:
        store = _mock_clients.setdefault(
            client, _executor_store(client) or MockDekRegistryClient(client.config())
        )
    return store


def _executor_store(client: SchemaRegistryClient) -> MockDekRegistryClient | None:
    module = sys.modules.get("confluent_kafka.schema_registry.rule_registry")
    if module is None:
        return None
    rules = module.RuleRegistry.get_global_instance()
    for rule_type in ("ENCRYPT", "ENCRYPT_PAYLOAD"):
        executor = rules.get_executor(rule_type)
        store = getattr(getattr(executor, "executor", executor), "client", None)
        if isinstance(store, MockDekRegistryClient) and store.config() == client.config():
            return store
    return None
