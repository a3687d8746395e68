"""What would happen to each field, and why: for people, tests and reviews."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from csfle_fast._core import Plan, Schema
from csfle_fast.errors import SchemaError
from csfle_fast.registry import Version
from csfle_fast.rules import EncryptRule, Selection

__all__ = ["FieldPlan", "explain", "tagged_fields"]


_HIT = "a rule hits its tags"


@dataclass(frozen=True)
class FieldPlan:
    """What happens to one field under one rule.

    Attributes:
        path: from the root of the datum: ``a.b[].c`` (array items), ``m{}.c`` (map values); empty
            for the whole body.
        type: the field's type in words, ``body`` for the whole body.
        tags: its effective tags, sorted.
        rule: name of the rule, None where none applies.
        kek: name of the rule's KEK, None likewise.
        algorithm: the rule's DEK algorithm, None likewise.
        mode: the rule's mode: WRITE, READ or WRITEREAD; None likewise.
        decision: ``encrypt``, ``refuse`` (a value of it fails the row on WRITE) or ``leave``.
        reason: one sentence.
    """

    path: str
    type: str
    tags: tuple[str, ...]
    rule: str | None
    kek: str | None
    algorithm: str | None
    mode: str | None
    decision: str
    reason: str


def tagged_fields(
    schema_json: str | Mapping[str, object] | Sequence[object],
    metadata: Mapping[str, object] | None = None,
    *,
    references: Sequence[str] = (),
) -> dict[str, tuple[str, ...]]:
    """The tags of every tagged field of a schema. Needs no registry.

    Args:
        schema_json: the schema, as JSON text or as the parsed JSON.
        metadata: the schema's metadata as the registry has it (``{"tags": {pattern: [tags]}, ...}``).
        references: JSON texts of the schemas it refers to, dependencies first.

    Returns:
        ``{full name of the field: sorted tags}``; the full name is ``record full name.field name``.

    Raises:
        SchemaError: the schema or a tag pattern is not valid.
    """
    text = schema_json if isinstance(schema_json, str) else json.dumps(schema_json)
    patterns = (metadata or {}).get("tags") or {}
    if not isinstance(patterns, Mapping):
        raise SchemaError("bad_tag_pattern", "metadata.tags is not a map of patterns to tags")
    tags = {str(pattern): [str(tag) for tag in tags] for pattern, tags in patterns.items()}
    found = Schema(text, list(references)).tagged_fields(tags)
    return {name: tuple(tags) for name, tags in found.items()}


def explain(
    version: Version, schema: Schema, write: Selection, read: Selection, plan: Plan
) -> list[FieldPlan]:
    """Every field that is tagged or hit by a rule, in the order of the wire, one entry a rule.

    Args:
        version: the version that decides.
        schema: its schema.
        write: the rules that run on WRITE.
        read: the rules that run on READ.
        plan: the WRITE plan over the rules of both modes (``rules_of_both``).
    """
    rules = rules_of_both(write, read)
    hits: dict[str, set[int]] = {}
    for name, _, leaf_rules in plan.leaves:
        hits.setdefault(name, set()).update(leaf_rules)
    entries: list[FieldPlan] = []
    tags = {pattern: list(tags) for pattern, tags in version.metadata_tags.items()}
    for path, name, kind, field_tags, _ in schema.outline(tags):
        if name in hits:
            hitting = [rules[index] for index in sorted(hits[name])]
            entries += [_entry(path, kind, field_tags, rule, "encrypt", _HIT) for rule in hitting]
        elif field_tags:
            matching = [rule for rule in rules if not rule.tags or not set(rule.tags).isdisjoint(field_tags)]
            reason = f"a rule hits its tags, but {kind} holds neither string nor bytes"
            entries += [_entry(path, kind, field_tags, rule, "refuse", reason) for rule in matching]
            if not matching:
                entries.append(_entry(path, kind, field_tags, None, "leave", _why_not(write)))
    payload = {rule.name: rule for rule in write.payload_rules + read.payload_rules}
    entries += [_entry("", "body", [], rule, "encrypt", "a payload rule") for rule in payload.values()]
    return entries


def rules_of_both(write: Selection, read: Selection) -> list[EncryptRule]:
    """The field rules that run in any mode, each once, in rule-set order as far as it is told."""
    return list({rule.name: rule for rule in write.field_rules + read.field_rules}.values())


def _entry(
    path: str, kind: str, tags: Sequence[str], rule: EncryptRule | None, decision: str, reason: str
) -> FieldPlan:
    return FieldPlan(
        path=path,
        type=kind,
        tags=tuple(tags),
        rule=rule.name if rule else None,
        kek=rule.kek_name if rule else None,
        algorithm=rule.algorithm if rule else None,
        mode=rule.mode if rule else None,
        decision=decision,
        reason=reason,
    )


def _why_not(write: Selection) -> str:
    if write.enabled_elsewhere:
        return f"the rule set runs elsewhere (enableAt {write.enabled_elsewhere})"
    return "no enabled ENCRYPT rule has any of its tags"
