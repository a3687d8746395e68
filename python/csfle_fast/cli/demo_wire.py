"""What really stands on the wire, told without the core: fastavro decodes, ``cryptography`` opens.

Nothing here may import the rest of the package: a check that shares code with what it
checks would share its faults. It covers what the demo's rule sets need, AES-GCM without
rotation and KEKs of the local KMS.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import fastavro
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Leaf", "WireCheck", "WireCount", "read_dek"]

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float,),
    "double": (float,),
    "string": (str,),
    "enum": (str,),
    "bytes": (bytes,),
    "fixed": (bytes,),
    "array": (list,),
    "map": (dict,),
    "record": (dict,),
}
# A Tink AesGcmKey as every client writes it: tag of the field key_value, length, key.
_KEY_PROTO_HEADS = {b"\x1a\x10": 16, b"\x1a\x20": 32}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that is not a record, an array or a map; ``tagged`` when the rule asks for its encryption."""

    path: str
    tagged: bool
    value: Any


@dataclass(slots=True)
class WireCount:
    """What the values of frames turned out to be.

    Attributes:
        tagged: values that the rule asks for: strings and bytes under its tags, null not counted.
        opened: those that are ciphertext and open to the value of the source row.
        plain: those that stand on the wire as they are.
        wrong: rows and values that are neither: another shape, another value, or not to be opened.
    """

    tagged: int = 0
    opened: int = 0
    plain: int = 0
    wrong: int = 0


def read_dek(registry_url: str, secret: str, kek: str, subject: str, algorithm: str) -> AESGCM:
    """Fetch version 1 of a DEK over HTTP and unwrap it with the local KMS's key, made of its secret."""
    path = f"/dek-registry/v1/keks/{quote(kek, safe='')}/deks/{quote(subject, safe='')}/versions/1"
    query = urlencode({"algorithm": algorithm, "deleted": "true"})
    with urlopen(f"{registry_url}{path}?{query}", timeout=10) as answer:  # noqa: S310 - http, of our own registry
        wrapped = base64.b64decode(json.load(answer)["encryptedKeyMaterial"], validate=True)
    kek_key = HKDF(SHA256(), length=16, salt=None, info=b"").derive(secret.encode())
    proto = AESGCM(kek_key).decrypt(wrapped[:12], wrapped[12:], None)
    if _KEY_PROTO_HEADS.get(proto[:2]) != len(proto) - 2:
        raise ValueError(f"the DEK of {subject} is not an AES-GCM key")
    return AESGCM(proto[2:])


class WireCheck:
    """Opens the tagged values of frames and compares them with the rows that they were made of."""

    def __init__(self, schema: str, tags: Sequence[str], schema_id: int, dek: AESGCM) -> None:
        self._named: dict[str, Any] = {}
        self._schema = fastavro.parse_schema(json.loads(schema))
        # Ciphertext is no decimal and no UUID: the wire is decoded by physical types alone.
        self._physical = fastavro.parse_schema(_without_logical_types(json.loads(schema)), self._named)
        self._tags = frozenset(tags)
        self._head = struct.pack(">bi", 0, schema_id)
        self._dek = dek

    def row_leaves(self, row: dict[str, Any]) -> list[Leaf]:
        """The leaves of a row as its physical types hold them."""
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._schema, row)
        return self._body_leaves(body.getvalue())

    def frame_leaves(self, frame: bytes) -> list[Leaf]:
        """The leaves of a frame as they stand on the wire.

        Raises:
            ValueError: the frame does not begin with the magic byte and the schema id.
        """
        if not frame.startswith(self._head):
            raise ValueError("the frame does not carry the schema id of its subject")
        return self._body_leaves(frame[len(self._head) :])

    def count(self, rows: Sequence[dict[str, Any]], frames: Sequence[bytes]) -> WireCount:
        """Compare every value of every frame with its row."""
        count = WireCount()
        for row, frame in zip(rows, frames, strict=True):
            source, wire = self.row_leaves(row), self.frame_leaves(frame)
            if [leaf.path for leaf in source] != [leaf.path for leaf in wire]:
                count.wrong += 1
                continue
            for expected, found in zip(source, wire, strict=True):
                self._compare(expected, found, count)
        return count

    def _compare(self, expected: Leaf, found: Leaf, count: WireCount) -> None:
        if not expected.tagged or expected.value is None:
            count.wrong += expected.value != found.value
            return
        count.tagged += 1
        if expected.value == found.value:
            count.plain += 1
        elif expected.value == self._open(found.value):
            count.opened += 1
        else:
            count.wrong += 1

    def _open(self, sealed: str | bytes) -> str | bytes | None:
        """The plaintext, or None where the value does not open."""
        try:
            if isinstance(sealed, bytes):
                return self._dek.decrypt(sealed[:12], sealed[12:], None)
            raw = base64.b64decode(sealed, validate=True)
            return self._dek.decrypt(raw[:12], raw[12:], None).decode()
        except (InvalidTag, binascii.Error, ValueError):
            return None

    def _body_leaves(self, body: bytes) -> list[Leaf]:
        stream = io.BytesIO(body)
        value = fastavro.schemaless_reader(
            stream, self._physical, None, return_record_name=True, return_record_name_override=True
        )
        if stream.read(1):
            raise ValueError("bytes stand behind the datum")
        return list(self._walk(self._physical, value, "", tagged=False))

    def _walk(self, schema: Any, value: Any, path: str, *, tagged: bool) -> Iterator[Leaf]:
        if isinstance(schema, list):
            schema, value = self._branch(schema, value)
        schema = self._named.get(schema, schema) if isinstance(schema, str) else schema
        kind = _kind(schema)
        if kind == "record":
            for field in schema["fields"]:
                inside = bool(self._tags.intersection(field.get("confluent:tags", ())))
                name = field["name"]
                below = f"{path}.{name}" if path else name
                yield from self._walk(field["type"], value[name], below, tagged=inside)
        elif kind == "array":
            for index, item in enumerate(value):
                yield from self._walk(schema["items"], item, f"{path}[{index}]", tagged=tagged)
        elif kind == "map":
            for key, item in value.items():
                yield from self._walk(schema["values"], item, f"{path}[{key!r}]", tagged=tagged)
        else:
            yield Leaf(path, tagged and kind in ("string", "bytes", "null"), value)

    def _branch(self, union: list[Any], value: Any) -> tuple[Any, Any]:
        """The branch that fits the value, which fastavro names where several records stand in the union."""
        if isinstance(value, tuple):
            name, value = value
            return self._named[name], value
        for branch in union:
            schema = self._named.get(branch, branch) if isinstance(branch, str) else branch
            if type(value) in _PYTHON_TYPES[_kind(schema)]:
                return schema, value
        raise ValueError("no branch of the union fits the value")


def _kind(schema: Any) -> str:
    """Name of the Avro type; fastavro leaves ``{"type": "string"}`` as an object."""
    return schema if isinstance(schema, str) else str(schema["type"])


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_logical_types(item) for key, item in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema
