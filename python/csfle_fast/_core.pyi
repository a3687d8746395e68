"""Types of the compiled core. Everything here is immutable and safe to share between threads."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeAlias, final

__all__ = [
    "MISSES_PER_BATCH",
    "Bodies",
    "Cipher",
    "Plan",
    "Pool",
    "ReadLane",
    "Reader",
    "RowCodec",
    "Schema",
    "Seals",
    "Tally",
    "Writer",
    "build_info",
    "decode_rows",
    "generate_key",
    "row_codes",
]

#: Misses that one batch may report; rows that miss more fail.
MISSES_PER_BATCH: int

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
        self, metadata_tags: dict[str, list[str]] | None = None
    ) -> list[tuple[str, str, str, list[str], bool, bool, bool, int | None]]:
        """Every field, in the order of the wire; a record inside itself is entered once.

        Path, full name, type in words, sorted tags; whether it holds a record, holds something to
        seal (without a record between), is a plain primitive; position of the field around, or None.
        """

    @property
    def holds_decimal(self) -> bool:
        """Whether a value of it may be, or hold, a decimal."""

    def oversized_decimal(self, row: object) -> str | None:
        """Path of the first decimal of a row with more digits than its precision allows, or None."""

    def first_misfit(self, row: object) -> str | None:
        """Path of the first value of a row that does not fit, None where types tell of none."""

    def too_deep(self, row: object) -> bool:
        """Whether a row would drive an encoder too deep: nested beyond the limit, or holding itself."""

    def tagged_fields(self, metadata_tags: dict[str, list[str]] | None = None) -> dict[str, list[str]]:
        """``{full name of field: sorted tags}`` for every field with tags, inline or by pattern."""

    def codec_schema(self) -> str:
        """The same schema as one JSON text with full names and references written out.

        Raises SchemaError (``schema_too_deep``).
        """

@final
class Bodies:
    """Bodies that were made of rows: a sequence of bytes, and a batch for ``Writer.encrypt``."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> bytes: ...
    def __iter__(self) -> Iterator[bytes]: ...

@final
class RowCodec:
    """A schema compiled for rows."""

    def __new__(cls, schema: Schema, left: AbstractSet[str], foreign: AbstractSet[str]) -> RowCodec:
        """Compile a schema.

        Args:
            schema: the schema of the bodies.
            left: full names of fields whose strings and bytes have no logical type here.
            foreign: logical types (``long-timestamp-millis``, ...) that are left to ``slow``.
        """

    def encode(
        self, rows: tuple[Any, ...], slow: Callable[[int, Any], bytes | None]
    ) -> tuple[Bodies, list[int] | None, int]:
        """Encode rows, each of which may fail alone.

        Returns the bodies, the row of each where some rows have none, and how many rows are None.

        ``slow(index, row)`` gives the body of a row that holds anything but plain values of the schema's
        types, or None.
        """

def decode_rows(
    bodies: tuple[bytes | None, ...], codecs: tuple[RowCodec | None, ...], slow: Callable[[int], Any]
) -> list[Any]:
    """Rows of bodies, each by its own codec; None stays None.

    ``slow(index)`` gives the row of a body that has no codec, or is not quite as it should be.
    """

