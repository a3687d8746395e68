from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from csfle_fast.dev.faults import Faults


def test_a_status_is_answered_as_often_as_asked_for(registry: DevRegistry, http: httpx.Client) -> None:
    fault = registry.faults.add("GET", "^/subjects$", status=503, count=2)
    answers = [http.get("/subjects") for _ in range(3)]
    assert [a.status_code for a in answers] == [503, 503, 200]
    assert answers[0].json() == {"error_code": 503, "message": "Injected fault"}
    assert answers[0].headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    assert fault.hits == 2


def test_only_matching_requests_are_met(registry: DevRegistry, http: httpx.Client) -> None:
    registry.faults.add("post|put", "/keks", status=500)
    assert http.get("/dek-registry/v1/keks").status_code == 200
    assert http.get("/subjects").status_code == 200
    assert http.post("/dek-registry/v1/keks", json={}).status_code == 500
    registry.faults.clear()
    assert http.post("/dek-registry/v1/keks", json={}).status_code == 422


def test_body_and_headers(registry: DevRegistry, http: httpx.Client) -> None:
    body = {"error_code": 40370, "message": "no"}
    registry.faults.add(status=403, body=body, headers={"Retry-After": "1"})
    answer = http.get("/subjects")
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (403, body, "1")


def test_a_delay_alone_lets_the_request_through(registry: DevRegistry, http: httpx.Client) -> None:
    registry.faults.add("GET", "/subjects", delay=30, count=1)
    with pytest.raises(httpx.ReadTimeout):
        http.get("/subjects", timeout=0.2)
    registry.faults.add("GET", "/subjects", delay=0.01, count=1)
    assert http.get("/subjects").json() == []


def test_a_refused_write_leaves_the_registry_untouched(registry: DevRegistry, http: httpx.Client) -> None:
    registry.faults.add("POST", status=500, count=1)
    http.post("/subjects/s/versions", json={"schema": '"string"'})
    assert registry.store.subjects() == []


def test_a_share_of_requests_is_met(registry: DevRegistry, http: httpx.Client) -> None:
    fault = registry.faults.add("GET", status=503, rate=0.1, seed=1)
    failed = [http.get("/").status_code == 503 for _ in range(300)]
    assert fault.hits == sum(failed)
    assert 10 < fault.hits < 60  # 30 are expected, and 5 more or less
    registry.faults.clear()
    registry.faults.add("GET", status=503, rate=0.1, seed=1)
    assert [http.get("/").status_code == 503 for _ in range(300)] == failed


def test_what_a_rate_passes_by_goes_on_to_the_next_fault() -> None:
    faults = Faults()
    some = faults.add(status=503, rate=0.5, count=3, seed=1)
    rest = faults.add(status=500)
    for _ in range(100):
        assert faults.meet("GET", "/") is not None
    assert (some.hits, rest.hits) == (3, 97)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"delay": 0},
        {"path": "(", "status": 500},
        {"status": 500, "rate": 0.0},
        {"status": 500, "rate": 1.1},
        {"status": 500, "rate": float("nan")},
    ],
)
def test_a_fault_that_does_nothing_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault needs|regular expression|rate of a fault"):
        Faults().add(**settings)
