"""From the registry's properties to the configuration of confluent-kafka's SchemaRegistryClient."""

from __future__ import annotations

from urllib.parse import urlsplit

from csfle_fast.connect.given import GivenProperties
from csfle_fast.connect.table import Part
from csfle_fast.errors import ConfigError

__all__ = ["registry_settings"]

_URL = "schema.registry.url"
_USER_INFO = "basic.auth.user.info"
_BASIC_SOURCE = "basic.auth.credentials.source"
_BEARER = "bearer.auth."
_BEARER_SOURCE = "bearer.auth.credentials.source"
_CLUSTER = "bearer.auth.logical.cluster"
_POOL = "bearer.auth.identity.pool.id"
#: What a source of tokens needs besides the cluster.
_NEEDED = {
    "STATIC_TOKEN": ("bearer.auth.token",),
    "OAUTHBEARER": (
        "bearer.auth.issuer.endpoint.url",
        "bearer.auth.client.id",
        "bearer.auth.client.secret",
        "bearer.auth.scope",
    ),
}
#: What the client takes under the same name.
_SAME = (
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "proxy",
    "timeout",
    "max.retries",
    "retries.wait.ms",
    "retries.max.wait.ms",
)


def registry_settings(given: GivenProperties, part: Part) -> dict[str, object]:
    """The client's configuration for one converter.

    Args:
        given: the properties of the converter.
        part: which converter it is, for messages.

    Raises:
        ConfigError: the URL is missing, or credentials are missing or contradict each other.
    """
    url = given[_URL]
    if url is None:
        raise ConfigError(
            f"{part}.converter.{_URL} is missing, and the {part}s are Avro: set it (or {_URL} for keys and "
            "values), or hand a SchemaRegistryClient to the hook"
        )
    conf = {name: given[name] for name in _SAME if given[name] is not None}
    if "ssl.certificate.location" not in conf:
        for name in ("ssl.key.location", "ssl.key.password"):
            if name in conf:
                raise ConfigError(
                    f"{given.name_of(name)} is given without a certificate: set ssl.certificate.location"
                )
    return {"url": url} | conf | _basic(given, url) | _bearer(given)


def _basic(given: GivenProperties, url: str) -> dict[str, object]:
    """User and password, unless they stand in the URL, where the client finds them itself."""
    source, user_info = given[_BASIC_SOURCE], given[_USER_INFO]
    in_url = any("@" in urlsplit(one).netloc for one in url.split(","))
    if source == "USER_INFO" and user_info is None:
        raise ConfigError(
            f"{given.name_of(_BASIC_SOURCE)} is USER_INFO, but {_USER_INFO} is missing: set that to "
            "user:password"
        )
    if user_info is None:
        return {}
    if source == "URL":
        raise ConfigError(
            f"{given.name_of(_USER_INFO)} is given, but {given.name_of(_BASIC_SOURCE)} is URL: remove one of "
            "them"
        )
    if in_url:
        raise ConfigError(
            f"{given.name_of(_USER_INFO)} is given, and {given.name_of(_URL)} has credentials too: remove "
            "one of them"
        )
    return {_USER_INFO: user_info}


def _bearer(given: GivenProperties) -> dict[str, object]:
    source = given[_BEARER_SOURCE]
    if source is None:
        for name in given.below(_BEARER):
            raise ConfigError(
                f"{given.name_of(_BEARER + name)} is given without {_BEARER_SOURCE}: set that to "
                "STATIC_TOKEN or OAUTHBEARER"
            )
        return {}
    if _USER_INFO in given:
        raise ConfigError(
            f"{given.name_of(_USER_INFO)} and {given.name_of(_BEARER_SOURCE)} are two ways to log in: "
            "remove one"
        )
    for name in (*_NEEDED[source], _CLUSTER):
        if name not in given:
            raise ConfigError(
                f"{name} is missing, which {given.name_of(_BEARER_SOURCE)}={source} needs: set it"
            )
    names = [_BEARER_SOURCE, _CLUSTER, *_NEEDED[source]]
    # What belongs to the other source is left out: the client would take it for unknown.
    return {name: given[name] for name in (*names, _POOL) if name in given}
