"""What source and sink have in common: where the registry comes from, files, processes, life."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from connect_world import ConnectWorld, connect, message
from csfle_fast import ConfigError, CsfleError, SinkHook, SourceHook
from incumbent import SECRET, field, record
from worlds import FLAT, flat, rule

__all__ = ["connect"]  # a fixture

AVRO = "io.confluent.connect.avro.AvroConverter"
MOCK: dict[str, object] = {
    "csfle.enabled": "true",
    "value.converter.schema.registry.url": "mock://hooks",
    "rule.executors._default_.param.secret": SECRET,
}


def register(client: SchemaRegistryClient, subject: str = "t-value") -> None:
    body = {"schema": json.dumps(FLAT), "ruleSet": {"domainRules": [rule()]}}
    client.register_schema(subject, Schema.from_dict(body))


def test_a_registry_in_memory_is_one_for_source_and_sink() -> None:
    with SourceHook(MOCK) as source, SinkHook(MOCK) as sink:
        register(source.schema_registry_client)
        frames = source.encrypt("t", [flat(1)]).values
        assert sink.decrypt([message(frames[0])]).values == [flat(1)]
    with SinkHook(MOCK) as later:
        assert later.decrypt([message(frames[0])]).values == [flat(1)], "it outlives the hooks"


def test_a_client_that_is_handed_in_stays_open(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    client = connect.client()
    config = {"csfle.enabled": True, "rule.executors._default_.param.secret": SECRET}
    for _ in range(2):
        with SourceHook(config, schema_registry_client=client) as source:
            assert source.schema_registry_client is client
            assert not source.encrypt("t", [flat(1)]).errors


@pytest.mark.parametrize("kind", [SourceHook, SinkHook])
def test_from_file(connect: ConnectWorld, tmp_path: Path, kind: type[SourceHook | SinkHook]) -> None:
    connect.put(FLAT, rule())
    properties = tmp_path / "connector.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in connect.config().items()))
    document = tmp_path / "connector.json"
    document.write_text(json.dumps({"name": "tests", "config": connect.config()}))
    for path in (properties, document):
        with kind.from_file(path) as hook:
            assert hook.settings.name == "tests"
            hook.warm_up("t")
    with pytest.raises(ConfigError, match=r"missing\.properties"):
        kind.from_file(tmp_path / "missing.properties")


def test_keys_may_come_from_another_registry(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    config = {"key.converter": AVRO, "key.converter.schema.registry.url": "mock://keys-of-hooks"}
    source, sink = connect.source(config), connect.sink(config)
    with SourceHook(MOCK | {"value.converter.schema.registry.url": "mock://keys-of-hooks"}) as other:
        schema = {"schema": json.dumps(record(field("id", "string"), name="Key"))}
        other.schema_registry_client.register_schema("t-key", Schema.from_dict(schema))
    sent = source.encrypt("t", [flat(1)], keys=[{"id": "k"}])
    assert sent.keys is not None
    result = sink.decrypt([message(sent.values[0], sent.keys[0])])
    assert (result.values, result.keys) == ([flat(1)], [{"id": "k"}])
    assert source.stats()["rows_encrypted"] == 2, "of both engines"


def test_a_forked_child_has_locks_of_its_own(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    source = connect.source()
    source.encrypt("t", [flat(1)])
    with source._lock:  # as if a thread counted while it is forked
        child = os.fork()
        if child == 0:
            os._exit(len(source.encrypt("t", [flat(2)]).errors))
    assert os.waitpid(child, 0)[1] == 0


def test_after_close_every_row_says_so(connect: ConnectWorld) -> None:
    connect.put(FLAT, rule())
    source = connect.source()
    frames = source.encrypt("t", [flat(1)]).values
    source.close()
    source.close()
    assert [error.code for error in source.encrypt("t", [flat(1)]).errors] == ["engine_closed"]
    sink = connect.sink()
    sink.close()
    assert [error.code for error in sink.decrypt([message(frames[0])]).errors] == ["engine_closed"]
    with pytest.raises(CsfleError, match="closed"):
        sink.explain("t")
