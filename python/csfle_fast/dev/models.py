"""The bodies of requests and answers, by the field names of the HTTP interface."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr
from pydantic.alias_generators import to_camel

__all__ = [
    "AssociatedSubject",
    "ConfigUpdate",
    "CreateAssociations",
    "CreateDek",
    "CreateKek",
    "Dek",
    "Kek",
    "Metadata",
    "ModeUpdate",
    "Reference",
    "RegisterSchema",
    "Rule",
    "RuleSet",
    "SchemaPayload",
    "UpdateKek",
    "to_json",
]


class _Body(BaseModel):
    # Unknown members are ignored, as Confluent's servers do for their newer clients.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


def _default(value: object) -> BeforeValidator:
    """Clients send an explicit null for what they leave to the server."""
    return BeforeValidator(lambda given: value if given is None else given)


class Reference(_Body):
    """A schema that another one uses, by name, from another subject."""

    name: StrictStr
    subject: StrictStr
    version: int


class Metadata(_Body):
    """Tags by field pattern, properties, and which properties are sensitive."""

    tags: dict[str, list[str]] | None = None
    properties: dict[str, str] | None = None
    sensitive: list[str] | None = None

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.tags or self.properties or self.sensitive)


class Rule(_Body):
    """One rule; ``kind``, ``mode`` and ``disabled`` are always filled in, as servers return them."""

    name: StrictStr | None = None
    doc: StrictStr | None = None
    kind: Annotated[str, _default("TRANSFORM")] = "TRANSFORM"
    mode: Annotated[str, _default("WRITEREAD")] = "WRITEREAD"
    type: StrictStr | None = None
    tags: list[str] | None = None
    params: dict[str, str] | None = None
    expr: StrictStr | None = None
    on_success: StrictStr | None = None
    on_failure: StrictStr | None = None
    disabled: Annotated[bool, _default(False)] = False


class RuleSet(_Body):
    """The rules of one schema version, by the time at which they run."""

    migration_rules: list[Rule] | None = None
    domain_rules: list[Rule] | None = None
    encoding_rules: list[Rule] | None = None
    enable_at: StrictStr | None = None

    @property
    def empty(self) -> bool:
        """Whether it has no rules and no place to run them."""
        return not (self.migration_rules or self.domain_rules or self.encoding_rules or self.enable_at)


class SchemaPayload(_Body):
    """A schema with everything that belongs to its identity."""

    schema_type: Annotated[str, _default("AVRO")] = "AVRO"
    schema_text: Annotated[str, _default("")] = Field(default="", alias="schema")
    references: Annotated[list[Reference], _default([])] = []
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None


class RegisterSchema(SchemaPayload):
    """A registration; ``id`` and ``version`` count in IMPORT mode only."""

    id: int | None = None
    version: int | None = None

    def payload(self) -> SchemaPayload:
        """Only what belongs to the schema's identity."""
        return SchemaPayload.model_construct(
            **{name: getattr(self, name) for name in SchemaPayload.model_fields}
        )


class ConfigUpdate(_Body):
    """Compatibility level and what is merged into each newly registered version."""

    compatibility: str | None = None
    compatibility_level: str | None = None
    compatibility_group: str | None = None
    normalize: bool | None = None
    default_metadata: Metadata | None = None
    override_metadata: Metadata | None = None
    default_rule_set: RuleSet | None = None
    override_rule_set: RuleSet | None = None


class ModeUpdate(_Body):
    """READWRITE, READONLY, READONLY_OVERRIDE or IMPORT."""

    mode: str


class CreateKek(_Body):
    """A request for a new KEK."""

    name: StrictStr = ""
    kms_type: StrictStr | None = None
    kms_key_id: StrictStr | None = None
    kms_props: Annotated[dict[str, str], _default({})] = {}
    doc: StrictStr | None = None
    shared: Annotated[bool, _default(False)] = False
    deleted: Annotated[bool, _default(False)] = False


class UpdateKek(_Body):
    """What a KEK may change; a member that is not sent stays as it is."""

    kms_props: dict[str, str] | None = None
    doc: StrictStr | None = None
    shared: bool | None = None


class Kek(_Body):
    """A KEK as it is stored. ``ts`` is in milliseconds since the Unix epoch; None means now."""

    name: str
    kms_type: str
    kms_key_id: str
    kms_props: Annotated[dict[str, str], _default({})] = {}
    doc: str | None = None
    shared: bool = False
    ts: int | None = None
    deleted: bool = False


class CreateDek(_Body):
    """A request for a new DEK; without material the registry makes it (shared KEKs only)."""

    subject: StrictStr | None = None
    version: int | None = None
    algorithm: Annotated[str, _default("AES256_GCM")] = "AES256_GCM"
    encrypted_key_material: StrictStr | None = Field(default=None, repr=False)
    deleted: Annotated[bool, _default(False)] = False


class Dek(_Body):
    """A DEK as it is stored: wrapped. ``ts`` as in Kek."""

    kek_name: str
    subject: str
    version: int = 1
    algorithm: str = "AES256_GCM"
    encrypted_key_material: str = Field(repr=False)
    ts: int | None = None
    deleted: bool = False


class AssociatedSubject(_Body):
    """A subject that a resource uses; ``schema`` is registered under it first, if given."""

    subject: StrictStr
    association_type: Annotated[str, _default("value")] = "value"
    lifecycle: Annotated[str, _default("WEAK")] = "WEAK"
    frozen: Annotated[bool, _default(False)] = False
    schema_payload: SchemaPayload | None = Field(default=None, alias="schema")
    normalize: Annotated[bool, _default(False)] = False


class CreateAssociations(_Body):
    """Which subjects a resource (a topic) uses for its keys and values."""

    resource_name: StrictStr
    resource_namespace: Annotated[str, _default("-")] = "-"
    resource_id: StrictStr
    resource_type: Annotated[str, _default("topic")] = "topic"
    associations: Annotated[list[AssociatedSubject], _default([])] = []


def to_json(body: BaseModel) -> dict[str, Any]:
    """The body as JSON members, without what is null or empty."""
    members: dict[str, Any] = _pruned(body.model_dump(by_alias=True))
    return members


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        pruned = {name: _pruned(member) for name, member in value.items()}
        return {name: member for name, member in pruned.items() if member not in (None, [], {})}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value
