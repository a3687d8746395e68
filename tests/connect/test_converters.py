"""Converters: formats, the Engine's configuration, and what a source cannot do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from csfle_fast import Engine
from csfle_fast.connect.allowed import FORMATS
from csfle_fast.connect.converters import ConverterSettings, converter_settings
from csfle_fast.connect.given import read
from csfle_fast.connect.table import Kind, Part
from csfle_fast.errors import ConfigError
from csfle_fast.settings import SETTINGS, Settings
from incumbent import mock_registry

SECRET = "pa55word-of-nobody"
SUBJECTS = "io.confluent.kafka.serializers.subject."
HEADER = "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer"
AVRO_KEYS = {"key.converter": FORMATS["avro"]}


def converter(config: Mapping[str, object], part: Part = "value", kind: Kind = "sink") -> ConverterSettings:
    reading = read(config, kind, has_client=True)
    given = reading.key if part == "key" else reading.value
    return converter_settings(part, kind, reading.connector, given, has_client=True)


def refusal(config: Mapping[str, object], kind: Kind, part: Part = "value") -> str:
    with pytest.raises(ConfigError) as caught:
        converter(config, part, kind)
    assert caught.value.code == "bad_config"
    return caught.value.message


def test_values_are_avro_and_keys_bytes_by_default() -> None:
    assert converter({}).format == "avro"
    assert converter({}).class_name == FORMATS["avro"]
    assert converter({}, "key") == ConverterSettings("key", "bytes", FORMATS["bytes"])


@pytest.mark.parametrize(
    ("config", "form"),
    [
        (AVRO_KEYS, "avro"),
        ({"key.converter": FORMATS["string"]}, "string"),
        ({"key.converter": FORMATS["bytes"]}, "bytes"),
        ({"input.key.format": "STRING"}, "string"),
        ({"output.data.key.format": "avro"}, "avro"),
        ({"input.key.format": "BYTES", "key.converter": FORMATS["bytes"]}, "bytes"),
        ({"input.data.format": "AVRO", "output.data.format": "AVRO"}, "bytes"),
    ],
)
def test_the_format_of_keys(config: dict[str, object], form: str) -> None:
    found = converter(config, "key")
    assert (found.format, FORMATS[found.format]) == (form, found.class_name)


def test_formats_that_disagree_are_refused() -> None:
    message = refusal({"key.converter": FORMATS["string"], "input.key.format": "AVRO"}, "sink", "key")
    assert "key.converter is given as key.converter and as input.key.format" in message


def test_the_defaults_of_the_engines_configuration() -> None:
    conf = converter({"csfle.enabled": True}).conf
    assert conf == {
        "use.latest.version": True,
        "tag.inheritance": "refuse",
        "rule.executors._ENCRYPT_.disabled": False,
    }


def test_the_engine_takes_every_one_of_its_settings() -> None:
    config = {f"value.converter.{s.name}": str(s.default) for s in SETTINGS if s.default is not None}
    config |= {"use.latest.version": "true", "csfle.enabled": "true", "rule.executors.mine.disabled": "true"}
    del config["value.converter.use.latest.version"]
    found = converter(config)
    parsed = Settings.parse(found.conf)
    assert parsed.rule_override("mine", "ENCRYPT").disabled is True
    assert parsed.rule_override("other", "ENCRYPT").disabled is False
    expected = dataclasses.replace(Settings(), use_latest_version=True, rule_overrides=parsed.rule_overrides)
    assert parsed == expected
    with Engine(mock_registry(), found.rule_conf, found.conf):
        pass


def test_other_formats_have_nothing_of_avro() -> None:
    config = {
        "csfle.enabled": "true",
        "key.converter": FORMATS["string"],
        "key.converter.rule.executors._default_.param.secret": SECRET,
        "key.schema.id.serializer": HEADER,
    }
    assert converter(config, "key") == ConverterSettings("key", "string", FORMATS["string"])


def test_keys_of_avro_are_encrypted_too() -> None:
    assert converter(AVRO_KEYS | {"csfle.enabled": "true"}, "key").encrypts


@pytest.mark.parametrize("kind", ["source", "sink"])
def test_framing_is_said_for_each_part(kind: Kind) -> None:
    config = AVRO_KEYS | {"key.converter.key.schema.id.serializer": HEADER}
    assert converter(config, "key", kind).framing == "header"
    assert converter(config, "value", kind).framing == "prefix"
    assert (
        converter({"value.converter.value.schema.id.serializer": HEADER}, "value", kind).framing == "header"
    )
    assert converter({"value.schema.id.serializer": HEADER}, "value", kind).framing == "header"


@pytest.mark.parametrize(("kind", "enabled"), [("source", "true"), ("source", "false"), ("sink", "true")])
def test_the_latest_version_is_needed(kind: Kind, enabled: str) -> None:
    config = {"csfle.enabled": enabled, "value.converter.use.latest.version": "false"}
    message = refusal(config, kind)
    assert message.startswith("value.converter.use.latest.version can only be false on a sink without")
    assert "set true" in message


def test_a_sink_without_encryption_need_not_use_the_latest_version() -> None:
    assert converter({"use.latest.version": "false"}).conf["use.latest.version"] is False


@pytest.mark.parametrize("kind", ["source", "sink"])
def test_nothing_is_ever_registered(kind: Kind) -> None:
    message = refusal({"value.converter.auto.register.schemas": "true"}, kind)
    assert message.startswith("value.converter.auto.register.schemas can only be false")
    assert "no rules" in message
    assert converter({"auto.register.schemas": "false"}).conf["auto.register.schemas"] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("value.converter.value.subject.name.strategy", f"{SUBJECTS}RecordNameStrategy"),
        ("value.subject.name.strategy", f"{SUBJECTS}TopicRecordNameStrategy"),
        ("subject.name.strategy", "RECORD"),
        ("value.converter.subject.name.strategy.fallback.type", "TOPIC_RECORD"),
    ],
)
def test_record_names_are_for_reading(name: str, value: str) -> None:
    message = refusal({name: value}, "source")
    assert message.startswith(f"{name} cannot be RECORD or TOPIC_RECORD on a source")
    assert "which only a consumed record tells" in message
    assert "use TOPIC or ASSOCIATED" in message
    assert "RECORD" in str(converter({name: value}).conf)


def test_strategies_are_said_for_each_part() -> None:
    config = AVRO_KEYS | {
        "key.converter.key.subject.name.strategy": f"{SUBJECTS}TopicNameStrategy",
        "value.converter.value.subject.name.strategy": f"{SUBJECTS}RecordNameStrategy",
        "subject.name.strategy.kafka.cluster.id": "lkc-1",
    }
    assert converter(config, "key").conf["subject.name.strategy"] == "TOPIC"
    assert converter(config, "value").conf["subject.name.strategy"] == "RECORD"
    assert converter(config, "key").conf["subject.name.strategy.kafka.cluster.id"] == "lkc-1"


def test_settings_of_the_engine_are_checked_under_their_own_name() -> None:
    message = refusal({"value.converter.dek.cache.size": 0}, "sink")
    assert "value.converter.dek.cache.size must be from 1" in message


def test_equal_properties_give_equal_converters() -> None:
    config = AVRO_KEYS | {"csfle.enabled": True, "rule.executors._default_.param.secret": SECRET}
    key, value = converter(config, "key"), converter(config, "value")
    assert (key.conf, key.rule_conf) == (value.conf, value.rule_conf)


def test_secrets_are_not_in_the_repr_and_mappings_do_not_change() -> None:
    found = converter({"rule.executors._default_.param.secret": SECRET})
    assert found.rule_conf == {"secret": SECRET}
    assert SECRET not in repr(found)
    for mapping in (found.conf, found.registry, found.rule_conf):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
