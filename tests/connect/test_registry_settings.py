"""The registry's properties become the configuration of confluent-kafka's client, which takes it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.connect.given import read
from csfle_fast.connect.registry_settings import registry_settings
from csfle_fast.errors import ConfigError

SECRET = "pa55word-of-nobody"
URL = {"schema.registry.url": "http://127.0.0.1:1"}
ALWAYS = {
    "url": "http://127.0.0.1:1",
    "timeout": 60.0,
    "max.retries": 3,
    "retries.wait.ms": 1_000,
    "retries.max.wait.ms": 20_000,
}
STATIC = {
    "bearer.auth.credentials.source": "STATIC_TOKEN",
    "bearer.auth.token": SECRET,
    "bearer.auth.logical.cluster": "lsrc-1",
}
ISSUED = {
    "bearer.auth.credentials.source": "OAUTHBEARER",
    "bearer.auth.issuer.endpoint.url": "http://127.0.0.1:1/token",
    "bearer.auth.client.id": "me",
    "bearer.auth.client.secret": SECRET,
    "bearer.auth.scope": "all",
    "bearer.auth.logical.cluster": "lsrc-1",
}


def conf_of(config: Mapping[str, object]) -> dict[str, object]:
    return registry_settings(read(config, "sink", has_client=False).value, "value")


def refusal(config: Mapping[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        conf_of(config)
    assert caught.value.code == "bad_config"
    assert SECRET not in str(caught.value)
    return caught.value.message


@pytest.mark.parametrize(
    ("config", "conf"),
    [
        ({}, {}),
        ({"basic.auth.user.info": f"u:{SECRET}"}, {"basic.auth.user.info": f"u:{SECRET}"}),
        (
            {
                "value.converter.basic.auth.credentials.source": "USER_INFO",
                "value.converter.schema.registry.basic.auth.user.info": f"u:{SECRET}",
            },
            {"basic.auth.user.info": f"u:{SECRET}"},
        ),
        ({"basic.auth.credentials.source": "URL"}, {}),
        (STATIC, STATIC),
        (
            STATIC | {"bearer.auth.identity.pool.id": "pool-1"},
            STATIC | {"bearer.auth.identity.pool.id": "pool-1"},
        ),
        (STATIC | {"bearer.auth.client.secret": SECRET}, STATIC),
        (ISSUED, ISSUED),
        (ISSUED | {"bearer.auth.token": SECRET}, ISSUED),
        ({"proxy": "http://127.0.0.1:2"}, {"proxy": "http://127.0.0.1:2"}),
        (
            {"timeout": "5", "max.retries": "1", "retries.wait.ms": "10", "retries.max.wait.ms": 20},
            {"timeout": 5.0, "max.retries": 1, "retries.wait.ms": 10, "retries.max.wait.ms": 20},
        ),
    ],
)
def test_the_client_takes_it(config: dict[str, object], conf: dict[str, object]) -> None:
    made = conf_of(URL | config)
    assert made == ALWAYS | conf
    with SchemaRegistryClient(dict(made)) as client:
        assert client.config() == made


@pytest.mark.parametrize(
    ("config", "conf"),
    [
        (
            {
                "schema.registry.ssl.truststore.location": "ca.pem",
                "schema.registry.ssl.truststore.type": "PEM",
                "schema.registry.ssl.keystore.location": "me.pem",
                "schema.registry.ssl.keystore.type": "pem",
                "schema.registry.ssl.key.password": SECRET,
            },
            {"ssl.ca.location": "ca.pem", "ssl.certificate.location": "me.pem", "ssl.key.password": SECRET},
        ),
        (
            {
                "schema.registry.ssl.keystore.location": "me.pem",
                "schema.registry.ssl.keystore.password": SECRET,
                "schema.registry.ssl.key.password": SECRET,
            },
            {"ssl.certificate.location": "me.pem", "ssl.key.password": SECRET},
        ),
        (
            {
                "ssl.ca.location": "ca.pem",
                "ssl.certificate.location": "me.pem",
                "ssl.key.location": "me.key",
                "ssl.key.password": SECRET,
            },
            {
                "ssl.ca.location": "ca.pem",
                "ssl.certificate.location": "me.pem",
                "ssl.key.location": "me.key",
                "ssl.key.password": SECRET,
            },
        ),
    ],
)
def test_javas_names_of_files_become_the_clients(config: dict[str, object], conf: dict[str, object]) -> None:
    assert conf_of(URL | config) == ALWAYS | conf


def test_the_url_is_needed() -> None:
    message = refusal({})
    assert message.startswith("value.converter.schema.registry.url is missing")
    assert "set it" in message
    assert "hand a SchemaRegistryClient to the hook" in message
    assert "keys are Avro" not in message
    assert refusal({"schema.registry.url": "  "}) == message


@pytest.mark.parametrize(
    ("config", "name", "reason", "fix"),
    [
        (
            {"value.converter.basic.auth.credentials.source": "USER_INFO"},
            "value.converter.basic.auth.credentials.source",
            "basic.auth.user.info is missing",
            "set that to user:password",
        ),
        (
            {
                "basic.auth.credentials.source": "URL",
                "value.converter.basic.auth.user.info": f"u:{SECRET}",
            },
            "value.converter.basic.auth.user.info",
            "basic.auth.credentials.source is URL",
            "remove one",
        ),
        (
            {"schema.registry.url": f"http://u:{SECRET}@a", "basic.auth.user.info": f"u:{SECRET}"},
            "basic.auth.user.info",
            "schema.registry.url has credentials too",
            "remove one",
        ),
        (
            {"value.converter.bearer.auth.token": SECRET},
            "value.converter.bearer.auth.token",
            "without bearer.auth.credentials.source",
            "STATIC_TOKEN or OAUTHBEARER",
        ),
        (
            STATIC | {"basic.auth.user.info": f"u:{SECRET}"},
            "basic.auth.user.info",
            "two ways to log in",
            "remove one",
        ),
        (
            {"ssl.key.location": "me.key"},
            "ssl.key.location",
            "without a certificate",
            "set ssl.certificate.location",
        ),
        (
            {"value.converter.schema.registry.ssl.keystore.password": SECRET},
            "value.converter.schema.registry.ssl.keystore.password",
            "without a certificate",
            "set ssl.certificate.location",
        ),
        *(
            (
                {name: value for name, value in given.items() if name != missing},
                missing,
                "is missing",
                "set it",
            )
            for given in (STATIC, ISSUED)
            for missing in given
            if missing != "bearer.auth.credentials.source"
        ),
    ],
)
def test_what_is_missing_or_contradicts(config: dict[str, object], name: str, reason: str, fix: str) -> None:
    message = refusal(URL | config)
    assert message.startswith(name)
    assert reason in message
    assert fix in message


@pytest.mark.parametrize("source", ["OAUTHBEARER_AZURE_IMDS", "CUSTOM", "SASL_OAUTHBEARER_INHERIT"])
def test_other_sources_of_tokens_need_a_client(source: str) -> None:
    message = refusal(URL | {"bearer.auth.credentials.source": source})
    assert "must be one of STATIC_TOKEN, OAUTHBEARER" in message
    assert "hand a SchemaRegistryClient to the hook" in message
