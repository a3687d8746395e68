"""The data sets are whole: every row can be written and read, and the tagged leaves are as many as stated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from datasets import NAMES, ROOTS, Dataset, load, load_all


@pytest.fixture(params=NAMES)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return load(request.param)


def test_every_folder_is_a_named_set() -> None:
    folders = {path.parent.name for root in ROOTS for path in root.glob("*/schema.avsc")}
    assert folders == set(NAMES)
    assert [dataset.name for dataset in load_all()] == list(NAMES)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match="no_such_set"):
        load("no_such_set")


def test_rows_survive_fastavro(dataset: Dataset) -> None:
    assert dataset.rows
    assert len(dataset.bodies) == len(dataset.rows)
    assert len(dataset.read_back) == len(dataset.rows)
    markers = ("$b64", "$dec", "$union")
    assert not any(marker in str(dataset.rows) for marker in markers)


def test_rule_sets_tag_what_the_schema_or_metadata_names(dataset: Dataset) -> None:
    tags = {tag for rule in dataset.rule_set["domainRules"] for tag in rule["tags"]}
    named = set(_inline_tags(json.loads(dataset.schema)))
    for listed in (dataset.metadata or {}).get("tags", {}).values():
        named.update(listed)
    assert tags
    assert tags <= named


def _inline_tags(node: Any) -> list[str]:
    if isinstance(node, list):
        return [tag for item in node for tag in _inline_tags(item)]
    if isinstance(node, dict):
        return list(node.get("confluent:tags", [])) + _inline_tags(list(node.values()))
    return []
