"""The table of properties: complete, unambiguous, its defaults allowed."""

from __future__ import annotations

from collections import Counter

import pytest

from csfle_fast.connect.table import CONVERTER_GROUPS, PROPERTIES, ByKind, Property
from csfle_fast.settings import SETTINGS

NAMES = {row.name for row in PROPERTIES}
WITH_DEFAULT = [row for row in PROPERTIES if row.default is not None and row.group != "unused"]


def test_no_name_stands_twice() -> None:
    assert [name for name, count in Counter(row.name for row in PROPERTIES).items() if count > 1] == []


def test_what_has_an_effect_is_documented() -> None:
    for row in PROPERTIES:
        assert row.doc.endswith(".") or row.group in {"framework", "unused"}, row.name
        assert "|" not in row.doc
        assert "<" not in row.doc


def test_every_setting_of_the_engine_is_there() -> None:
    assert {setting.name for setting in SETTINGS} <= NAMES


@pytest.mark.parametrize("row", WITH_DEFAULT, ids=lambda row: row.name)
def test_a_default_passes_its_own_check(row: Property) -> None:
    defaults = (row.default.source, row.default.sink) if isinstance(row.default, ByKind) else (row.default,)
    for default in defaults:
        if row.type == "class":  # the table shows the short names of classes
            with pytest.raises(ValueError, match=rf"\.{default}\b"):
                row.parse(row.name, "none")
        else:
            # An action holds for writing and for reading, unless a pair is given.
            assert row.parse(row.name, default) in (default, (default, default))


def test_another_name_is_one_of_a_property() -> None:
    for row in PROPERTIES:
        assert not row.sets or row.sets in NAMES or row.sets == "schema.id.serializer"
        assert row.part is None or row.group in CONVERTER_GROUPS
