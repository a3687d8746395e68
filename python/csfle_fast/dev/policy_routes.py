"""HTTP routes of configuration and mode."""

# FastAPI reads the annotations at run time, so they are not deferred here.
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from csfle_fast.dev.answers import RegistryResponse
from csfle_fast.dev.models import ConfigUpdate, ModeUpdate
from csfle_fast.dev.names import DEFAULT_CONTEXT
from csfle_fast.dev.paths import ContextName, SubjectName
from csfle_fast.dev.policies import GLOBAL, Policies
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.schemas import SchemaStore

__all__ = ["policy_routes"]

OrGlobal = Annotated[bool, Query(alias="defaultToGlobal")]


def policy_routes(store: SchemaStore, policies: Policies) -> APIRouter:
    """Routes over ``policies``; ``store`` tells whether a subject is empty."""
    router = APIRouter(default_response_class=RegistryResponse)
    _add_config(router, policies)
    _add_mode(router, store, policies)
    return router


def _add_config(router: APIRouter, policies: Policies) -> None:
    @router.get("/config")
    async def config(context: ContextName) -> Response:
        return RegistryResponse(policies.config(_scope(context), default_to_global=True))

    @router.put("/config")
    async def put_config(context: ContextName, body: ConfigUpdate) -> Response:
        return RegistryResponse(policies.put_config(_scope(context), body))

    @router.delete("/config")
    async def delete_config(context: ContextName) -> Response:
        return RegistryResponse(policies.delete_config(_scope(context)))

    @router.get("/config/{subject:quoted}")
    async def subject_config(subject: SubjectName, or_global: OrGlobal = False) -> Response:
        return RegistryResponse(policies.config(subject, default_to_global=or_global))

    @router.put("/config/{subject:quoted}")
    async def put_subject_config(subject: SubjectName, body: ConfigUpdate) -> Response:
        return RegistryResponse(policies.put_config(subject, body))

    @router.delete("/config/{subject:quoted}")
    async def delete_subject_config(subject: SubjectName) -> Response:
        return RegistryResponse(policies.delete_config(subject))


def _add_mode(router: APIRouter, store: SchemaStore, policies: Policies) -> None:
    @router.get("/mode")
    async def mode(context: ContextName) -> Response:
        return _mode(policies.mode(_scope(context), default_to_global=True))

    @router.put("/mode")
    async def put_mode(context: ContextName, body: ModeUpdate, force: bool = False) -> Response:
        _refuse_import(body.mode, store.subjects(f":{context}:"), force)
        policies.put_mode(_scope(context), body.mode)
        return _mode(body.mode)

    @router.delete("/mode")
    async def delete_mode(context: ContextName) -> Response:
        return _mode(policies.delete_mode(_scope(context)))

    @router.get("/mode/{subject:quoted}")
    async def subject_mode(subject: SubjectName, or_global: OrGlobal = False) -> Response:
        return _mode(policies.mode(subject, default_to_global=or_global))

    @router.put("/mode/{subject:quoted}")
    async def put_subject_mode(subject: SubjectName, body: ModeUpdate, force: bool = False) -> Response:
        _refuse_import(body.mode, [s for s in store.subjects() if s == subject], force)
        policies.put_mode(subject, body.mode)
        return _mode(body.mode)

    @router.delete("/mode/{subject:quoted}")
    async def delete_subject_mode(subject: SubjectName) -> Response:
        return _mode(policies.delete_mode(subject))


def _scope(context: str) -> str:
    return GLOBAL if context == DEFAULT_CONTEXT else f":{context}:"


def _refuse_import(mode: str, subjects: list[str], force: bool) -> None:
    if mode == "IMPORT" and subjects and not force:
        raise Refusal(422, 42205, "Cannot import since found existing subjects")


def _mode(mode: str) -> Response:
    return RegistryResponse({"mode": mode})
