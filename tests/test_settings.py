"""The settings table: defaults, types, unknown keys, rule overrides."""

from __future__ import annotations

import dataclasses

import pytest

from csfle_fast.errors import ConfigError
from csfle_fast.settings import SETTINGS, RuleOverride, Settings


def test_the_defaults_are_those_of_the_table() -> None:
    settings = Settings.parse(None)
    assert {s.attribute: s.default for s in SETTINGS} == {
        f.name: getattr(settings, f.name) for f in dataclasses.fields(settings) if f.name != "rule_overrides"
    }
    assert settings == Settings.parse({}) == Settings()


def test_every_default_passes_its_own_check() -> None:
    assert Settings.parse({s.name: s.default for s in SETTINGS}) == Settings()


def test_every_setting_is_documented() -> None:
    assert all(s.name and s.type and s.doc.endswith(".") for s in SETTINGS)


def test_text_is_understood_as_in_a_properties_file() -> None:
    settings = Settings.parse(
        {
            "use.latest.version": "TRUE",
            "latest.cache.ttl.sec": "60",
            "dek.cache.size": "5",
            "subject.name.strategy": "topic_record",
            "auto.register.schemas": "false",
        }
    )
    assert settings.use_latest_version is True
    assert settings.latest_cache_ttl_sec == 60.0
    assert settings.dek_cache_size == 5
    assert settings.subject_name_strategy == "TOPIC_RECORD"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("use.latest.versions", "use.latest.version"),
        ("latest.cache.ttl.ms", "latest.cache.ttl.sec"),
        ("tag.inheritence", "tag.inheritance"),
        ("rule.executors._ENCRYPT_.disable", "rule.executors._ENCRYPT_.disabled"),
        ("rule.executors.disabled", "rule.executors.disabled.disabled"),
        ("x", ""),
    ],
)
def test_an_unknown_key_is_a_value_error_that_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ValueError, match="unknown setting") as caught:
        Settings.parse({name: "1"})
    assert isinstance(caught.value, ConfigError)
    assert caught.value.code == "unknown_setting"
    assert name in caught.value.message
    assert nearest in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("use.latest.version", "yes"),
        ("use.latest.version", 1),
        ("auto.register.schemas", True),
        ("latest.cache.ttl.sec", -1),
        ("latest.cache.ttl.sec", float("nan")),
        ("latest.cache.ttl.sec", "soon"),
        ("latest.cache.ttl.sec", True),
        ("latest.cache.ttl.sec", None),
        ("missing.cache.ttl.sec", 10.1),
        ("dek.cache.size", 0),
        ("dek.cache.size", 1.5),
        ("dek.max.seals", 2**32 + 1),
        ("tag.inheritance", "python"),
        ("crypto.provider", "openssl"),
        ("subject.name.strategy", "NONE"),
        ("subject.name.strategy", 3),
        ("subject.name.strategy.kafka.cluster.id", 3),
        ("rule.executors.r.disabled", "maybe"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        Settings.parse({name: value})
    assert caught.value.code == "bad_config"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_keys_must_be_text() -> None:
    with pytest.raises(ConfigError):
        Settings.parse({3: "x"})  # type: ignore[dict-item]


def test_a_callable_strategy_is_kept() -> None:
    def strategy(_context: object, _name: object) -> str:
        return "s"

    assert Settings.parse({"subject.name.strategy": strategy}).subject_name_strategy is strategy


def test_overrides_go_from_name_to_type_to_default() -> None:
    settings = Settings.parse(
        {
            "rule.executors._default_.disabled": True,
            "rule.executors._CEL_.disabled": False,
            "rule.executors.mine.disabled": "false",
            "rule.executors.with.dots.disabled": "false",
        }
    )
    assert settings.rule_override("mine", "ENCRYPT") == RuleOverride(disabled=False)
    assert settings.rule_override("with.dots", "ENCRYPT") == RuleOverride(disabled=False)
    assert settings.rule_override("other", "CEL") == RuleOverride(disabled=False)
    assert settings.rule_override("other", "ENCRYPT") == RuleOverride(disabled=True)
    assert Settings().rule_override("other", "ENCRYPT") == RuleOverride()
