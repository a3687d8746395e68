"""The settings of an Engine: every key of ``conf`` with its type, default and meaning.

The table below is the only list: parsing, the error for an unknown key and the documentation read it.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from csfle_fast.errors import ConfigError

__all__ = ["RULE_OVERRIDES", "SETTINGS", "RuleOverride", "Setting", "Settings"]

_MAX_MISSING_TTL_SEC = 10.0
_MAX_CACHE_SIZE = 1_000_000
_MAX_PRODUCERS = 1_000_000
_OVERRIDE_PREFIX = "rule.executors."
#: Every rule, and every rule of one type, as keys of the overrides (the worker properties of Kafka Connect).
_DEFAULT_OVERRIDE = "_default_"


def _boolean(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ConfigError(f"setting {name} must be true or false")


def _only_false(name: str, value: object) -> bool:
    if _boolean(name, value):
        raise ConfigError(f"setting {name} can only be false: a schema with rules is registered beforehand")
    return False


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"setting {name} must be a number")
    if not low <= value <= high:  # also refuses NaN
        raise ConfigError(f"setting {name} must be from {low:g} to {high:g}")
    return float(value)


def _seconds(low: float, high: float) -> Callable[[str, object], float]:
    return lambda name, value: _number(name, value, low, high)


def _size(high: int) -> Callable[[str, object], int]:
    def parse(name: str, value: object) -> int:
        number = _number(name, value, 1, high)
        if number != int(number):
            raise ConfigError(f"setting {name} must be a whole number")
        return int(number)

    return parse


def _one_of(*allowed: str) -> Callable[[str, object], str]:
    def parse(name: str, value: object) -> str:
        if isinstance(value, str):
            for choice in allowed:
                if value.strip().lower() == choice.lower():
                    return choice
        raise ConfigError(f"setting {name} must be one of {', '.join(allowed)}")

    return parse


def _strategy(name: str, value: object) -> str | Callable[..., Any]:
    if callable(value):
        return value
    return _one_of("ASSOCIATED", "TOPIC", "RECORD", "TOPIC_RECORD")(name, value)


def _text(name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise ConfigError(f"setting {name} must be text")


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of ``conf``.

    Attributes:
        name: the key.
        type: its type, for people.
        default: what holds when it is absent.
        doc: what it does, with its unit.
        parse: checks a value given by the user and brings it into its type; raises ConfigError.
    """

    name: str
    type: str
    default: Any
    doc: str
    parse: Callable[[str, object], Any] = field(repr=False)

    @property
    def attribute(self) -> str:
        """Name of the attribute of Settings that holds it."""
        return self.name.replace(".", "_")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "use.latest.version", "bool", False,
        "READ only: the subject's latest version, not the writer schema, decides which fields are opened.",
        _boolean,
    ),
    Setting(
        "latest.cache.ttl.sec", "seconds, 0 to 86400", 300.0,
        "How long the latest version of a subject, and the subject of a topic, are used before the registry "
        "is asked again. 0 asks every time.",
        _seconds(0, 86_400),
    ),
    Setting(
        "schema.cache.size", "int", 1_000,
        "Most schema versions kept (by subject, by schema id, by GUID, each).",
        _size(_MAX_CACHE_SIZE),
    ),
    Setting(
        "missing.cache.ttl.sec", "seconds, 0 to 10", 5.0,
        "How long a failure (unknown schema id, missing key, refusal by a registry or a KMS) is remembered "
        "and raised again without a request. 0 never remembers.",
        _seconds(0, _MAX_MISSING_TTL_SEC),
    ),
    Setting(
        "subject.name.strategy", "ASSOCIATED, TOPIC, RECORD, TOPIC_RECORD or callable", "ASSOCIATED",
        "How topic and field become a subject. ASSOCIATED asks the registry for an association and falls "
        "back. RECORD and TOPIC_RECORD need the record's name, which only a frame tells: they are for "
        "reading. A callable takes (SerializationContext, record name) as confluent-kafka's do.",
        _strategy,
    ),
    Setting(
        "subject.name.strategy.fallback.type", "TOPIC, RECORD, TOPIC_RECORD or NONE", "TOPIC",
        "What ASSOCIATED does for a topic without an association; NONE is an error.",
        _one_of("TOPIC", "RECORD", "TOPIC_RECORD", "NONE"),
    ),
    Setting(
        "subject.name.strategy.kafka.cluster.id", "str", None,
        "Resource namespace under which ASSOCIATED looks; absent: any.",
        _text,
    ),
    Setting(
        "auto.register.schemas", "bool, only false", False,
        "Accepted for the sake of existing configurations; registering is never done.",
        _only_false,
    ),
    Setting(
        "tag.inheritance", "own, java or refuse", "own",
        "Whether a tag on a field that holds a record reaches the fields of that record: own = no (all "
        "clients but Java), java = as the Java client does; refuse = a rule set that would hit such a field "
        "is an error.",
        _one_of("own", "java", "refuse"),
    ),
    Setting(
        "crypto.provider", "auto, ring or many", "auto",
        "Who seals and opens AES-GCM values: ring = that library, one by one; many = short values many at "
        "once, longer ones and processors without instructions for AES by ring; auto = the fastest here, now "
        "many. A key that many fails its check on is left to ring and counted (provider_fallbacks).",
        _one_of("auto", "ring", "many"),
    ),
    Setting(
        "kek.cache.ttl.sec", "seconds, 0 to 86400", 300.0,
        "How long a KEK's registry entry is used before it is asked for again.",
        _seconds(0, 86_400),
    ),
    Setting("kek.cache.size", "int", 1_000, "Most KEKs, and most KMS clients, kept.", _size(_MAX_CACHE_SIZE)),
    Setting(
        "dek.cache.ttl.sec", "seconds, 0 to 86400", 300.0,
        "How long a DEK is used before registry and KMS are asked again, so that a revoked KEK stops "
        "working.",
        _seconds(0, 86_400),
    ),
    Setting("dek.cache.size", "int", 10_000, "Most DEK versions kept.", _size(_MAX_CACHE_SIZE)),
    Setting(
        "stale.if.error.sec", "seconds, 0 to 86400", 300.0,
        "How long, beyond its TTL, what was learnt of a registry or a KMS is used while they cannot be "
        "asked (no connection, no answer in time, throttling, a fault of theirs). A refusal ends it at once.",
        _seconds(0, 86_400),
    ),
    Setting(
        "dek.max.seals", "int, up to 2^32", 2**32,
        "AES-GCM values that one DEK version may seal, by all producers together.",
        _size(2**32),
    ),
    Setting(
        "dek.max.seals.producers", "int", 1,
        "How many Engines seal with the same DEKs: each may use its part of dek.max.seals.",
        _size(_MAX_PRODUCERS),
    ),
    Setting(
        "dek.max.seals.action", "rotate, warn or error", "rotate",
        "What happens when that is used up: rotate = a rule with encrypt.dek.expiry.days gets its next DEK "
        "version early, any other warns; warn = a warning, and more is sealed; error = no batch is sealed "
        "(dek_exhausted) until the DEK's age makes it rotate.",
        _one_of("rotate", "warn", "error"),
    ),
)  # fmt: skip

