from __future__ import annotations

from typing import Any

import pytest

from csfle_fast.dev.models import Metadata, RuleSet
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.rulesets import check_rule_set, merge_metadata, merge_rule_sets
from dev.samples import rule


def rule_set(*rules: dict[str, Any], **more: Any) -> RuleSet:
    return RuleSet.model_validate({"domainRules": list(rules), **more})


@pytest.mark.parametrize(
    "good",
    [
        rule_set(rule()),
        rule_set(rule(name="_A-9")),
        rule_set(rule(name="n" * 256)),
        rule_set(rule(mode="WRITE", onFailure="ERROR", onSuccess="NONE")),
        rule_set(rule(onFailure=None)),
        rule_set(migrationRules=[rule(mode="UPDOWN"), rule(name="b", mode="UPGRADE", onFailure="NONE")]),
        rule_set(encodingRules=[rule(type="ENCRYPT_PAYLOAD", tags=None)], enableAt="CLIENT"),
        RuleSet(),
    ],
    ids=str,
)
def test_good(good: RuleSet) -> None:
    check_rule_set(good)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (rule_set(rule(name="")), "1 to 256"),
        (rule_set(rule(name=None)), "1 to 256"),
        (rule_set(rule(name="9a")), "1 to 256"),
        (rule_set(rule(name="a b")), "1 to 256"),
        (rule_set(rule(name="n" * 257)), "1 to 256"),
        (rule_set(rule(type=None)), "'enc' has no type"),
        (rule_set(rule(kind="X")), "'enc': kind"),
        (rule_set(rule(mode="UPGRADE")), "'enc': mode"),
        (rule_set(migrationRules=[rule(mode="WRITEREAD")]), "'enc': mode"),
        (rule_set(encodingRules=[rule(mode="UPDOWN")]), "'enc': mode"),
        (rule_set(rule(mode="READ", onFailure="ERROR,NONE")), "'enc': onFailure"),
        (rule_set(rule(onSuccess="A,B,C")), "'enc': onSuccess"),
        (rule_set(rule(), rule()), "twice"),
        (rule_set(rule(), encodingRules=[rule()]), "twice"),
        (rule_set(rule(), enableAt="EVERYWHERE"), "enableAt"),
    ],
    ids=str,
)
def test_bad(bad: RuleSet, reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as refused:
        check_rule_set(bad)
    assert (refused.value.status, refused.value.error_code) == (422, 42210)


def test_metadata_is_merged_and_the_later_wins() -> None:
    base = Metadata(tags={"a": ["X"], "b": ["X"]}, properties={"p": "1"}, sensitive=["p"])
    over = Metadata(tags={"b": ["Y"]}, properties={"q": "2"}, sensitive=["q"])
    assert merge_metadata(base, over) == Metadata(
        tags={"a": ["X"], "b": ["Y"]}, properties={"p": "1", "q": "2"}, sensitive=["p", "q"]
    )
    assert merge_metadata(base, None) is base
    assert merge_metadata(None, over) is over


def test_rules_are_merged_by_name_and_the_later_win() -> None:
    base = rule_set(rule(), rule(name="keep"), enableAt="ALL")
    over = rule_set(rule(doc="new"))
    merged = merge_rule_sets(base, over)
    assert merged is not None
    assert [(r.name, r.doc) for r in merged.domain_rules or []] == [("keep", None), ("enc", "new")]
    assert merged.enable_at == "ALL"
    assert merge_rule_sets(base, None) is base
    assert merge_rule_sets(None, over) is over