@final
class Cipher:
    """One prepared DEK version. Opaque: no repr of the key, no pickle, no way to read it back."""

    def __new__(
        cls,
        algorithm: str,
        key_proto: bytes,
        *,
        version: int = 1,
        provider: str = "auto",
        seals: Seals | None = None,
        max_seals: int | None = None,
        strict: bool = False,
    ) -> Cipher:
        """``key_proto``: the serialised Tink key proto that the KMS unwrapped.

        ``max_seals``: how many values ``seals`` may come to; with ``strict``, rows that would take it
        beyond fail (``dek_exhausted``), else it is only told (``take_passed``).

        ``algorithm``: AES128_GCM | AES256_GCM | AES256_SIV. Raises KeyServiceError (codes
        ``bad_key_proto``, ``wrong_key_length``, ``unknown_algorithm``, ``unknown_provider``).
        """

    @property
    def algorithm(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def provider(self) -> str:
        """Who does the work: ``many``, ``ring`` or ``aes-siv``."""

    @property
    def fell_back(self) -> bool:
        """Whether that is not who was asked for: it failed its check, or cannot run on this machine."""

    @property
    def sealed(self) -> int:
        """Values sealed so far, as its ``Seals`` counts them: reserved before, so never too low."""

    @property
    def sealed_bytes(self) -> int:
        """Bytes of text in them."""

    @property
    def exhausted(self) -> bool:
        """Whether its strict budget had no room for something that was to be sealed."""

    def take_passed(self) -> bool:
        """Whether its budget was passed since this was last asked."""

@final
class Seals:
    """How much one DEK version has sealed, whatever became of the ciphers that sealed it."""

    def __new__(cls) -> Seals: ...
    @property
    def values(self) -> int:
        """Values."""

    @property
    def bytes(self) -> int:
        """Bytes of text in them."""

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
        metadata_tags: dict[str, list[str]] | None = None,
        latest: tuple[Schema, dict[str, list[str]] | None, int | None] | None = None,
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

        Raises SchemaError (``plan_too_large``, ``bad_tag_pattern``), KeyServiceError
        (``unknown_algorithm``), RuntimeError where the arguments do not fit each other.
        """

    @property
    def places(self) -> list[int]:
        """At how many places of a body each rule seals or opens, where nothing repeats."""

    @property
    def leaves(self) -> list[tuple[str, str, list[int]]]:
        """Where values are sealed or opened: full name of the field, type, rules in WRITE order."""

# (row, field path, code, message, byte offset)
_Fault: TypeAlias = tuple[int, str | None, str, str, int | None]

# What a snapshot lacks: a schema id, a GUID, or a DEK version (lane, rule, version).
_Miss: TypeAlias = (
    tuple[Literal["id"], int] | tuple[Literal["guid"], bytes] | tuple[Literal["dek"], int, int, int]
)

# sealed, opened, passed, tombstones, and how often a budget was passed or had no room
_Done: TypeAlias = tuple[int, int, int, int, int]

# values, faults, misses, lane of each row, what was done
_Result: TypeAlias = tuple[Any, list[_Fault], list[_Miss], list[int | None], _Done]

@final
class Tally:
    """What an Engine has done to rows, by names of ``csfle_fast.metrics``; threads need no lock for it."""

    def __new__(cls) -> Tally: ...
    def encrypted(self, rows: int, failed: int, tombstones: int, sealed: int, passed: int) -> None:
        """A batch of so many rows was encrypted."""

    def decrypted(self, rows: int, failed: int, tombstones: int, opened: int, misses: int) -> None:
        """A batch of so many frames was decrypted."""

    def coded(self, rows: int, by_fastavro: int) -> None:
        """So many rows were made into bodies or made of bodies, so many of them by fastavro."""

    def read(self) -> dict[str, int]:
        """All counters; each at its own moment."""

@final
class Writer:
    """A snapshot that seals: a WRITE plan, the cipher of each rule, and what stands before each body."""

    def __new__(cls, plan: Plan, ciphers: Sequence[Cipher], frame: bytes) -> Writer:
        """Raises RuntimeError where the ciphers do not fit the plan."""

    def encrypt(self, batch: object, pool: Pool, threads: int = 1, packed: bool = False) -> _Result:
        """Encrypt ``list[bytes | None]``, ``(buffer, int64 offsets)`` or Bodies into a list or a packed pair.

        Raises BatchError (``bad_offsets``), TypeError.
        """

@final
class ReadLane:
    """What opening the frames of one writer schema needs: a READ plan and the DEKs of each rule."""

    def __new__(
        cls, plan: Plan, deks: Sequence[tuple[Sequence[Cipher], dict[int, int], int | None]]
    ) -> ReadLane:
        """``deks``: prepared versions, refused ones with their place in the refusals, newest known.

        Raises RuntimeError where the DEKs do not fit the plan.
        """

@final
class Reader:
    """A snapshot that opens: lanes by schema id and GUID."""

    def __new__(
        cls,
        lanes: Sequence[ReadLane],
        ids: dict[int, int],
        guids: dict[bytes, int],
        refused_ids: dict[int, int],
        refused_guids: dict[bytes, int],
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
