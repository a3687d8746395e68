from __future__ import annotations

import base64
from typing import Any

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry

KEKS = "/dek-registry/v1/keks"
KEK: dict[str, Any] = {
    "name": "k",
    "kmsType": "local-kms",
    "kmsKeyId": "mykey",
    "kmsProps": {"a": "b"},
    "shared": False,
}
DEK: dict[str, Any] = {
    "subject": "t-value",
    "algorithm": "AES256_GCM",
    "version": 1,
    "encryptedKeyMaterial": "AAAA",
}


@pytest.fixture(autouse=True)
def keks(http: httpx.Client) -> None:
    http.post(KEKS, json=KEK)
    http.post(KEKS, json={**KEK, "name": "shared", "shared": True})


def refused(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, int(answer.json()["error_code"])


def test_a_kek(registry: DevRegistry, http: httpx.Client) -> None:
    ts = registry.keks.get("k").ts
    assert http.get(f"{KEKS}/k").json() == {**KEK, "ts": ts}
    assert http.get(KEKS).json() == ["k", "shared"]
    assert http.get(KEKS, params={"offset": 1}).json() == ["shared"]
    assert refused(http.post(KEKS, json=KEK)) == (409, 40971)
    assert refused(http.post(KEKS, json={**KEK, "name": "9"})) == (422, 42271)
    assert http.put(f"{KEKS}/k", json={"doc": "new"}).json()["doc"] == "new"
    assert http.delete(f"{KEKS}/k").status_code == 204
    assert refused(http.get(f"{KEKS}/k")) == (404, 40470)
    assert http.get(f"{KEKS}/k", params={"deleted": "True"}).json()["deleted"] is True
    assert http.get(KEKS).json() == ["shared"]
    assert http.get(KEKS, params={"deleted": True}).json() == ["k", "shared"]
    assert http.post(f"{KEKS}/k/undelete").status_code == 204
    assert refused(http.delete(f"{KEKS}/k", params={"permanent": True})) == (404, 40471)


def test_sharing(http: httpx.Client) -> None:
    assert http.post(f"{KEKS}/shared/test").json()["name"] == "shared"
    assert refused(http.post(f"{KEKS}/k/test")) == (422, 42271)
    foreign = {"name": "aws", "kmsType": "aws", "kmsKeyId": "arn:aws:kms:r:1:key/x", "shared": True}
    assert refused(http.post(KEKS, json=foreign, params={"testSharing": True})) == (500, 50070)
    assert http.post(KEKS, json=foreign).json()["kmsType"] == "aws-kms"
    made = http.post(f"{KEKS}/shared/deks", json={"subject": "t-value"}).json()
    assert (made["version"], made["algorithm"]) == (1, "AES256_GCM")
    assert made["keyMaterial"]
    assert http.get(f"{KEKS}/shared/deks/t-value").json() == made


@pytest.mark.parametrize("path", ["/k/deks", "/k/deks/t-value"])
def test_both_forms_of_creating_a_dek(http: httpx.Client, path: str) -> None:
    created = http.post(KEKS + path, json=DEK)
    assert created.status_code == 200
    assert created.json() == {**DEK, "kekName": "k", "ts": created.json()["ts"]}
    assert refused(http.post(KEKS + path, json=DEK)) == (409, 40971)


def test_the_path_names_the_subject(http: httpx.Client) -> None:
    assert http.post(f"{KEKS}/k/deks/a%2Fb", json={"encryptedKeyMaterial": "AAAA"}).json()["subject"] == "a/b"
    assert refused(http.post(f"{KEKS}/k/deks/other", json=DEK)) == (422, 42271)
    in_context = {**DEK, "subject": ":.ctx:t-value"}
    assert http.post(f"{KEKS}/k/deks/:.ctx:t-value", json=in_context).json()["subject"] == ":.ctx:t-value"


def test_versions_of_a_dek(http: httpx.Client) -> None:
    deks = f"{KEKS}/k/deks"
    for version in (1, 2):
        http.post(deks, json={**DEK, "version": version})
    http.post(deks, json={**DEK, "algorithm": "AES256_SIV"})
    assert http.get(deks).json() == ["t-value"]
    assert http.get(f"{deks}/t-value/versions").json() == [1, 2]
    assert http.get(f"{deks}/t-value/versions", params={"algorithm": "AES256_SIV"}).json() == [1]
    assert http.get(f"{deks}/t-value").json()["version"] == 1
    for asked, version in (("1", 1), ("2", 2), ("latest", 2), ("-1", 2)):
        assert http.get(f"{deks}/t-value/versions/{asked}").json()["version"] == version
    assert refused(http.get(f"{deks}/t-value/versions/3")) == (404, 40470)
    assert refused(http.get(f"{deks}/t-value/versions/0")) == (422, 42202)
    assert refused(http.get(f"{deks}/none/versions/-1")) == (404, 40470)
    assert refused(http.delete(f"{KEKS}/k")) == (422, 42272)


def test_deleting_a_dek(http: httpx.Client) -> None:
    deks = f"{KEKS}/k/deks"
    for version in (1, 2):
        http.post(deks, json={**DEK, "version": version})
    assert http.delete(f"{deks}/t-value/versions/2").status_code == 204
    assert http.get(f"{deks}/t-value/versions").json() == [1]
    assert http.get(f"{deks}/t-value/versions", params={"deleted": True}).json() == [1, 2]
    assert http.post(f"{deks}/t-value/versions/2/undelete").status_code == 204
    assert http.delete(f"{deks}/t-value").status_code == 204
    assert http.get(deks).json() == []
    assert http.post(f"{deks}/t-value/undelete").status_code == 204
    assert refused(http.delete(f"{deks}/t-value", params={"permanent": True})) == (404, 40471)
    http.delete(f"{deks}/t-value")
    assert http.delete(f"{deks}/t-value/versions/1", params={"permanent": True}).status_code == 204
    assert http.delete(f"{deks}/t-value", params={"permanent": True}).status_code == 204
    assert refused(http.get(f"{deks}/t-value", params={"deleted": True})) == (404, 40470)


def test_rewrap(http: httpx.Client) -> None:
    path = f"{KEKS}/shared/deks/t-value"
    made = http.post(path, json={"algorithm": "AES128_GCM"}).json()
    assert http.post(path, json={"algorithm": "AES128_GCM"}, params={"rewrap": "false"}).status_code == 409
    again = http.post(path, json={"algorithm": "AES128_GCM"}, params={"rewrap": "true"}).json()
    assert again["keyMaterial"] == made["keyMaterial"]
    assert again["encryptedKeyMaterial"] != made["encryptedKeyMaterial"]


class Denying:
    """A KMS that lets nobody in while it is told so."""

    denies = False

    def wrap(self, plaintext: bytes) -> bytes:
        if self.denies:
            raise PermissionError
        return plaintext[::-1]

    unwrap = wrap


def test_a_shared_kek_of_another_kms() -> None:
    kms = Denying()
    aws = {"name": "aws", "kmsType": "aws-kms", "kmsKeyId": "arn:aws:kms:r:1:key/x"}
    with DevRegistry(kms={"aws-kms": kms}) as registry, httpx.Client(base_url=registry.url) as http:
        assert http.post(KEKS, json=aws).json()["shared"] is False
        turned = http.put(f"{KEKS}/aws", json={"shared": True}, params={"testSharing": True})
        assert turned.json()["shared"] is True
        made = http.post(f"{KEKS}/aws/deks/s", json={}).json()
        assert base64.b64decode(made["encryptedKeyMaterial"]) == base64.b64decode(made["keyMaterial"])[::-1]
        kms.denies = True
        for answer in (
            http.get(f"{KEKS}/aws/deks/s"),
            http.post(f"{KEKS}/aws/deks/t", json={}),
            http.post(f"{KEKS}/aws/test"),
            http.put(f"{KEKS}/aws", json={"doc": "new"}, params={"testSharing": True}),
            http.post(KEKS, json={**aws, "name": "aws2", "shared": True}, params={"testSharing": True}),
        ):
            assert refused(answer) == (403, 40370)
        assert http.get(f"{KEKS}/aws/deks").json() == ["s"]
        assert "doc" not in http.get(f"{KEKS}/aws").json()
        assert http.get(KEKS).json() == ["aws"]
        # What its clients wrapped themselves is theirs again.
        http.put(f"{KEKS}/aws", json={"shared": False})
        assert "keyMaterial" not in http.get(f"{KEKS}/aws/deks/s").json()
