"""Schema references: order, diamonds, cycles, contexts."""

from __future__ import annotations

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference

from csfle_fast.errors import SchemaError
from csfle_fast.references import context_of, resolve_references

Graph = dict[tuple[str, int], Schema]


def schema(text: str, *references: tuple[str, str, int]) -> Schema:
    return Schema(text, "AVRO", [SchemaReference(*reference) for reference in references])


def resolve(root: Schema, graph: Graph, subject: str = "root") -> tuple[str, ...]:
    return resolve_references(root, subject, lambda name, number: graph[name, number])


@pytest.mark.parametrize(
    ("subject", "context"),
    [
        ("plain-value", None),
        (":.ctx:plain-value", ".ctx"),
        (":.ctx:", ".ctx"),
        (":.ctx", ".ctx"),
        (":.:plain-value", None),
        (":.a.b:with:colons", ".a.b"),
        ("a:.ctx:b", None),
    ],
)
def test_the_context_of_a_subject(subject: str, context: str | None) -> None:
    assert context_of(subject) == context


def test_no_references() -> None:
    assert resolve(schema("{}"), {}) == ()
    assert resolve(Schema("{}", "AVRO", None), {}) == ()


def test_dependencies_come_first() -> None:
    graph = {("b", 1): schema("B", ("C", "c", 2)), ("c", 2): schema("C")}
    assert resolve(schema("A", ("B", "b", 1)), graph) == ("C", "B")


def test_a_diamond_gives_its_foot_once() -> None:
    graph = {
        ("l", 1): schema("L", ("F", "f", 1)),
        ("r", 1): schema("R", ("F", "f", 1)),
        ("f", 1): schema("F"),
    }
    assert resolve(schema("A", ("L", "l", 1), ("R", "r", 1)), graph) == ("F", "L", "R")


def test_one_schema_under_two_names_comes_once_and_of_one_name_the_first_wins() -> None:
    graph = {("x", 1): schema("X1"), ("x", 2): schema("X2")}
    assert resolve(schema("A", ("n", "x", 1), ("m", "x", 1)), graph) == ("X1",)
    assert resolve(schema("A", ("n", "x", 1), ("n", "x", 2)), graph) == ("X1",)


def test_a_cycle_is_refused() -> None:
    graph = {("b", 1): schema("B", ("C", "c", 1)), ("c", 1): schema("C", ("B2", "b", 1))}
    with pytest.raises(SchemaError) as caught:
        resolve(schema("A", ("B", "b", 1)), graph)
    assert caught.value.code == "reference_cycle"


def test_a_chain_without_end_is_refused() -> None:
    with pytest.raises(SchemaError) as caught:
        resolve_references(
            schema("A", ("n0", "s", 0)), "root", lambda _, n: schema(f"S{n}", (f"n{n + 1}", "s", n + 1))
        )
    assert caught.value.code == "too_many_references"


@pytest.mark.parametrize("reference", [(None, "s", 1), ("n", None, 1), ("n", "s", None)])
def test_an_incomplete_reference_is_refused(reference: tuple[str, str, int]) -> None:
    with pytest.raises(SchemaError) as caught:
        resolve(schema("A", reference), {})
    assert caught.value.code == "bad_reference"


def test_a_reference_lies_in_its_parents_context() -> None:
    graph = {(":.ctx:b", 1): schema("B", ("C", "c", 1)), (":.ctx:c", 1): schema("C")}
    assert resolve(schema("A", ("B", "b", 1)), graph, ":.ctx:root") == ("C", "B")
    elsewhere = {(":.other:b", 1): schema("B")}
    assert resolve(schema("A", ("B", ":.other:b", 1)), elsewhere, ":.ctx:root") == ("B",)
