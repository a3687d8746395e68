from __future__ import annotations

from urllib.parse import quote

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from csfle_fast.dev.paths import Page

STRING = {"schema": '"string"'}


@pytest.mark.parametrize("subject", ["a/b", "a b", "a%2Fb", "ü-value", "a?b#c", "contexts"])
def test_subjects_with_any_character(registry: DevRegistry, http: httpx.Client, subject: str) -> None:
    path = f"/subjects/{quote(subject, safe='')}"
    assert http.post(f"{path}/versions", json=STRING).json()["subject"] == subject
    assert http.get(f"{path}/versions/latest").json()["subject"] == subject
    assert registry.store.subjects() == [subject]


@pytest.mark.parametrize(
    "path",
    [
        "/subjects/:.ctx:s",
        "/subjects/%3A.ctx%3As",
        "/contexts/.ctx/subjects/s",
        "/contexts/:.ctx:/subjects/s",
    ],
)
def test_the_ways_to_name_a_context(registry: DevRegistry, http: httpx.Client, path: str) -> None:
    assert http.post(f"{path}/versions", json=STRING).json()["subject"] == ":.ctx:s"
    assert http.get(f"{path}/versions").json() == [1]
    assert registry.store.subjects() == [":.ctx:s"]


def test_a_context_of_the_subject_wins_over_the_prefix(http: httpx.Client) -> None:
    http.post("/contexts/.one/subjects/:.two:s/versions", json=STRING)
    assert http.get("/contexts").json() == [".", ".two"]


def test_the_prefix_reaches_every_room(http: httpx.Client) -> None:
    kek = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey"}
    http.post("/contexts/.ctx/dek-registry/v1/keks", json=kek)
    assert http.get("/dek-registry/v1/keks").json() == []
    assert http.get("/dek-registry/v1/keks", params={"context": ".ctx"}).json() == ["k"]
    assert http.get("/contexts/.ctx/dek-registry/v1/keks/k").status_code == 200
    dek = {"subject": "s", "encryptedKeyMaterial": "AAAA"}
    assert http.post("/contexts/.ctx/dek-registry/v1/keks/k/deks", json=dek).json()["subject"] == ":.ctx:s"
    assert http.get("/dek-registry/v1/keks/k/deks/:.ctx:s").status_code == 200
    assert http.get("/contexts/.ctx/dek-registry/v1/keks/k/deks/s/versions").json() == [1]
    http.put("/contexts/.ctx/mode", json={"mode": "READONLY"})
    assert http.get("/contexts/.ctx/mode").json() == {"mode": "READONLY"}
    assert http.get("/mode").json() == {"mode": "READWRITE"}
    http.put("/contexts/.ctx/config/s", json={"compatibility": "FULL"})
    assert http.get("/config/:.ctx:s").json() == {"compatibilityLevel": "FULL"}


def test_pages() -> None:
    items = [1, 2, 3, 4]
    assert Page().of(items) == items
    assert Page(1, 2).of(items) == [2, 3]
    assert Page(-5, 0).of(items) == []
    assert Page(3, 9).of(items) == [4]
