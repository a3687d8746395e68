"""DEKs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from csfle_fast.dev.key_checks import (
    already_exists,
    check_algorithm,
    check_kek_name,
    check_material,
    checked_subject,
    invalid_key,
    key_not_found,
    not_soft_deleted,
    too_many_keys,
)
from csfle_fast.dev.key_tables import MAX_KEYS, DekId, KekId, KeyTables
from csfle_fast.dev.local_kms import generate_key_proto
from csfle_fast.dev.models import CreateDek, Dek, to_json
from csfle_fast.dev.names import DEFAULT_CONTEXT, LATEST, split_subject
from csfle_fast.dev.refusal import Refusal

__all__ = ["DekStore"]

_FIRST_VERSION = 1
_DEFAULT_ALGORITHM = "AES256_GCM"


class DekStore:
    """Every DEK. Safe to use from several threads; every method is atomic.

    A DEK is found by KEK, subject, algorithm and version. Its KEK is that of the
    subject's context, else the default context's of that name, where older clients
    create it. Every write sets ``ts`` anew. Answers are JSON members: a DEK's
    ``keyMaterial`` is made for the answer (shared KEKs only) and never stored.
    """

    def __init__(self, tables: KeyTables) -> None:
        self._tables = tables

    def put(self, dek: Dek | Mapping[str, Any]) -> Dek:
        """Store a DEK as it is, its ``ts`` too, unchecked; replaces one of the same identity.

        Args:
            dek: the DEK, or its JSON members as a registry returns them.

        Raises:
            Refusal: 404/40470, there is no such KEK.
        """
        given = Dek.model_validate(dek)
        subject = checked_subject(given.subject)
        with self._tables.lock:
            kek_id = self._kek_id(given.kek_name, subject, deleted=True)
            dek_id = DekId(kek_id, subject, given.algorithm, given.version)
            return self._tables.store_dek(dek_id, given, given.ts)

    def subjects(self, kek: str, context: str = DEFAULT_CONTEXT, *, deleted: bool = False) -> list[str]:
        """Subjects that have a DEK under this KEK.

        Raises:
            Refusal: 404/40470.
        """
        with self._tables.lock:
            kek_id = self._kek_id(kek, f":{context}:", deleted=deleted)
            return sorted(
                {
                    i.subject
                    for i, dek in self._tables.deks.items()
                    if i.kek == kek_id and (deleted or not dek.deleted)
                }
            )

    def versions(
        self, kek: str, subject: str, algorithm: str = _DEFAULT_ALGORITHM, *, deleted: bool = False
    ) -> list[int]:
        """Versions of a subject's DEK, rising.

        Raises:
            Refusal: 404/40470, unknown KEK, or no version.
        """
        with self._tables.lock:
            found = [i.version for i in self._ids(kek, subject, algorithm, deleted=deleted)]
        if not found:
            raise key_not_found(subject)
        return found

    def get(
        self,
        kek: str,
        subject: str,
        version: int = _FIRST_VERSION,
        algorithm: str = _DEFAULT_ALGORITHM,
        *,
        deleted: bool = False,
    ) -> dict[str, Any]:
        """One DEK, or the LATEST.

        Raises:
            Refusal: 40470 (unknown); of a shared KEK 40370 (its KMS denies it), 50070 (it cannot be used).
        """
        with self._tables.lock:
            ids = self._ids(kek, subject, algorithm, deleted=deleted)
            wanted = ids[-1:] if version == LATEST else [i for i in ids if i.version == version]
            if not wanted:
                raise key_not_found(subject)
            dek = self._tables.deks[wanted[0]]
            return _members(dek, self._key_material(wanted[0].kek, dek))

    def create(
        self, kek: str, request: CreateDek | Mapping[str, Any], *, rewrap: bool = False
    ) -> dict[str, Any]:
        """Create a DEK; creating an equal one over a soft-deleted one undeletes it.

        Without material the registry makes it, for shared KEKs only. ``rewrap`` wraps a
        DEK that is there anew; the key itself stays the same.

        Raises:
            Refusal: 40470 (KEK), 40971 (exists), 40972 (too many), 42271 (subject,
                algorithm, version or material); of a shared KEK 40370 (its KMS denies it), 50070
                (it cannot be used).
        """
        sent = CreateDek.model_validate(request)
        subject = checked_subject(sent.subject)
        check_algorithm(sent.algorithm)
        version = _FIRST_VERSION if sent.version is None else sent.version
        if version < _FIRST_VERSION:
            raise invalid_key("version")
        if sent.encrypted_key_material is not None:
            check_material(sent.encrypted_key_material)
        with self._tables.lock:
            kek_id = self._kek_id(kek, subject, deleted=sent.deleted)
            dek_id = DekId(kek_id, subject, sent.algorithm, version)
            old = self._tables.deks.get(dek_id)
            if old is None and len(self._tables.deks) >= MAX_KEYS:
                raise too_many_keys(MAX_KEYS)
            if old is not None and not rewrap and not _undeletes(sent, old):
                raise already_exists(subject)
            dek = Dek(
                kek_name=kek,
                subject=subject,
                version=version,
                algorithm=sent.algorithm,
                encrypted_key_material=self._material(kek_id, sent, old),
                deleted=sent.deleted,
            )
            # Opened first: what a shared KEK cannot open is not stored.
            key_material = self._key_material(dek_id.kek, dek)
            return _members(self._tables.store_dek(dek_id, dek), key_material)

    def delete(
        self,
        kek: str,
        subject: str,
        algorithm: str = _DEFAULT_ALGORITHM,
        *,
        version: int | None = None,
        permanent: bool = False,
    ) -> None:
        """Soft-delete one version of a DEK or all, or remove soft-deleted ones for good.

        Raises:
            Refusal: 40470 (unknown), 40471 (not soft-deleted first).
        """
        with self._tables.lock:
            chosen = self._chosen(kek, subject, algorithm, version)
            if permanent and any(not self._tables.deks[i].deleted for i in chosen):
                raise not_soft_deleted(subject)
            if permanent:
                self._tables.remove_deks(chosen)
            else:
                self._mark(chosen, deleted=True)

    def undelete(
        self,
        kek: str,
        subject: str,
        algorithm: str = _DEFAULT_ALGORITHM,
        *,
        version: int | None = None,
    ) -> None:
        """Undo the soft delete of one version of a DEK, or of all.

        Raises:
            Refusal: 40470 (unknown), 40472 (the KEK must be undeleted first).
        """
        with self._tables.lock:
            chosen = self._chosen(kek, subject, algorithm, version)
            if self._tables.keks[chosen[0].kek].deleted:
                raise Refusal(404, 40472, f"Key '{kek}' must be undeleted first")
            self._mark(chosen, deleted=False)

    def _kek_id(self, name: str, subject: str, *, deleted: bool) -> KekId:
        check_kek_name(name)
        context, _ = split_subject(subject)
        for kek_id in (KekId(context, name), KekId(DEFAULT_CONTEXT, name)):
            kek = self._tables.keks.get(kek_id)
            if kek is not None and (deleted or not kek.deleted):
                return kek_id
        raise key_not_found(name)

    def _ids(self, kek: str, subject: str, algorithm: str, *, deleted: bool) -> list[DekId]:
        check_algorithm(algorithm)
        key = checked_subject(subject)
        kek_id = self._kek_id(kek, key, deleted=deleted)
        return sorted(
            i
            for i, dek in self._tables.deks.items()
            if (i.kek, i.subject, i.algorithm) == (kek_id, key, algorithm) and (deleted or not dek.deleted)
        )

    def _chosen(self, kek: str, subject: str, algorithm: str, version: int | None) -> list[DekId]:
        ids = self._ids(kek, subject, algorithm, deleted=True)
        if version == LATEST:
            ids = ids[-1:]
        elif version is not None:
            ids = [i for i in ids if i.version == version]
        if not ids:
            raise key_not_found(subject)
        return ids

    def _mark(self, dek_ids: list[DekId], *, deleted: bool) -> None:
        deks = ((dek_id, self._tables.deks[dek_id]) for dek_id in dek_ids)
        changed = {
            dek_id: dek.model_copy(update={"deleted": deleted, "ts": None})
            for dek_id, dek in deks
            if dek.deleted != deleted
        }
        if changed:
            self._tables.store_deks(changed)

    def _material(self, kek_id: KekId, sent: CreateDek, old: Dek | None) -> str:
        kek = self._tables.keks[kek_id]
        if sent.encrypted_key_material is not None:
            # The registry alone replaces what it shares.
            if kek.shared and old is not None:
                raise already_exists(old.subject)
            return sent.encrypted_key_material
        if not kek.shared:
            raise invalid_key("encryptedKeyMaterial")
        sharing = self._tables.sharing
        if old is None:
            return sharing.wrap(kek, generate_key_proto(sent.algorithm))
        return sharing.wrap(kek, sharing.unwrap(kek, old.encrypted_key_material))

    def _key_material(self, kek_id: KekId, dek: Dek) -> str | None:
        """The key itself, of a shared KEK's DEK only."""
        kek = self._tables.keks[kek_id]
        if not kek.shared:
            return None
        return base64.b64encode(self._tables.sharing.unwrap(kek, dek.encrypted_key_material)).decode()


def _members(dek: Dek, key_material: str | None) -> dict[str, Any]:
    members = to_json(dek)
    if not dek.deleted:
        del members["deleted"]
    if key_material is not None:
        members["keyMaterial"] = key_material
    return members


def _undeletes(sent: CreateDek, old: Dek) -> bool:
    """Whether a create for a DEK that is there means to undelete it."""
    same = sent.encrypted_key_material in (None, old.encrypted_key_material)
    return same and old.deleted != sent.deleted
