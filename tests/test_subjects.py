"""From topic and field to subject, by every strategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.serde import AssociatedNameStrategy
from confluent_kafka.serialization import SerializationContext

from csfle_fast.dev import DevRegistry
from csfle_fast.errors import ConfigError, CsfleError, RegistryError
from csfle_fast.registry import Registry
from csfle_fast.settings import Settings
from manual_clock import ManualClock


@pytest.fixture
def http() -> Iterator[DevRegistry]:
    with DevRegistry() as registry:
        yield registry


class Connect(Protocol):
    def __call__(self, clock: ManualClock | None = None, **strategy: Any) -> Registry: ...


@pytest.fixture
def connect(http: DevRegistry) -> Iterator[Connect]:
    """A Registry with ``subject.name.strategy`` (``_``) and the settings below it (``_fallback_type``)."""
    with SchemaRegistryClient({"url": http.url, "max.retries": 0}) as client:

        def make(clock: ManualClock | None = None, **strategy: Any) -> Registry:
            conf = {f"subject.name.strategy{k.rstrip('_').replace('_', '.')}": v for k, v in strategy.items()}
            return Registry(client, settings=Settings.parse(conf), clock=clock or ManualClock())

        yield make


def associate(http: DevRegistry, subject: str, *, kind: str = "value", resource: str = "1") -> None:
    http.associations.create(
        {
            "resourceName": "t",
            "resourceNamespace": "lkc-1",
            "resourceId": resource,
            "resourceType": "topic",
            "associations": [{"subject": subject, "associationType": kind}],
        }
    )


def test_without_an_association_it_is_the_topic_name_and_is_asked_once(
    http: DevRegistry, connect: Connect
) -> None:
    clock = ManualClock()
    ours = connect(clock)
    assert [ours.subject("t"), ours.subject("t", "value"), ours.subject("t", "key")] == [
        "t-value",
        "t-value",
        "t-key",
    ]
    assert len(http.requests) == ours.requests == 2
    clock.now += 300
    ours.subject("t")
    assert len(http.requests) == 3


def test_an_association_names_the_subject_within_the_ttl(http: DevRegistry, connect: Connect) -> None:
    clock = ManualClock()
    ours = connect(clock)
    assert ours.subject("t") == "t-value"
    associate(http, "people")
    clock.now += 300
    assert ours.subject("t") == "people"
    assert ours.subject("t", "key") == "t-key"


def test_the_cluster_id_narrows_the_search(http: DevRegistry, connect: Connect) -> None:
    associate(http, "people")
    assert connect(_kafka_cluster_id="lkc-1").subject("t") == "people"
    assert connect(_kafka_cluster_id="lkc-2").subject("t") == "t-value"


def test_several_associations_are_refused(http: DevRegistry, connect: Connect) -> None:
    associate(http, "people")
    associate(http, "persons", resource="2")
    with pytest.raises(RegistryError, match="topic t") as caught:
        connect().subject("t")
    assert caught.value.code == "ambiguous_subject"


def test_fallbacks(connect: Connect) -> None:
    assert connect(_fallback_type="RECORD").subject("t", "value", "ns.R") == "ns.R"
    assert connect(_fallback_type="TOPIC_RECORD").subject("t", "value", "ns.R") == "t-ns.R"
    with pytest.raises(RegistryError) as caught:
        connect(_fallback_type="NONE").subject("t")
    assert caught.value.code == "unknown_subject"


def test_a_registry_that_fails_is_not_taken_for_one_without_associations(
    http: DevRegistry, connect: Connect
) -> None:
    http.faults.add("GET", "/associations/", status=503)
    with pytest.raises(RegistryError) as caught:
        connect().subject("t")
    assert caught.value.code == "registry_failed"


def test_a_registry_from_before_associations_answers_404(http: DevRegistry, connect: Connect) -> None:
    http.faults.add("GET", "/associations/", status=404)
    assert connect().subject("t") == "t-value"


def test_an_association_comes_with_the_end_of_its_own_time(http: DevRegistry, connect: Connect) -> None:
    clock = ManualClock()
    ours, end = connect(clock), clock.now + 300
    assert ours.subject_until("t") == ("t-value", end)
    associate(http, "people")
    clock.now += 299
    assert ours.subject_until("t") == ("t-value", end)
    clock.now += 1
    assert ours.subject_until("t") == ("people", end + 300)


@pytest.mark.parametrize(
    ("strategy", "subject"), [("TOPIC", "t-key"), ("RECORD", "ns.R"), ("TOPIC_RECORD", "t-ns.R")]
)
def test_strategies_by_name_ask_nobody(
    http: DevRegistry, connect: Connect, strategy: str, subject: str
) -> None:
    assert connect(_=strategy).subject("t", "key", "ns.R") == subject
    assert connect(_=strategy).subject_until("t", "key", "ns.R") == (subject, float("inf"))
    assert http.requests == []


def test_record_strategies_need_a_name(connect: Connect) -> None:
    with pytest.raises(ConfigError, match="RECORD") as caught:
        connect(_="RECORD").subject("t")
    assert caught.value.code == "bad_strategy"


def test_the_field_is_key_or_value(connect: Connect) -> None:
    with pytest.raises(ConfigError, match="field"):
        connect().subject("t", "header")


def test_confluent_kafkas_own_functions_and_strategy_objects(http: DevRegistry, connect: Connect) -> None:
    ours = connect(_=topic_record_subject_name_strategy)
    assert ours.subject("t", "value", "ns.R") == "t-ns.R"
    associate(http, "people")
    assert connect(_=AssociatedNameStrategy()).subject("t") == "people"


def test_a_users_function_sees_topic_and_field(connect: Connect) -> None:
    def strategy(context: SerializationContext, record_name: str | None) -> str:
        return f"{context.topic}/{context.field}/{record_name}"

    ours = connect(_=strategy)
    assert ours.subject("t", "key", "R") == "t/key/R"
    assert ours.subject("t", "value") == "t/value/None"


def test_the_answer_of_a_users_function_is_good_for_as_long_as_an_association(connect: Connect) -> None:
    clock, asked = ManualClock(), 0

    def strategy(_context: SerializationContext, _name: str | None) -> str:
        nonlocal asked
        asked += 1
        return f"s{asked}"

    ours = connect(clock, _=strategy)
    assert ours.subject_until("t") == ("s1", clock.now + 300)
    clock.now += 1
    assert ours.subject_until("t") == ("s2", clock.now + 300)


def test_a_users_function_that_fails_or_says_nothing_is_refused(connect: Connect) -> None:
    def failing(_context: SerializationContext, _name: str | None) -> str:
        raise RuntimeError("secret")

    for strategy in (failing, lambda _context, _name: None):
        with pytest.raises(CsfleError, match="topic t") as caught:
            connect(_=strategy).subject("t")
        assert caught.value.code == "bad_strategy"
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None
