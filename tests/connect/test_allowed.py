"""What single properties take; each refusal has the property, the reason and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from csfle_fast.connect import allowed
from csfle_fast.connect.values import Parse
from csfle_fast.errors import ConfigError

SUBJECTS = "io.confluent.kafka.serializers.subject."
SCHEMA_IDS = "io.confluent.kafka.serializers.schema.id."


def a_strategy(_context: object, _name: object) -> str:
    return "s"


@pytest.mark.parametrize(
    ("parse", "value", "parsed"),
    [
        (allowed.actions, "error", ("ERROR", "ERROR")),
        (allowed.actions, "NONE", ("NONE", "NONE")),
        (allowed.actions, "ERROR, none", ("ERROR", "NONE")),
        (allowed.key_converter, "io.confluent.connect.avro.AvroConverter", "avro"),
        (allowed.key_converter, "org.apache.kafka.connect.converters.ByteArrayConverter", "bytes"),
        (allowed.key_converter, "org.apache.kafka.connect.storage.StringConverter", "string"),
        (allowed.value_converter, "io.confluent.connect.avro.AvroConverter", "avro"),
        (allowed.key_format, "string", "string"),
        (allowed.value_format, "AVRO", "avro"),
        (allowed.strategy, f"{SUBJECTS}TopicNameStrategy", "TOPIC"),
        (allowed.strategy, f"{SUBJECTS}RecordNameStrategy", "RECORD"),
        (allowed.strategy, f"{SUBJECTS}TopicRecordNameStrategy", "TOPIC_RECORD"),
        (allowed.strategy, f"{SUBJECTS}AssociatedNameStrategy", "ASSOCIATED"),
        (allowed.strategy, "topic_record", "TOPIC_RECORD"),
        (allowed.strategy, a_strategy, a_strategy),
        (allowed.framing, f"{SCHEMA_IDS}PrefixSchemaIdSerializer", "prefix"),
        (allowed.framing, f"{SCHEMA_IDS}HeaderSchemaIdSerializer", "header"),
        (allowed.text_or_empty, " ", ""),
        (allowed.text_or_empty, "dlq", "dlq"),
        (allowed.never_registers, "false", False),
        (allowed.client_value, 5, 5),
        (allowed.registry_url, "http://a:8081 , https://b/", "http://a:8081,https://b/"),
        (allowed.registry_url, "mock://scope", "mock://scope"),
        (allowed.registry_url, "mock://", "mock://"),
        (allowed.registry_url, " ", None),
        (allowed.basic_source, "user_info", "USER_INFO"),
        (allowed.basic_source, "URL", "URL"),
        (allowed.user_info, "user:a:b ", "user:a:b "),
        (allowed.user_info, "", None),
        (allowed.pem_file, "/etc/ca.pem", "/etc/ca.pem"),
        (allowed.pem_file, "/etc/certs", "/etc/certs"),
        (allowed.pem, "pem", "PEM"),
        (allowed.no_password, "", None),
    ],
)
def test_what_is_allowed(parse: Parse, value: object, parsed: Any) -> None:
    assert parse("p", value) == parsed


def test_every_format_has_its_class() -> None:
    for form, name in allowed.FORMATS.items():
        assert allowed.key_converter("key.converter", name) == form


@pytest.mark.parametrize(
    ("parse", "value", "reason", "fix"),
    [
        (allowed.actions, "DLQ", "one of ERROR, NONE", "errors.deadletterqueue.topic.name"),
        (allowed.actions, "", "one of ERROR, NONE", ""),
        (allowed.actions, 3, "one of ERROR, NONE", ""),
        (allowed.actions, "ERROR,NONE,ERROR", "two for writing and reading", "such as ERROR,NONE"),
        (
            allowed.key_converter,
            "io.confluent.connect.json.JsonSchemaConverter",
            "encrypts Avro",
            "one of io.",
        ),
        (allowed.value_converter, allowed.FORMATS["bytes"], "encrypts Avro", allowed.FORMATS["avro"]),
        (allowed.key_format, "JSON_SR", "encrypts Avro", "AVRO, BYTES, STRING"),
        (allowed.value_format, "JSON_SR", "encrypts Avro", "must be AVRO"),
        (allowed.value_format, "PROTOBUF", "encrypts Avro", "must be AVRO"),
        (allowed.value_format, "JSON", "encrypts Avro", "must be AVRO"),
        (allowed.value_format, "BYTES", "encrypts Avro", "must be AVRO"),
        (allowed.strategy, "io.mine.Strategy", "must be one of ASSOCIATED", "callable"),
        (allowed.framing, "Other", "must be one of", f"{SCHEMA_IDS}HeaderSchemaIdSerializer"),
        (allowed.never_registers, "true", "would have no rules", "register it with its rules beforehand"),
        (allowed.registry_url, "registry:8081", "must be URLs", "http://"),
        (allowed.registry_url, "http://", "must be URLs", "http://"),
        (allowed.registry_url, "http://[::1", "must be URLs", "http://"),
        (allowed.registry_url, "http://a,ftp://b", "must be URLs", "http://"),
        (allowed.registry_url, ",", "must be URLs", "http://"),
        (allowed.registry_url, "mock://a,mock://b", "one mock:// URL alone", "keep either"),
        (allowed.registry_url, "http://a,mock://b", "one mock:// URL alone", "keep either"),
        (allowed.basic_source, "SASL_INHERIT", "no JAAS configuration", "USER_INFO"),
        (allowed.basic_source, "OTHER", "one of USER_INFO, URL", "hand a SchemaRegistryClient"),
        (allowed.user_info, "pa55word", "a colon between", ""),
        (allowed.pem_file, "/etc/client.JKS", "Java key store", "convert it to PEM"),
        (allowed.pem_file, "/etc/client.p12", "Java key store", "convert it to PEM"),
        (allowed.pem, "JKS", "Java key stores cannot be read", "convert it to PEM"),
        (allowed.pem, "PKCS12", "Java key stores cannot be read", "convert it to PEM"),
        (allowed.no_password, "pa55word", "Java trust stores", "convert it to PEM"),
    ],
)
def test_what_is_refused(parse: Parse, value: object, reason: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("the.property", value)
    message = caught.value.message
    assert message.startswith("the.property ")
    assert reason in message
    assert fix in message
    assert "pa55word" not in message
    assert caught.value.code == "bad_config"
    assert caught.value.__cause__ is None


def test_what_is_for_java_clients_has_a_fix() -> None:
    name = "producer.override.sasl.jaas.config"
    with pytest.raises(ConfigError) as caught:
        allowed.client_value(name, 'PlainLoginModule required password="pa55word";')
    assert caught.value.message.startswith(f"{name} is for Java clients")
    assert "producer.override.sasl.username and producer.override.sasl.password" in caught.value.message
    assert "pa55word" not in caught.value.message


@pytest.mark.parametrize("prefix", ["", "key.converter.", "value.converter."])
def test_parameters_of_one_rule_are_refused(prefix: str) -> None:
    name = f"{prefix}rule.executors.my.rule.param.secret.access.key"
    with pytest.raises(ConfigError) as caught:
        allowed.no_rule_params(name, "pa55word")
    assert name in caught.value.message
    assert f"use {prefix}rule.executors._ENCRYPT_.param.secret.access.key" in caught.value.message
    assert "pa55word" not in caught.value.message
