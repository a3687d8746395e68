"""Rules: which ENCRYPT and ENCRYPT_PAYLOAD rules of a version run in a mode, with which parameters.

Where Confluent's clients differ, the Java client's semantics hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from confluent_kafka.schema_registry import Rule as ConfluentRule
from confluent_kafka.schema_registry import RuleSet as ConfluentRuleSet

from csfle_fast.errors import RuleSetError

if TYPE_CHECKING:
    from csfle_fast.registry import Version
    from csfle_fast.settings import Settings

__all__ = [
    "EncryptRule",
    "Mode",
    "Rule",
    "RuleSet",
    "RulesToRun",
    "Selection",
    "parse_rule_set",
    "select_rules",
]

Mode = Literal["WRITE", "READ"]

#: Which rules a batch runs: ``all`` that hold; ``own``, on READ, those of the frame's own version alone,
#: whatever the latest says; ``none``.
RulesToRun = Literal["all", "own", "none"]

ENCRYPT = "ENCRYPT"
ENCRYPT_PAYLOAD = "ENCRYPT_PAYLOAD"
ALGORITHMS = ("AES128_GCM", "AES256_GCM", "AES256_SIV")

_KEK_NAME = "encrypt.kek.name"
_KMS_TYPE = "encrypt.kms.type"
_KMS_KEY_ID = "encrypt.kms.key.id"
_ALGORITHM = "encrypt.dek.algorithm"
_EXPIRY_DAYS = "encrypt.dek.expiry.days"

_RUN_HERE = frozenset({"ALL", "CLIENT"})
_RUN_ELSEWHERE = frozenset({"GATEWAY", "SERVER", "NONE"})
_MAX_EXPIRY_DAYS = 2**31 - 1  # a Java int


@dataclass(frozen=True)
class Rule:
    """One rule as it stands in a rule set, with the registry's defaults filled in.

    Attributes:
        name: its name, unique in the set.
        kind: TRANSFORM or CONDITION.
        mode: WRITE, READ, WRITEREAD, UPGRADE, DOWNGRADE or UPDOWN.
        type: ENCRYPT, CEL, ..., in upper case.
        tags: tags whose fields it hits, in the order of the rule set.
        params: its own parameters.
        on_failure: its action on failure, None where it has none.
        disabled: whether the rule set turns it off.
    """

    name: str
    kind: str
    mode: str
    type: str
    tags: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    on_failure: str | None = None
    disabled: bool = False

    def runs_in(self, mode: Mode) -> bool:
        """Whether its mode covers ``mode``."""
        return self.mode in (mode, "WRITEREAD")


@dataclass(frozen=True)
class RuleSet:
    """The rules of one version, by the place where they run, in the order of the rule set."""

    domain: tuple[Rule, ...] = ()
    encoding: tuple[Rule, ...] = ()
    migration: tuple[Rule, ...] = ()
    enable_at: str | None = None


@dataclass(frozen=True)
class EncryptRule:
    """One ENCRYPT or ENCRYPT_PAYLOAD rule that runs, its parameters checked.

    Attributes:
        name: its name.
        tags: tags whose fields it hits; empty: every field. Always empty for ENCRYPT_PAYLOAD's body.
        mode: its own mode: WRITE, READ or WRITEREAD.
        kek_name: name of the KEK in the DEK registry.
        kms_type: type of KMS; None where the rule leaves it to the registry's KEK.
        kms_key_id: the key's id in that KMS; None likewise.
        algorithm: AES128_GCM, AES256_GCM or AES256_SIV.
        expiry_days: age in days at which a new DEK version starts; 0: no rotation and no version prefix.
        on_failure: action on failure, None where there is none (then ERROR). The Engine runs none.
        params: the rule's own parameters, unchecked.
    """

    name: str
    tags: tuple[str, ...]
    mode: str
    kek_name: str
    kms_type: str | None
    kms_key_id: str | None
    algorithm: str
    expiry_days: int
    on_failure: str | None = None
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def rotated(self) -> bool:
        """Whether values carry a DEK version prefix."""
        return self.expiry_days > 0


@dataclass(frozen=True)
class Selection:
    """What runs in one mode. Rules stand in the order of the rule set, on READ too.

    Attributes:
        field_rules: ENCRYPT rules.
        payload_rules: ENCRYPT_PAYLOAD rules.
        foreign: names of rules of other executors that would run in this mode as well.
        migration: names of the migration rules that are not disabled; they run on READ when the
            latest version is not the writer's.
        warnings: sentences worth telling the user once.
        enabled_elsewhere: GATEWAY, SERVER or NONE when encryption rules exist but do not run in a
            client; the rules above are then empty.
    """

    field_rules: tuple[EncryptRule, ...] = ()
    payload_rules: tuple[EncryptRule, ...] = ()
    foreign: tuple[str, ...] = ()
    migration: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    enabled_elsewhere: str | None = None


def parse_rule_set(rule_set: ConfluentRuleSet | None) -> RuleSet:
    """The rule set in our own form: immutable, defaults filled in, types in upper case.

    Raises:
        RuleSetError: bad_rule, a rule has no name or no type.
    """
    if rule_set is None:
        return RuleSet()
    return RuleSet(
        domain=tuple(_parse_rule(rule) for rule in rule_set.domain_rules or ()),
        encoding=tuple(_parse_rule(rule) for rule in rule_set.encoding_rules or ()),
        migration=tuple(_parse_rule(rule) for rule in rule_set.migration_rules or ()),
        enable_at=rule_set.enable_at or None,
    )


def select_rules(version: Version, mode: Mode, settings: Settings) -> Selection:
    """The rules of ``version`` that run in ``mode``.

    Args:
        version: the version whose rule set and metadata decide.
        mode: WRITE or READ.
        settings: for ``rule.executors.*`` overrides.

    Raises:
        RuleSetError: naming subject, rule and parameter: missing_param, bad_param, misplaced_rule,
            bad_rule, bad_enable_at.
    """
    rules = version.rule_set
    domain = [rule for rule in rules.domain if _runs(rule, mode, settings)]
    encoding = [rule for rule in rules.encoding if _runs(rule, mode, settings)]
    if _elsewhere(version):
        encrypts = any(rule.type in (ENCRYPT, ENCRYPT_PAYLOAD) for rule in domain + encoding)
        return Selection(enabled_elsewhere=rules.enable_at if encrypts else None)
    _refuse(version, domain, ENCRYPT_PAYLOAD, "domainRules")
    _refuse(version, encoding, ENCRYPT, "encodingRules")
    suppressed, warnings = _suppressed(version, mode)
    return Selection(
        field_rules=tuple(
            _encrypt_rule(version, rule)
            for rule in domain
            if rule.type == ENCRYPT and rule.name not in suppressed
        ),
        payload_rules=tuple(
            _encrypt_rule(version, rule) for rule in encoding if rule.type == ENCRYPT_PAYLOAD
        ),
        foreign=tuple(rule.name for rule in domain + encoding if rule.type not in (ENCRYPT, ENCRYPT_PAYLOAD)),
        migration=tuple(rule.name for rule in rules.migration if not _disabled(rule, settings)),
        warnings=warnings,
    )


def _parse_rule(rule: ConfluentRule) -> Rule:
    if not rule.name or not rule.type:
        raise RuleSetError("bad_rule", f"rule {rule.name or '(no name)'}: a rule needs a name and a type")
    return Rule(
        name=rule.name,
        kind=str(rule.kind or "TRANSFORM"),
        mode=str(rule.mode or "WRITEREAD"),
        type=rule.type.upper(),
        tags=tuple(rule.tags or ()),
        params=MappingProxyType(dict(rule.params.params if rule.params is not None else {})),
        on_failure=rule.on_failure or None,
        disabled=bool(rule.disabled),
    )


def _where(version: Version, rule: Rule) -> str:
    return f"subject {version.subject}, rule {rule.name}"


def _disabled(rule: Rule, settings: Settings) -> bool:
    override = settings.rule_override(rule.name, rule.type).disabled
    return rule.disabled if override is None else override


def _runs(rule: Rule, mode: Mode, settings: Settings) -> bool:
    return rule.runs_in(mode) and not _disabled(rule, settings)


def _elsewhere(version: Version) -> bool:
    enable_at = version.rule_set.enable_at
    if enable_at is None or enable_at in _RUN_HERE:
        return False
    if enable_at in _RUN_ELSEWHERE:
        return True
    raise RuleSetError("bad_enable_at", f"subject {version.subject}: enableAt {enable_at} is not known")


def _refuse(version: Version, rules: Iterable[Rule], rule_type: str, place: str) -> None:
    for rule in rules:
        if rule.type == rule_type:
            raise RuleSetError(
                "misplaced_rule", f"{_where(version, rule)}: {rule_type} does not run in {place}"
            )


def _suppressed(version: Version, mode: Mode) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names of the ENCRYPT rules that a rule before them with equal tags suppresses, and warnings.

    A disabled rule suppresses too, and only a rule of the very same mode and kind does: that is how
    the Java client compares. It looks forward on WRITE and backward through the reversed list on
    READ, so in both modes the first of the rule set wins.
    """
    suppressed: set[str] = set()
    warnings: list[str] = []
    seen: list[Rule] = []
    for rule in version.rule_set.domain:
        if rule.type != ENCRYPT or not rule.runs_in(mode):
            continue
        first = next((other for other in seen if _same_tags(other, rule)), None)
        seen.append(rule)
        if first is not None:
            suppressed.add(rule.name)
            if first.tags != rule.tags:
                warnings.append(
                    f"{_where(version, rule)}: not run, its tags equal those of rule {first.name} in "
                    "another order; clients other than Java run both"
                )
    return frozenset(suppressed), tuple(warnings)


