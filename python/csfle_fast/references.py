"""Schema references: every schema that a schema needs, dependencies first.

Names are resolved as the Java client does: a reference is known by its *name*, so the first
of two references of one name wins, and an unqualified subject lies in its parent's context.
"""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka.schema_registry.common.schema_registry_client import Schema

from csfle_fast.errors import SchemaError

__all__ = ["context_of", "resolve_references"]

# Far above any registry's content; they end a hostile or broken chain before Python's stack does.
_MAX_DEPTH = 100
_MAX_REFERENCES = 10_000


def context_of(subject: str) -> str | None:
    """The schema context of a qualified subject: ``.ctx`` for ``:.ctx:name``, None for the default one."""
    if not subject.startswith(":."):
        return None
    context = subject[1:].partition(":")[0]
    return None if context == "." else context


def resolve_references(schema: Schema, subject: str, fetch: Callable[[str, int], Schema]) -> tuple[str, ...]:
    """The JSON texts of all schemas that ``schema`` refers to, each once, dependencies first.

    Args:
        schema: the schema with its list of references.
        subject: its subject, for the context.
        fetch: the schema of (subject, version number).

    Raises:
        SchemaError: bad_reference, reference_cycle, too_many_references.
        RegistryError: what ``fetch`` raises.
    """
    found: dict[tuple[str, int], str] = {}
    names: set[str] = set()

    def visit(parent: Schema, parent_subject: str, path: tuple[tuple[str, int], ...]) -> None:
        for reference in parent.references or ():
            if not reference.name or not reference.subject or reference.version is None:
                raise SchemaError(
                    "bad_reference", f"subject {parent_subject}: a schema reference is not complete"
                )
            key = (_qualified(reference.subject, parent_subject), reference.version)
            if key in path:
                raise SchemaError(
                    "reference_cycle", f"subject {subject}: the references of {key[0]} lead back to it"
                )
            if reference.name in names or key in found:
                continue
            if len(path) >= _MAX_DEPTH or len(names) >= _MAX_REFERENCES:
                raise SchemaError("too_many_references", f"subject {subject}: too many schema references")
            child = fetch(*key)
            visit(child, key[0], (*path, key))
            names.add(reference.name)
            found[key] = child.schema_str or ""

    visit(schema, subject, ())
    return tuple(found.values())


def _qualified(reference: str, parent: str) -> str:
    context = context_of(parent)
    if context is None or reference.startswith(":"):
        return reference
    return f":{context}:{reference}"
