"""HTTP routes of schemas, subjects, versions and contexts."""

# FastAPI reads the annotations at run time, so they are not deferred here.
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from csfle_fast.dev.answers import MEDIA_TYPE, RegistryResponse
from csfle_fast.dev.models import RegisterSchema, to_json
from csfle_fast.dev.names import ALL_CONTEXTS, DEFAULT_CONTEXT, parse_version, qualify, split_subject
from csfle_fast.dev.paths import ContextName, Paged, SubjectName
from csfle_fast.dev.policies import Policies
from csfle_fast.dev.schemas import SchemaStore
from csfle_fast.dev.versions import Registered

__all__ = ["schema_routes"]

Prefix = Annotated[str | None, Query(alias="subjectPrefix")]


def schema_routes(store: SchemaStore, policies: Policies) -> APIRouter:
    """Routes over ``store``; ``policies`` decides who may write."""
    router = APIRouter(default_response_class=RegistryResponse)
    _add_writes(router, store, policies)
    _add_subject_reads(router, store)
    _add_schema_reads(router, store)
    return router


def _add_writes(router: APIRouter, store: SchemaStore, policies: Policies) -> None:
    @router.post("/subjects/{subject:quoted}/versions")
    async def register(subject: SubjectName, body: RegisterSchema, normalize: bool = False) -> Response:
        policies.check_registrable(subject, chooses_id=body.id is not None)
        version = body.version if body.id is not None else None
        added = store.register(
            subject, body.payload(), normalize=normalize, schema_id=body.id, version=version
        )
        return RegistryResponse(_version_json(added))

    @router.post("/subjects/{subject:quoted}")
    async def look_up(
        subject: SubjectName, body: RegisterSchema, normalize: bool = False, deleted: bool = False
    ) -> Response:
        found = store.lookup(subject, body.payload(), normalize=normalize, deleted=deleted)
        return RegistryResponse(_version_json(found))

    @router.delete("/subjects/{subject:quoted}")
    async def delete_subject(subject: SubjectName, permanent: bool = False) -> Response:
        policies.check_writable(subject)
        return RegistryResponse(store.delete_subject(subject, permanent=permanent))

    @router.delete("/subjects/{subject:quoted}/versions/{version}")
    async def delete_version(subject: SubjectName, version: str, permanent: bool = False) -> Response:
        policies.check_writable(subject)
        number = parse_version(version)
        return RegistryResponse(store.delete_version(subject, number, permanent=permanent))


def _add_subject_reads(router: APIRouter, store: SchemaStore) -> None:
    @router.get("/subjects")
    async def subjects(
        context: ContextName,
        page: Paged,
        prefix: Prefix = None,
        deleted: bool = False,
        deleted_only: bool = False,
    ) -> Response:
        scope = _scope(context, prefix)
        return RegistryResponse(page.of(store.subjects(scope, deleted=deleted, deleted_only=deleted_only)))

    @router.get("/subjects/{subject:quoted}/versions")
    async def versions(
        subject: SubjectName, page: Paged, deleted: bool = False, deleted_only: bool = False
    ) -> Response:
        found = store.versions(subject, deleted=deleted, deleted_only=deleted_only)
        return RegistryResponse(page.of([v.version for v in found]))

    @router.get("/subjects/{subject:quoted}/versions/{version}")
    async def version(subject: SubjectName, version: str, deleted: bool = False) -> Response:
        return RegistryResponse(
            _version_json(store.version(subject, parse_version(version), deleted=deleted))
        )

    @router.get("/subjects/{subject:quoted}/versions/{version}/schema")
    async def version_text(subject: SubjectName, version: str, deleted: bool = False) -> Response:
        found = store.version(subject, parse_version(version), deleted=deleted)
        return Response(found.payload.schema_text, media_type=MEDIA_TYPE)

    @router.get("/subjects/{subject:quoted}/versions/{version}/referencedby")
    async def referenced_by(subject: SubjectName, version: str, page: Paged) -> Response:
        return RegistryResponse(page.of(store.referenced_by(subject, parse_version(version))))

    @router.get("/subjects/{subject:quoted}/metadata")
    async def latest_with_metadata(
        subject: SubjectName,
        key: Annotated[list[str], Query(default_factory=list)],
        value: Annotated[list[str], Query(default_factory=list)],
        deleted: bool = False,
    ) -> Response:
        properties = dict(zip(key, value, strict=False))
        return RegistryResponse(
            _version_json(store.latest_with_metadata(subject, properties, deleted=deleted))
        )