#: Keys ``rule.executors.<who>.<what>``, where ``<who>`` is a rule's name, ``_<TYPE>_`` or ``_default_``.
RULE_OVERRIDES: tuple[Setting, ...] = (
    Setting(
        "disabled", "bool", None,
        "Turns a rule off (true), or on although the rule set says disabled (false).",
        _boolean,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """What the configuration says about some rules; None leaves it to the rule set."""

    disabled: bool | None = None


@dataclass(frozen=True)
class Settings:
    """The parsed ``conf``. Each attribute is the key of the same name in SETTINGS, with ``_`` for ``.``."""

    use_latest_version: bool = False
    latest_cache_ttl_sec: float = 300.0
    schema_cache_size: int = 1_000
    missing_cache_ttl_sec: float = 5.0
    subject_name_strategy: str | Callable[..., Any] = "ASSOCIATED"
    subject_name_strategy_fallback_type: str = "TOPIC"
    subject_name_strategy_kafka_cluster_id: str | None = None
    auto_register_schemas: bool = False
    tag_inheritance: str = "own"
    crypto_provider: str = "auto"
    kek_cache_ttl_sec: float = 300.0
    kek_cache_size: int = 1_000
    dek_cache_ttl_sec: float = 300.0
    dek_cache_size: int = 10_000
    stale_if_error_sec: float = 300.0
    dek_max_seals: int = 2**32
    dek_max_seals_producers: int = 1
    dek_max_seals_action: str = "rotate"
    rule_overrides: Mapping[str, RuleOverride] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, conf: Mapping[str, object] | None) -> Settings:
        """Check ``conf`` and fill in the defaults. Text such as ``"true"`` and ``"300"`` is understood.

        Raises:
            ConfigError: (a ValueError) a key is unknown; the message names the nearest known one.
                Or a value is not allowed.
        """
        known = {setting.name: setting for setting in SETTINGS}
        values: dict[str, Any] = {}
        overrides: dict[str, dict[str, Any]] = {}
        for name, value in (conf or {}).items():
            if not isinstance(name, str):
                raise ConfigError("the keys of the settings must be text", "unknown_setting")
            if name in known:
                values[known[name].attribute] = known[name].parse(name, value)
            elif not _parse_override(name, value, overrides):
                raise ConfigError(_unknown(name, known), "unknown_setting")
        if values.get("dek_max_seals_producers", 1) > values.get("dek_max_seals", 2**32):
            raise ConfigError("setting dek.max.seals must be at least dek.max.seals.producers")
        return cls(
            **values,
            rule_overrides=MappingProxyType({who: RuleOverride(**what) for who, what in overrides.items()}),
        )

    @property
    def seal_budget(self) -> int:
        """AES-GCM values that one Engine may seal with one DEK version."""
        return self.dek_max_seals // self.dek_max_seals_producers

    def rule_override(self, rule_name: str, rule_type: str) -> RuleOverride:
        """What holds for one rule: by its name, else by its type, else by default."""
        found = [
            self.rule_overrides[who]
            for who in (rule_name, f"_{rule_type}_", _DEFAULT_OVERRIDE)
            if who in self.rule_overrides
        ]
        return RuleOverride(next((o.disabled for o in found if o.disabled is not None), None))


def _parse_override(name: str, value: object, overrides: dict[str, dict[str, Any]]) -> bool:
    who, dot, what = name.removeprefix(_OVERRIDE_PREFIX).rpartition(".")
    if not name.startswith(_OVERRIDE_PREFIX) or not dot or not who:
        return False
    for setting in RULE_OVERRIDES:
        if setting.name == what:
            overrides.setdefault(who, {})[what] = setting.parse(name, value)
            return True
    return False


def _unknown(name: str, known: Mapping[str, Setting]) -> str:
    candidates = list(known)
    if name.startswith(_OVERRIDE_PREFIX):
        who = name.removeprefix(_OVERRIDE_PREFIX).partition(".")[0]
        candidates = [f"{_OVERRIDE_PREFIX}{who}.{setting.name}" for setting in RULE_OVERRIDES]
    nearest = difflib.get_close_matches(name, candidates, n=1, cutoff=0.0)[0]
    return f"unknown setting {name}; the nearest known one is {nearest}"
