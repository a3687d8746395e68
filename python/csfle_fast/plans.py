"""From registered versions and rules to compiled plans."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

from csfle_fast._core import Plan, Schema
from csfle_fast.errors import RuleSetError
from csfle_fast.registry import Version
from csfle_fast.rules import EncryptRule, Mode, RulesToRun, Selection, select_rules
from csfle_fast.settings import Settings

__all__ = ["Compiled", "Plans"]

_logger = logging.getLogger(__name__)

_Tags = dict[str, list[str]]


@dataclass(frozen=True)
class Compiled:
    """A plan with the rules that its ciphers belong to.

    Attributes:
        plan: the plan.
        schema: the writer schema.
        rules: field rules, then payload rules, by the position that the plan knows them by.
        subject: the subject whose DEKs they use.
        places: at how many places of a row each rule seals or opens, where nothing repeats.
        left: full names of the fields whose values stay as they are although rules hit them, because
            none was to run.
    """

    plan: Plan
    schema: Schema
    rules: tuple[EncryptRule, ...]
    subject: str
    places: tuple[int, ...]
    left: frozenset[str] = frozenset()


class Plans:
    """Compiles plans, and says once what is odd about a rule set.

    Args:
        settings: overrides of rules and tag inheritance.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: set[str] = set()
        self._schema = lru_cache(maxsize=settings.schema_cache_size)(_parse)

    def schema(self, version: Version) -> Schema:
        """The parsed schema of a version. Raises SchemaError."""
        return self._schema(version.schema, version.references)

    def select(self, version: Version, mode: Mode) -> Selection:
        """The rules of a version that run in ``mode``. Raises RuleSetError."""
        selection = select_rules(version, mode, self._settings)
        for warning in selection.warnings:
            self._tell(warning)
        if selection.enabled_elsewhere:
            self._tell(
                f"subject {version.subject}: encryption rules are left to run elsewhere "
                f"(enableAt {selection.enabled_elsewhere})"
            )
        return selection

    def write(self, version: Version, latest: Version, *, exact: bool, rules: RulesToRun = "all") -> Compiled:
        """The WRITE plan of a version: its own rules, else the latest's; tags of both. Or no rules.

        Raises:
            RuleSetError: foreign_rule, a rule needs another executor; or a rule is not valid.
            SchemaError: the schema is not valid.
        """
        if rules == "none":
            return self._without_rules(version, "WRITE", exact=exact)
        pinned = version.schema_id != latest.schema_id
        selection = self.select(version, "WRITE")
        if pinned and selection == Selection():  # it has no rules of its own
            selection = self.select(latest, "WRITE")
        self._refuse_foreign(version.subject, selection.foreign, "WRITE")
        schema = self.schema(version)
        self._look_at_tagged_records(version, schema, selection)
        plan = Plan(
            schema,
            "WRITE",
            [_spec(rule) for rule in selection.field_rules],
            [_layer(rule) for rule in selection.payload_rules],
            metadata_tags=_tags(version),
            latest=(self.schema(latest), _tags(latest), None) if pinned else None,
            inheritance=self._inheritance,
            exact=exact,
        )
        ran = selection.field_rules + selection.payload_rules
        return Compiled(plan, schema, ran, version.subject, tuple(plan.places))

    def read(
        self, version: Version, latest: Version | None, *, exact: bool, rules: RulesToRun = "all"
    ) -> Compiled:
        """The READ plan of a writer's version.

        With ``latest``, that decides which fields are opened, and the writer's own rule for a field,
        where there is one, how. With ``rules`` it does not: own rules run alone, or none.

        Raises:
            RuleSetError: foreign_rule, a rule needs another executor; sealed_payload, nothing of the
                body is to be read without its payload rule; tagged_record; or a rule is not valid.
            SchemaError: the schema is not valid.
        """
        if rules == "own":
            latest = None
        own = self.select(version, "READ")
        field_rules, foreign, beside = own.field_rules, own.foreign, None
        if latest is not None and latest.schema_id != version.schema_id:
            others = self.select(latest, "READ")
            field_rules = own.field_rules + others.field_rules
            encoding = {rule.name for rule in version.rule_set.encoding}
            foreign = tuple(name for name in own.foreign if name in encoding)
            foreign += others.foreign + others.migration
            beside = (self.schema(latest), _tags(latest), len(others.field_rules))
            if rules == "all":
                self._look_at_tagged_records(latest, self.schema(latest), others)
        schema = self.schema(version)
        if rules == "none" and own.payload_rules:
            raise RuleSetError(
                "sealed_payload",
                f"subject {version.subject}: the whole body is encrypted (rule {own.payload_rules[0].name}), "
                "and cannot be read without opening it",
            )
        if rules != "none":
            self._refuse_foreign(version.subject, foreign, "READ")
            self._look_at_tagged_records(version, schema, own)
        plan = Plan(
            schema,
            "READ",
            [_spec(rule) for rule in field_rules],
            [_layer(rule) for rule in own.payload_rules],
            metadata_tags=_tags(version),
            latest=beside,
            inheritance=self._inheritance,
            exact=exact,
        )
        if rules == "none":
            left = frozenset(name for name, _, _ in plan.leaves)
            return replace(self._without_rules(version, "READ", exact=exact), left=left)
        ran = field_rules + own.payload_rules
        return Compiled(plan, schema, ran, version.subject, tuple(plan.places))

    def fields_hit(self, version: Version) -> frozenset[str]:
        """Full names of the fields that a version's own rules open. Raises as ``read``."""
        rules = [_spec(rule) for rule in self.select(version, "READ").field_rules]
        schema, tags = self.schema(version), _tags(version)
        plan = Plan(schema, "READ", rules, metadata_tags=tags, inheritance=self._inheritance)
        return frozenset(name for name, _, _ in plan.leaves)

    def _without_rules(self, version: Version, mode: Mode, *, exact: bool) -> Compiled:
        schema = self.schema(version)
        return Compiled(Plan(schema, mode, [], exact=exact), schema, (), version.subject, ())

    def _refuse_foreign(self, subject: str, names: tuple[str, ...], mode: Mode) -> None:
        if names:
            raise RuleSetError(
                "foreign_rule",
                f"subject {subject}: rules of other executors would run on {mode}, and the Engine runs only "
                f"ENCRYPT and ENCRYPT_PAYLOAD: {', '.join(names)}",
            )

    @property
    def _inheritance(self) -> str:
        # Where tags of records are refused there are none that could reach into one.
        return "java" if self._settings.tag_inheritance == "java" else "own"

    def _look_at_tagged_records(self, version: Version, schema: Schema, selection: Selection) -> None:
        """Tell of, or refuse, a field that holds a record and that a rule hits: the clients differ there."""
        if self._settings.tag_inheritance == "java" or not selection.field_rules:
            return
        wanted = {tag for rule in selection.field_rules for tag in rule.tags}
        for path, _, _, tags, holds_record, *_ in schema.outline(_tags(version)):
            if holds_record and not wanted.isdisjoint(tags):
                if self._settings.tag_inheritance == "refuse":
                    raise RuleSetError(
                        "tagged_record",
                        f"subject {version.subject}: field {path} holds a record and is tagged; set "
                        "tag.inheritance to own (its tags do not reach into the record) or java (they do, "
                        "as the Java client has it)",
                    )
                self._tell(
                    f"subject {version.subject}: field {path} holds a record and is tagged; its tags do not "
                    "reach into the record, while the Java client's would (tag.inheritance=java)"
                )

    def _tell(self, warning: str) -> None:
        if warning not in self._told:
            self._told.add(warning)
            _logger.warning(warning)


def _parse(schema: str, references: tuple[str, ...]) -> Schema:
    return Schema(schema, references)


def _tags(version: Version) -> _Tags:
    return {pattern: list(tags) for pattern, tags in version.metadata_tags.items()}


def _spec(rule: EncryptRule) -> tuple[set[str], str, bool]:
    return set(rule.tags), rule.algorithm, rule.rotated


def _layer(rule: EncryptRule) -> tuple[str, bool]:
    return rule.algorithm, rule.rotated