def _same_tags(one: Rule, other: Rule) -> bool:
    return (
        bool(one.tags)
        and one.kind == other.kind == "TRANSFORM"
        and one.mode == other.mode
        and set(one.tags) == set(other.tags)
    )


def _encrypt_rule(version: Version, rule: Rule) -> EncryptRule:
    if rule.kind != "TRANSFORM":
        raise RuleSetError("bad_rule", f"{_where(version, rule)}: kind {rule.kind} cannot encrypt")
    return EncryptRule(
        name=rule.name,
        tags=tuple(dict.fromkeys(rule.tags)),
        mode=rule.mode,
        kek_name=_kek_name(version, rule),
        kms_type=_param(version, rule, _KMS_TYPE),
        kms_key_id=_param(version, rule, _KMS_KEY_ID),
        algorithm=_algorithm(version, rule),
        expiry_days=_expiry_days(version, rule),
        on_failure=rule.on_failure,
        params=rule.params,
    )


def _param(version: Version, rule: Rule, name: str) -> str | None:
    """A parameter of the rule, else of the schema's metadata; None when absent or empty."""
    value: object = rule.params.get(name)
    if value is None:
        value = version.metadata_properties.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # JSON numbers come through a registry that does not insist on text
    if value is not None and not isinstance(value, str):
        raise _bad_param(version, rule, name, "must be text")
    return value or None


