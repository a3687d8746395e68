"""Registries in memory: which client has one, and which DEK store belongs to it."""

from __future__ import annotations

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rule_registry import RuleRegistry
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import FieldEncryptionExecutor

from csfle_fast.mock import is_mock, mock_dek_client
from incumbent import mock_registry


def test_a_client_over_http_is_none() -> None:
    assert is_mock(mock_registry())
    with SchemaRegistryClient({"url": "http://127.0.0.1:1"}) as client:
        assert not is_mock(client)


def test_one_client_has_one_store() -> None:
    one, other = mock_registry(), mock_registry()
    assert mock_dek_client(one) is mock_dek_client(one)
    assert mock_dek_client(one) is not mock_dek_client(other)


def test_the_store_of_a_global_executor_of_theirs_is_shared() -> None:
    client, stranger = mock_registry(), mock_registry()
    rules = RuleRegistry.get_global_instance()
    executor = FieldEncryptionExecutor()
    executor.configure(client.config(), {})
    rules.register_executor(executor)
    try:
        assert mock_dek_client(client) is executor.executor.client
        assert mock_dek_client(stranger) is not executor.executor.client
    finally:
        rules.clear()
