"""What stands on the wire, seen without our core: an Avro reader, and the ciphers of ``cryptography``."""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka.schema_registry.wildcard_matcher import wildcard_match
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PROTO_HEADS = {"AES128_GCM": b"\x1a\x10", "AES256_GCM": b"\x1a\x20", "AES256_SIV": b"\x12\x40"}
OVERHEAD = {"AES128_GCM": 28, "AES256_GCM": 28, "AES256_SIV": 16}
_NONCE = 12


@dataclass(frozen=True)
class Leaf:
    """A string or bytes value of a datum.

    Attributes:
        name: full name of the field that holds it, ``record.field``; None outside any record.
        tags: the field's tags, inline and by pattern.
        kind: ``string`` or ``bytes``.
        value: its bytes as they stand there.
    """

    name: str | None
    tags: frozenset[str]
    kind: str
    value: bytes


def leaves(
    schema: Any, body: bytes, metadata: Mapping[str, Any] | None = None, references: Sequence[str] = ()
) -> list[Leaf]:
    """Every string and bytes value of a body, in the order of the wire. Fails on bytes that are no datum."""
    named: dict[str, Any] = {}
    for text in references:
        fastavro.parse_schema(json.loads(text), named)
    parsed = fastavro.parse_schema(
        json.loads(schema) if isinstance(schema, str) else schema, named, _ignore_default_error=True
    )
    reader = _Reader(body, named, (metadata or {}).get("tags") or {})
    found = list(reader.walk(parsed, None, frozenset()))
    assert reader.at == len(body), "bytes stand behind the datum"
    return found


class _Reader:
    def __init__(self, body: bytes, named: Mapping[str, Any], patterns: Mapping[str, list[str]]) -> None:
        self.body = body
        self.at = 0
        self._named = named
        self._patterns = patterns

    def take(self, count: int) -> bytes:
        part = self.body[self.at : self.at + count]
        assert len(part) == count >= 0, "the datum is cut short"
        self.at += count
        return part

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return (value >> 1) ^ -(value & 1)

    def walk(self, schema: Any, name: str | None, tags: frozenset[str]) -> Iterator[Leaf]:
        if isinstance(schema, list):
            yield from self.walk(schema[self.number()], name, tags)
            return
        kind = schema["type"] if isinstance(schema, dict) else schema
        match kind:
            case "string" | "bytes":
                yield Leaf(name, tags, kind, self.take(self.number()))
            case "record" | "error":
                for part in schema["fields"]:
                    yield from self.walk(part["type"], *self._field(schema["name"], part))
            case "array" | "map":
                yield from self._blocks(kind, schema, name, tags)
            case "int" | "long" | "enum":
                self.number()
            case "null":
                pass
            case "boolean" | "float" | "double":
                self.take({"boolean": 1, "float": 4, "double": 8}[kind])
            case "fixed":
                self.take(schema["size"])
            case str():
                yield from self.walk(self._named[kind], name, tags)
            case _:  # a schema object or a union in place of a type's name
                yield from self.walk(kind, name, tags)

    def _blocks(self, kind: str, schema: Any, name: str | None, tags: frozenset[str]) -> Iterator[Leaf]:
        while count := self.number():
            if count < 0:
                self.number()
            for _ in range(abs(count)):
                if kind == "map":
                    self.take(self.number())
                yield from self.walk(schema["items" if kind == "array" else "values"], name, tags)

    def _field(self, record: str, part: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
        name = f"{record}.{part['name']}"
        tags = set(part.get("confluent:tags") or ())
        for pattern, more in self._patterns.items():
            if wildcard_match(name, pattern):
                tags |= set(more)
        return name, frozenset(tags)


def kms_key(secret: str) -> AESGCM:
    """The key of the local KMS."""
    return AESGCM(HKDF(algorithm=SHA256(), length=16, salt=None, info=None).derive(secret.encode()))


def unwrap(secret: str, material: str) -> bytes:
    """The Tink key proto behind a DEK's ``encryptedKeyMaterial``."""
    wrapped = base64.b64decode(material)
    return kms_key(secret).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], b"")


def wrap(secret: str, proto: bytes) -> str:
    """The ``encryptedKeyMaterial`` of a Tink key proto."""
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + kms_key(secret).encrypt(nonce, proto, b"")).decode()


def seal(algorithm: str, key: bytes, plain: bytes, kind: str = "bytes", version: int | None = None) -> bytes:
    """One sealed value as it stands in a datum; ``version`` for the DEK version prefix."""
    if algorithm == "AES256_SIV":
        sealed = AESSIV(key).encrypt(plain, [b""])
    else:
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, plain, b"")
    if version is not None:
        sealed = struct.pack(">bi", 0, version) + sealed
    return base64.b64encode(sealed) if kind == "string" else sealed


def version_of(value: bytes, kind: str = "bytes") -> int:
    """The DEK version that stands in front of a sealed value."""
    zero, version = struct.unpack(">bi", _raw(value, kind)[:5])
    assert zero == 0
    return int(version)


def unseal(algorithm: str, key: bytes, value: bytes, kind: str = "bytes", *, prefixed: bool = False) -> bytes:
    """The plaintext of one sealed value."""
    sealed = _raw(value, kind)[5 if prefixed else 0 :]
    if algorithm == "AES256_SIV":
        return AESSIV(key).decrypt(sealed, [b""])
    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], b"")


def _raw(value: bytes, kind: str) -> bytes:
    return base64.b64decode(value, validate=True) if kind == "string" else value


def number(value: int) -> bytes:
    """A zig-zag varint, of any length."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str | bytes) -> bytes:
    """A string or bytes value with its length."""
    raw = value.encode() if isinstance(value, str) else value
    return number(len(raw)) + raw
