"""confluent-kafka's clients, unmodified, against a registry with TLS that asks who they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.rules.encryption.dek_registry.dek_registry_client import (
    DekRegistryClient,
)

from csfle_fast.dev import DevRegistry
from dev.implementations import PASSWORD, TOKEN, USER, server_tls
from dev.samples import SECRET, payload
from dev.their_serdes import ROW, SUBJECT, Theirs, encrypting
from services.certificates import Certificates

BEARER = {
    "bearer.auth.credentials.source": "STATIC_TOKEN",
    "bearer.auth.token": TOKEN,
    "bearer.auth.logical.cluster": "lsrc-1",
    "bearer.auth.identity.pool.id": "pool-1",
}
WAYS: dict[str, dict[str, str]] = {
    "basic": {"basic.auth.user.info": f"{USER}:{PASSWORD}"},
    "bearer": BEARER,
    "mTLS": {},
}


@pytest.fixture
def registry(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[DevRegistry]:
    mutual = getattr(request, "param", "") == "mTLS"
    with DevRegistry(
        secret=SECRET,
        tls=server_tls(certificates, clients=mutual),
        users={} if mutual else {USER: PASSWORD, "bob": "other"},
        tokens={} if mutual else {"app": TOKEN},
    ) as running:
        yield running


def settings(registry: DevRegistry, certificates: Certificates, **more: Any) -> dict[str, Any]:
    return {"url": registry.url, "ssl.ca.location": str(certificates.authority), **more}


@pytest.fixture
def client_settings(
    request: pytest.FixtureRequest, registry: DevRegistry, certificates: Certificates
) -> dict[str, Any]:
    way: str = request.node.callspec.params["registry"]
    own = certificates.client
    pair = {"ssl.certificate.location": str(own.certificate), "ssl.key.location": str(own.key)}
    return settings(registry, certificates, **WAYS[way], **(pair if way == "mTLS" else {}))


@pytest.mark.parametrize("registry", WAYS, indirect=True)
def test_encryption(registry: DevRegistry, client_settings: dict[str, Any]) -> None:
    with SchemaRegistryClient(client_settings) as client:
        schema = Schema.from_dict(payload(ruleSet={"domainRules": [encrypting()]}))
        assert client.register_schema(SUBJECT, schema) == 1
    with DekRegistryClient(client_settings) as keys:
        assert keys.register_kek("k", "local-kms", "mykey").name == "k"
    with Theirs(client_settings) as theirs:
        frame = theirs.write(ROW)
    assert b"123-45" not in frame
    with Theirs(client_settings) as theirs:
        assert theirs.read(frame) == ROW
    assert registry.deks.subjects("k") == [SUBJECT]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"basic.auth.user.info": f"{USER}:wrong"},
        {"basic.auth.user.info": f"nobody:{PASSWORD}"},
        BEARER | {"bearer.auth.token": "wrong"},
    ],
    ids=["nobody", "password", "user", "token"],
)
def test_whom_it_does_not_know(
    registry: DevRegistry, certificates: Certificates, wrong: dict[str, str]
) -> None:
    with SchemaRegistryClient(settings(registry, certificates, **wrong)) as client:
        with pytest.raises(SchemaRegistryError, match="Unauthorized") as refused:
            client.get_subjects()
        assert (refused.value.http_status_code, refused.value.error_code) == (401, 401)


def test_what_somebody_may_not_do(registry: DevRegistry, certificates: Certificates) -> None:
    registry.permissions.deny("bob", f"Subject:{SUBJECT}", "write")
    registry.permissions.deny("bob", "Kek:k", "read")
    registry.keks.create({"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey"})
    bob = settings(registry, certificates, **{"basic.auth.user.info": "bob:other"})
    with SchemaRegistryClient(bob) as client, DekRegistryClient(bob) as keys:
        with pytest.raises(SchemaRegistryError, match=f"denied operation Write on Subject: {SUBJECT}") as no:
            client.register_schema(SUBJECT, Schema.from_dict(payload()))
        assert (no.value.http_status_code, no.value.error_code) == (403, 40301)
        with pytest.raises(SchemaRegistryError, match="denied operation Read on Kek: k") as no:
            keys.get_kek("k")
        assert (no.value.http_status_code, no.value.error_code) == (403, 40301)
        assert client.get_subjects() == []
