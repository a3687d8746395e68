"""What single properties take: checks with a reason and a fix that only this property has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import urlsplit

from csfle_fast.connect.values import boolean, one_of, plain, text
from csfle_fast.errors import ConfigError

__all__ = [
    "FORMATS",
    "OWN_CLIENT",
    "Action",
    "Format",
    "actions",
    "basic_source",
    "client_value",
    "framing",
    "key_converter",
    "key_format",
    "never_registers",
    "no_password",
    "no_rule_params",
    "pem",
    "pem_file",
    "registry_url",
    "strategy",
    "text_or_empty",
    "user_info",
    "value_converter",
    "value_format",
]

Action = Literal["ERROR", "NONE"]
Format = Literal["avro", "bytes", "string"]

#: The converter classes by what comes out of them.
FORMATS: dict[Format, str] = {
    "avro": "io.confluent.connect.avro.AvroConverter",
    "bytes": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "string": "org.apache.kafka.connect.storage.StringConverter",
}
#: The fix where the registry's client can do more than properties can say.
OWN_CLIENT = "for anything else hand a SchemaRegistryClient to the hook"

_ONLY_AVRO = "this package encrypts Avro and no other format"
_SUBJECTS = "io.confluent.kafka.serializers.subject."
_SCHEMA_IDS = "io.confluent.kafka.serializers.schema.id."
_STRATEGIES = {
    f"{_SUBJECTS}TopicNameStrategy": "TOPIC",
    f"{_SUBJECTS}RecordNameStrategy": "RECORD",
    f"{_SUBJECTS}TopicRecordNameStrategy": "TOPIC_RECORD",
    f"{_SUBJECTS}AssociatedNameStrategy": "ASSOCIATED",
}
_JAVA_STORES = frozenset({".jks", ".p12", ".pfx", ".pkcs12", ".keystore", ".truststore"})
_TO_PEM = "convert it to PEM (keytool -importkeystore to PKCS12, then openssl pkcs12)"
_MOCK = "mock://"

key_converter = one_of({name: form for form, name in FORMATS.items()}, _ONLY_AVRO)
value_converter = one_of({FORMATS["avro"]: "avro"}, _ONLY_AVRO)
key_format = one_of({"AVRO": "avro", "BYTES": "bytes", "STRING": "string"}, _ONLY_AVRO)
value_format = one_of({"AVRO": "avro"}, _ONLY_AVRO)
framing = one_of(
    {
        f"{_SCHEMA_IDS}PrefixSchemaIdSerializer": "prefix",
        f"{_SCHEMA_IDS}HeaderSchemaIdSerializer": "header",
    }
)
_strategy_name = one_of(
    {name: name for name in ("ASSOCIATED", "TOPIC", "RECORD", "TOPIC_RECORD")} | _STRATEGIES,
    "in Python code it may be a callable too",
)
_action = one_of(("ERROR", "NONE"), "where failed records go is said by errors.deadletterqueue.topic.name")
_pem_type = one_of(("PEM",), f"Java key stores cannot be read: {_TO_PEM}")
_source = one_of(("USER_INFO", "URL"), OWN_CLIENT)


def actions(name: str, value: object) -> tuple[Action, Action]:
    """What happens on failure, when writing and when reading; one word is for both."""
    words = value.split(",") if isinstance(value, str) else [value]
    found = [_action(name, word) for word in words]
    if len(found) > 2:
        raise ConfigError(f"{name} must be one action, or two for writing and reading, such as ERROR,NONE")
    return found[0], found[-1]


def strategy(name: str, value: object) -> str | Callable[..., Any]:
    """A subject name strategy by Java's class or the Engine's word, or the caller's own function."""
    if callable(value):
        return value
    return str(_strategy_name(name, value))


def text_or_empty(name: str, value: object) -> str:
    """Text, of which the empty one has a meaning of its own."""
    return text(name, value) or ""


def never_registers(name: str, value: object) -> bool:
    """False."""
    if boolean(name, value):
        raise ConfigError(
            f"{name} can only be false: a schema that a connector registers would have no rules; register "
            "it with its rules beforehand, and set false"
        )
    return False


def client_value(name: str, value: object) -> object:
    """Whatever librdkafka takes; what it is known not to take has a fix."""
    if name.endswith(".sasl.jaas.config"):
        prefix = name.removesuffix("jaas.config")
        raise ConfigError(
            f"{name} is for Java clients: give user and password as {prefix}username and {prefix}password"
        )
    return value


def registry_url(name: str, value: object) -> str | None:
    """Addresses of one registry."""
    found = text(name, value)
    if found is None:
        return None
    urls = [url.strip() for url in found.split(",") if url.strip()]
    if not urls or not all(_is_registry(url) for url in urls):
        raise ConfigError(f"{name} must be URLs that begin with http://, https:// or mock://")
    if len(urls) > 1 and any(url.startswith(_MOCK) for url in urls):
        raise ConfigError(f"{name} can hold one mock:// URL alone, or URLs of a real registry: keep either")
    return ",".join(urls)


def _is_registry(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no IPv6 address
        return False
    return url.startswith(_MOCK) or (parts.scheme in ("http", "https") and bool(parts.netloc))


def basic_source(name: str, value: object) -> str:
    """Where user and password come from."""
    if isinstance(value, str) and value.strip().upper() == "SASL_INHERIT":
        raise ConfigError(
            f"{name} cannot be SASL_INHERIT, since there is no JAAS configuration to inherit from: set "
            "USER_INFO, and user and password in basic.auth.user.info"
        )
    return str(_source(name, value))


def user_info(name: str, value: object) -> str | None:
    """User and password; a secret."""
    found = plain(name, value)
    if found is not None and ":" not in found:
        raise ConfigError(f"{name} must be user and password with a colon between")
    return found


def pem_file(name: str, value: object) -> str | None:
    """A file name that is not that of a Java key store."""
    found = text(name, value)
    if found is not None and PurePath(found).suffix.lower() in _JAVA_STORES:
        raise ConfigError(f"{name} names a Java key store, which cannot be read: {_TO_PEM}")
    return found


def pem(name: str, value: object) -> str:
    """The one type of file that is read."""
    return str(_pem_type(name, value))


def no_password(name: str, value: object) -> None:
    """Nothing."""
    if plain(name, value) is not None:
        raise ConfigError(
            f"{name} is for Java trust stores, which cannot be read: {_TO_PEM}, and remove the password"
        )


def no_rule_params(name: str, _value: object) -> None:
    """Nothing: a key that one rule created is opened for others too, by the same credentials."""
    before, _, parameter = name.partition(".param.")
    start = before[: before.index("rule.executors.")]
    raise ConfigError(
        f"{name} is for one rule, but the rules of a converter share their credentials: use "
        f"{start}rule.executors._ENCRYPT_.param.{parameter}"
    )
