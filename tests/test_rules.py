"""Which rules run in a mode, in which order, and with which parameters."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka.schema_registry import RuleSet as ConfluentRuleSet

from csfle_fast.errors import RuleSetError
from csfle_fast.registry import Version
from csfle_fast.rules import Mode, Selection, parse_rule_set, select_rules
from csfle_fast.settings import Settings

MODES: tuple[Mode, ...] = ("WRITE", "READ")
PARAMS = {"encrypt.kek.name": "kek1", "encrypt.kms.type": "local-kms", "encrypt.kms.key.id": "key1"}


def rule(name: str = "r", **changes: Any) -> dict[str, Any]:
    base = {
        "name": name,
        "kind": "TRANSFORM",
        "mode": "WRITEREAD",
        "type": "ENCRYPT",
        "tags": ["PII"],
        "params": PARAMS,
    }
    return {key: value for key, value in (base | changes).items() if value is not None}


def version(*domain: dict[str, Any], properties: dict[str, Any] | None = None, **rule_set: Any) -> Version:
    parsed = parse_rule_set(ConfluentRuleSet.from_dict({"domainRules": list(domain), **rule_set}))
    return Version(
        subject="s", schema_id=1, guid=None, version=1, schema="{}",
        metadata_properties=properties or {}, rule_set=parsed,
    )  # fmt: skip


def select(found: Version, mode: Mode = "WRITE", **conf: Any) -> Selection:
    return select_rules(found, mode, Settings.parse(conf.get("conf")))


def names(found: Version, mode: Mode = "WRITE", **conf: Any) -> list[str]:
    return [r.name for r in select(found, mode, **conf).field_rules]


def test_no_rule_set_selects_nothing() -> None:
    assert parse_rule_set(None) == version().rule_set
    assert select(version()) == Selection()


@pytest.mark.parametrize(
    ("mode", "write", "read"),
    [
        ("WRITE", True, False),
        ("READ", False, True),
        ("WRITEREAD", True, True),
        (None, True, True),
        ("UPGRADE", False, False),
        ("DOWNGRADE", False, False),
        ("UPDOWN", False, False),
    ],
)
def test_the_mode_filters(mode: str | None, write: bool, read: bool) -> None:
    found = version(rule(mode=mode))
    assert [bool(names(found, m)) for m in MODES] == [write, read]


def test_the_order_of_the_rule_set_is_kept_in_both_modes() -> None:
    found = version(rule("a", tags=["A"]), rule("b", tags=["B"]), rule("c", tags=["C"]))
    assert [names(found, mode) for mode in MODES] == [["a", "b", "c"]] * 2


def test_the_type_is_compared_in_upper_case_and_the_kind_has_a_default() -> None:
    assert names(version(rule(type="encrypt", kind=None))) == ["r"]


@pytest.mark.parametrize("mode", MODES)
def test_of_equal_tags_the_first_rule_wins_in_both_modes(mode: Mode) -> None:
    assert names(version(rule("a"), rule("b"), rule("c", tags=["OTHER"])), mode) == ["a", "c"]


def test_tags_are_compared_as_sets_and_another_order_is_worth_a_warning() -> None:
    selection = select(version(rule("a", tags=["A", "B"]), rule("b", tags=["B", "A"])))
    assert [r.name for r in selection.field_rules] == ["a"]
    assert len(selection.warnings) == 1
    assert "rule b" in selection.warnings[0]
    assert select(version(rule("a", tags=["A", "B"]), rule("b", tags=["A", "B"]))).warnings == ()


@pytest.mark.parametrize("mode", MODES)
def test_a_disabled_first_rule_still_suppresses(mode: Mode) -> None:
    assert names(version(rule("a", disabled=True), rule("b")), mode) == []
    conf = {"rule.executors.a.disabled": True}
    assert names(version(rule("a"), rule("b")), mode, conf=conf) == []


def test_what_is_not_quite_equal_does_not_suppress() -> None:
    assert names(version(rule("a", mode="WRITE"), rule("b"))) == ["a", "b"]
    assert names(version(rule("a", tags=["A"]), rule("b", tags=["A", "B"]))) == ["a", "b"]
    assert names(version(rule("a", tags=None), rule("b", tags=None))) == ["a", "b"]


def test_payload_rules_all_run() -> None:
    two = [rule("a", type="ENCRYPT_PAYLOAD", tags=None), rule("b", type="ENCRYPT_PAYLOAD", tags=None)]
    selection = select(version(encodingRules=two))
    assert [r.name for r in selection.payload_rules] == ["a", "b"]
    assert selection.field_rules == ()


def test_disabled_and_its_overrides() -> None:
    found = version(rule("a", tags=["A"]), rule("b", tags=["B"], disabled=True))
    assert names(found) == ["a"]
    assert names(found, conf={"rule.executors._ENCRYPT_.disabled": True}) == []
    assert names(found, conf={"rule.executors._default_.disabled": "false"}) == ["a", "b"]
    conf = {"rule.executors._default_.disabled": True, "rule.executors.b.disabled": False}
    assert names(found, conf=conf) == ["b"]


def test_the_action_on_failure_is_kept() -> None:
    found = version(rule(onFailure="ERROR,NONE"))
    assert select(found).field_rules[0].on_failure == "ERROR,NONE"


@pytest.mark.parametrize("enable_at", [None, "ALL", "CLIENT"])
def test_these_run_in_a_client(enable_at: str | None) -> None:
    selection = select(version(rule(), enableAt=enable_at))
    assert [r.name for r in selection.field_rules] == ["r"]
    assert selection.enabled_elsewhere is None


@pytest.mark.parametrize("enable_at", ["GATEWAY", "SERVER", "NONE"])
def test_these_do_not(enable_at: str) -> None:
    # Not even looked at: a rule that runs elsewhere may have parameters that mean something there.
    broken = rule(params={})
    assert select(version(broken, enableAt=enable_at)) == Selection(enabled_elsewhere=enable_at)
    assert select(version(enableAt=enable_at)) == Selection()


def test_an_unknown_enable_at_is_refused() -> None:
    with pytest.raises(RuleSetError) as caught:
        select(version(rule(), enableAt="MOON"))
    assert caught.value.code == "bad_enable_at"


def test_rules_of_other_executors_are_named() -> None:
    cel = rule("check", type="CEL", kind="CONDITION", tags=None)
    read_only = rule("later", type="JSONATA", mode="READ", tags=None)
    off = rule("off", type="CEL", disabled=True)
    encoding = [rule("zip", type="GZIP", tags=None)]
    found = version(cel, read_only, off, rule(), encodingRules=encoding)
    assert select(found, "WRITE").foreign == ("check", "zip")
    assert select(found, "READ").foreign == ("check", "later", "zip")


def test_migration_rules_are_named() -> None:
    migration = [rule("up", type="JSONATA", mode="UPGRADE", tags=None)]
    assert select(version(migrationRules=migration)).migration == ("up",)
    assert select(version(migrationRules=[migration[0] | {"disabled": True}])).migration == ()


def test_parameters_and_their_defaults() -> None:
    (found,) = select(version(rule(params={"encrypt.kek.name": "kek1"}))).field_rules
    assert (found.kek_name, found.kms_type, found.kms_key_id) == ("kek1", None, None)
    assert (found.algorithm, found.expiry_days, found.rotated) == ("AES256_GCM", 0, False)
    empty = {"encrypt.kms.type": "", "encrypt.dek.algorithm": "", "encrypt.dek.expiry.days": ""}
    (same,) = select(version(rule(params={"encrypt.kek.name": "kek1"} | empty))).field_rules
    assert (same.kms_type, same.algorithm, same.expiry_days) == (None, "AES256_GCM", 0)


def test_parameters_come_from_the_rule_then_from_the_metadata() -> None:
    properties = {
        "encrypt.kek.name": "from-metadata",
        "encrypt.dek.algorithm": "AES256_SIV",
        "encrypt.dek.expiry.days": "7",
    }
    params = {"encrypt.kek.name": "from-rule"}
    (found,) = select(version(rule(params=params), properties=properties)).field_rules
    assert (found.kek_name, found.algorithm, found.expiry_days) == ("from-rule", "AES256_SIV", 7)
    assert found.rotated


def test_a_number_from_a_lenient_registry_is_taken_as_text() -> None:
    (found,) = select(version(rule(params=PARAMS | {"encrypt.dek.expiry.days": 3}))).field_rules
    assert found.expiry_days == 3


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("encrypt.kek.name", "1kek"),
        ("encrypt.kek.name", "a/b"),
        ("encrypt.kek.name", "a b"),
        ("encrypt.kek.name", ["kek"]),
        ("encrypt.dek.algorithm", "AES512"),
        ("encrypt.dek.algorithm", "aes256_gcm"),
        ("encrypt.dek.expiry.days", "-1"),
        ("encrypt.dek.expiry.days", "1.5"),
        ("encrypt.dek.expiry.days", " 1"),
        ("encrypt.dek.expiry.days", "1_0"),
        ("encrypt.dek.expiry.days", "٣"),
        ("encrypt.dek.expiry.days", "4294967296"),
        ("encrypt.dek.expiry.days", True),
        ("encrypt.kms.type", True),
    ],
)
def test_a_wrong_parameter_is_refused_by_rule_and_name(param: str, value: object) -> None:
    with pytest.raises(RuleSetError) as caught:
        select(version(rule("mine", params=PARAMS | {param: value})))
    assert caught.value.code == "bad_param"
    assert "rule mine" in caught.value.message
    assert param in caught.value.message


@pytest.mark.parametrize("params", [None, {}, {"encrypt.kek.name": ""}])
def test_a_missing_kek_name_is_refused(params: dict[str, str] | None) -> None:
    with pytest.raises(RuleSetError, match=r"encrypt\.kek\.name") as caught:
        select(version(rule(params=params)))
    assert caught.value.code == "missing_param"


def test_only_rules_that_run_are_checked() -> None:
    assert names(version(rule(params={}, mode="READ"))) == []
    assert names(version(rule(params={}, disabled=True))) == []


def test_a_rule_in_the_wrong_place_is_refused() -> None:
    for found in (version(rule(type="ENCRYPT_PAYLOAD")), version(encodingRules=[rule()])):
        with pytest.raises(RuleSetError) as caught:
            select(found)
        assert caught.value.code == "misplaced_rule"


def test_an_encrypting_condition_is_refused() -> None:
    with pytest.raises(RuleSetError) as caught:
        select(version(rule(kind="CONDITION")))
    assert caught.value.code == "bad_rule"


@pytest.mark.parametrize("lacking", ["name", "type"])
def test_a_rule_without_name_or_type_is_refused(lacking: str) -> None:
    with pytest.raises(RuleSetError) as caught:
        version(rule(**{lacking: None}) if lacking == "type" else rule(None))  # type: ignore[arg-type]
    assert caught.value.code == "bad_rule"


def test_repeated_tags_count_once() -> None:
    assert select(version(rule(tags=["B", "A", "B"]))).field_rules[0].tags == ("B", "A")


def test_rules_can_be_keys_of_a_dict() -> None:
    selection = select(version(rule()))
    assert len({*selection.field_rules, *select(version(rule())).field_rules}) == 1
