from __future__ import annotations

import httpx2 as httpx

from csfle_fast.dev import DevRegistry, Request
from csfle_fast.dev.requests import RequestLog


def test_requests_are_logged_in_order_with_their_status(registry: DevRegistry, http: httpx.Client) -> None:
    http.get("/subjects", params={"deleted": "true"})
    assert registry.requests == [Request("GET", "/subjects", "deleted=true", 200)]
    http.get("/contexts/.ctx/subjects/a%2Fb/versions")
    http.post("/nowhere")
    registry.faults.add(status=503, count=1)
    http.delete("/subjects/s")
    assert registry.requests[1:] == [
        Request("GET", "/contexts/.ctx/subjects/a/b/versions", "", 404),
        Request("POST", "/nowhere", "", 404),
        Request("DELETE", "/subjects/s", "", 503),
    ]
    registry.clear_requests()
    assert registry.requests == []


def test_the_list_is_a_copy(registry: DevRegistry, http: httpx.Client) -> None:
    before = registry.requests
    http.get("/")
    assert before == []
    assert len(registry.requests) == 1


def test_the_log_does_not_grow_for_ever() -> None:
    log = RequestLog()
    for number in range(100_001):
        log.add(Request("GET", str(number), "", 200))
    kept = log.snapshot()
    assert (len(kept), kept[0].path, kept[-1].path) == (100_000, "1", "100000")
