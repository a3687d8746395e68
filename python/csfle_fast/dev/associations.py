"""Associations: which subject a topic uses for its keys and for its values."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from csfle_fast.dev.models import AssociatedSubject, CreateAssociations
from csfle_fast.dev.names import qualify
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.state import Key, State

__all__ = ["Association", "AssociationStore"]

_ANY_NAMESPACE = "-"
_TABLE = "association"


@dataclass(frozen=True, slots=True)
class Association:
    """One subject of one resource."""

    resource_name: str
    resource_namespace: str
    resource_id: str
    resource_type: str
    item: AssociatedSubject

    def to_json(self) -> dict[str, Any]:
        """The association as the registry lists it."""
        return {
            "subject": self.item.subject,
            "resourceName": self.resource_name,
            "resourceNamespace": self.resource_namespace,
            "resourceId": self.resource_id,
            "resourceType": self.resource_type,
            "associationType": self.item.association_type,
            "lifecycle": self.item.lifecycle,
            "frozen": self.item.frozen,
        }

    def to_record(self) -> dict[str, Any]:
        """All of it, as JSON members."""
        return {**asdict(self), "item": self.item.model_dump(by_alias=True, exclude_none=True)}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """The association that ``to_record`` told about."""
        return cls(**{**record, "item": AssociatedSubject.model_validate(record["item"])})


class AssociationStore:
    """Every association. Safe to use from several threads; every method is atomic.

    Args:
        state: where they are kept.
    """

    def __init__(self, state: State | None = None) -> None:
        self._lock = threading.Lock()
        self._state = State() if state is None else state
        # By resource id, resource type and association type.
        self._items: dict[tuple[str, str, str], Association] = dict(self._state.records(_TABLE, _read))

    def create(
        self, request: CreateAssociations | Mapping[str, Any], context: str = "."
    ) -> list[Association]:
        """Associate subjects with a resource; the same association again changes nothing.

        Raises:
            Refusal: 409/40903, the resource has another subject of that type.
        """
        sent = CreateAssociations.model_validate(request)
        new = {
            (sent.resource_id, sent.resource_type, item.association_type): Association(
                sent.resource_name,
                sent.resource_namespace,
                sent.resource_id,
                sent.resource_type,
                item.model_copy(update={"subject": qualify(context, item.subject)}),
            )
            for item in sent.associations
        }
        with self._lock:
            for key, association in new.items():
                old = self._items.get(key)
                if old is not None and old.item.subject != association.item.subject:
                    raise Refusal(
                        409,
                        40903,
                        f"An association of type '{key[2]}' already exists for resource "
                        f"'{sent.resource_name}'",
                    )
            self._state.save({(_TABLE, *key): association.to_record() for key, association in new.items()})
            self._items.update(new)
        return list(new.values())

    def find(
        self,
        *,
        resource_name: str | None = None,
        namespace: str = _ANY_NAMESPACE,
        resource_id: str | None = None,
        subject: str | None = None,
        resource_type: str | None = None,
        types: Collection[str] = (),
    ) -> list[Association]:
        """The associations that fit everything given; namespace ``-`` fits all."""
        with self._lock:
            found = list(self._items.values())
        return [
            a
            for a in found
            if resource_name in (None, a.resource_name)
            and namespace in (_ANY_NAMESPACE, a.resource_namespace)
            and resource_id in (None, a.resource_id)
            and subject in (None, a.item.subject)
            and resource_type in (None, a.resource_type)
            and (not types or a.item.association_type in types)
        ]

    def delete(
        self, resource_id: str, *, resource_type: str | None = None, types: Collection[str] = ()
    ) -> None:
        """Remove a resource's associations, or those of some types. None is no error."""
        with self._lock:
            gone = [
                key
                for key in self._items
                if key[0] == resource_id
                and resource_type in (None, key[1])
                and (not types or key[2] in types)
            ]
            if gone:
                self._state.save({(_TABLE, *key): None for key in gone})
            for key in gone:
                del self._items[key]


def _read(key: Key, value: Any) -> tuple[tuple[str, str, str], Association]:
    _, resource_id, resource_type, association_type = key
    return (resource_id, resource_type, association_type), Association.of_record(value)
