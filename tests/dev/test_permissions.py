from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from csfle_fast.dev.permissions import Permissions

USERS = {"alice": "pw", "bob": "pw"}
STRING = {"schema": '"string"'}
KEKS = "/dek-registry/v1/keks"
KEK = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey"}
DEK = {"subject": "s", "encryptedKeyMaterial": "AAAA"}


@pytest.fixture
def registry() -> Iterator[DevRegistry]:
    with DevRegistry(users=USERS) as running:
        running.store.register("s", STRING)
        running.store.register(":.ctx:s", STRING)
        running.keks.create(KEK)
        running.deks.create("k", DEK)
        yield running


@pytest.fixture
def alice(registry: DevRegistry) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=registry.url, auth=("alice", "pw")) as client:
        yield client


@pytest.fixture
def bob(registry: DevRegistry) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=registry.url, auth=("bob", "pw")) as client:
        yield client


READS = {
    "Subject:s": [
        ("GET", "/subjects/s/versions", None),
        ("GET", "/subjects/s/versions/latest", None),
        ("GET", "/subjects/:.:s/versions/1", None),
        ("POST", "/subjects/s", STRING),
        ("GET", "/schemas/ids/1?subject=s", None),
        ("GET", "/config/s?defaultToGlobal=true", None),
        ("GET", "/mode/s?defaultToGlobal=true", None),
        ("GET", "/associations/subjects/s", None),
    ],
    "Subject::.ctx:s": [
        ("GET", "/subjects/:.ctx:s/versions", None),
        ("GET", "/contexts/.ctx/subjects/s/versions/1", None),
    ],
    "Kek:k": [
        ("GET", f"{KEKS}/k", None),
        ("GET", f"{KEKS}/k/deks", None),
        ("GET", f"{KEKS}/k/deks/s", None),
        ("GET", f"{KEKS}/k/deks/s/versions/-1", None),
    ],
}
WRITES = {
    "Subject:s": [
        ("POST", "/subjects/s/versions", STRING),
        ("PUT", "/config/s", {"normalize": True}),
        ("PUT", "/mode/s", {"mode": "READWRITE"}),
        ("DELETE", "/subjects/s/versions/1", None),
        ("DELETE", "/subjects/s?permanent=true", None),
    ],
    "Subject::.ctx:s": [("POST", "/contexts/.ctx/subjects/s/versions", STRING)],
    "Kek:k": [
        ("PUT", f"{KEKS}/k", {"doc": "new"}),
        ("POST", f"{KEKS}/k/deks", {**DEK, "version": 2}),
        ("POST", f"{KEKS}/k/deks/t", DEK | {"subject": None}),
        ("DELETE", f"{KEKS}/k/deks/s", None),
        ("DELETE", f"{KEKS}/k/deks/t", None),
        ("DELETE", f"{KEKS}/k", None),
        ("POST", f"{KEKS}/k/undelete", None),
    ],
    "Kek:new": [("POST", KEKS, {**KEK, "name": "new"})],
}
CASES = [
    pytest.param(resource, operation, requests, id=f"{operation} {resource}")
    for operation, all_requests in (("read", READS), ("write", WRITES))
    for resource, requests in all_requests.items()
]


@pytest.mark.parametrize(("resource", "operation", "requests"), CASES)
def test_who_is_denied(
    registry: DevRegistry,
    alice: httpx.Client,
    bob: httpx.Client,
    resource: str,
    operation: Any,
    requests: list[tuple[str, str, Any]],
) -> None:
    registry.permissions.deny("alice", resource, operation)
    kind, _, name = resource.partition(":")
    message = f"User is denied operation {operation.capitalize()} on {kind}: {name}"
    for method, path, body in requests:
        answer = alice.request(method, path, json=body)
        assert (answer.status_code, answer.json()) == (403, {"error_code": 40301, "message": message}), path
    for method, path, body in requests:  # none of it had happened
        assert bob.request(method, path, json=body).is_success, path


def test_the_other_operation_and_other_names_are_free(registry: DevRegistry, alice: httpx.Client) -> None:
    registry.permissions.deny("alice", "Subject:s", "read")
    registry.permissions.deny("alice", "Kek:k", "write")
    assert alice.post("/subjects/s/versions", json=STRING).is_success
    assert alice.get("/subjects/:.ctx:s/versions").is_success
    assert alice.get(f"{KEKS}/k").is_success
    assert alice.post(KEKS, json={**KEK, "name": "k2"}).is_success
    assert alice.get("/subjects").json() == [":.ctx:s", "s"]


def test_a_star_stands_for_what_follows_and_for_everybody(
    registry: DevRegistry, alice: httpx.Client, bob: httpx.Client
) -> None:
    registry.permissions.deny("*", "Subject:*", "read")
    registry.permissions.deny("bob", "Kek:pre*", "write")
    for client in (alice, bob):
        assert client.get("/subjects/s/versions").status_code == 403
    assert bob.post(KEKS, json={**KEK, "name": "prefixed"}).status_code == 403
    assert bob.post(KEKS, json={**KEK, "name": "other"}).is_success
    registry.permissions.clear()
    assert alice.get("/subjects/s/versions").is_success


def test_everybody_is_denied_without_accounts_too() -> None:
    with DevRegistry() as registry:
        registry.permissions.deny("*", "Subject:s", "write")
        answer = httpx.post(f"{registry.url}/subjects/s/versions", json=STRING)
        assert answer.json()["error_code"] == 40301


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name":1}', b"\xff"])
def test_a_kek_that_is_not_named_is_for_the_route_to_refuse(
    registry: DevRegistry, alice: httpx.Client, content: bytes
) -> None:
    registry.permissions.deny("alice", "Kek:*", "write")
    answer = alice.post(KEKS, content=content)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    ("resource", "operation"),
    [("s", "read"), ("Subject:", "read"), ("Topic:t", "read"), ("subject:s", "read"), ("Kek:k", "delete")],
)
def test_what_cannot_be_denied(resource: str, operation: Any) -> None:
    with pytest.raises(ValueError, match="denied is"):
        Permissions().deny("alice", resource, operation)
