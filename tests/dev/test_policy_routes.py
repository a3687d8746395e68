from __future__ import annotations

import httpx2 as httpx

from dev.samples import SCHEMA, rule


def test_config(http: httpx.Client) -> None:
    assert http.get("/config").json() == {"compatibilityLevel": "NONE"}
    assert http.get("/config/s").json()["error_code"] == 40408
    assert http.put("/config", json={"compatibility": "FULL"}).json() == {"compatibility": "FULL"}
    assert http.get("/config/s", params={"defaultToGlobal": True}).json() == {"compatibilityLevel": "FULL"}
    assert http.put("/config/s", json={"compatibility": "NOPE"}).json()["error_code"] == 42203
    http.put("/config/s", json={"compatibility": "NONE", "normalize": True})
    assert http.get("/config/s").json() == {"compatibilityLevel": "NONE", "normalize": True}
    assert http.delete("/config/s").json() == {"compatibilityLevel": "NONE", "normalize": True}
    assert http.delete("/config").json() == {"compatibilityLevel": "FULL"}
    assert http.get("/config").json() == {"compatibilityLevel": "NONE"}


def test_config_reaches_registration(http: httpx.Client) -> None:
    http.put("/config/s", json={"defaultRuleSet": {"domainRules": [rule()]}})
    added = http.post("/subjects/s/versions", json={"schema": SCHEMA}).json()
    assert [r["name"] for r in added["ruleSet"]["domainRules"]] == ["enc"]
    assert "ruleSet" not in http.post("/subjects/t/versions", json={"schema": SCHEMA}).json()


def test_mode(http: httpx.Client) -> None:
    assert http.get("/mode").json() == {"mode": "READWRITE"}
    assert http.get("/mode/s").json()["error_code"] == 40409
    assert http.get("/mode/s", params={"defaultToGlobal": True}).json() == {"mode": "READWRITE"}
    assert http.put("/mode/s", json={"mode": "NOPE"}).json()["error_code"] == 42204
    assert http.put("/mode/s", json={"mode": "READONLY"}).json() == {"mode": "READONLY"}
    assert http.delete("/mode/s").json() == {"mode": "READONLY"}
    assert http.put("/mode", json={"mode": "READONLY"}).json() == {"mode": "READONLY"}
    assert http.delete("/mode").json() == {"mode": "READONLY"}


def test_import_mode_wants_an_empty_registry(http: httpx.Client) -> None:
    http.post("/subjects/s/versions", json={"schema": SCHEMA})
    for path in ("/mode", "/mode/s"):
        assert http.put(path, json={"mode": "IMPORT"}).json()["error_code"] == 42205
        forced = http.put(path, json={"mode": "IMPORT"}, params={"force": True})
        assert forced.json() == {"mode": "IMPORT"}
    assert http.put("/mode/t", json={"mode": "IMPORT"}).status_code == 200
