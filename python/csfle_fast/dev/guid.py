"""The GUID of a schema: it is content, the same in every registry.

Clients compute it themselves and compare, so every byte counts: MD5 over the schema
text, the references, and, where present, metadata and rule set. Absent parts add
nothing; sets and maps are taken in sorted order.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

from csfle_fast.dev.models import Metadata, Rule, RuleSet, SchemaPayload

__all__ = ["schema_guid"]

_PRESENT = b"\x01"


def schema_guid(payload: SchemaPayload) -> str:
    """The GUID of ``payload`` in UUID notation (its 16 bytes are the MD5)."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in _parts(payload):
        digest.update(part if isinstance(part, bytes) else part.encode())
    return str(uuid.UUID(bytes=digest.digest()))


def _parts(payload: SchemaPayload) -> Iterator[str | bytes]:
    yield payload.schema_text
    for reference in payload.references:
        yield reference.name
        yield reference.subject
        yield reference.version.to_bytes(4, "big", signed=True)
    if payload.metadata is not None:
        yield _PRESENT
        yield from _metadata_parts(payload.metadata)
    if payload.rule_set is not None:
        yield _PRESENT
        yield from _rule_set_parts(payload.rule_set)


def _metadata_parts(metadata: Metadata) -> Iterator[str]:
    for pattern, tags in sorted((metadata.tags or {}).items()):
        yield pattern
        yield from sorted(tags)
    for name, value in sorted((metadata.properties or {}).items()):
        yield name
        yield value
    yield from sorted(metadata.sensitive or [])


def _rule_set_parts(rule_set: RuleSet) -> Iterator[str | bytes]:
    for rules in (rule_set.migration_rules, rule_set.domain_rules, rule_set.encoding_rules):
        for rule in rules or []:
            yield from _rule_parts(rule)
    yield rule_set.enable_at or ""


def _rule_parts(rule: Rule) -> Iterator[str | bytes]:
    for text in (rule.name, rule.doc, rule.kind, rule.mode, rule.type):
        yield text or ""
    yield from sorted(rule.tags or [])
    for name, value in sorted((rule.params or {}).items()):
        yield name
        yield value
    for text in (rule.expr, rule.on_success, rule.on_failure):
        yield text or ""
    if rule.disabled:
        yield _PRESENT
