"""Whether rules run, what follows failure, and credentials: Confluent's expansion and its contradictions."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from csfle_fast.connect.given import Reading, read
from csfle_fast.connect.rule_settings import on_failure, rule_settings
from csfle_fast.connect.table import Kind
from csfle_fast.errors import ConfigError

FIELDS = "rule.executors._ENCRYPT_"
PAYLOAD = "rule.executors._ENCRYPT_PAYLOAD_"
EVERY = "rule.executors._default_"
SECRET = "pa55word-of-nobody"


def reading(config: Mapping[str, object], kind: Kind = "sink") -> Reading:
    return read(config, kind, has_client=True)


@pytest.mark.parametrize(
    ("config", "encrypts", "disabled"),
    [
        ({}, False, {f"{FIELDS}.disabled": True, f"{PAYLOAD}.disabled": True}),
        ({"csfle.enabled": "false"}, False, {f"{FIELDS}.disabled": True, f"{PAYLOAD}.disabled": True}),
        ({"csfle.enabled": "true"}, True, {f"{FIELDS}.disabled": False}),
        ({f"{FIELDS}.disabled": "false"}, True, {f"{FIELDS}.disabled": False}),
        ({"csfle.enabled": True, f"{FIELDS}.disabled": False}, True, {f"{FIELDS}.disabled": False}),
        (
            {f"{FIELDS}.disabled": True},
            False,
            {f"{FIELDS}.disabled": True, f"{PAYLOAD}.disabled": True},
        ),
        (
            {f"{PAYLOAD}.disabled": "false"},
            True,
            {f"{FIELDS}.disabled": True, f"{PAYLOAD}.disabled": False},
        ),
        (
            {"csfle.enabled": True, f"{PAYLOAD}.disabled": True},
            True,
            {f"{FIELDS}.disabled": False, f"{PAYLOAD}.disabled": True},
        ),
        (
            {"csfle.enabled": True, "rule.executors.mine.disabled": "true"},
            True,
            {f"{FIELDS}.disabled": False, "rule.executors.mine.disabled": True},
        ),
        # Confluent's runtime sets the type too, which goes before the default.
        (
            {f"{EVERY}.disabled": "false"},
            False,
            {f"{EVERY}.disabled": False, f"{FIELDS}.disabled": True, f"{PAYLOAD}.disabled": True},
        ),
    ],
)
def test_whether_rules_run(config: dict[str, object], encrypts: bool, disabled: dict[str, bool]) -> None:
    given = reading(config)
    rules = rule_settings(given.connector, given.value)
    assert rules.encrypts is encrypts
    assert rules.disabled == disabled


def test_the_two_parts_may_differ() -> None:
    given = reading({f"key.converter.{FIELDS}.disabled": "false"})
    assert rule_settings(given.connector, given.key).encrypts
    assert not rule_settings(given.connector, given.value).encrypts


@pytest.mark.parametrize(
    ("enabled", "name", "disabled"),
    [
        ("true", f"value.converter.{FIELDS}.disabled", "true"),
        ("false", f"value.converter.{FIELDS}.disabled", "false"),
        ("false", f"{FIELDS}.disabled", "false"),
        ("false", f"{PAYLOAD}.disabled", "false"),
    ],
)
def test_two_switches_that_disagree_are_refused(enabled: str, name: str, disabled: str) -> None:
    given = reading({"csfle.enabled": enabled, name: disabled})
    with pytest.raises(ConfigError) as caught:
        rule_settings(given.connector, given.value)
    assert caught.value.message == f"{name} says the contrary of csfle.enabled: remove one of them"


@pytest.mark.parametrize(
    ("kind", "config", "action"),
    [
        ("sink", {}, "ERROR"),
        ("source", {}, "ERROR"),
        ("sink", {"csfle.onFailure": "NONE"}, "NONE"),
        ("sink", {"csfle.onFailure": "ERROR,NONE"}, "NONE"),
        ("sink", {"csfle.onFailure": "NONE,ERROR"}, "ERROR"),
        ("source", {"csfle.onFailure": "ERROR"}, "ERROR"),
        ("source", {"csfle.onFailure": "ERROR,NONE"}, "ERROR"),
        ("sink", {f"value.converter.{FIELDS}.onFailure": "NONE"}, "NONE"),
        ("sink", {"csfle.onFailure": "NONE", f"{FIELDS}.onFailure": "ERROR,NONE"}, "NONE"),
        ("source", {"csfle.onFailure": "ERROR", f"{FIELDS}.onFailure": "ERROR,NONE"}, "ERROR"),
        ("sink", {f"key.converter.{FIELDS}.onFailure": "NONE"}, "ERROR"),
    ],
)
def test_what_follows_failure(kind: Kind, config: dict[str, object], action: str) -> None:
    given = reading(config, kind)
    assert on_failure(given.connector, given.value, kind) == action


@pytest.mark.parametrize(
    "name", ["csfle.onFailure", f"{FIELDS}.onFailure", f"value.converter.{FIELDS}.onFailure"]
)
@pytest.mark.parametrize("action", ["NONE", "NONE,ERROR"])
def test_a_source_never_writes_plaintext(name: str, action: str) -> None:
    given = reading({name: action}, "source")
    with pytest.raises(ConfigError) as caught:
        on_failure(given.connector, given.value, "source")
    assert caught.value.message.startswith(f"{name} can only be ERROR on a source")
    assert "would write plaintext" in caught.value.message
    assert "set ERROR" in caught.value.message


def test_two_actions_that_disagree_are_refused() -> None:
    given = reading({"csfle.onFailure": "ERROR", f"value.converter.{FIELDS}.onFailure": "NONE"})
    with pytest.raises(ConfigError) as caught:
        on_failure(given.connector, given.value, "sink")
    assert caught.value.message == (
        f"csfle.onFailure and value.converter.{FIELDS}.onFailure have different values: keep one"
    )


def test_credentials_of_a_type_go_before_those_of_all() -> None:
    given = reading(
        {
            f"{EVERY}.param.token.id": "a",
            f"{EVERY}.param.namespace": "n",
            f"value.converter.{FIELDS}.param.token.id": "b",
            f"{PAYLOAD}.param.token.id": "b",
            f"{PAYLOAD}.param.port": 5,
        }
    )
    rules = rule_settings(given.connector, given.value)
    assert rules.params == {"token.id": "b", "namespace": "n", "port": "5"}


def test_two_types_with_different_credentials_are_refused() -> None:
    names = (f"value.converter.{FIELDS}.param.secret", f"{PAYLOAD}.param.secret")
    given = reading({names[0]: SECRET, names[1]: f"{SECRET}-too"})
    with pytest.raises(ConfigError) as caught:
        rule_settings(given.connector, given.value)
    assert caught.value.message.startswith(f"{names[0]} and {names[1]} have different values")
    assert "keep one" in caught.value.message
    assert SECRET not in str(caught.value)


def test_credentials_are_not_in_the_repr() -> None:
    given = reading({f"{EVERY}.param.secret": SECRET})
    assert SECRET not in repr(rule_settings(given.connector, given.value))
