"""The properties of connectors: every name with its type, default and meaning.

The table below is the only list: parsing, the warning for an unknown name and the documentation read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from csfle_fast.connect import allowed
from csfle_fast.connect.values import Parse, anything, boolean, names, one_of, plain, seconds, text, whole
from csfle_fast.settings import SETTINGS

__all__ = ["CONVERTER_GROUPS", "PROPERTIES", "ByKind", "Group", "Kind", "Part", "Property"]

Kind = Literal["source", "sink"]
Part = Literal["key", "value"]
Group = Literal["connector", "framework", "converter", "registry", "rules", "engine", "unused"]

#: Properties of these may stand below ``key.converter.`` and ``value.converter.``, or alone for both.
CONVERTER_GROUPS: frozenset[Group] = frozenset({"converter", "registry", "rules", "engine", "unused"})

_FOREVER_MS = 2**31 - 1
_ENGINE = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class ByKind:
    """A default that is another for sources than for sinks."""

    source: Any
    sink: Any


@dataclass(frozen=True, slots=True)
class Property:
    """One property.

    Attributes:
        name: its name. ``*`` stands for one or more characters at its end, and ``<who>`` for any within.
        type: its type, for people.
        default: what holds when it is absent, or a ByKind.
        doc: what it does, with its unit.
        parse: checks a value given by the user and brings it into its type; raises ConfigError.
        group: who reads it: ``framework`` and ``unused`` nobody, but Kafka Connect and its converters do.
        kinds: whose it is; on others it is ignored with a warning.
        sets: the property that it is another name of; its own name where it is not.
        part: for a converter property that is about keys or values alone, which.
    """

    name: str
    type: str
    default: Any
    doc: str
    parse: Parse = field(repr=False)
    group: Group = "connector"
    kinds: tuple[Kind, ...] = ("source", "sink")
    sets: str = ""
    part: Part | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for many."""
        return "*" in self.name or "<" in self.name


def _without_effect(group: Group, *names: str) -> tuple[Property, ...]:
    return tuple(Property(name, "any", None, "", anything, group) for name in names)