def _add_schema_reads(router: APIRouter, store: SchemaStore) -> None:
    @router.get("/schemas")
    async def schemas(
        context: ContextName,
        page: Paged,
        prefix: Prefix = None,
        deleted: bool = False,
        latest_only: Annotated[bool, Query(alias="latestOnly")] = False,
    ) -> Response:
        found = [
            _version_json(version)
            for subject in store.subjects(_scope(context, prefix), deleted=deleted)
            for version in store.versions(subject, deleted=deleted)[-1 if latest_only else 0 :]
        ]
        return RegistryResponse(page.of(found))

    @router.get("/schemas/types")
    async def types() -> Response:
        return RegistryResponse(["AVRO"])

    @router.get("/schemas/ids/{schema_id}")
    async def by_id(
        schema_id: int,
        context: ContextName,
        subject: str | None = None,
        fetch_max_id: Annotated[bool, Query(alias="fetchMaxId")] = False,
    ) -> Response:
        where = _context_of(context, subject)
        members = _content_json(store.by_id(schema_id, where))
        if fetch_max_id:
            members["maxId"] = store.max_id(where)
        return RegistryResponse(members)

    @router.get("/schemas/ids/{schema_id}/schema")
    async def text_by_id(schema_id: int, context: ContextName, subject: str | None = None) -> Response:
        found = store.by_id(schema_id, _context_of(context, subject))
        return Response(found.payload.schema_text, media_type=MEDIA_TYPE)

    @router.get("/schemas/ids/{schema_id}/subjects")
    async def subjects_of_id(
        schema_id: int,
        context: ContextName,
        page: Paged,
        subject: str | None = None,
        deleted: bool = False,
    ) -> Response:
        found = _with_id(store, schema_id, context, subject, deleted)
        return RegistryResponse(page.of(sorted({v.subject for v in found})))

    @router.get("/schemas/ids/{schema_id}/versions")
    async def versions_of_id(
        schema_id: int,
        context: ContextName,
        page: Paged,
        subject: str | None = None,
        deleted: bool = False,
    ) -> Response:
        found = _with_id(store, schema_id, context, subject, deleted)
        return RegistryResponse(page.of([{"subject": v.subject, "version": v.version} for v in found]))

    @router.get("/schemas/guids/{guid}")
    async def by_guid(guid: str) -> Response:
        return RegistryResponse(_content_json(store.by_guid(guid)))

    @router.get("/contexts")
    async def contexts(page: Paged) -> Response:
        return RegistryResponse(page.of(store.contexts()))


def _scope(context: str, prefix: str | None) -> str:
    """Without a prefix and without a context, lists go over all contexts."""
    if context == DEFAULT_CONTEXT:
        return ALL_CONTEXTS if prefix is None else prefix
    return f":{context}:{prefix or ''}" if not (prefix or "").startswith(":") else str(prefix)


def _context_of(context: str, subject: str | None) -> str:
    return split_subject(qualify(context, subject or ""))[0] if subject else context


def _with_id(
    store: SchemaStore, schema_id: int, context: str, subject: str | None, deleted: bool
) -> list[Registered]:
    found = store.with_id(schema_id, _context_of(context, subject), deleted=deleted)
    _, name = split_subject(subject or "")
    return [v for v in found if not name or split_subject(v.subject)[1] == name]


def _content_json(found: Registered) -> dict[str, Any]:
    members = to_json(found.payload)
    if members["schemaType"] == "AVRO":
        del members["schemaType"]
    return {**members, "guid": found.guid}


def _version_json(found: Registered) -> dict[str, Any]:
    members = {
        "subject": found.subject,
        "version": found.version,
        "id": found.id,
        **_content_json(found),
    }
    if found.deleted:
        members["deleted"] = True
    return members
