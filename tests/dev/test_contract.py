"""The whole contract over HTTP, against every way to run the registry (``implementations``).

Each list is one conversation with a new registry. What matters is what a client relies on: paths, status,
error codes, and the members of answers that are written down here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.sharing import Sharing
from csfle_fast.dev.state import State
from csfle_fast.dev.stores import Stores
from dev.implementations import IMPLEMENTATIONS, Ask, Implementation
from dev.samples import SCHEMA, payload, rule
from services.certificates import Certificates


class Step(NamedTuple):
    """One request and its answer.

    Attributes:
        method: of the request.
        path: of the request; ``{id}`` and ``{guid}`` stand for those of the last answer that had them.
        want: members of the answer, or the whole of it where it is no object; an error's is its error_code;
            None where there is no body.
        body: of the request.
        status: of the answer.
    """

    method: str
    path: str
    want: Any
    body: Any = None
    status: int = 200


ENUM = '{"type":"enum","name":"Colour","symbols":["RED"]}'
HOLDER = '{"type":"record","name":"Holder","fields":[{"name":"c","type":"Colour"}]}'
TO_COLOUR = [{"name": "Colour", "subject": "colour", "version": 1}]
WITH_RULES = payload()
OTHER_RULES = payload(ruleSet={"domainRules": [rule(name="other")]})
STORED_RULE = {**rule(), "disabled": False}
CONTENT = {"schema": SCHEMA, "metadata": WITH_RULES["metadata"], "ruleSet": {"domainRules": [STORED_RULE]}}
FIRST = {**CONTENT, "subject": "s", "version": 1, "id": 1}
REFUSED = '{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}'
NAMELESS = {"domainRules": [rule(name="")]}

SCHEMAS = [
    Step("GET", "/", {}),
    Step("GET", "/schemas/types", ["AVRO"]),
    Step("GET", "/subjects", []),
    Step("POST", "/subjects/s/versions", FIRST, WITH_RULES),
    Step("POST", "/subjects/s/versions", FIRST, WITH_RULES),
    Step("POST", "/subjects/s", FIRST, WITH_RULES),
    Step("POST", "/subjects/s", 40403, {"schema": SCHEMA}, 404),  # a look-up compares all of it
    Step("GET", "/subjects/s/versions/1", FIRST),
    Step("GET", "/subjects/s/versions/latest", FIRST),
    Step("GET", "/subjects/s/versions/1/schema", json.loads(SCHEMA)),
    Step("GET", "/schemas/ids/{id}", CONTENT),
    Step("GET", "/schemas/ids/{id}?subject=s&fetchMaxId=true", {**CONTENT, "maxId": 1}),
    Step("GET", "/schemas/ids/{id}/schema", json.loads(SCHEMA)),
    Step("GET", "/schemas/guids/{guid}", CONTENT),
    Step("POST", "/subjects/s/versions", {"version": 2, "id": 2}, OTHER_RULES),  # a rule set is content
    Step("POST", "/subjects/t/versions", {"version": 1, "id": 1}, WITH_RULES),  # an id is a content's
    Step("POST", "/subjects/s/versions", {"version": 3, "id": 3}, {"schema": ENUM}),
    Step("GET", "/subjects/s/versions/-1", {"ruleSet": {"domainRules": [{**STORED_RULE, "name": "other"}]}}),
    Step("GET", "/subjects/s/versions", [1, 2, 3]),
    Step("GET", "/schemas/ids/1/subjects", ["s", "t"]),
    Step("GET", "/schemas/ids/1/versions", [{"subject": "s", "version": 1}, {"subject": "t", "version": 1}]),
    Step("GET", "/subjects/s/metadata?key=owner&value=team", {"version": 3}),
    Step("GET", "/schemas?latestOnly=true", [{"subject": "s", "version": 3}, {"subject": "t", "version": 1}]),
    Step("GET", "/subjects?subjectPrefix=t", ["t"]),
    Step("GET", "/subjects?offset=1&limit=1", ["t"]),
    Step("GET", "/subjects/none/versions/latest", 40401, status=404),
    Step("GET", "/subjects/s/versions/9", 40402, status=404),
    Step("GET", "/subjects/s/versions/zero", 42202, status=422),
    Step("GET", "/schemas/ids/99", 40403, status=404),
    Step("POST", "/subjects/s/versions", 42201, {"schema": REFUSED}, 422),
    Step("POST", "/subjects/s/versions", 42210, payload(ruleSet=NAMELESS), 422),
    Step("DELETE", "/subjects/s/versions/3", 3),
    Step("GET", "/subjects/s/versions", [1, 2]),
    Step("GET", "/subjects/s/versions/3?deleted=true", {"deleted": True}),
    Step("DELETE", "/subjects/s?permanent=true", 40405, status=404),
    Step("DELETE", "/subjects/s", [1, 2]),
    Step("GET", "/subjects", ["t"]),
    Step("GET", "/subjects?deleted=true", ["s", "t"]),
    Step("DELETE", "/subjects/s?permanent=true", [1, 2, 3]),
    Step("GET", "/subjects?deleted=true", ["t"]),
]

REFERENCES_AND_CONTEXTS = [
    Step("POST", "/subjects/holder/versions", 42201, {"schema": HOLDER, "references": TO_COLOUR}, 422),
    Step("POST", "/subjects/colour/versions", {"id": 1}, {"schema": ENUM}),
    Step(
        "POST",
        "/subjects/holder/versions",
        {"id": 2, "references": TO_COLOUR},
        {"schema": HOLDER, "references": TO_COLOUR},
    ),
    Step("GET", "/subjects/colour/versions/1/referencedby", [2]),
    Step("DELETE", "/subjects/colour/versions/1", 42206, status=422),
    Step("POST", "/subjects/:.far:s/versions", {"id": 1, "subject": ":.far:s"}, WITH_RULES),
    Step("POST", "/contexts/.far/subjects/t/versions", {"id": 2, "subject": ":.far:t"}, OTHER_RULES),
    Step("GET", "/contexts", [".", ".far"]),
    Step("GET", "/contexts/.far/subjects", [":.far:s", ":.far:t"]),
    Step("GET", "/subjects", [":.far:s", ":.far:t", "colour", "holder"]),
    Step("GET", "/schemas/ids/1?subject=:.far:s", {"schema": SCHEMA}),
    Step("GET", "/schemas/ids/1", {"schema": ENUM}),
    Step("GET", "/contexts/.far/dek-registry/v1/keks", []),
    Step("GET", "/subjects/s/versions/1", 40401, status=404),
    Step(
        "POST", "/subjects/s/versions", {"id": 3, "subject": "s"}, WITH_RULES
    ),  # contexts count for themselves
    Step("GET", "/contexts/.far/schemas/ids/3", 40403, status=404),
    Step("DELETE", "/contexts/.far/subjects/s", [1]),
    Step("GET", "/subjects/s/versions", [1]),
]

ASSOCIATION = {"subject": "s", "associationType": "value", "resourceName": "t", "resourceNamespace": "-"}
ASSOCIATED = {
    "resourceName": "t",
    "resourceId": "i",
    "associations": [{"subject": "s", "associationType": "value"}],
}
POLICIES_AND_ASSOCIATIONS = [
    Step("GET", "/config", {"compatibilityLevel": "NONE"}),
    Step("GET", "/config/s", 40408, status=404),
    Step("PUT", "/config", {"compatibility": "FULL"}, {"compatibility": "FULL"}),
    Step("GET", "/config/s?defaultToGlobal=true", {"compatibilityLevel": "FULL"}),
    Step(
        "PUT",
        "/config/s",
        {"defaultRuleSet": {"domainRules": [STORED_RULE]}},
        {"defaultRuleSet": {"domainRules": [rule()]}},
    ),
    Step("POST", "/subjects/s/versions", {"ruleSet": {"domainRules": [STORED_RULE]}}, {"schema": SCHEMA}),
    Step("DELETE", "/config/s", {"defaultRuleSet": {"domainRules": [STORED_RULE]}}),
    Step("DELETE", "/config", {"compatibilityLevel": "FULL"}),
    Step("GET", "/mode", {"mode": "READWRITE"}),
    Step("PUT", "/mode/s", {"mode": "READONLY"}, {"mode": "READONLY"}),
    Step("GET", "/mode/s", {"mode": "READONLY"}),
    Step("POST", "/subjects/s/versions", 42205, {"schema": ENUM}, 422),
    Step("DELETE", "/mode/s", {"mode": "READONLY"}),
    Step("PUT", "/mode", 42205, {"mode": "IMPORT"}, 422),  # there are subjects
    Step("PUT", "/mode", {"mode": "READWRITE"}, {"mode": "READWRITE"}),
    Step("DELETE", "/mode", {"mode": "READWRITE"}),
    Step("GET", "/associations/resources/-/t", []),
    Step(
        "POST",
        "/associations",
        {"resourceName": "t"},
        ASSOCIATED,
    ),
    Step("GET", "/associations/resources/-/t?associationType=value", [ASSOCIATION]),
    Step("GET", "/associations?resourceName=t", [ASSOCIATION]),
    Step("GET", "/associations/resources/i", [ASSOCIATION]),
    Step("GET", "/associations/subjects/s", [ASSOCIATION]),
    Step("DELETE", "/associations/resources/i", None, status=204),
    Step("GET", "/associations/resources/-/t", []),
]

KEKS = "/dek-registry/v1/keks"
KEK = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "id", "kmsProps": {"p": "q"}, "shared": False}
K = f"{KEKS}/k"
KEK_STEPS = [
    Step("GET", KEKS, []),
    Step("POST", KEKS, KEK, KEK),
    Step("POST", KEKS, 40971, {**KEK, "kmsKeyId": "another"}, 409),
    Step("POST", KEKS, {"kmsType": "somebodys-kms"}, {**KEK, "name": "theirs", "kmsType": "somebodys-kms"}),
    Step("GET", KEKS, ["k", "theirs"]),
    Step("GET", f"{KEKS}?offset=1", ["theirs"]),
    Step("GET", K, KEK),
    Step("GET", f"{KEKS}/none", 40470, status=404),
    Step("PUT", K, {"doc": "new", "kmsProps": {"p": "r"}}, {"doc": "new", "kmsProps": {"p": "r"}}),
    Step("POST", f"{K}/test", 42271, status=422),  # it is not shared
    Step("DELETE", f"{K}?permanent=true", 40471, status=404),
    Step("DELETE", K, None, status=204),
    Step("GET", K, 40470, status=404),
    Step("GET", f"{K}?deleted=true", {"deleted": True}),
    Step("GET", f"{KEKS}?deleted=true", ["k", "theirs"]),
    Step("POST", f"{K}/undelete", None, status=204),
    Step("GET", K, {"name": "k"}),
    Step("POST", f"{KEKS}?context=.far", {"kmsKeyId": "far"}, {**KEK, "kmsKeyId": "far"}),
    Step("GET", f"{K}?context=.far", {"kmsKeyId": "far"}),
    Step("GET", f"/contexts/.far{KEKS}", ["k"]),
    Step("GET", K, {"kmsKeyId": "id"}),
]

WRAPPED, OTHER = (base64.b64encode(letter * 60).decode() for letter in (b"a", b"b"))
DEK = {"subject": "s", "version": 1, "algorithm": "AES256_GCM", "encryptedKeyMaterial": WRAPPED}
SECOND = {**DEK, "version": 2, "encryptedKeyMaterial": OTHER}
SHORT = {**DEK, "algorithm": "AES128_GCM"}
D = f"{K}/deks"
IN_CONTEXT = {**DEK, "subject": ":.far:s"}
DEK_STEPS = [
    Step("POST", D, 40470, DEK, 404),
    Step("POST", KEKS, KEK, KEK),
    Step("POST", D, {**DEK, "kekName": "k"}, DEK),
    Step("POST", D, 40971, {**DEK, "encryptedKeyMaterial": OTHER}, 409),
    Step("POST", D, SHORT, SHORT),  # each algorithm has its own versions
    Step("POST", f"{D}/s", SECOND, SECOND),
    Step("POST", f"{D}/a%2Fb", {"subject": "a/b"}, {"encryptedKeyMaterial": WRAPPED}),
    Step("POST", f"{D}/none", 42271, {"algorithm": "AES256_GCM"}, 422),  # who is to make the key?
    Step("GET", D, ["a/b", "s"]),
    Step("GET", f"{D}/s", {"version": 1, "algorithm": "AES256_GCM"}),
    Step("GET", f"{D}/s?algorithm=AES128_GCM", SHORT),
    Step("GET", f"{D}/s?algorithm=AES256_SIV", 40470, status=404),
    Step("GET", f"{D}/s/versions", [1, 2]),
    Step("GET", f"{D}/s/versions/2", {**SECOND, "keyMaterial": None}),
    Step("GET", f"{D}/s/versions/-1", {"version": 2}),
    Step("GET", f"{D}/s/versions/latest", {"version": 2}),
    Step("GET", f"{D}/none/versions/-1", 40470, status=404),
    Step("DELETE", K, 42272, status=422),  # it has DEKs
    Step("DELETE", f"{D}/s/versions/2", None, status=204),
    Step("GET", f"{D}/s/versions/2", 40470, status=404),
    Step("GET", f"{D}/s/versions/2?deleted=true", {"deleted": True}),
    Step("POST", f"{D}/s/versions/2/undelete", None, status=204),
    Step("GET", f"{D}/s/versions", [1, 2]),
    Step("DELETE", f"{D}/s", None, status=204),
    Step("GET", f"{D}/s", 40470, status=404),
    Step("POST", f"{D}/s/undelete", None, status=204),
    Step("DELETE", f"{D}/s?permanent=true", 40471, status=404),
    Step("DELETE", f"{D}/s", None, status=204),
    Step("DELETE", f"{D}/s?permanent=true", None, status=204),
    Step("GET", f"{D}/s?deleted=true", 40470, status=404),
    Step("GET", f"{D}/s?algorithm=AES128_GCM", SHORT),
    Step("POST", f"/contexts/.far{KEKS}", {"kmsKeyId": "far"}, {**KEK, "kmsKeyId": "far"}),
    Step("POST", f"/contexts/.far{D}", IN_CONTEXT, DEK),
    Step("GET", f"{D}/:.far:s", IN_CONTEXT),
    Step("GET", f"/contexts/.far{D}", [":.far:s"]),
    Step("GET", f"{D}?context=.far", [":.far:s"]),
    Step("GET", D, ["a/b", "s"]),
    Step("GET", f"{D}/s", 40470, status=404),
    Step("DELETE", f"/contexts/.far{K}", 42272, status=422),
]

ARN = "arn:aws:kms:eu-west-1:1:key/x"
SHARED = {**KEK, "shared": True}
SHARED_STEPS = [
    Step("POST", f"{KEKS}?testSharing=true", SHARED, SHARED),
    Step("POST", f"{K}/test", {"name": "k"}),
    Step("POST", f"{D}/s", {"version": 1, "algorithm": "AES256_GCM"}, {}),
    Step("GET", f"{D}/s", {"version": 1}),
    Step("POST", f"{D}/t", 50070, {"encryptedKeyMaterial": OTHER}, 500),  # it cannot open that
    Step("GET", D, ["s"]),
    Step("PUT", K, {"shared": False}, {"shared": False}),
    Step("GET", f"{D}/s", {"version": 1, "keyMaterial": None}),
    Step("POST", f"{D}/t", 42271, {}, 422),
    Step("POST", f"{D}/t", {"keyMaterial": None}, {"encryptedKeyMaterial": OTHER}),
    Step("PUT", f"{K}?testSharing=true", {"shared": True}, {"shared": True}),
    Step("GET", f"{D}/t", 50070, status=500),
    Step("POST", KEKS, {"name": "aws"}, {**SHARED, "name": "aws", "kmsType": "aws-kms", "kmsKeyId": ARN}),
    Step("POST", f"{KEKS}/aws/deks/s", 50070, {}, 500),  # it has no account there
]

CONVERSATIONS = {
    "schemas": SCHEMAS,
    "references and contexts": REFERENCES_AND_CONTEXTS,
    "policies and associations": POLICIES_AND_ASSOCIATIONS,
    "KEKs": KEK_STEPS,
    "DEKs": DEK_STEPS,
    "shared KEKs": SHARED_STEPS,
}


@pytest.fixture(params=IMPLEMENTATIONS.values(), ids=list(IMPLEMENTATIONS))
def ask(request: pytest.FixtureRequest, certificates: Certificates, tmp_path: Path) -> Iterator[Ask]:
    implementation: Implementation = request.param
    with implementation(certificates, tmp_path) as asking:
        yield asking


def like(got: Any, want: Any) -> Any:
    """What is in ``got`` where ``want`` has something: other members of objects are left out."""
    if isinstance(got, dict) and isinstance(want, dict):
        return {name: like(got.get(name), member) for name, member in want.items()}
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        return [like(one, member) for one, member in zip(got, want, strict=True)]
    return got


@pytest.mark.parametrize("steps", CONVERSATIONS.values(), ids=list(CONVERSATIONS))
def test_the_answers(ask: Ask, steps: list[Step]) -> None:
    kept: dict[str, Any] = {}
    for step in steps:
        answer = ask(step.method, step.path.format_map(kept), step.body)
        got = answer.json() if answer.content else None
        asked = f"{step.method} {step.path}: {got}"
        want = {"error_code": step.want} if answer.is_error else step.want
        assert (answer.status_code, like(got, want)) == (step.status, want), asked
        if isinstance(got, dict):
            kept |= {name: got[name] for name in ("id", "guid") if name in got}


def test_a_shared_dek_comes_with_its_key(ask: Ask) -> None:
    ask("POST", KEKS, SHARED)
    made = ask("POST", f"{D}/s", {}).json()
    assert base64.b64decode(made["keyMaterial"])[:2] == b"\x1a\x20"
    assert made["encryptedKeyMaterial"] != made["keyMaterial"]
    assert ask("GET", f"{D}/s", None).json() == made
    ask("PUT", K, {"shared": False})
    own = ask("GET", f"{D}/s", None).json()
    assert own == {name: member for name, member in made.items() if name != "keyMaterial"}
    ask("PUT", K, {"shared": True})
    assert ask("GET", f"{D}/s", None).json() == made


def test_no_route_is_left_out() -> None:
    routers = Stores(Clock(), Sharing(), State()).routers()
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 40
    asked = {
        (step.method, step.path.partition("?")[0].removeprefix("/contexts/.far"))
        for steps in CONVERSATIONS.values()
        for step in steps
        if step.status < 400
    }
    left = [
        f"{method} {route.path}"
        for route in routes
        for method in route.methods or ()
        if not any(verb == method and route.path_regex.match(path) for verb, path in asked)
    ]
    assert left == []