PROPERTIES: tuple[Property, ...] = (
    Property(
        "name", "str", ByKind("csfle-fast-source", "csfle-fast-sink"),
        "Name of the connector, in logs and dead letters.",
        text,
    ),
    Property("task.id", "int", 0, "Number of the task, in logs and dead letters.", whole(0, _FOREVER_MS)),
    Property("topics", "names, comma-separated", (), "Topics of the connector.", names),
    Property(
        "sr.service.account.id", "str", None,
        "Service account with rights on schemas and keys. It is told in logs; the rights come with the "
        "credentials of the registry.",
        text,
    ),
    Property(
        "csfle.enabled", "bool", False,
        "Whether encryption rules run: a source encrypts, a sink decrypts.",
        boolean,
    ),
    Property(
        "csfle.onFailure", "ERROR or NONE", "ERROR",
        "What happens to a record whose rule fails: ERROR = it fails, as errors.tolerance says; NONE = it is "
        "handed on as ciphertext. A source takes only ERROR. Of a pair such as ERROR,NONE the first is for "
        "sources, the second for sinks.",
        allowed.actions,
    ),
    Property(
        "read.plaintext", "error or pass", "error",
        "What happens to a record that was written before its rule existed: it fails, or passes as it is.",
        one_of(("error", "pass")), kinds=("sink",),
    ),
    Property(
        "key.converter", "class", "ByteArrayConverter",
        "How keys are converted: io.confluent.connect.avro.AvroConverter, "
        "org.apache.kafka.connect.converters.ByteArrayConverter or "
        "org.apache.kafka.connect.storage.StringConverter.",
        allowed.key_converter,
    ),
    Property(
        "value.converter", "class", "AvroConverter",
        "How values are converted; only io.confluent.connect.avro.AvroConverter.",
        allowed.value_converter,
    ),
    Property(
        "input.data.format", "AVRO", None, "Another way to say value.converter.",
        allowed.value_format, sets="value.converter",
    ),
    Property(
        "output.data.format", "AVRO", None, "Another way to say value.converter.",
        allowed.value_format, sets="value.converter",
    ),
    Property(
        "input.key.format", "AVRO, BYTES or STRING", None, "Another way to say key.converter.",
        allowed.key_format, sets="key.converter",
    ),
    Property(
        "output.data.key.format", "AVRO, BYTES or STRING", None, "Another way to say key.converter.",
        allowed.key_format, sets="key.converter",
    ),
    Property(
        "errors.tolerance", "none or all", ByKind("none", "all"),
        "Whether the connector goes on after a record that failed.",
        one_of(("none", "all")),
    ),
    Property(
        "errors.retry.timeout", "ms, -1 for ever", 300_000,
        "How long what may pass, such as a registry out of reach, is tried again.",
        whole(-1, 2**63 - 1),
    ),
    Property(
        "errors.retry.delay.max.ms", "ms", 30_000, "Longest pause between two tries.", whole(1, _FOREVER_MS)
    ),
    Property(
        "errors.deadletterqueue.topic.name", "str", "dlq-${connector}",
        "Topic for records that failed, as they were consumed; ${connector} is the name of the connector. "
        "Empty: none.",
        allowed.text_or_empty, kinds=("sink",),
    ),
    Property(
        "errors.deadletterqueue.topic.replication.factor", "int", 3,
        "Replicas of that topic, where it has to be created.",
        whole(1, 2**15 - 1), kinds=("sink",),
    ),
    Property(
        "errors.deadletterqueue.context.headers.enable", "bool", True,
        "Whether dead letters say in headers where and why they failed.",
        boolean, kinds=("sink",),
    ),
    Property("errors.log.enable", "bool", True, "Whether records that failed are logged.", boolean),
    Property(
        "errors.log.include.messages", "bool", False,
        "Whether the log says where such a record is: topic, partition, offset. Never what is in it.",
        boolean,
    ),
    Property("bootstrap.servers", "str", None, "Brokers, for consumer and producer.", text),
    Property(
        "consumer.override.*", "librdkafka", None, "Configuration of the consumer, in librdkafka's names.",
        allowed.client_value,
    ),
    Property(
        "producer.override.*", "librdkafka", None, "Configuration of the producer, in librdkafka's names.",
        allowed.client_value,
    ),
    Property(
        "max.poll.records", "int", 500, "Most records in one batch.", whole(1, _FOREVER_MS), kinds=("sink",)
    ),
    Property(
        "consumer.override.max.poll.records", "int", None, "Another name of max.poll.records.",
        whole(1, _FOREVER_MS), kinds=("sink",), sets="max.poll.records",
    ),
    *_without_effect(
        "framework",
        "connector.class", "tasks.max", "header.converter", "header.converter.*", "transforms",
        "transforms.*", "predicates", "predicates.*", "config.action.reload", "auto.restart.on.user.error",
        "kafka.auth.mode", "kafka.api.*", "kafka.service.account.id", "csfle.configs.visible",
        "topics.regex", "topic.creation.*", "max.poll.interval.ms", "admin.override.*",
    ),
    Property(
        "auto.register.schemas", "bool, only false", False,
        "Registering is never done: register the schema with its rules beforehand.",
        allowed.never_registers, "converter",
    ),
    Property(
        "use.latest.version", "bool", True,
        "Whether the subject's latest version decides. Only a sink without encryption may say false.",
        boolean, "converter",
    ),
    Property(
        "subject.name.strategy", "class or name", "ASSOCIATED",
        "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy of "
        "io.confluent.kafka.serializers.subject, or a word of settings.md. A source takes none with RECORD.",
        allowed.strategy, "converter",
    ),
    Property(
        "key.subject.name.strategy", "class or name", None, "subject.name.strategy of the keys.",
        allowed.strategy, "converter", sets="subject.name.strategy", part="key",
    ),
    Property(
        "value.subject.name.strategy", "class or name", None, "subject.name.strategy of the values.",
        allowed.strategy, "converter", sets="subject.name.strategy", part="value",
    ),
    Property(
        "key.schema.id.serializer", "class", "PrefixSchemaIdSerializer",
        "Where written keys name their schema: PrefixSchemaIdSerializer = in front, HeaderSchemaIdSerializer "
        "= in a header; both of io.confluent.kafka.serializers.schema.id. Both are read.",
        allowed.framing, "converter", sets="schema.id.serializer", part="key",
    ),
    Property(
        "value.schema.id.serializer", "class", "PrefixSchemaIdSerializer", "Likewise for values.",
        allowed.framing, "converter", sets="schema.id.serializer", part="value",
    ),
    Property(
        "tag.inheritance", _ENGINE["tag.inheritance"].type, "refuse",
        "As in settings.md. By default a rule set on which clients differ is refused.",
        _ENGINE["tag.inheritance"].parse, "converter",
    ),
    Property(
        "schema.registry.url", "URLs, comma-separated", None,
        "The registry: http, https, or mock://scope, which is shared in the process. Needed for Avro, "
        "unless a client is handed in.",
        allowed.registry_url, "registry",
    ),
    Property(
        "basic.auth.credentials.source", "USER_INFO or URL", None,
        "Where user and password come from; absent: from basic.auth.user.info if set, else from the URL.",
        allowed.basic_source, "registry",
    ),
    Property(
        "basic.auth.user.info", "str, secret", None, "user:password, or API key and secret.",
        allowed.user_info, "registry",
    ),
    Property(
        "schema.registry.basic.auth.user.info", "str, secret", None, "Another name of basic.auth.user.info.",
        allowed.user_info, "registry", sets="basic.auth.user.info",
    ),
    Property(
        "bearer.auth.credentials.source", "STATIC_TOKEN or OAUTHBEARER", None,
        "Where a token comes from: bearer.auth.token, or an issuer.",
        one_of(("STATIC_TOKEN", "OAUTHBEARER"), allowed.OWN_CLIENT), "registry",
    ),
    Property("bearer.auth.token", "str, secret", None, "The token.", plain, "registry"),
    Property(
        "bearer.auth.issuer.endpoint.url", "URL", None, "Where the issuer gives tokens.", text, "registry"
    ),
    Property("bearer.auth.client.id", "str", None, "Client id at the issuer.", text, "registry"),
    Property("bearer.auth.client.secret", "str, secret", None, "Its secret.", plain, "registry"),
    Property("bearer.auth.scope", "str", None, "Scope of the token.", text, "registry"),
    Property(
        "bearer.auth.logical.cluster", "str", None, "Id of the registry's cluster; any token needs it.",
        text, "registry",
    ),
    Property("bearer.auth.identity.pool.id", "str", None, "Identity pool.", text, "registry"),
    Property(
        "ssl.ca.location", "PEM file", None, "Certificates that the registry's is checked against.",
        allowed.pem_file, "registry",
    ),
    Property(
        "ssl.certificate.location", "PEM file", None, "Client certificate, with or without its key.",
        allowed.pem_file, "registry",
    ),
    Property(
        "ssl.key.location", "PEM file", None, "Key of the client certificate.", allowed.pem_file, "registry"
    ),
    Property("ssl.key.password", "str, secret", None, "Password of that key.", plain, "registry"),
    Property(
        "schema.registry.ssl.truststore.location", "PEM file", None, "Another name of ssl.ca.location.",
        allowed.pem_file, "registry", sets="ssl.ca.location",
    ),
    Property(
        "schema.registry.ssl.truststore.type", "PEM", None, "Nothing else is read.", allowed.pem, "registry"
    ),
    Property(
        "schema.registry.ssl.truststore.password", "none", None, "A PEM file has none.",
        allowed.no_password, "registry",
    ),
    Property(
        "schema.registry.ssl.keystore.location", "PEM file", None,
        "Another name of ssl.certificate.location.",
        allowed.pem_file, "registry", sets="ssl.certificate.location",
    ),
    Property(
        "schema.registry.ssl.keystore.type", "PEM", None, "Nothing else is read.", allowed.pem, "registry"
    ),
    Property(
        "schema.registry.ssl.keystore.password", "str, secret", None, "Another name of ssl.key.password.",
        plain, "registry", sets="ssl.key.password",
    ),
    Property(
        "schema.registry.ssl.key.password", "str, secret", None, "Another name of ssl.key.password.",
        plain, "registry", sets="ssl.key.password",
    ),
    Property("proxy", "URL", None, "Proxy on the way to the registry.", text, "registry"),
    Property("timeout", "seconds", 60.0, "Longest wait for one answer.", seconds(0.001, 86_400), "registry"),
    Property("max.retries", "int", 3, "Tries after the first one.", whole(0, 1_000), "registry"),
    Property(
        "retries.wait.ms", "ms", 1_000, "Longest pause before the first of them.",
        whole(0, _FOREVER_MS), "registry",
    ),
    Property(
        "retries.max.wait.ms", "ms", 20_000, "Longest pause before any.", whole(0, _FOREVER_MS), "registry"
    ),
    Property(
        "rule.executors._ENCRYPT_.disabled", "bool", None,
        "The other side of csfle.enabled, for one converter: false runs encryption rules.",
        boolean, "rules",
    ),
    Property(
        "rule.executors._ENCRYPT_.onFailure", "ERROR or NONE", None, "csfle.onFailure, for one converter.",
        allowed.actions, "rules",
    ),
    Property(
        "rule.executors.<who>.disabled", "bool", None,
        "Turns a rule (by name), a type (_ENCRYPT_PAYLOAD_) or all (_default_) off or on.",
        boolean, "rules",
    ),
    Property(
        "rule.executors._default_.param.*", "str, secret", None,
        "Credentials and options of KMS drivers, such as access.key.id, secret.access.key or token.id.",
        plain, "rules",
    ),
    Property(
        "rule.executors._ENCRYPT_.param.*", "str, secret", None, "Likewise; goes before _default_.",
        plain, "rules",
    ),
    Property(
        "rule.executors._ENCRYPT_PAYLOAD_.param.*", "str, secret", None, "Likewise; goes before _default_.",
        plain, "rules",
    ),
    Property(
        "rule.executors.<who>.param.*", "none", None,
        "Refused for single rules: all rules of a converter share their credentials.",
        allowed.no_rule_params, "rules",
    ),
    *(
        Property(setting.name, setting.type, setting.default, setting.doc, setting.parse, "engine")
        for setting in SETTINGS
        if setting.name
        not in {"auto.register.schemas", "use.latest.version", "subject.name.strategy", "tag.inheritance"}
    ),
    *_without_effect(
        "unused",
        "latest.compatibility.strict", "id.compatibility.strict", "normalize.schemas", "schemas.enable",
        "enhanced.avro.schema.support", "connect.meta.data", "schemas.cache.config", "schemas.cache.size",
        "scrub.invalid.names", "discard.type.doc.default", "allow.optional.map.keys", "flatten.unions",
        "flatten.singleton.unions", "generalized.sum.type.support", "ignore.default.for.nullables",
        "decimal.format", "replace.null.with.default", "max.schemas.per.subject", "converter.encoding",
        "avro.use.logical.type.converters", "avro.remove.java.properties", "reference.subject.name.strategy",
        "key.schema.id.deserializer", "value.schema.id.deserializer", "rule.executors",
        "rule.executors.<who>.class", "rule.service.loader.enable",
    ),
)  # fmt: skip
