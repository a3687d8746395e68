"""Answers of a registry that are valid JSON and yet not what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.dev import DevRegistry
from csfle_fast.errors import CsfleError
from csfle_fast.registry import Registry
from csfle_fast.settings import Settings
from manual_clock import ManualClock

SUBJECT = "t-value"
RULE: dict[str, Any] = {
    "name": "n",
    "kind": "TRANSFORM",
    "type": "ENCRYPT",
    "mode": "WRITEREAD",
    "tags": ["PII"],
    "params": {"encrypt.kek.name": "k"},
}
REFERENCE: dict[str, Any] = {"name": "n", "subject": "s", "version": 1}
ANSWER: dict[str, Any] = {"subject": SUBJECT, "id": 1, "version": 1, "schema": '"string"'}

ODD: list[Any] = [
    1, -1, 2**31, 1.5, True, "x", [], {}, [1], [None], ["x"], [[]], {"a": None}, {"a": 1}, {"a": "x"},
    {"a": [1]}, {"a": {"b": 1}},
]  # fmt: skip

#: Values of parameters and properties are looked at where a rule asks for one.
FLAT: list[Any] = [{}, {"a": None}, {"a": 1}, {"a": "x"}]


@pytest.fixture
def http() -> Iterator[DevRegistry]:
    with DevRegistry(secret="s") as registry:
        yield registry


@pytest.fixture
def ours(http: DevRegistry) -> Iterator[Registry]:
    with ExitStack() as opened:
        client = opened.enter_context(SchemaRegistryClient({"url": http.url, "max.retries": 0}))
        settings = Settings.parse({"latest.cache.ttl.sec": 0, "missing.cache.ttl.sec": 0})
        yield Registry(client, settings=settings, clock=ManualClock())


def codes(http: DevRegistry, ask: Callable[[], object], answers: list[Any]) -> list[str | None]:
    """The code of each answer's error; None where it was taken."""
    found: list[str | None] = []
    for answer in answers:
        http.faults.clear()
        http.faults.add("GET", "/", status=200, body=answer)
        try:
            ask()
        except CsfleError as error:
            found.append(error.code)
        else:
            found.append(None)
    return found


def taken(found: list[str | None]) -> list[Any]:
    return [value for value, code in zip(ODD, found, strict=True) if code is None]


@pytest.mark.parametrize(
    ("part", "good"),
    [
        ("id", [1]),
        ("version", [1]),
        ("guid", []),
        ("schema", ["x"]),
        ("schemaType", []),
        ("references", [[], {}]),
        ("metadata", [{}, {"a": None}, {"a": 1}, {"a": "x"}, {"a": [1]}, {"a": {"b": 1}}]),
        ("ruleSet", [{}, {"a": None}, {"a": 1}, {"a": "x"}, {"a": [1]}, {"a": {"b": 1}}]),
    ],
)
def test_no_odd_part_is_taken(http: DevRegistry, ours: Registry, part: str, good: list[Any]) -> None:
    found = codes(http, lambda: ours.latest(SUBJECT), [ANSWER | {part: odd} for odd in ODD])
    assert taken(found) == good
    assert set(found) <= {None, "bad_answer", "not_avro"}


@pytest.mark.parametrize(("part", "good"), [("tags", [{}]), ("properties", FLAT)])
def test_no_odd_metadata_is_taken(http: DevRegistry, ours: Registry, part: str, good: list[Any]) -> None:
    answers = [ANSWER | {"metadata": {part: odd}} for odd in ODD]
    found = codes(http, lambda: ours.latest(SUBJECT), answers)
    assert taken(found) == good
    assert set(found) <= {None, "bad_answer"}


@pytest.mark.parametrize(
    ("part", "good"),
    [
        ("name", ["x"]),
        ("type", ["x"]),
        ("kind", []),
        ("mode", []),
        ("tags", [[], ["x"]]),
        ("params", FLAT),
        ("onFailure", ["x"]),
        ("disabled", [True]),
    ],
)
@pytest.mark.parametrize("rules", ["domainRules", "encodingRules", "migrationRules"])
def test_no_odd_rule_is_taken(
    http: DevRegistry, ours: Registry, rules: str, part: str, good: list[Any]
) -> None:
    answers = [ANSWER | {"ruleSet": {rules: [RULE | {part: odd}]}} for odd in ODD]
    found = codes(http, lambda: ours.latest(SUBJECT), answers)
    assert taken(found) == good
    assert set(found) <= {None, "bad_answer"}


@pytest.mark.parametrize("part", ["metadata", "ruleSet", "schemaType"])
@pytest.mark.parametrize(
    "ask",
    [lambda ours: ours.by_id(7, SUBJECT), lambda ours: ours.by_guid(b"0" * 16, SUBJECT)],
    ids=["by_id", "by_guid"],
)
def test_a_schema_without_a_subject_is_checked_alike(
    http: DevRegistry, ours: Registry, ask: Callable[[Registry], object], part: str
) -> None:
    odd = {"metadata": {"tags": {"a": None}}, "ruleSet": {"domainRules": [RULE | {"tags": "PII"}]}}
    answer = ANSWER | {part: odd.get(part, [])}
    assert codes(http, lambda: ask(ours), [answer]) == ["bad_answer"]


@pytest.mark.parametrize("odd", ODD)
def test_enable_at_is_a_text(http: DevRegistry, ours: Registry, odd: Any) -> None:
    answer = ANSWER | {"ruleSet": {"enableAt": odd}}
    assert codes(http, lambda: ours.latest(SUBJECT), [answer]) == [None if odd == "x" else "bad_answer"]


def test_more_levels_than_python_has_are_a_bad_answer(http: DevRegistry, ours: Registry) -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    assert codes(http, lambda: ours.latest(SUBJECT), [ANSWER | {"guid": deep}]) == ["bad_answer"]


def test_a_text_is_no_list_of_tags(http: DevRegistry, ours: Registry) -> None:
    # Taken letter by letter it would name three tags that no field has, and seal nothing.
    answer = ANSWER | {"ruleSet": {"domainRules": [RULE | {"tags": "PII"}]}}
    assert codes(http, lambda: ours.latest(SUBJECT), [answer]) == ["bad_answer"]


@pytest.mark.parametrize("part", ["name", "subject", "version"])
def test_no_odd_reference_is_followed(http: DevRegistry, ours: Registry, part: str) -> None:
    # What is well formed leads back here, since every question has the same answer.
    answers = [ANSWER | {"references": [REFERENCE | {part: odd}]} for odd in ODD]
    found = codes(http, lambda: ours.latest(SUBJECT), answers)
    assert set(found) <= {"bad_answer", "bad_reference", "reference_cycle"}
    assert found.count("reference_cycle") == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda ours: ours.by_id(7, SUBJECT),
        lambda ours: ours.by_guid(b"0" * 16, SUBJECT),
        lambda ours: ours.member(SUBJECT, 7),
        lambda ours: ours.subject("t"),
    ],
    ids=["by_id", "by_guid", "member", "subject"],
)
def test_no_odd_answer_escapes_as_anything_else(
    http: DevRegistry, ours: Registry, ask: Callable[[Registry], object]
) -> None:
    answers: list[Any] = [*ODD, ANSWER | {"schema": None}]
    answers += [[ANSWER | {"version": odd}] for odd in ODD] + [
        [{"subject": odd, "version": 1}] for odd in ODD
    ]
    codes(http, lambda: ask(ours), answers)
