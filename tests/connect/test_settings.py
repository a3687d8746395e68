"""The settings of a connector as a whole: defaults, every property, secrets, and files."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import pytest

from csfle_fast.connect.allowed import FORMATS
from csfle_fast.connect.properties import read_properties
from csfle_fast.connect.settings import ConnectorSettings
from csfle_fast.connect.table import Kind
from csfle_fast.errors import ConfigError

SECRET = "pa55word-of-nobody"
URL = {"schema.registry.url": "mock://settings"}
DLQ = "errors.deadletterqueue."


def parsed(config: dict[str, object], kind: Kind = "sink") -> ConnectorSettings:
    return ConnectorSettings.parse(URL | config, kind)


def test_the_defaults_of_a_sink_are_confluents() -> None:
    settings = parsed({})
    found = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    assert {name: value for name, value in found.items() if name not in {"key", "value"}} == {
        "kind": "sink",
        "name": "csfle-fast-sink",
        "task_id": 0,
        "service_account": None,
        "csfle_enabled": False,
        "read_plaintext": "error",
        "tolerance": "all",
        "retry_timeout_sec": 300.0,
        "retry_delay_max_sec": 30.0,
        "dead_letter_topic": "dlq-csfle-fast-sink",
        "dead_letter_headers": True,
        "dead_letter_replication_factor": 3,
        "log_errors": True,
        "log_messages": False,
        "topics": (),
        "max_poll_records": 500,
        "consumer": {},
        "producer": {},
        "warnings": (),
    }
    assert (settings.value.encrypts, settings.value.on_failure) == (False, "ERROR")
    assert settings.value.conf["rule.executors._ENCRYPT_.disabled"] is True
    assert settings.value.conf["use.latest.version"] is True
    assert settings.key.format == "bytes"


def test_the_defaults_of_a_source_are_confluents() -> None:
    settings = parsed({}, "source")
    assert settings.name == "csfle-fast-source"
    assert settings.tolerance == "none"
    assert settings.dead_letter_topic is None
    assert settings.value.on_failure == "ERROR"


def test_every_property_of_the_connector() -> None:
    settings = parsed(
        {
            "name": " customers ",
            "task.id": "2",
            "topics": "a, b",
            "sr.service.account.id": "sa-1",
            "csfle.enabled": "true",
            "csfle.onFailure": "NONE",
            "read.plaintext": "pass",
            "errors.tolerance": "none",
            "errors.retry.timeout": "-1",
            "errors.retry.delay.max.ms": "500",
            f"{DLQ}topic.name": "dead",
            f"{DLQ}topic.replication.factor": "1",
            f"{DLQ}context.headers.enable": "false",
            "errors.log.enable": "false",
            "errors.log.include.messages": "true",
            "consumer.override.max.poll.records": "50",
            "bootstrap.servers": "k:9092",
            "consumer.override.group.id": "g",
            "producer.override.linger.ms": 5,
            "producer.override.bootstrap.servers": "other:9092",
        }
    )
    apart = ("consumer", "key", "producer", "value")
    names = [field.name for field in dataclasses.fields(settings) if field.name not in apart]
    assert {name: getattr(settings, name) for name in names} == {
        "kind": "sink",
        "name": "customers",
        "task_id": 2,
        "service_account": "sa-1",
        "csfle_enabled": True,
        "read_plaintext": "pass",
        "tolerance": "none",
        "retry_timeout_sec": float("inf"),
        "retry_delay_max_sec": 0.5,
        "dead_letter_topic": "dead",
        "dead_letter_headers": False,
        "dead_letter_replication_factor": 1,
        "log_errors": False,
        "log_messages": True,
        "topics": ("a", "b"),
        "max_poll_records": 50,
        "warnings": (),
    }
    assert settings.consumer == {"bootstrap.servers": "k:9092", "group.id": "g"}
    assert settings.producer == {"bootstrap.servers": "other:9092", "linger.ms": 5}
    assert (settings.value.encrypts, settings.value.on_failure) == (True, "NONE")


@pytest.mark.parametrize(
    ("given", "topic"),
    [("", None), ("  ", None), ("dead", "dead"), ("dlq-${connector}", "dlq-c"), (None, "dlq-c")],
)
def test_the_topic_of_dead_letters(given: object, topic: str | None) -> None:
    assert parsed({"name": "c", f"{DLQ}topic.name": given}).dead_letter_topic == topic


def test_a_source_has_no_dead_letters() -> None:
    settings = parsed({f"{DLQ}topic.name": "dead"}, "source")
    assert settings.dead_letter_topic is None
    assert settings.warnings == (f"{DLQ}topic.name has no effect: sources have none",)


@pytest.mark.parametrize(
    ("config", "enabled"),
    [
        ({}, False),
        ({"csfle.enabled": True}, True),
        ({"csfle.enabled": False}, False),
        ({"value.converter.rule.executors._ENCRYPT_.disabled": "false"}, True),
        (
            {
                "key.converter": FORMATS["avro"],
                "key.converter.rule.executors._ENCRYPT_.disabled": "false",
            },
            True,
        ),
    ],
)
def test_csfle_is_on_where_a_converter_encrypts(config: dict[str, object], enabled: bool) -> None:
    assert parsed(config).csfle_enabled is enabled


def test_confluents_own_expansion_is_understood() -> None:
    settings = parsed(
        {
            "csfle.enabled": "true",
            **{
                f"{part}.converter.{name}": value
                for part in ("key", "value")
                for name, value in {
                    "rule.executors._ENCRYPT_.disabled": "false",
                    "rule.executors._ENCRYPT_.onFailure": "ERROR",
                    "latest.cache.ttl.sec": "300",
                    "auto.register.schemas": "false",
                    "use.latest.version": "true",
                }.items()
            },
            "errors.tolerance": "all",
            "auto.restart.on.user.error": "true",
        }
    )
    assert settings.value.encrypts
    assert settings.value.conf["latest.cache.ttl.sec"] == 300.0
    (warning,) = settings.warnings
    assert warning == (
        "key.converter.rule.executors._ENCRYPT_.disabled has no effect: keys are bytes, and only Avro is "
        "encrypted; see key.converter"
    )


def test_a_registry_or_a_client_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"value\.converter\.schema\.registry\.url is missing"):
        ConnectorSettings.parse({}, "sink")
    only_values = {"value.converter.schema.registry.url": "mock://a", "key.converter": FORMATS["avro"]}
    with pytest.raises(ConfigError, match=r"key\.converter\.schema\.registry\.url is missing"):
        ConnectorSettings.parse(only_values, "sink")
    assert ConnectorSettings.parse({}, "sink", has_client=True).value.registry == {}


def test_with_a_client_the_registrys_properties_are_ignored() -> None:
    settings = ConnectorSettings.parse(URL, "source", has_client=True)
    assert settings.value.registry == {}
    assert settings.warnings == ("schema.registry.url has no effect: a SchemaRegistryClient was handed in",)


def test_the_kind_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match="kind must be"):
        ConnectorSettings.parse(URL, "pump")  # type: ignore[arg-type]


def test_the_configuration_is_not_changed() -> None:
    config: dict[str, object] = {**URL, "csfle.enabled": "true", "unknown": "x"}
    before = dict(config)
    ConnectorSettings.parse(config, "sink")
    assert config == before


def test_secrets_are_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = parsed(
        {
            "schema.registry.url": f"https://u:{SECRET}@registry.example",
            "key.converter": FORMATS["avro"],
            "rule.executors._default_.param.secret.access.key": SECRET,
            "producer.override.sasl.password": SECRET,
            "consumer.override.sasl.password": SECRET,
            "kafka.api.secret": SECRET,
            "connection.password": SECRET,
        }
    )
    assert settings.producer["sasl.password"] == settings.consumer["sasl.password"] == SECRET
    assert settings.value.rule_conf == {"secret.access.key": SECRET}
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in str(settings.warnings)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "config",
    [
        {"csfle.enabled": SECRET},
        {"csfle.onFailure": SECRET},
        {"task.id": SECRET},
        {"errors.tolerance": SECRET},
        {"topics": 5},
        {"key.converter": SECRET},
        {"value.converter": SECRET},
        {"input.data.format": SECRET},
        {"value.converter.schema.registry.url": SECRET},
        {"basic.auth.user.info": SECRET},
        {"basic.auth.credentials.source": SECRET},
        {"bearer.auth.credentials.source": SECRET},
        {"bearer.auth.token": SECRET},
        {"bearer.auth.token": [SECRET]},
        {"schema.registry.ssl.truststore.password": SECRET},
        {"schema.registry.ssl.keystore.location": f"{SECRET}.jks"},
        {"ssl.key.password": SECRET},
        {"subject.name.strategy": SECRET},
        {"value.schema.id.serializer": SECRET},
        {"dek.cache.size": SECRET},
        {"tag.inheritance": SECRET},
        {"rule.executors._ENCRYPT_.disabled": SECRET},
        {"rule.executors.mine.disabled": SECRET},
        {"rule.executors.mine.param.secret": SECRET},
        {"rule.executors._default_.param.secret": {"a": SECRET}},
        {"rule.executors._ENCRYPT_.param.a": SECRET, "rule.executors._ENCRYPT_PAYLOAD_.param.a": "b"},
        {"consumer.override.sasl.jaas.config": SECRET},
    ],
    ids=lambda config: next(iter(config)),
)
def test_no_message_quotes_a_value(config: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(config)
    assert next(iter(config)) in caught.value.message
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_files_and_dicts_say_the_same(tmp_path: Path) -> None:
    config: dict[str, object] = {
        "name": "customers",
        "csfle.enabled": "true",
        "schema.registry.url": "mock://files",
        "value.converter.rule.executors._default_.param.secret": SECRET,
    }
    (tmp_path / "c.properties").write_text("".join(f"{name}={value}\n" for name, value in config.items()))
    (tmp_path / "c.json").write_text(json.dumps(config))
    rest = {name: value for name, value in config.items() if name != "name"}
    (tmp_path / "rest.json").write_text(json.dumps({"name": "customers", "config": rest}))
    expected = ConnectorSettings.parse(config, "sink")
    for name in ("c.properties", "c.json", "rest.json"):
        assert ConnectorSettings.parse(read_properties(tmp_path / name), "sink") == expected
