"""One version of a subject, and what is asked of a list of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from csfle_fast.dev.models import SchemaPayload
from csfle_fast.dev.names import ALL_CONTEXTS, split_subject
from csfle_fast.dev.refusal import Refusal

__all__ = ["Registered", "find_guid", "matches", "unknown_subject", "visible"]


@dataclass(frozen=True, slots=True)
class Registered:
    """One version of a subject."""

    subject: str
    version: int
    id: int
    guid: str
    payload: SchemaPayload
    deleted: bool = False

    def to_record(self) -> dict[str, Any]:
        """All but the subject, as JSON members."""
        return {
            "version": self.version,
            "id": self.id,
            "guid": self.guid,
            "payload": self.payload.model_dump(by_alias=True, exclude_none=True),
            "deleted": self.deleted,
        }

    @classmethod
    def of_record(cls, subject: str, record: dict[str, Any]) -> Self:
        """The version that ``to_record`` told about."""
        return cls(subject, **{**record, "payload": SchemaPayload.model_validate(record["payload"])})


def find_guid(versions: list[Registered], guid: str) -> Registered | None:
    """The newest of some versions that has this GUID."""
    return next((v for v in reversed(versions) if v.guid == guid), None)


def visible(versions: list[Registered], deleted: bool, deleted_only: bool) -> list[Registered]:
    """The live versions; with ``deleted`` all of them, with ``deleted_only`` the soft-deleted ones."""
    if deleted_only:
        return [v for v in versions if v.deleted]
    return [v for v in versions if deleted or not v.deleted]


def matches(name: str, prefix: str) -> bool:
    """Whether a subject (full name) is of the prefix's context and starts with it; ``:*:`` is any context."""
    if prefix.startswith(ALL_CONTEXTS):
        return split_subject(name)[1].startswith(prefix.removeprefix(ALL_CONTEXTS))
    context, rest = split_subject(prefix)
    own, plain = split_subject(name)
    return own == context and plain.startswith(rest)


def unknown_subject(subject: str) -> Refusal:
    """No such subject, or none of its versions can be seen."""
    return Refusal(404, 40401, f"Subject '{subject}' not found.")
