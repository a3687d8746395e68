from __future__ import annotations

import pytest

from csfle_fast.dev.names import (
    LATEST,
    normalize_context,
    parse_version,
    qualify,
    split_subject,
    subject_key,
)
from csfle_fast.dev.refusal import Refusal


@pytest.mark.parametrize(
    ("written", "context"),
    [(None, "."), ("", "."), (".", "."), (":.:", "."), (".ctx", ".ctx"), (":.ctx:", ".ctx"), ("ctx", ".ctx")],
)
def test_normalize_context(written: str | None, context: str) -> None:
    assert normalize_context(written) == context


@pytest.mark.parametrize(
    ("subject", "parts"),
    [
        ("s", (".", "s")),
        (":.ctx:s", (".ctx", "s")),
        (":.:s", (".", "s")),
        (":.ctx:a:b", (".ctx", "a:b")),
        (":.no-end", (".", ":.no-end")),
    ],
)
def test_split_subject(subject: str, parts: tuple[str, str]) -> None:
    assert split_subject(subject) == parts


def test_qualify_keeps_a_context_that_is_named() -> None:
    assert qualify(".ctx", "s") == ":.ctx:s"
    assert qualify(".ctx", ":.other:s") == ":.other:s"
    assert qualify(".ctx", ":.:s") == "s"
    assert qualify(".", "s") == "s"


@pytest.mark.parametrize("subject", ["", ":.ctx:", "a\nb", "__GLOBAL", "\x7f"])
def test_subjects_that_cannot_be(subject: str) -> None:
    with pytest.raises(Refusal) as refused:
        subject_key(subject)
    assert (refused.value.status, refused.value.error_code) == (422, 42208)


def test_versions() -> None:
    assert [parse_version(v) for v in ("latest", "-1", "1", "2147483647")] == [LATEST, LATEST, 1, 2**31 - 1]


@pytest.mark.parametrize("version", ["0", "-2", "2147483648", "x", "", "1.0", "+1", " 1", "\u0661"])
def test_versions_that_cannot_be(version: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_version(version)
    assert (refused.value.status, refused.value.error_code) == (422, 42202)
