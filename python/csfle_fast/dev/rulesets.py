"""Rule sets and metadata: what is refused, and how configured defaults are merged in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from csfle_fast.dev.models import ConfigUpdate, Metadata, Rule, RuleSet, SchemaPayload
from csfle_fast.dev.refusal import Refusal

__all__ = ["check_rule_set", "completed", "merge_metadata", "merge_rule_sets"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,255}")
_KINDS = frozenset({"TRANSFORM", "CONDITION"})
_MESSAGE_MODES = frozenset({"WRITE", "READ", "WRITEREAD"})
_MIGRATION_MODES = frozenset({"UPGRADE", "DOWNGRADE", "UPDOWN"})
_PAIRED_MODES = frozenset({"WRITEREAD", "UPDOWN"})
_ENABLE_AT = frozenset({"ALL", "CLIENT", "GATEWAY", "SERVER", "NONE"})


def check_rule_set(rule_set: RuleSet) -> None:
    """Refuse a rule set that no client could run.

    Raises:
        Refusal: 422/42210, naming the rule and what is wrong with it.
    """
    if rule_set.enable_at is not None and rule_set.enable_at not in _ENABLE_AT:
        raise _invalid(f"enableAt must be one of {_names(_ENABLE_AT)}")
    seen: set[str] = set()
    for rules, modes in (
        (rule_set.migration_rules, _MIGRATION_MODES),
        (rule_set.domain_rules, _MESSAGE_MODES),
        (rule_set.encoding_rules, _MESSAGE_MODES),
    ):
        for rule in rules or []:
            name = _check_rule(rule, modes)
            if name in seen:
                raise _invalid(f"rule '{name}' stands twice in the rule set")
            seen.add(name)


def _check_rule(rule: Rule, modes: frozenset[str]) -> str:
    name = rule.name or ""
    if not _NAME.fullmatch(name):
        raise _invalid(
            "a rule name has 1 to 256 characters: a letter or '_', then letters, digits, '_' and '-'"
        )
    if not rule.type:
        raise _invalid(f"rule '{name}' has no type")
    if rule.kind not in _KINDS:
        raise _invalid(f"rule '{name}': kind must be one of {_names(_KINDS)}")
    if rule.mode not in modes:
        raise _invalid(f"rule '{name}': mode must be one of {_names(modes)}")
    for member, action in (("onSuccess", rule.on_success), ("onFailure", rule.on_failure)):
        actions = (action or "").split(",")
        if len(actions) > 2 or (len(actions) == 2 and rule.mode not in _PAIRED_MODES):
            raise _invalid(f"rule '{name}': {member} takes one action, or two for WRITEREAD and UPDOWN")
    return name


def merge_metadata(base: Metadata | None, over: Metadata | None) -> Metadata | None:
    """``base`` with everything of ``over`` added; on the same name ``over`` wins."""
    if base is None or over is None:
        return base if over is None else over
    return Metadata(
        tags={**(base.tags or {}), **(over.tags or {})},
        properties={**(base.properties or {}), **(over.properties or {})},
        sensitive=sorted({*(base.sensitive or []), *(over.sensitive or [])}),
    )


def merge_rule_sets(base: RuleSet | None, over: RuleSet | None) -> RuleSet | None:
    """The rules of ``base`` that ``over`` does not name, then those of ``over``."""
    if base is None or over is None:
        return base if over is None else over
    return RuleSet(
        migration_rules=_merge(base.migration_rules, over.migration_rules),
        domain_rules=_merge(base.domain_rules, over.domain_rules),
        encoding_rules=_merge(base.encoding_rules, over.encoding_rules),
        enable_at=over.enable_at or base.enable_at,
    )


def completed(sent: SchemaPayload, previous: SchemaPayload | None, config: ConfigUpdate) -> SchemaPayload:
    """A registration with what it leaves out.

    Args:
        sent: the registration; without a schema it is about the one before.
        previous: the version before, whose metadata and rule set stay if none are sent.
        config: whose defaults and overrides are merged in.
    """
    metadata, rule_set = sent.metadata, sent.rule_set
    update: dict[str, Any] = {}
    if previous is not None:
        metadata = previous.metadata if metadata is None else metadata
        rule_set = previous.rule_set if rule_set is None else rule_set
        if not sent.schema_text.strip():
            update = {"schema_text": previous.schema_text, "references": previous.references}
    update["metadata"] = merge_metadata(
        merge_metadata(config.default_metadata, metadata), config.override_metadata
    )
    update["rule_set"] = merge_rule_sets(
        merge_rule_sets(config.default_rule_set, rule_set), config.override_rule_set
    )
    return sent.model_copy(update=update)


def _merge(base: list[Rule] | None, over: list[Rule] | None) -> list[Rule]:
    names = {rule.name for rule in over or []}
    return [rule for rule in base or [] if rule.name not in names] + list(over or [])


def _names(values: Iterable[str]) -> str:
    return ", ".join(sorted(values))


def _invalid(reason: str) -> Refusal:
    return Refusal(422, 42210, f"Invalid rule set: {reason}")