def _bad_param(version: Version, rule: Rule, name: str, why: str) -> RuleSetError:
    return RuleSetError("bad_param", f"{_where(version, rule)}: parameter {name} {why}")


def _kek_name(version: Version, rule: Rule) -> str:
    name = _param(version, rule, _KEK_NAME)
    if name is None:
        raise RuleSetError("missing_param", f"{_where(version, rule)}: parameter {_KEK_NAME} is missing")
    if not (name[0].isalpha() or name[0] == "_") or not all(c.isalnum() or c in "_-" for c in name):
        raise _bad_param(
            version, rule, _KEK_NAME, "must be letters, digits, _ and -, and not begin with a digit or -"
        )
    return name


def _algorithm(version: Version, rule: Rule) -> str:
    algorithm = _param(version, rule, _ALGORITHM) or "AES256_GCM"
    if algorithm not in ALGORITHMS:
        raise _bad_param(version, rule, _ALGORITHM, f"must be one of {', '.join(ALGORITHMS)}")
    return algorithm


def _expiry_days(version: Version, rule: Rule) -> int:
    text = _param(version, rule, _EXPIRY_DAYS) or "0"
    # int() alone would take signs, spaces, underscores and foreign digits, which no other client reads alike.
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _MAX_EXPIRY_DAYS:
        raise _bad_param(version, rule, _EXPIRY_DAYS, "must be a whole number of days, 0 or more")
    return int(text)
