from __future__ import annotations

from typing import Any

import pytest

from csfle_fast.dev.models import SchemaPayload
from csfle_fast.dev.references import reference_texts, refers_to
from csfle_fast.dev.refusal import Refusal


def referring(text: str, *targets: tuple[str, int]) -> SchemaPayload:
    references: list[dict[str, Any]] = [{"name": s, "subject": s, "version": v} for s, v in targets]
    return SchemaPayload.model_validate({"schema": text, "references": references})


class Known(dict[tuple[str, int], SchemaPayload]):
    def find(self, subject: str, version: int) -> SchemaPayload:
        try:
            return self[subject, version]
        except KeyError:
            raise Refusal(404, 40401, "unknown") from None


def test_texts_come_dependencies_first_and_once() -> None:
    known = Known(
        {
            ("a", 1): referring("A"),
            ("b", 1): referring("B", ("a", 1)),
            ("c", 1): referring("C", ("a", 1), ("b", 1)),
        }
    )
    root = referring("R", ("c", 1), ("b", 1))
    assert reference_texts(known.find, root, "r") == ["A", "B", "C"]


def test_references_stay_in_their_context() -> None:
    known = Known({(":.ctx:a", 1): referring("in ctx"), ("a", 1): referring("default")})
    root = referring("R", ("a", 1))
    assert reference_texts(known.find, root, ":.ctx:r") == ["in ctx"]
    assert reference_texts(known.find, root, "r") == ["default"]


def test_a_reference_to_latest_that_comes_back_ends() -> None:
    known = Known({("a", -1): referring("A", ("a", -1))})
    assert reference_texts(known.find, referring("R", ("a", -1)), "r") == ["A"]


def test_a_missing_reference_is_named() -> None:
    with pytest.raises(Refusal, match="reference 'gone' to subject 'gone' version 3") as refused:
        reference_texts(Known().find, referring("R", ("gone", 3)), "r")
    assert (refused.value.status, refused.value.error_code) == (422, 42201)


def test_refers_to() -> None:
    assert refers_to(referring("R", ("a", 1)), "r", "a", 1)
    assert not refers_to(referring("R", ("a", 1)), "r", "a", 2)
    assert refers_to(referring("R", ("a", -1)), "r", "a", 2)
    assert refers_to(referring("R", ("a", 1)), ":.ctx:r", ":.ctx:a", 1)
    assert not refers_to(referring("R", ("a", 1)), ":.ctx:r", "a", 1)
