"""KEKs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csfle_fast.dev.key_checks import (
    already_exists,
    check_kek_name,
    checked_kms_type,
    invalid_key,
    key_not_found,
    not_soft_deleted,
    too_many_keys,
)
from csfle_fast.dev.key_tables import MAX_KEYS, KekId, KeyTables
from csfle_fast.dev.models import CreateKek, Kek, UpdateKek
from csfle_fast.dev.names import DEFAULT_CONTEXT, normalize_context
from csfle_fast.dev.refusal import Refusal

__all__ = ["KekStore"]


class KekStore:
    """Every KEK. Safe to use from several threads; every method is atomic.

    A KEK's name belongs to a context. Every write sets ``ts`` anew.
    """

    def __init__(self, tables: KeyTables) -> None:
        self._tables = tables

    def put(self, kek: Kek | Mapping[str, Any], context: str = DEFAULT_CONTEXT) -> Kek:
        """Store a KEK as it is, its ``ts`` too, unchecked; replaces one of the same name.

        Args:
            kek: the KEK, or its JSON members as a registry returns them.
            context: the context that its name belongs to.
        """
        given = Kek.model_validate(kek)
        with self._tables.lock:
            return self._tables.store_kek(KekId(normalize_context(context), given.name), given, given.ts)

    def names(
        self,
        context: str = DEFAULT_CONTEXT,
        *,
        subject_prefixes: Sequence[str] = (),
        deleted: bool = False,
    ) -> list[str]:
        """Names of a context's KEKs; with prefixes, of those with a DEK for such a subject."""
        with self._tables.lock:
            found = {
                i.name
                for i, kek in self._tables.keks.items()
                if i.context == context and (deleted or not kek.deleted)
            }
            if subject_prefixes:
                found &= {
                    i.kek.name
                    for i, dek in self._tables.deks.items()
                    if i.kek.context == context
                    and i.subject.startswith(tuple(subject_prefixes))
                    and (deleted or not dek.deleted)
                }
        return sorted(found)

    def get(self, name: str, context: str = DEFAULT_CONTEXT, *, deleted: bool = False) -> Kek:
        """One KEK.

        Raises:
            Refusal: 404/40470, unknown, or soft-deleted and ``deleted`` is not set.
        """
        check_kek_name(name)
        with self._tables.lock:
            found = self._tables.keks.get(KekId(context, name))
        if found is None or (found.deleted and not deleted):
            raise key_not_found(name)
        return found

    def create(
        self,
        request: CreateKek | Mapping[str, Any],
        context: str = DEFAULT_CONTEXT,
        *,
        test_sharing: bool = False,
    ) -> Kek:
        """Create a KEK; creating an equal one over a soft-deleted one undeletes it.

        Raises:
            Refusal: 40971 (exists), 40972 (too many), 42271 (name, type or key id); with
                ``test_sharing`` of a shared KEK 40370 (its KMS denies it), 50070 (it cannot be used).
        """
        sent = CreateKek.model_validate(request)
        check_kek_name(sent.name)
        new = Kek(
            name=sent.name,
            kms_type=checked_kms_type(sent.kms_type, sent.kms_key_id),
            kms_key_id=sent.kms_key_id or "",
            kms_props=sent.kms_props,
            doc=sent.doc,
            shared=sent.shared,
            deleted=sent.deleted,
        )
        if test_sharing and new.shared:
            self._tables.sharing.try_out(new)
        kek_id = KekId(context, new.name)
        with self._tables.lock:
            old = self._tables.keks.get(kek_id)
            if old is None and len(self._tables.keks) >= MAX_KEYS:
                raise too_many_keys(MAX_KEYS)
            if old is not None and (old.deleted == new.deleted or not _equivalent(old, new)):
                raise already_exists(new.name)
            return self._tables.store_kek(kek_id, new)

    def update(
        self,
        name: str,
        request: UpdateKek | Mapping[str, Any],
        context: str = DEFAULT_CONTEXT,
        *,
        test_sharing: bool = False,
    ) -> Kek:
        """Change a KEK's properties, doc or sharing; a member that is not sent stays.

        Raises:
            Refusal: 40470 (unknown); with ``test_sharing`` of a shared KEK 40370 (its KMS denies it),
                50070 (it cannot be used).
        """
        sent = UpdateKek.model_validate(request)
        changes = {member: getattr(sent, member) for member in sent.model_fields_set}
        # An explicit null empties what can be empty.
        emptied = {"kms_props": {}, "shared": False}
        changes = {m: emptied.get(m) if value is None else value for m, value in changes.items()}
        with self._tables.lock:
            old = self.get(name, context)
            new = old.model_copy(update=changes)
            if test_sharing and new.shared:
                self._tables.sharing.try_out(new)
            if _equivalent(old, new):
                return old
            return self._tables.store_kek(KekId(context, name), new)

    def delete(self, name: str, context: str = DEFAULT_CONTEXT, *, permanent: bool = False) -> None:
        """Soft-delete a KEK, or remove a soft-deleted one for good.

        Raises:
            Refusal: 40470 (unknown), 40471 (not soft-deleted first), 42272 (it has DEKs,
                soft-deleted ones included for a permanent delete).
        """
        kek_id = KekId(context, name)
        with self._tables.lock:
            old = self.get(name, context, deleted=True)
            if any(
                i.kek == kek_id and (permanent or not dek.deleted) for i, dek in self._tables.deks.items()
            ):
                raise Refusal(422, 42272, f"One or more references exist to the key '{name}'")
            if permanent:
                if not old.deleted:
                    raise not_soft_deleted(name)
                self._tables.remove_kek(kek_id)
            elif not old.deleted:
                self._tables.store_kek(kek_id, old.model_copy(update={"deleted": True}))

    def undelete(self, name: str, context: str = DEFAULT_CONTEXT) -> None:
        """Undo a soft delete.

        Raises:
            Refusal: 404/40470.
        """
        with self._tables.lock:
            old = self.get(name, context, deleted=True)
            if old.deleted:
                self._tables.store_kek(KekId(context, name), old.model_copy(update={"deleted": False}))

    def test(self, name: str, context: str = DEFAULT_CONTEXT) -> Kek:
        """Wrap and unwrap a throw-away key with a shared KEK's KMS; stores nothing.

        Raises:
            Refusal: 40470 (unknown), 42271 (not shared), 40370 (its KMS denies it), 50070 (it
                cannot be used).
        """
        kek = self.get(name, context)
        if not kek.shared:
            raise invalid_key("shared")
        self._tables.sharing.try_out(kek)
        return kek


def _equivalent(one: Kek, other: Kek) -> bool:
    aside: dict[str, Any] = {"ts": None, "deleted": False}
    return one.model_copy(update=aside) == other.model_copy(update=aside)
