"""Names: the three places of a converter's property, patterns, and the nearest of what is not known."""

from __future__ import annotations

import pytest

from csfle_fast.connect.names import Place, locate, nearest
from csfle_fast.connect.table import PROPERTIES


def found(name: str) -> Place:
    place = locate(name)
    assert place is not None
    return place


def test_a_converters_property_stands_in_three_places() -> None:
    assert found("schema.registry.url").parts == ("key", "value")
    assert found("key.converter.schema.registry.url").parts == ("key",)
    assert found("value.converter.schema.registry.url").parts == ("value",)
    assert found("value.converter.schema.registry.url").sets == "schema.registry.url"


def test_a_connectors_property_stands_in_one() -> None:
    assert found("csfle.enabled").parts == ()
    assert locate("value.converter.csfle.enabled") is None
    assert locate("value.converter.name") is None
    assert locate("value.converter.connector.class") is None


def test_every_name_of_the_table_leads_to_its_row() -> None:
    for row in PROPERTIES:
        name = row.name.replace("<who>", "my.rule").replace("*", "some.thing")
        assert found(name).row is row
        assert found(name).sets == (row.sets or name)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("consumer.override.max.poll.records", "consumer.override.max.poll.records"),
        ("consumer.override.group.id", "consumer.override.*"),
        ("rule.executors._ENCRYPT_.disabled", "rule.executors._ENCRYPT_.disabled"),
        ("rule.executors.mine.disabled", "rule.executors.<who>.disabled"),
        ("rule.executors._ENCRYPT_.param.token.id", "rule.executors._ENCRYPT_.param.*"),
        ("rule.executors._ENCRYPT_PAYLOAD_.param.a", "rule.executors._ENCRYPT_PAYLOAD_.param.*"),
        ("rule.executors._default_.param.param.x", "rule.executors._default_.param.*"),
        ("rule.executors.a.param.b", "rule.executors.<who>.param.*"),
    ],
)
def test_the_most_particular_row_is_found(name: str, row: str) -> None:
    assert found(name).row.name == row


@pytest.mark.parametrize(
    "name", ["", "x", "transformsX", "consumer.override.", "rule.executors..disabled", "value.converter."]
)
def test_others_are_not_known(name: str) -> None:
    assert locate(name) is None
    assert nearest(name)


def test_what_is_about_one_part_is_not_for_the_other() -> None:
    assert found("value.subject.name.strategy").parts == ("value",)
    assert found("key.converter.value.subject.name.strategy").parts == ()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("csfle.enable", "csfle.enabled"),
        ("csfle.onfailure", "csfle.onFailure"),
        ("error.tolerance", "errors.tolerance"),
        ("schema.registry.uri", "schema.registry.url"),
        ("value.converter.schema.registry.uri", "value.converter.schema.registry.url"),
        ("key.converter.schema.registry.uri", "key.converter.schema.registry.url"),
        ("value.convertor.schema.registry.url", "value.converter.schema.registry.url"),
        ("value.converter.latest.cache.ttl.ms", "value.converter.latest.cache.ttl.sec"),
        ("rule.executors._ENCRYPT_.parm.secret", "rule.executors._ENCRYPT_.param.secret"),
        (
            "value.converter.rule.executors._default_.params.token",
            "value.converter.rule.executors._default_.param.token",
        ),
        ("rule.executors.mine.disable", "rule.executors.mine.disabled"),
    ],
)
def test_the_nearest_name_has_the_same_form(name: str, near: str) -> None:
    assert locate(name) is None
    assert nearest(name) == near
