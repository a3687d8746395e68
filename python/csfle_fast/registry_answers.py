"""What a registry says of a schema, checked for its shape.

confluent-kafka's client takes JSON as it comes. A text where a list belongs would be taken apart letter by
letter, and tags that no rule knows leave their fields in plaintext; so whatever is odd is refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TypeGuard

from confluent_kafka.schema_registry import Metadata, RegisteredSchema, Rule, RuleSet, Schema
from confluent_kafka.schema_registry.common.schema_registry_client import SchemaReference

from csfle_fast.registry_errors import bad_answer

__all__ = ["check_registered", "check_schema", "is_number"]

#: Schema ids and version numbers are 32 bits wide.
_MOST = 2**31 - 1


def check_registered(found: RegisteredSchema, what: str) -> None:
    """Check the answer to a question for a version of a subject: its schema, id, number and GUID.

    Raises:
        RegistryError: bad_answer, naming ``what`` and the part that is odd.
    """
    if not is_number(found.schema_id):
        raise bad_answer(what, "no schema id")
    if not (found.guid is None or _is_guid(found.guid)):
        raise bad_answer(what, "guid is odd")
    if not (found.version is None or is_number(found.version)):
        raise bad_answer(what, "version is odd")
    check_schema(found.schema, what)


def check_schema(schema: Schema, what: str) -> None:
    """Check a schema with its references, metadata and rules.

    Raises:
        RegistryError: bad_answer, naming ``what`` and the part that is odd.
    """
    odd = next(_odd_parts(schema), None)
    if odd is not None:
        raise bad_answer(what, f"{odd} is odd")


def is_number(value: object) -> TypeGuard[int]:
    """Whether it can be a schema id or a version number."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _odd_parts(schema: Schema) -> Iterator[str]:
    if not isinstance(schema.schema_str, str):
        yield "the schema's text"
    if not _is_text(schema.schema_type):
        yield "schemaType"
    if not all(_is_whole(reference) for reference in schema.references or ()):
        yield "a schema reference"
    if schema.metadata is not None:
        yield from _odd_metadata(schema.metadata)
    if schema.rule_set is not None:
        yield from _odd_rules(schema.rule_set)


def _is_whole(reference: SchemaReference) -> bool:
    """Whether a reference's parts are of the right kinds; that all are there is seen where it is followed."""
    number = reference.version is None or is_number(reference.version)
    return number and _is_text(reference.name) and _is_text(reference.subject)


def _odd_metadata(metadata: Metadata) -> Iterator[str]:
    tags: object = {} if metadata.tags is None else metadata.tags.tags
    if not (isinstance(tags, dict) and all(_is_text_list(found) for found in tags.values())):
        yield "metadata.tags"
    properties: object = {} if metadata.properties is None else metadata.properties.properties
    if not isinstance(properties, dict):
        yield "metadata.properties"


def _odd_rules(rules: RuleSet) -> Iterator[str]:
    if not _is_text(rules.enable_at):
        yield "enableAt"
    for rule in (*(rules.domain_rules or ()), *(rules.encoding_rules or ()), *(rules.migration_rules or ())):
        if not _is_well_formed(rule):
            yield f"rule {rule.name if isinstance(rule.name, str) else '(no name)'}"


def _is_well_formed(rule: Rule) -> bool:
    texts = (rule.name, rule.type, rule.on_success, rule.on_failure)
    params: object = {} if rule.params is None else rule.params.params
    return (
        all(_is_text(text) for text in texts)
        and (rule.tags is None or _is_text_list(rule.tags))
        and isinstance(params, dict)
        and (rule.disabled is None or isinstance(rule.disabled, bool))
    )


def _is_guid(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
