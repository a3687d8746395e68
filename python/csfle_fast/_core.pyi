"""Types of the compiled core. Everything here is immutable and safe to share between threads."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, final

__all__ = [
    "Cipher",
    "Plan",
    "Pool",
    "ReadLane",
    "Reader",
    "Schema",
    "Writer",
    "build_info",
    "generate_key",
    "row_codes",
]

@final
class Schema:
    """A schema with every name resolved by Java's rules (the schema table)."""

    def __new__(cls, schema: str, references: Sequence[str] = ...) -> Schema:
        """Parse ``schema`` (JSON) after ``references`` (JSON texts, dependencies first).

        Raises SchemaError.
        """

    @property
    def name(self) -> str | None:
        """Full name of the root type, None where it has none (a union, a primitive, ...)."""

    @property
    def kind(self) -> str:
        """Kind of the root: "record", "bytes", "union", ..."""

    @property
    def recursive(self) -> bool:
        """Whether some record may contain itself."""

    def outline(
        self, metadata_tags: Mapping[str, Sequence[str]] | None = None
    ) -> list[tuple[str, str, str, list[str], bool]]:
        """Every field: path, full name, type in words, sorted tags, whether it holds a record."""

    def first_misfit(self, row: object) -> str | None:
        """Path of the first value of a row that does not fit, None where types tell of none."""

    def too_deep(self, row: object) -> bool:
        """Whether a row would drive an encoder too deep: nested beyond the limit, or holding itself."""

    def tagged_fields(self, metadata_tags: Mapping[str, Sequence[str]] | None = None) -> dict[str, list[str]]:
        """``{full name of field: sorted tags}`` for every field with tags, inline or by pattern."""

    def codec_schema(self) -> str:
        """The same schema as one JSON text with full names and references written out."""

@final
class Cipher:
    """One prepared DEK version. Opaque: no repr of the key, no pickle, no way to read it back."""

    def __new__(cls, algorithm: str, key_proto: bytes, *, version: int = 1, provider: str = "auto") -> Cipher:
        """``key_proto``: the serialised Tink key proto that the KMS unwrapped.

        ``algorithm``: AES128_GCM | AES256_GCM | AES256_SIV. Raises KeyServiceError (code
        ``bad_key_proto`` or ``wrong_key_length``).
        """

    @property
    def algorithm(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def provider(self) -> str:
        """Who does the work: ``ring`` or ``aes-siv``."""

    @property
    def sealed(self) -> int:
        """Values sealed with this object so far."""

def generate_key(algorithm: str) -> bytes:
    """A fresh DEK from the operating system's random numbers, as the Tink key proto to be wrapped."""

def build_info() -> dict[str, str | list[str]]:
    """How this build was made: version, profile, target, and who does the cryptography."""

def row_codes() -> list[tuple[str, str]]:
    """Every code that a row may fail with in the core, with its sentence."""

@final
class Pool:
    """Threads for batches, started on first use. A forked child needs its own."""

    def __new__(cls) -> Pool: ...

@final
class Plan:
    """What to do with each byte of a body of one writer schema, compiled once."""

    def __new__(
        cls,
        schema: Schema,
        mode: Literal["WRITE", "READ"],
        field_rules: Sequence[tuple[set[str], str, bool]],
        payload_rules: Sequence[tuple[str, bool]] = ...,
        *,
        metadata_tags: Mapping[str, Sequence[str]] | None = None,
        latest: tuple[Schema, Mapping[str, Sequence[str]] | None, int | None] | None = None,
        inheritance: str = "own",
        exact: bool = False,
    ) -> Plan:
        """Compile a plan.

        Args:
            schema: the writer schema.
            mode: WRITE or READ.
            field_rules: ``(tags, DEK algorithm, whether values carry the DEK version)`` in rule-set
                order; no tags: every field.
            payload_rules: ``(DEK algorithm, whether it carries the DEK version)``, in rule-set order.
            metadata_tags: pattern of a field's full name -> tags.
            latest: the subject's latest schema with its metadata tags. With a number, that many rules
                at the end of ``field_rules`` are its own, and it decides which fields are hit (READ);
                with None, its tags count beside the schema's own (WRITE).
            inheritance: ``own`` or ``java``.
            exact: check each datum to its end, where otherwise what stands behind the last tagged
                field is handed on unseen.

        Raises SchemaError (``plan_too_large``, ``bad_tag_pattern``), KeyServiceError.
        """

    @property
    def leaves(self) -> list[tuple[str, str, list[int]]]:
        """Where values are sealed or opened: full name of the field, type, rules in WRITE order."""

# (row, field path, code, message, byte offset)
_Fault: TypeAlias = tuple[int, str | None, str, str, int | None]

# What a snapshot lacks: a schema id, a GUID, or a DEK version (lane, rule, version).
_Miss: TypeAlias = (
    tuple[Literal["id"], int] | tuple[Literal["guid"], bytes] | tuple[Literal["dek"], int, int, int]
)

# values, faults, misses, lane of each row, (sealed, opened, passed, tombstones)
_Result: TypeAlias = tuple[Any, list[_Fault], list[_Miss], list[int | None], tuple[int, int, int, int]]

@final
class Writer:
    """A snapshot that seals: a WRITE plan, the cipher of each rule, and what stands before each body."""

    def __new__(cls, plan: Plan, ciphers: Sequence[Cipher], frame: bytes) -> Writer: ...
    def encrypt(self, batch: object, pool: Pool, threads: int = 1, packed: bool = False) -> _Result:
        """Encrypt ``list[bytes | None]`` or ``(buffer, int64 offsets)`` into a list or a packed pair.

        Raises BatchError (``bad_offsets``), TypeError.
        """

@final
class ReadLane:
    """What opening the frames of one writer schema needs: a READ plan and the DEKs of each rule."""

    def __new__(
        cls, plan: Plan, deks: Sequence[tuple[Sequence[Cipher], Mapping[int, int], int | None]]
    ) -> ReadLane:
        """``deks``: prepared versions, refused ones with their place in the refusals, newest known."""

@final
class Reader:
    """A snapshot that opens: lanes by schema id and GUID."""

    def __new__(
        cls,
        lanes: Sequence[ReadLane],
        ids: Mapping[int, int],
        guids: Mapping[bytes, int],
        refused_ids: Mapping[int, int],
        refused_guids: Mapping[bytes, int],
        refusals: Sequence[tuple[str, str]],
    ) -> Reader: ...
    def decrypt(
        self,
        batch: object,
        pool: Pool,
        threads: int = 1,
        packed: bool = False,
        headers: object | None = None,
        header_name: str = "__value_schema_id",
        misses: int = 0,
    ) -> _Result:
        """Decrypt a batch. ``misses``: how many may be reported; where some are, values are not to be used.

        Raises BatchError (``bad_offsets``, ``bad_headers``), TypeError.
        """
