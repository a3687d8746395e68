"""Schemas that refer to schemas of other subjects."""

from __future__ import annotations

from collections.abc import Callable

from csfle_fast.dev.models import SchemaPayload
from csfle_fast.dev.names import LATEST, qualify, split_subject
from csfle_fast.dev.refusal import Refusal

__all__ = ["reference_texts", "refers_to"]

FindPayload = Callable[[str, int], SchemaPayload]


def reference_texts(find: FindPayload, payload: SchemaPayload, subject: str) -> list[str]:
    """The texts of everything that ``payload`` of ``subject`` refers to, dependencies first.

    Args:
        find: gives the schema of a subject (full name) and version, or raises Refusal.
        payload: the schema whose references are followed.
        subject: its subject; references without a context are of the same one.

    Raises:
        Refusal: 422/42201, a referenced version does not exist.
    """
    texts: list[str] = []
    seen: set[tuple[str, int]] = set()

    def follow(payload: SchemaPayload, subject: str) -> None:
        context, _ = split_subject(subject)
        for reference in payload.references:
            target = (qualify(context, reference.subject), reference.version)
            if target in seen:
                continue
            # Marked before it is followed: a reference to "latest" can come back to itself.
            seen.add(target)
            try:
                found = find(*target)
            except Refusal:
                raise Refusal(
                    422,
                    42201,
                    f"Invalid schema: no schema found for the reference '{reference.name}' to "
                    f"subject '{reference.subject}' version {reference.version}",
                ) from None
            follow(found, target[0])
            if found.schema_text not in texts:
                texts.append(found.schema_text)

    follow(payload, subject)
    return texts


def refers_to(payload: SchemaPayload, subject: str, target: str, version: int) -> bool:
    """Whether ``payload`` of ``subject`` refers to this version of ``target`` (full names)."""
    context, _ = split_subject(subject)
    return any(
        qualify(context, reference.subject) == target and reference.version in (version, LATEST)
        for reference in payload.references
    )
