"""HTTP routes of associations."""

# FastAPI reads the annotations at run time, so they are not deferred here.
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from csfle_fast.dev.answers import RegistryResponse
from csfle_fast.dev.associations import Association, AssociationStore
from csfle_fast.dev.models import CreateAssociations
from csfle_fast.dev.names import qualify
from csfle_fast.dev.paths import ContextName, Paged, SubjectName
from csfle_fast.dev.schemas import SchemaStore

__all__ = ["association_routes"]

ResourceType = Annotated[str | None, Query(alias="resourceType")]
Types = Annotated[list[str], Query(alias="associationType", default_factory=list)]


def association_routes(associations: AssociationStore, store: SchemaStore) -> APIRouter:
    """Routes over ``associations``; schemas that come with them go to ``store``."""
    router = APIRouter(prefix="/associations", default_response_class=RegistryResponse)

    @router.get("/resources/{namespace:quoted}/{name:quoted}")
    async def of_resource(
        namespace: str, name: str, page: Paged, types: Types, resource_type: ResourceType = None
    ) -> Response:
        found = associations.find(
            namespace=namespace, resource_name=name, resource_type=resource_type, types=types
        )
        return _list(page.of(found))

    @router.get("")
    async def by_query(
        page: Paged,
        types: Types,
        name: Annotated[str | None, Query(alias="resourceName")] = None,
        namespace: Annotated[str, Query(alias="resourceNamespace")] = "-",
        resource_type: ResourceType = None,
    ) -> Response:
        found = associations.find(
            resource_name=name, namespace=namespace, resource_type=resource_type, types=types
        )
        return _list(page.of(found))

    @router.get("/resources/{resource_id:quoted}")
    async def of_resource_id(
        resource_id: str, page: Paged, types: Types, resource_type: ResourceType = None
    ) -> Response:
        found = associations.find(resource_id=resource_id, resource_type=resource_type, types=types)
        return _list(page.of(found))

    @router.get("/subjects/{subject:quoted}")
    async def of_subject(
        subject: SubjectName, page: Paged, types: Types, resource_type: ResourceType = None
    ) -> Response:
        found = associations.find(subject=subject, resource_type=resource_type, types=types)
        return _list(page.of(found))

    @router.post("")
    async def create(context: ContextName, body: CreateAssociations) -> Response:
        for item in body.associations:
            if item.schema_payload is not None:
                subject = qualify(context, item.subject)
                store.register(subject, item.schema_payload, normalize=item.normalize)
        created = associations.create(body, context)
        return RegistryResponse(
            {
                "resourceName": body.resource_name,
                "resourceNamespace": body.resource_namespace,
                "resourceId": body.resource_id,
                "resourceType": body.resource_type,
                "associations": [a.to_json() for a in created],
            }
        )

    @router.delete("/resources/{resource_id:quoted}")
    async def delete(resource_id: str, types: Types, resource_type: ResourceType = None) -> Response:
        associations.delete(resource_id, resource_type=resource_type, types=types)
        return Response(status_code=204)

    return router


def _list(found: list[Association]) -> Response:
    return RegistryResponse([a.to_json() for a in found])
