from __future__ import annotations

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/docs", 404),
        ("GET", "/subjects/", 404),
        ("PATCH", "/subjects", 405),
    ],
)
def test_unknown_paths_and_methods(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    phrase = {404: "HTTP 404 Not Found", 405: "HTTP 405 Method Not Allowed"}[status]
    assert (answer.status_code, answer.json()) == (status, {"error_code": status, "message": phrase})
    assert answer.headers["content-type"] == MEDIA_TYPE


def test_media_types(http: httpx.Client) -> None:
    for sent in (MEDIA_TYPE, "application/json", None):
        headers = {} if sent is None else {"Content-Type": sent}
        answer = http.post("/subjects/s/versions", content=b'{"schema":"\\"string\\""}', headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)


def test_a_body_that_is_not_json(http: httpx.Client) -> None:
    answer = http.post("/subjects/s/versions", content=b"{")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 400)


def test_a_wrong_body_is_named_by_place_and_never_quoted(http: httpx.Client) -> None:
    answer = http.post("/dek-registry/v1/keks/k/deks", json={"subject": "s", "encryptedKeyMaterial": [4711]})
    assert (answer.status_code, answer.json()["error_code"]) == (422, 422)
    assert "encryptedKeyMaterial" in answer.text
    assert "4711" not in answer.text


def test_a_fault_of_the_registry_itself(registry: DevRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a secret thing")

    monkeypatch.setattr(registry.store, "subjects", fail)
    with httpx.Client(base_url=registry.url) as client:
        answer = client.get("/subjects")
    assert (answer.status_code, answer.json()["error_code"]) == (500, 50001)
    assert "secret" not in answer.text
