"""Reading a configuration: places, contradictions, defaults, and what has no effect."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from csfle_fast.connect.given import Reading, read
from csfle_fast.connect.table import Kind
from csfle_fast.errors import ConfigError

SECRET = "pa55word-of-nobody"
USER_INFO = "basic.auth.user.info"


def sink(config: Mapping[str, object], *, has_client: bool = False, kind: Kind = "sink") -> Reading:
    return read(config, kind, has_client=has_client)


def test_a_plain_property_is_for_both_converters() -> None:
    reading = sink({"schema.registry.url": "http://a", "value.converter.use.latest.version": "false"})
    assert reading.key["schema.registry.url"] == reading.value["schema.registry.url"] == "http://a"
    assert reading.value["use.latest.version"] is False
    assert reading.key["use.latest.version"] is True
    assert reading.warnings == ()


def test_defaults_depend_on_the_kind() -> None:
    assert sink({}).connector["errors.tolerance"] == "all"
    assert sink({}, kind="source").connector["errors.tolerance"] == "none"


def test_none_and_empty_text_are_the_same_as_absent() -> None:
    reading = sink({"name": None, "sr.service.account.id": "", "whatever": None})
    assert "name" not in reading.connector
    assert reading.connector["sr.service.account.id"] is None
    assert reading.warnings == ()


@pytest.mark.parametrize(
    ("one", "other", "sets"),
    [
        (f"value.converter.{USER_INFO}", USER_INFO, USER_INFO),
        (USER_INFO, f"key.converter.{USER_INFO}", USER_INFO),
        (f"schema.registry.{USER_INFO}", USER_INFO, USER_INFO),
        (
            "schema.registry.ssl.keystore.password",
            "value.converter.schema.registry.ssl.key.password",
            "ssl.key.password",
        ),
        (
            "rule.executors._default_.param.token.id",
            "value.converter.rule.executors._default_.param.token.id",
            "rule.executors._default_.param.token.id",
        ),
    ],
)
def test_two_forms_with_different_values_are_refused(one: str, other: str, sets: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sink({one: f"a:{SECRET}", other: f"b:{SECRET}"})
    assert caught.value.message == f"{sets} is given as {one} and as {other} with different values: keep one"
    assert SECRET not in str(caught.value)
    assert sink({one: f"a:{SECRET}", other: f"a:{SECRET}"}).value[sets] == f"a:{SECRET}"


def test_what_differs_is_the_value_and_not_how_it_is_written() -> None:
    assert (
        sink({"max.poll.records": "7", "consumer.override.max.poll.records": 7}).connector["max.poll.records"]
        == 7
    )
    names = {
        "subject.name.strategy": "topic",
        "value.subject.name.strategy": "io.confluent.kafka.serializers.subject.TopicNameStrategy",
    }
    assert sink(names).value["subject.name.strategy"] == "TOPIC"


def test_the_two_parts_may_differ() -> None:
    reading = sink(
        {"key.converter.schema.registry.url": "http://a", "value.converter.schema.registry.url": "http://b"}
    )
    assert (reading.key["schema.registry.url"], reading.value["schema.registry.url"]) == (
        "http://a",
        "http://b",
    )


def test_errors_name_the_property_as_it_was_written() -> None:
    with pytest.raises(ConfigError, match=r"^value\.converter\.latest\.cache\.ttl\.sec|setting value\.conv"):
        sink({"value.converter.latest.cache.ttl.sec": "-1"})


def test_an_unknown_name_is_a_warning_with_the_nearest() -> None:
    (warning,) = sink({"csfle.enable": SECRET}).warnings
    assert warning == (
        "csfle.enable is not known and has no effect here; the nearest known property is csfle.enabled"
    )


def test_what_only_the_other_kind_has_is_a_warning() -> None:
    reading = sink({"errors.deadletterqueue.topic.name": "d", "read.plaintext": SECRET}, kind="source")
    assert reading.warnings == (
        "errors.deadletterqueue.topic.name has no effect: sources have none",
        "read.plaintext has no effect: sources have none",
    )


def test_what_kafka_connect_reads_is_accepted_in_silence() -> None:
    config = {
        "connector.class": "HttpSink",
        "tasks.max": 1,
        "header.converter": "x",
        "header.converter.schemas.enable": False,
        "transforms": "a",
        "transforms.a.type": "b",
        "predicates": "p",
        "config.action.reload": "restart",
        "auto.restart.on.user.error": "true",
        "kafka.auth.mode": "KAFKA_API_KEY",
        "kafka.api.key": "k",
        "kafka.api.secret": SECRET,
        "kafka.service.account.id": "sa-1",
        "topics.regex": ".*",
        "topic.creation.default.partitions": 1,
        "max.poll.interval.ms": "300000",
        "value.converter.enhanced.avro.schema.support": "true",
        "value.converter.connect.meta.data": "false",
        "key.converter.schemas.enable": "false",
        "key.converter.schemas.cache.config": 10,
        "value.converter.scrub.invalid.names": True,
        "value.converter.latest.compatibility.strict": "false",
        "value.converter.rule.executors": "mine",
        "value.converter.rule.executors.mine.class": "x",
    }
    for kind in ("source", "sink"):
        assert read(config, kind, has_client=False).warnings == ()


def test_with_a_client_the_registrys_properties_are_one_warning() -> None:
    config = {
        "schema.registry.url": "ftp://not-looked-at",
        "value.converter.basic.auth.user.info": SECRET,
        "value.converter.use.latest.version": "true",
    }
    reading = sink(config, has_client=True)
    (warning,) = reading.warnings
    assert warning == (
        "schema.registry.url, value.converter.basic.auth.user.info have no effect: "
        "a SchemaRegistryClient was handed in"
    )
    assert "schema.registry.url" not in reading.value


def test_names_must_be_text() -> None:
    with pytest.raises(ConfigError) as caught:
        sink({3: "x"})  # type: ignore[dict-item]
    assert caught.value.code == "unknown_setting"


def test_no_value_is_in_a_repr() -> None:
    reading = sink({USER_INFO: f"a:{SECRET}", "rule.executors._default_.param.secret": SECRET})
    assert SECRET not in repr(reading)
    assert SECRET not in repr(reading.value)
    assert SECRET not in repr(reading.value._given)
