"""Whether encryption rules run for a converter, what follows their failure, and the KMS credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from csfle_fast.connect.allowed import Action
from csfle_fast.connect.given import GivenProperties
from csfle_fast.connect.table import Kind
from csfle_fast.errors import ConfigError

__all__ = ["RuleSettings", "on_failure", "rule_settings"]

_ENABLED = "csfle.enabled"
_ON_FAILURE = "csfle.onFailure"
_FIELDS = "rule.executors._ENCRYPT_."
_PAYLOAD = "rule.executors._ENCRYPT_PAYLOAD_."
_EVERY = "rule.executors._default_."


@dataclass(frozen=True)
class RuleSettings:
    """What the properties say about the rules of one converter.

    Attributes:
        encrypts: whether encryption rules run.
        disabled: ``rule.executors.<who>.disabled``, as the Engine's conf takes them.
        params: credentials and options of KMS drivers.
    """

    encrypts: bool
    disabled: Mapping[str, bool]
    params: Mapping[str, str] = field(repr=False)


def rule_settings(connector: GivenProperties, converter: GivenProperties) -> RuleSettings:
    """The rules of a converter, from its own properties and ``csfle.enabled``.

    Raises:
        ConfigError: the properties contradict each other.
    """
    disabled = {
        name: value
        for name, value in converter.items()
        if name.startswith("rule.executors.") and name.endswith(".disabled")
    }
    fields, payload = f"{_FIELDS}disabled", f"{_PAYLOAD}disabled"
    if _ENABLED in connector:
        enabled = bool(connector[_ENABLED])
        if disabled.get(fields) is enabled:
            raise _contrary(converter.name_of(fields))
        if enabled and disabled.get(f"{_EVERY}disabled") is True:
            raise _contrary(converter.name_of(f"{_EVERY}disabled"))
        # The other way round is none: with csfle.enabled=true one of the two types may stay off.
        if not enabled and disabled.get(payload) is False:
            raise _contrary(converter.name_of(payload))
    else:
        enabled = disabled.get(fields) is False
    encrypts = enabled or disabled.get(payload) is False
    disabled.setdefault(fields, not enabled)
    if not encrypts:
        disabled.setdefault(payload, True)
    return RuleSettings(encrypts, disabled, _params(converter))


def on_failure(connector: GivenProperties, converter: GivenProperties, kind: Kind) -> Action:
    """What happens to a record of which a rule fails.

    Raises:
        ConfigError: a source would write plaintext, or the properties contradict each other.
    """
    found: dict[str, Action] = {}
    for given, name in ((connector, _ON_FAILURE), (converter, f"{_FIELDS}onFailure")):
        if name in given:
            writing, reading = given[name]
            found[given.name_of(name)] = writing if kind == "source" else reading
    for name, action in found.items():
        if kind == "source" and action == "NONE":
            raise ConfigError(
                f"{name} can only be ERROR on a source, where NONE would write plaintext: set ERROR, or "
                "remove it"
            )
    if len(set(found.values())) > 1:
        raise ConfigError(f"{' and '.join(found)} have different values: keep one")
    return next(iter(found.values()), "ERROR")


def _contrary(name: str) -> ConfigError:
    return ConfigError(f"{name} says the contrary of {_ENABLED}: remove one of them")


def _params(converter: GivenProperties) -> dict[str, str]:
    """The credentials of both types over those of all rules; an Engine has one set of them."""
    fields, payload = converter.below(f"{_FIELDS}param."), converter.below(f"{_PAYLOAD}param.")
    for name in fields.keys() & payload.keys():
        if fields[name] != payload[name]:
            one, other = (converter.name_of(f"{who}param.{name}") for who in (_FIELDS, _PAYLOAD))
            raise ConfigError(
                f"{one} and {other} have different values, and both types share their credentials: keep one"
            )
    return converter.below(f"{_EVERY}param.") | fields | payload
