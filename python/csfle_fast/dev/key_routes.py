"""HTTP routes of the DEK registry, under ``/dek-registry/v1``."""

# FastAPI reads the annotations at run time, so they are not deferred here.
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from csfle_fast.dev.answers import RegistryResponse
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.key_checks import invalid_key
from csfle_fast.dev.models import CreateDek, CreateKek, Kek, UpdateKek, to_json
from csfle_fast.dev.names import parse_version, qualify, split_subject
from csfle_fast.dev.paths import ContextName, Paged, SubjectName

__all__ = ["key_routes"]

Algorithm = Annotated[str, Query()]
TestSharing = Annotated[bool, Query(alias="testSharing")]
_KEK = "/keks/{kek:quoted}"
_DEKS = _KEK + "/deks"
_DEK = _DEKS + "/{subject:quoted}"
_VERSION = _DEK + "/versions/{version}"


def key_routes(keks: KekStore, deks: DekStore) -> APIRouter:
    """Routes over the two stores."""
    router = APIRouter(prefix="/dek-registry/v1", default_response_class=RegistryResponse)
    _add_keks(router, keks)
    _add_dek_reads(router, deks)
    _add_dek_writes(router, deks)
    return router


def _add_keks(router: APIRouter, keks: KekStore) -> None:
    @router.get("/keks")
    async def names(
        context: ContextName,
        page: Paged,
        prefixes: Annotated[list[str], Query(alias="subjectPrefix", default_factory=list)],
        deleted: bool = False,
    ) -> Response:
        wanted = [qualify(context, prefix) for prefix in prefixes]
        return RegistryResponse(page.of(keks.names(context, subject_prefixes=wanted, deleted=deleted)))

    @router.post("/keks")
    async def create(context: ContextName, body: CreateKek, test_sharing: TestSharing = False) -> Response:
        return _kek(keks.create(body, context, test_sharing=test_sharing))

    @router.get(_KEK)
    async def get(kek: str, context: ContextName, deleted: bool = False) -> Response:
        return _kek(keks.get(kek, context, deleted=deleted))

    @router.put(_KEK)
    async def update(
        kek: str, context: ContextName, body: UpdateKek, test_sharing: TestSharing = False
    ) -> Response:
        return _kek(keks.update(kek, body, context, test_sharing=test_sharing))

    @router.delete(_KEK)
    async def delete(kek: str, context: ContextName, permanent: bool = False) -> Response:
        keks.delete(kek, context, permanent=permanent)
        return Response(status_code=204)

    @router.post(_KEK + "/undelete")
    async def undelete(kek: str, context: ContextName) -> Response:
        keks.undelete(kek, context)
        return Response(status_code=204)

    @router.post(_KEK + "/test")
    async def test(kek: str, context: ContextName) -> Response:
        return _kek(keks.test(kek, context))


def _add_dek_reads(router: APIRouter, deks: DekStore) -> None:
    @router.get(_DEKS)
    async def subjects(kek: str, context: ContextName, page: Paged, deleted: bool = False) -> Response:
        return RegistryResponse(page.of(deks.subjects(kek, context, deleted=deleted)))

    @router.get(_DEK)
    async def get(
        kek: str, subject: SubjectName, algorithm: Algorithm = "AES256_GCM", deleted: bool = False
    ) -> Response:
        return RegistryResponse(deks.get(kek, subject, algorithm=algorithm, deleted=deleted))

    @router.get(_DEK + "/versions")
    async def versions(
        kek: str,
        subject: SubjectName,
        page: Paged,
        algorithm: Algorithm = "AES256_GCM",
        deleted: bool = False,
    ) -> Response:
        return RegistryResponse(page.of(deks.versions(kek, subject, algorithm, deleted=deleted)))

    @router.get(_VERSION)
    async def version(
        kek: str,
        subject: SubjectName,
        version: str,
        algorithm: Algorithm = "AES256_GCM",
        deleted: bool = False,
    ) -> Response:
        number = parse_version(version)
        return RegistryResponse(deks.get(kek, subject, number, algorithm, deleted=deleted))


def _add_dek_writes(router: APIRouter, deks: DekStore) -> None:
    @router.post(_DEKS)
    async def create_deprecated(
        kek: str, context: ContextName, body: CreateDek, rewrap: bool = False
    ) -> Response:
        named = body.model_copy(update={"subject": qualify(context, body.subject or "")})
        return RegistryResponse(deks.create(kek, named, rewrap=rewrap))

    @router.post(_DEK)
    async def create(kek: str, subject: SubjectName, body: CreateDek, rewrap: bool = False) -> Response:
        context, _ = split_subject(subject)
        if body.subject and qualify(context, body.subject) != subject:
            raise invalid_key("subject")
        named = body.model_copy(update={"subject": subject})
        return RegistryResponse(deks.create(kek, named, rewrap=rewrap))

    @router.delete(_DEK)
    async def delete(
        kek: str, subject: SubjectName, algorithm: Algorithm = "AES256_GCM", permanent: bool = False
    ) -> Response:
        deks.delete(kek, subject, algorithm, permanent=permanent)
        return Response(status_code=204)

    @router.delete(_VERSION)
    async def delete_version(
        kek: str,
        subject: SubjectName,
        version: str,
        algorithm: Algorithm = "AES256_GCM",
        permanent: bool = False,
    ) -> Response:
        number = parse_version(version)
        deks.delete(kek, subject, algorithm, version=number, permanent=permanent)
        return Response(status_code=204)

    @router.post(_DEK + "/undelete")
    async def undelete(kek: str, subject: SubjectName, algorithm: Algorithm = "AES256_GCM") -> Response:
        deks.undelete(kek, subject, algorithm)
        return Response(status_code=204)

    @router.post(_VERSION + "/undelete")
    async def undelete_version(
        kek: str, subject: SubjectName, version: str, algorithm: Algorithm = "AES256_GCM"
    ) -> Response:
        deks.undelete(kek, subject, algorithm, version=parse_version(version))
        return Response(status_code=204)


def _kek(kek: Kek) -> Response:
    members = to_json(kek)
    if not kek.deleted:
        del members["deleted"]
    return RegistryResponse(members)
