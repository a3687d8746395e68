from __future__ import annotations

import httpx2 as httpx

from csfle_fast.dev import DevRegistry

BODY = {
    "resourceName": "orders",
    "resourceId": "id",
    "associations": [{"subject": "s", "associationType": "value", "schema": {"schema": '"string"'}}],
}
ENTRY = {
    "subject": "s",
    "resourceName": "orders",
    "resourceNamespace": "-",
    "resourceId": "id",
    "resourceType": "topic",
    "associationType": "value",
    "lifecycle": "WEAK",
    "frozen": False,
}


def test_none_in_both_forms(http: httpx.Client) -> None:
    query = {"resourceType": "topic", "associationType": "value"}
    assert http.get("/associations/resources/-/orders", params=query).json() == []
    assert http.get("/associations", params={"resourceName": "orders", **query}).json() == []


def test_created_found_and_deleted(registry: DevRegistry, http: httpx.Client) -> None:
    created = http.post("/associations", json=BODY).json()
    assert (created["resourceName"], created["associations"]) == ("orders", [ENTRY])
    assert registry.store.subjects() == ["s"]
    for path in (
        "/associations/resources/-/orders?resourceType=topic&associationType=value&associationType=key",
        "/associations?resourceName=orders",
        "/associations/resources/id",
        "/associations/subjects/s",
    ):
        assert http.get(path).json() == [ENTRY]
    assert http.get("/associations/resources/-/orders?associationType=key").json() == []
    assert http.delete("/associations/resources/id?associationType=value").status_code == 204
    assert http.get("/associations/resources/-/orders").json() == []
