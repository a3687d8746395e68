"""Subjects, versions, schema ids and GUIDs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from csfle_fast.dev.avro_text import canonical_text, check_avro
from csfle_fast.dev.guid import schema_guid
from csfle_fast.dev.models import ConfigUpdate, SchemaPayload
from csfle_fast.dev.names import ALL_CONTEXTS, DEFAULT_CONTEXT, LATEST, split_subject, subject_key
from csfle_fast.dev.references import reference_texts, refers_to
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.rulesets import check_rule_set, completed
from csfle_fast.dev.state import Key, State
from csfle_fast.dev.versions import Registered, find_guid, matches, unknown_subject, visible

__all__ = ["SchemaStore"]

_SUBJECTS = "subject"
_LAST_IDS = "last id"


class SchemaStore:
    """Every registered version. Safe to use from several threads; every method is atomic.

    An id stands for one content (schema, references, metadata, rule set) in one context,
    so a new rule set for an old schema is a new version with a new id. Subjects may be
    given in any of their forms (``s``, ``:.:s``, ``:.ctx:s``). An id is never given out for another
    content, even when all that had it is deleted.

    Args:
        config: what applies to a subject that gets a new version.
        state: where it is kept.
    """

    def __init__(
        self, config: Callable[[str], ConfigUpdate] | None = None, state: State | None = None
    ) -> None:
        self._lock = threading.RLock()
        self._config = config or (lambda subject: ConfigUpdate())
        self._state = State() if state is None else state
        self._subjects: dict[str, list[Registered]] = dict(self._state.records(_SUBJECTS, _read_subject))
        self._last_id: dict[str, int] = dict(self._state.records(_LAST_IDS, _read_last_id))

    # -- writing

    def register(
        self,
        subject: str,
        payload: SchemaPayload | Mapping[str, Any],
        *,
        normalize: bool = False,
        schema_id: int | None = None,
        version: int | None = None,
    ) -> Registered:
        """Register a schema; the same content again gives the version that there is.

        What ``payload`` leaves out (metadata, rule set, even the schema) is taken from the
        version before it, and the subject's configured defaults and overrides are merged in.

        Args:
            subject: the subject's name.
            payload: the schema, or the JSON members of one.
            normalize: attributes in another order make no new schema.
            schema_id: use this id, which must be free or stand for the same content.
            version: use this version, which must be free.

        Raises:
            Refusal: 42201 (schema, references), 42207 (id or version taken), 42208
                (subject), 42210 (rule set).
        """
        key = subject_key(subject)
        sent = SchemaPayload.model_validate(payload)
        with self._lock:
            config = self._config(key)
            normalize = normalize or bool(config.normalize)
            versions = self._subjects.get(key, [])
            live = [v for v in versions if not v.deleted]
            previous = live[-1].payload if live else None
            if sent.schema_text.strip():
                as_sent = self._canonical(sent, normalize)
                same = find_guid(live, schema_guid(as_sent))
                if same is not None and schema_id in (None, same.id):
                    return same
            content = self._checked(key, completed(sent, previous, config), normalize)
            guid = schema_guid(content)
            same = find_guid(live, guid)
            if same is not None and schema_id in (None, same.id):
                return same
            chosen = self._choose_id(key, guid, schema_id)
            number = self._choose_version(versions, version)
            added = Registered(key, number, chosen, guid, content)
            self._put(key, sorted([*versions, added], key=lambda v: v.version))
            return added

    def delete_subject(self, subject: str, *, permanent: bool = False) -> list[int]:
        """Delete all versions of a subject; returns their numbers.

        Raises:
            Refusal: 40401 (unknown), 40404 (already soft-deleted), 40405 (not soft-deleted
                before a permanent delete), 42206 (referenced).
        """
        key = subject_key(subject)
        with self._lock:
            versions = self._subjects.get(key)
            if not versions:
                raise unknown_subject(subject)
            live = [v for v in versions if not v.deleted]
            if permanent:
                if live:
                    raise Refusal(
                        404,
                        40405,
                        f"Subject '{subject}' was not deleted first before being permanently deleted",
                    )
                self._put(key, [])
                return [v.version for v in versions]
            if not live:
                raise Refusal(
                    404,
                    40404,
                    f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently",
                )
            for version in live:
                self._refuse_if_referenced(version)
            self._put(key, [replace(v, deleted=True) for v in versions])
            return [v.version for v in live]

    def delete_version(self, subject: str, version: int, *, permanent: bool = False) -> int:
        """Delete one version (or LATEST); returns its number.

        Raises:
            Refusal: 40401, 40402 (unknown), 40406 (already soft-deleted), 40407 (not
                soft-deleted before a permanent delete), 42206 (referenced).
        """
        key = subject_key(subject)
        with self._lock:
            found = self.version(subject, version, deleted=version != LATEST)
            where = f"Subject '{subject}' Version {found.version}"
            if permanent:
                if not found.deleted:
                    raise Refusal(
                        404, 40407, f"{where} was not deleted first before being permanently deleted"
                    )
                remaining = [v for v in self._subjects[key] if v is not found]
            else:
                if found.deleted:
                    raise Refusal(
                        404,
                        40406,
                        f"{where} was soft deleted. Set permanent=true to delete permanently",
                    )
                self._refuse_if_referenced(found)
                remaining = [replace(v, deleted=True) if v is found else v for v in self._subjects[key]]
            self._put(key, remaining)
            return found.version

    # -- reading

    def subjects(
        self, prefix: str = ALL_CONTEXTS, *, deleted: bool = False, deleted_only: bool = False
    ) -> list[str]:
        """Full names of the subjects that start with ``prefix``; by default of every context."""
        with self._lock:
            return [
                name
                for name, versions in sorted(self._subjects.items())
                if matches(name, prefix) and visible(versions, deleted, deleted_only)
            ]

    def versions(
        self, subject: str, *, deleted: bool = False, deleted_only: bool = False
    ) -> list[Registered]:
        """The versions of a subject, oldest first.

        Raises:
            Refusal: 404/40401.
        """
        with self._lock:
            found = visible(self._subjects.get(subject_key(subject), []), deleted, deleted_only)
        if not found:
            raise unknown_subject(subject)
        return found

    def version(self, subject: str, version: int = LATEST, *, deleted: bool = False) -> Registered:
        """One version, or the latest.

        Raises:
            Refusal: 404/40401, 404/40402.
        """
        with self._lock:
            found = visible(self._subjects.get(subject_key(subject), []), deleted, False)
        if not found:
            raise unknown_subject(subject)
        if version == LATEST:
            return found[-1]
        for candidate in found:
            if candidate.version == version:
                return candidate
        raise Refusal(404, 40402, f"Version {version} not found.")

    def lookup(
        self,
        subject: str,
        payload: SchemaPayload | Mapping[str, Any],
        *,
        normalize: bool = False,
        deleted: bool = False,
    ) -> Registered:
        """The version with exactly this content, metadata and rule set included.

        Raises:
            Refusal: 404/40401, 404/40403, 422/42201 (not a schema).
        """
        found = self.versions(subject, deleted=deleted)
        normalize = normalize or bool(self._config(subject_key(subject)).normalize)
        content = self._canonical(SchemaPayload.model_validate(payload), normalize)
        same = find_guid(found, schema_guid(content))
        if same is None:
            raise Refusal(404, 40403, "Schema not found")
        return same

    def latest_with_metadata(
        self, subject: str, properties: Mapping[str, str], *, deleted: bool = False
    ) -> Registered:
        """The newest version whose metadata has all these properties.

        Raises:
            Refusal: 404/40401, 404/40402.
        """
        for version in reversed(self.versions(subject, deleted=deleted)):
            metadata = version.payload.metadata
            if metadata and properties.items() <= (metadata.properties or {}).items():
                return version
        raise Refusal(404, 40402, "Version with these metadata properties not found.")

    def by_id(self, schema_id: int, context: str = DEFAULT_CONTEXT) -> Registered:
        """A version with this id; the content is the same for all of them.

        Raises:
            Refusal: 404/40403.
        """
        for version in self._all(context):
            if version.id == schema_id:
                return version
        raise Refusal(404, 40403, f"Schema {schema_id} not found")

    def by_guid(self, guid: str) -> Registered:
        """A version with this GUID, of any context.

        Raises:
            Refusal: 404/40403.
        """
        for version in self._all(None):
            if version.guid == guid.lower():
                return version
        raise Refusal(404, 40403, f"Schema {guid} not found")

    def with_id(
        self, schema_id: int, context: str = DEFAULT_CONTEXT, *, deleted: bool = False
    ) -> list[Registered]:
        """All versions with this id.

        Raises:
            Refusal: 404/40403.
        """
        self.by_id(schema_id, context)
        return [v for v in self._all(context) if v.id == schema_id and (deleted or not v.deleted)]

    def referenced_by(self, subject: str, version: int = LATEST) -> list[int]:
        """Ids of the live schemas that refer to this version."""
        target = self.version(subject, version, deleted=version != LATEST)
        return sorted({v.id for v in self._referrers(target)})

    def contexts(self) -> list[str]:
        """The default context and every context that has a subject."""
        with self._lock:
            return sorted({DEFAULT_CONTEXT, *(split_subject(name)[0] for name in self._subjects)})

    def max_id(self, context: str = DEFAULT_CONTEXT) -> int:
        """The highest id given out in ``context``, 0 if none."""
        with self._lock:
            return self._last_id.get(context, 0)

    # -- inside

    def _put(self, key: str, versions: list[Registered]) -> None:
        """Keep the versions of a subject, none at all if it is gone, and the highest id of its context."""
        context, _ = split_subject(key)
        last_id = max([self._last_id.get(context, 0), *(v.id for v in versions)])
        self._state.save(
            {
                (_SUBJECTS, key): [v.to_record() for v in versions] or None,
                (_LAST_IDS, context): last_id,
            }
        )
        self._last_id[context] = last_id
        if versions:
            self._subjects[key] = versions
        else:
            del self._subjects[key]

    def _all(self, context: str | None) -> Iterator[Registered]:
        with self._lock:
            groups = list(self._subjects.items())
        for name, versions in groups:
            if context is None or split_subject(name)[0] == context:
                yield from versions

    @staticmethod
    def _canonical(payload: SchemaPayload, normalize: bool) -> SchemaPayload:
        if payload.schema_type != "AVRO":
            raise Refusal(422, 42201, "Invalid schema: this registry holds AVRO schemas only")
        references = payload.references
        return payload.model_copy(
            update={
                "schema_text": canonical_text(payload.schema_text, normalize=normalize),
                "references": sorted(references, key=lambda r: r.name) if normalize else references,
                "metadata": None if not payload.metadata or payload.metadata.empty else payload.metadata,
                "rule_set": None if not payload.rule_set or payload.rule_set.empty else payload.rule_set,
            }
        )

    def _checked(self, key: str, payload: SchemaPayload, normalize: bool) -> SchemaPayload:
        if payload.rule_set is not None:
            check_rule_set(payload.rule_set)
        content = self._canonical(payload, normalize)
        check_avro(content.schema_text, reference_texts(self._find_payload, content, key))
        return content

    def _find_payload(self, subject: str, version: int) -> SchemaPayload:
        return self.version(subject, version).payload

    def _choose_id(self, key: str, guid: str, wanted: int | None) -> int:
        context, _ = split_subject(key)
        if wanted is None:
            known = next((v.id for v in self._all(context) if v.guid == guid), None)
            return self._last_id.get(context, 0) + 1 if known is None else known
        if any(v.id == wanted and v.guid != guid for v in self._all(context)):
            raise Refusal(422, 42207, f"Schema id {wanted} already stands for another schema")
        return wanted

    @staticmethod
    def _choose_version(versions: list[Registered], wanted: int | None) -> int:
        if wanted is None:
            return versions[-1].version + 1 if versions else 1
        if any(v.version == wanted for v in versions):
            raise Refusal(422, 42207, f"Version {wanted} already exists")
        return wanted

    def _referrers(self, target: Registered) -> list[Registered]:
        return [
            v
            for v in self._all(None)
            if not v.deleted and refers_to(v.payload, v.subject, target.subject, target.version)
        ]

    def _refuse_if_referenced(self, target: Registered) -> None:
        if self._referrers(target):
            raise Refusal(
                422,
                42206,
                f"One or more references exist to subject '{target.subject}' version {target.version}",
            )


def _read_subject(key: Key, value: Any) -> tuple[str, list[Registered]]:
    _, subject = key
    return subject, [Registered.of_record(subject, record) for record in value]


def _read_last_id(key: Key, value: Any) -> tuple[str, int]:
    _, context = key
    return context, int(value)
