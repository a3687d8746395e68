from __future__ import annotations

import json

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from dev.samples import SCHEMA, payload, rule

ENUM = '{"type":"enum","name":"E","symbols":["A"]}'


@pytest.fixture
def guid(http: httpx.Client) -> str:
    answer = http.post("/subjects/s/versions", json=payload())
    assert answer.status_code == 200
    return str(answer.json()["guid"])


def test_a_version_is_returned_whole(http: httpx.Client, guid: str) -> None:
    whole = {
        "subject": "s",
        "version": 1,
        "id": 1,
        "guid": guid,
        "schema": SCHEMA,
        "metadata": payload()["metadata"],
        "ruleSet": {"domainRules": [{**rule(), "disabled": False}]},
    }
    for version in ("1", "latest", "-1"):
        assert http.get(f"/subjects/s/versions/{version}").json() == whole
    assert http.post("/subjects/s", json=payload()).json() == whole
    assert http.post("/subjects/s/versions", json=payload()).json() == whole
    content = {name: whole[name] for name in ("schema", "metadata", "ruleSet", "guid")}
    assert http.get("/schemas/ids/1").json() == content
    assert http.get("/schemas/ids/1", params={"subject": "s", "fetchMaxId": True}).json() == {
        **content,
        "maxId": 1,
    }
    assert http.get(f"/schemas/guids/{guid}").json() == content
    assert http.get("/schemas").json() == [whole]
    assert http.get("/schemas/ids/1/schema").json() == json.loads(SCHEMA)
    assert http.get("/subjects/s/versions/1/schema").json() == json.loads(SCHEMA)


@pytest.mark.usefixtures("guid")
def test_lists(http: httpx.Client) -> None:
    http.post("/subjects/s/versions", json=payload(schema=ENUM))
    http.post("/subjects/t/versions", json=payload(schema=ENUM))
    http.post("/subjects/:.ctx:s/versions", json=payload(schema=ENUM))
    assert http.get("/subjects").json() == [":.ctx:s", "s", "t"]
    assert http.get("/subjects", params={"subjectPrefix": "s"}).json() == ["s"]
    assert http.get("/subjects", params={"offset": 1, "limit": 1}).json() == ["s"]
    assert http.get("/contexts/.ctx/subjects").json() == [":.ctx:s"]
    assert http.get("/contexts").json() == [".", ".ctx"]
    assert http.get("/subjects/s/versions").json() == [1, 2]
    assert [v["id"] for v in http.get("/schemas", params={"latestOnly": True}).json()] == [1, 2, 2]
    assert http.get("/schemas/types").json() == ["AVRO"]
    assert http.get("/schemas/ids/2/subjects").json() == ["s", "t"]
    assert http.get("/schemas/ids/2/versions").json() == [
        {"subject": "s", "version": 2},
        {"subject": "t", "version": 1},
    ]
    assert http.get("/schemas/ids/2/versions", params={"subject": "t"}).json() == [
        {"subject": "t", "version": 1}
    ]
    assert http.get("/schemas/ids/1/subjects", params={"subject": ":.ctx:s"}).json() == [":.ctx:s"]
    assert http.get("/schemas/ids/1", params={"subject": ":.ctx:s"}).json()["schema"] == ENUM
    found = http.get("/subjects/s/metadata", params={"key": ["owner"], "value": ["team"]})
    assert found.json()["version"] == 2


@pytest.mark.usefixtures("guid")
def test_deleting_over_http(http: httpx.Client) -> None:
    http.post("/subjects/s/versions", json=payload(schema=ENUM))
    assert http.delete("/subjects/s/versions/latest").json() == 2
    assert http.get("/subjects/s/versions", params={"deleted": True}).json() == [1, 2]
    assert http.get("/subjects/s/versions", params={"deleted_only": True}).json() == [2]
    assert http.get("/subjects/s/versions/2", params={"deleted": True}).json()["deleted"] is True
    assert http.delete("/subjects/s/versions/2", params={"permanent": True}).json() == 2
    assert http.delete("/subjects/s").json() == [1]
    assert http.get("/subjects").json() == []
    assert http.get("/subjects", params={"deleted": True}).json() == ["s"]
    assert http.delete("/subjects/s", params={"permanent": "true"}).json() == [1]


@pytest.mark.parametrize(
    ("path", "status", "error_code"),
    [
        ("/subjects/none/versions/latest", 404, 40401),
        ("/subjects/none/versions", 404, 40401),
        ("/subjects/s/versions/77", 404, 40402),
        ("/subjects/s/versions/0", 422, 42202),
        ("/subjects/s/versions/x", 422, 42202),
        ("/schemas/ids/999", 404, 40403),
        ("/schemas/ids/999/versions", 404, 40403),
        ("/schemas/ids/1?subject=:.ctx:s", 404, 40403),
        ("/schemas/guids/00000000-0000-0000-0000-000000000000", 404, 40403),
        ("/subjects/s/metadata?key=owner&value=nobody", 404, 40402),
    ],
)
@pytest.mark.usefixtures("guid")
def test_what_is_not_there(http: httpx.Client, path: str, status: int, error_code: int) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, error_code)


def test_references_over_http(http: httpx.Client) -> None:
    http.post("/subjects/e/versions", json={"schema": ENUM})
    outer = {
        "schema": '{"type":"record","name":"R","fields":[{"name":"e","type":"E"}]}',
        "references": [{"name": "E", "subject": "e", "version": 1}],
    }
    added = http.post("/subjects/r/versions", json=outer).json()
    assert added["references"] == outer["references"]
    assert http.get("/subjects/e/versions/1/referencedby").json() == [added["id"]]
    refused = http.delete("/subjects/e")
    assert (refused.status_code, refused.json()["error_code"]) == (422, 42206)


def test_chosen_ids_are_for_import_mode(registry: DevRegistry, http: httpx.Client) -> None:
    refused = http.post("/subjects/s/versions", json=payload(id=7))
    assert (refused.status_code, refused.json()["error_code"]) == (422, 42205)
    assert http.put("/mode/s", json={"mode": "IMPORT"}).status_code == 200
    added = http.post("/subjects/s/versions", json=payload(id=7, version=3)).json()
    assert (added["id"], added["version"]) == (7, 3)
    refused = http.post("/subjects/s/versions", json=payload(schema=ENUM))
    assert (refused.status_code, refused.json()["error_code"]) == (422, 42205)
    assert http.delete("/mode/s").json() == {"mode": "IMPORT"}
    assert http.post("/subjects/s/versions", json=payload(schema=ENUM)).json()["id"] == 8
    assert len(registry.store.versions("s")) == 2


def test_a_read_only_subject(http: httpx.Client) -> None:
    http.put("/mode", json={"mode": "READONLY"})
    for answer in (
        http.post("/subjects/s/versions", json=payload()),
        http.delete("/subjects/s"),
        http.delete("/subjects/s/versions/1"),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (422, 42205)
