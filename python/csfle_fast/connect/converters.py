"""The settings of a converter: what keys, or values, are made into and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from csfle_fast.connect.allowed import FORMATS, Action, Format
from csfle_fast.connect.given import GivenProperties
from csfle_fast.connect.registry_settings import registry_settings
from csfle_fast.connect.rule_settings import RuleSettings, on_failure, rule_settings
from csfle_fast.connect.table import Kind, Part
from csfle_fast.errors import ConfigError
from csfle_fast.settings import SETTINGS

__all__ = ["ConverterSettings", "converter_settings"]

_LATEST = "use.latest.version"
_STRATEGY = "subject.name.strategy"
_FALLBACK = "subject.name.strategy.fallback.type"


def _nothing() -> Mapping[str, object]:
    return MappingProxyType({})


@dataclass(frozen=True)
class ConverterSettings:
    """The settings of one converter.

    Attributes:
        part: whether it converts keys or values.
        format: what it converts to on the wire.
        class_name: its class in Java, as dead letters name it.
        encrypts: whether encryption rules run; never for other formats than Avro.
        on_failure: what happens to a record of which a rule fails: ERROR or NONE.
        framing: where written records name their schema: in front, or in a header.
        conf: the Engine's ``conf``; empty for other formats than Avro, as are the next two.
        registry: configuration of a SchemaRegistryClient; empty where one was handed in.
        rule_conf: credentials and options of KMS drivers.
    """

    part: Part
    format: Format
    class_name: str
    encrypts: bool = False
    on_failure: Action = "ERROR"
    framing: Literal["prefix", "header"] = "prefix"
    conf: Mapping[str, object] = field(default_factory=_nothing)
    registry: Mapping[str, object] = field(default_factory=_nothing, repr=False)
    rule_conf: Mapping[str, object] = field(default_factory=_nothing, repr=False)


def converter_settings(
    part: Part, kind: Kind, connector: GivenProperties, given: GivenProperties, *, has_client: bool
) -> ConverterSettings:
    """The settings of one converter.

    Args:
        part: which.
        kind: whether the connector is a source or a sink.
        connector: the properties of the connector.
        given: the properties of the converter.
        has_client: whether a registry client was handed in.

    Raises:
        ConfigError: (a ValueError) properties are missing, not allowed here, or contradict each other.
    """
    form = _format(part, connector)
    if form != "avro":
        return ConverterSettings(part, form, FORMATS[form])
    rules = rule_settings(connector, given)
    return ConverterSettings(
        part,
        form,
        FORMATS[form],
        encrypts=rules.encrypts,
        on_failure=on_failure(connector, given, kind),
        framing=given["schema.id.serializer"] or "prefix",
        conf=MappingProxyType(_conf(kind, given, rules)),
        registry=MappingProxyType({} if has_client else registry_settings(given, part)),
        rule_conf=MappingProxyType(rules.params),
    )


def _format(part: Part, connector: GivenProperties) -> Format:
    found: dict[str, Format] = dict(connector.items())
    default: Format = "avro" if part == "value" else "bytes"
    return found.get(f"{part}.converter", default)


def _conf(kind: Kind, given: GivenProperties, rules: RuleSettings) -> dict[str, object]:
    settings = {setting.name for setting in SETTINGS}
    conf = {name: value for name, value in given.items() if name in settings}
    conf[_LATEST] = given[_LATEST]
    conf["tag.inheritance"] = given["tag.inheritance"]
    if not conf[_LATEST] and (kind == "source" or rules.encrypts):
        raise ConfigError(
            f"{given.name_of(_LATEST)} can only be false on a sink without encryption, since the rules are "
            "those of the latest version: set true"
        )
    if kind == "source":
        for name in (_STRATEGY, _FALLBACK):
            if conf.get(name) in ("RECORD", "TOPIC_RECORD"):
                raise ConfigError(
                    f"{given.name_of(name)} cannot be RECORD or TOPIC_RECORD on a source: they need the "
                    "record's name, which only a consumed record tells; use TOPIC or ASSOCIATED"
                )
    return {**conf, **rules.disabled}
