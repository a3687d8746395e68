from __future__ import annotations

import base64

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from csfle_fast.dev.accounts import Accounts
from csfle_fast.errors import ConfigError

USERS = {"alice": "one:two", "bob": "wörd"}
TOKENS = {"app": "a-token", "job": "b-token"}


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("authorization", "principal"),
    [
        (basic("alice:one:two"), "alice"),
        (basic("bob:wörd"), "bob"),
        (b"bAsIc  " + base64.b64encode(b"alice:one:two") + b" ", "alice"),
        (b"Bearer a-token", "app"),
        (b"bearer b-token", "job"),
        (basic("alice:one"), None),
        (basic("alice:"), None),
        (basic("bob:one:two"), None),
        (basic("Alice:one:two"), None),
        (basic(":"), None),
        (basic("alice"), None),
        (basic("a-token"), None),
        (b"Bearer alice:one:two", None),
        (b"Bearer A-token", None),
        (b"Bearer a-token b-token", None),
        (b"Bearer ", None),
        (b"Bearer", None),
        (b"Basic !", None),
        (b"Basic \xff", None),
        (b"Digest a-token", None),
        (b"a-token", None),
        (b"", None),
    ],
)
def test_who_it_is(authorization: bytes, principal: str | None) -> None:
    assert Accounts(USERS, TOKENS).principal(authorization) == principal


def test_what_is_asked_for() -> None:
    both = 'Basic realm="development registry", Bearer realm="development registry"'
    assert Accounts(USERS, TOKENS).challenge == both
    assert Accounts(USERS).challenge == 'Basic realm="development registry"'
    assert Accounts(tokens=TOKENS).challenge == 'Bearer realm="development registry"'
    assert not Accounts().required
    assert not Accounts({}, {}).required


@pytest.mark.parametrize(
    ("users", "tokens"),
    [({"": "pw"}, {}), ({"alice": ""}, {}), ({"a:b": "pw"}, {}), ({}, {"": "token"}), ({}, {"app": ""})],
)
def test_incomplete_accounts(users: dict[str, str], tokens: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Accounts(users, tokens)


def test_nobody_else_is_answered() -> None:
    with (
        DevRegistry(users=USERS, tokens=TOKENS) as registry,
        httpx.Client(base_url=registry.url) as client,
    ):
        kek = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey"}
        for headers in (
            [],
            [("Authorization", "Bearer wrong")],
            [("Authorization", "Bearer a-token"), ("Authorization", "Bearer a-token")],
        ):
            for method, path in (("GET", "/"), ("GET", "/nowhere"), ("POST", "/dek-registry/v1/keks")):
                answer = client.request(method, path, headers=headers, json=kek)
                assert answer.status_code == 401
                assert answer.json() == {"error_code": 401, "message": "Unauthorized"}
                assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert registry.keks.names() == []
        assert [request.status for request in registry.requests] == [401] * 9
        assert client.get("/subjects", auth=("bob", "wörd")).json() == []
        assert client.get("/subjects", headers={"Authorization": "Bearer b-token"}).json() == []


def test_a_fault_comes_first() -> None:
    with DevRegistry(users=USERS) as registry:
        registry.faults.add(status=503)
        assert httpx.get(f"{registry.url}/subjects").status_code == 503


def test_no_secret_is_on_show() -> None:
    accounts = Accounts(USERS, TOKENS)
    shown = repr(accounts) + repr(vars(accounts)) + repr(DevRegistry(users=USERS, tokens=TOKENS))
    assert not any(secret in shown for secret in (*USERS.values(), *TOKENS.values()))
