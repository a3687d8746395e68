"""Values as text and as real types; none is quoted."""

from __future__ import annotations

from typing import Any

import pytest

from csfle_fast.connect.values import Parse, anything, boolean, names, one_of, plain, seconds, text, whole
from csfle_fast.errors import ConfigError


@pytest.mark.parametrize(
    ("parse", "value", "parsed"),
    [
        (boolean, True, True),
        (boolean, " TRUE ", True),
        (boolean, "false", False),
        (plain, " a secret ", " a secret "),
        (plain, "", None),
        (plain, 5, "5"),
        (plain, True, "true"),
        (plain, False, "false"),
        (text, " a name ", "a name"),
        (text, "  ", None),
        (text, 5, "5"),
        (names, "a, b,,", ("a", "b")),
        (names, ["a", "b"], ("a", "b")),
        (names, "", ()),
        (whole(0, 10), "7", 7),
        (whole(0, 10), 7.0, 7),
        (seconds(0, 10), "0.5", 0.5),
        (one_of(("none", "all")), " All", "all"),
        (one_of({"A": 1, "B": 2}), "b", 2),
    ],
)
def test_text_and_types_are_understood(parse: Parse, value: object, parsed: Any) -> None:
    found = parse("p", value)
    assert found == parsed
    assert type(found) is type(parsed)


def test_anything_is_kept() -> None:
    thing = object()
    assert anything("p", thing) is thing


@pytest.mark.parametrize(
    ("parse", "value", "reason"),
    [
        (boolean, "yes", "must be true or false"),
        (boolean, 1, "must be true or false"),
        (plain, {"a": 1}, "must be text"),
        (text, b"x", "must be text"),
        (names, 3, "must be names separated by commas"),
        (names, ["a", 3], "must be names separated by commas"),
        (whole(0, 10), "7.5", "must be a whole number"),
        (whole(0, 10), "seven", "must be a number"),
        (whole(0, 10), True, "must be a number"),
        (whole(0, 10), 11, "must be from 0 to 10"),
        (whole(0, 10), "nan", "must be from 0 to 10"),
        (whole(0, 10), "inf", "must be from 0 to 10"),
        (seconds(1, 10), 0.5, "must be from 1 to 10"),
        (one_of(("none", "all")), "some", "must be one of none, all"),
        (one_of(("A",), "do that"), "b", "must be A: do that"),
        (one_of(("A",)), 3, "must be A"),
    ],
)
def test_others_are_refused_by_name_and_not_quoted(parse: Parse, value: object, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("the.property", value)
    assert caught.value.message == f"the.property {reason}"
    assert caught.value.__context__ is None
