"""What would happen to each field, and why: for people, tests and reviews."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from csfle_fast._core import Schema
from csfle_fast.errors import SchemaError
from csfle_fast.registry import Version
from csfle_fast.rules import EncryptRule, Selection

__all__ = ["FieldPlan", "explain", "tagged_fields"]


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
        decision: ``encrypt``, ``leave``, or ``refuse``: a value of it fails its row on WRITE.
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
    if not isinstance(patterns, Mapping) or any(isinstance(tags, str) for tags in patterns.values()):
        raise SchemaError("bad_tag_pattern", "metadata.tags is not a map of patterns to lists of tags")
    tags = {str(pattern): [str(tag) for tag in tags] for pattern, tags in patterns.items()}
    found = Schema(text, list(references)).tagged_fields(tags)
    return {name: tuple(tags) for name, tags in found.items()}


def explain(
    version: Version, schema: Schema, write: Selection, read: Selection, inheritance: str
) -> list[FieldPlan]:
    """Every field that is tagged or hit by a rule, in the order of the wire, one entry a rule.

    Args:
        version: the version that decides.
        schema: its schema.
        write: the rules that run on WRITE.
        read: the rules that run on READ.
        inheritance: ``own``, ``java`` or ``refuse``: whether the tags of a field reach into the record
            that it holds.
    """
    rules = rules_of_both(write, read)
    tags = {pattern: list(found) for pattern, found in version.metadata_tags.items()}
    outline = [_Field(*found) for found in schema.outline(tags)]
    own = [
        [rule for rule in rules if not rule.tags or not set(rule.tags).isdisjoint(f.tags)] for f in outline
    ]
    entries: list[FieldPlan] = []
    for field, by_own in zip(outline, own, strict=True):
        reaches = inheritance == "java" and field.plain
        by_around = [] if field.around is None or not reaches else own[field.around]
        hitting = [rule for rule in rules if rule in by_own or rule in by_around]
        entries += [_entry(field, rule, *_decide(field, rule, inheritance)) for rule in hitting]
        if field.tags and not hitting:
            entries.append(_entry(field, None, "leave", _why_not(write)))
    payload = {rule.name: rule for rule in write.payload_rules + read.payload_rules}
    entries += [_entry(_BODY, rule, "encrypt", "a payload rule") for rule in payload.values()]
    foreign = dict.fromkeys(write.foreign + read.foreign)
    reason = "a rule of another executor: the Engine refuses the whole rule set"
    entries += [replace(_entry(_BODY, None, "refuse", reason), rule=name) for name in foreign]
    return entries


class _Field(NamedTuple):
    """One field of an outline; see ``Schema.outline``."""

    path: str
    name: str
    type: str
    tags: list[str]
    holds_record: bool
    sealable: bool
    plain: bool
    around: int | None


_BODY = _Field("", "", "body", [], False, False, False, None)


def _decide(field: _Field, rule: EncryptRule, inheritance: str) -> tuple[str, str]:
    """Decision and reason for a field that a rule hits."""
    if field.sealable:
        return "encrypt", "a rule hits its tags" if rule.tags else "the rule has no tags and hits every field"
    if field.holds_record and inheritance == "refuse":
        return "refuse", "it holds a record, and whether its tags reach into it is not said (tag.inheritance)"
    if field.holds_record:
        how = "reach its plain fields" if inheritance == "java" else "do not reach into it"
        return "leave", f"it holds a record, and its tags {how} (tag.inheritance={inheritance})"
    return "refuse", f"a rule hits it, but {field.type} holds neither string nor bytes"


def rules_of_both(write: Selection, read: Selection) -> list[EncryptRule]:
    """The field rules that run in any mode, each once, in rule-set order as far as it is told."""
    return list({rule.name: rule for rule in write.field_rules + read.field_rules}.values())


def _entry(field: _Field, rule: EncryptRule | None, decision: str, reason: str) -> FieldPlan:
    return FieldPlan(
        path=field.path,
        type=field.type,
        tags=tuple(field.tags),
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
