"""With confluent-kafka, tink and cryptography: theirs read by us, ours read by them, on every data set."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from tink import aead, daead
from tink.core import Registry, tink_pb2

import datasets
from csfle_fast import Engine
from csfle_fast.dev import DevRegistry
from datasets import Dataset
from incumbent import SECRET, SUBJECT, Incumbent
from wire import PROTO_HEADS, Leaf, leaves, number, seal, text, unseal, version_of
from worlds import FLAT, World, flat, rule, world

__all__ = ["world"]  # a fixture

# confluent-kafka cannot write the one, and writes plaintext in the other: see tests/data/README.md.
BOTH_WAYS = [name for name in datasets.NAMES if name not in {"purchase", "fhir_patient"}]


@dataclass(frozen=True)
class Stage:
    """One data set in a registry, with their serializers and our engine on it."""

    data: Dataset
    world: World
    ours: Engine
    theirs: Incumbent
    schema_id: int

    @property
    def topic(self) -> str:
        return self.data.name

    def body(self, frame: bytes) -> bytes:
        assert frame[:5] == b"\x00" + self.schema_id.to_bytes(4, "big")
        return frame[5:]

    def open(self, leaf: Leaf) -> bytes | None:
        """The plaintext of a leaf that a rule hits, by ``cryptography``; None where none does."""
        hit = [r for r in self.data.rule_set["domainRules"] if leaf.tags & set(r["tags"])]
        if not hit:
            return None
        [params] = [r["params"] for r in hit]  # no leaf of these sets is hit twice
        algorithm = params.get("encrypt.dek.algorithm", "AES256_GCM")
        prefixed = "encrypt.dek.expiry.days" in params
        version = version_of(leaf.value, leaf.kind) if prefixed else 1
        key = self.world.key(params["encrypt.kek.name"], f"{self.topic}-value", algorithm, version)
        return unseal(algorithm, key, leaf.value, leaf.kind, prefixed=prefixed)


@pytest.fixture(params=datasets.NAMES, scope="module")
def data(request: pytest.FixtureRequest) -> Dataset:
    return datasets.load(request.param)


@pytest.fixture(params=["ring", "many"], scope="module")
def stage(data: Dataset, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with ExitStack() as stack:
        world = World(stack.enter_context(DevRegistry(secret=SECRET)), stack)
        payload = {"schema": data.schema, "metadata": data.metadata, "ruleSet": data.rule_set}
        registered = world.http.store.register(f"{data.name}-value", payload)
        theirs = Incumbent(world.client(), data.name)
        stack.callback(theirs.close)
        yield Stage(data, world, world.engine({"crypto.provider": request.param}), theirs, registered.id)


class TestEverySet:
    def test_every_tagged_leaf_on_the_wire_opens_with_cryptography(self, stage: Stage) -> None:
        result = stage.ours.serialize(stage.topic, stage.data.rows)
        result.raise_for_errors()
        opened = 0
        for frame, plain_body in zip(result.values, stage.data.bodies, strict=True):
            assert frame is not None
            wire = leaves(stage.data.schema, stage.body(frame), stage.data.metadata)
            plain = leaves(stage.data.schema, plain_body, stage.data.metadata)
            for sealed, leaf in zip(wire, plain, strict=True):
                value = stage.open(sealed)
                opened += value is not None
                assert (sealed.value if value is None else value) == leaf.value
        assert opened == stage.data.tagged_leaves

    def test_we_read_what_we_wrote(self, stage: Stage) -> None:
        frames = stage.ours.serialize(stage.topic, stage.data.rows).values
        result = stage.ours.deserialize(stage.topic, frames)
        result.raise_for_errors()
        assert result.values == stage.data.read_back
        assert set(result.schema_ids) == {stage.schema_id}

    def test_bodies_come_back_byte_for_byte(self, stage: Stage) -> None:
        sealed = stage.ours.encrypt(stage.topic, stage.data.bodies)
        sealed.raise_for_errors()
        opened = stage.ours.decrypt(stage.topic, sealed.values)
        opened.raise_for_errors()
        assert opened.values == stage.data.bodies

    @pytest.mark.parametrize("data", BOTH_WAYS, indirect=True)
    def test_they_read_ours(self, stage: Stage) -> None:
        frames = stage.ours.serialize(stage.topic, stage.data.rows).values
        frames += stage.ours.encrypt(stage.topic, stage.data.bodies).values
        read = [stage.theirs.deserialize(frame) for frame in frames if frame is not None]
        assert read == stage.data.read_back * 2

    @pytest.mark.parametrize("data", BOTH_WAYS, indirect=True)
    def test_we_read_theirs(self, stage: Stage) -> None:
        rows = datasets.load.__wrapped__(stage.data.name).rows  # they write into the rows that they are given
        frames = [stage.theirs.serialize(row) for row in rows]
        received = stage.ours.deserialize(stage.topic, frames)
        received.raise_for_errors()
        assert received.values == stage.data.read_back
        bodies = stage.ours.decrypt(stage.topic, frames)
        bodies.raise_for_errors()
        assert bodies.values == stage.data.bodies


TYPE_URLS = {
    "AES128_GCM": "type.googleapis.com/google.crypto.tink.AesGcmKey",
    "AES256_GCM": "type.googleapis.com/google.crypto.tink.AesGcmKey",
    "AES256_SIV": "type.googleapis.com/google.crypto.tink.AesSivKey",
}


class Tink:
    """Values sealed and opened by tink, with the same DEK."""

    def __init__(self, algorithm: str, key: bytes) -> None:
        aead.register()
        daead.register()
        data = tink_pb2.KeyData(
            type_url=TYPE_URLS[algorithm],
            value=PROTO_HEADS[algorithm] + key,
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
        self._siv = algorithm == "AES256_SIV"
        self._primitive: Any = Registry.primitive(data, daead.DeterministicAead if self._siv else aead.Aead)

    def seal(self, plain: bytes) -> bytes:
        if self._siv:
            return bytes(self._primitive.encrypt_deterministically(plain, b""))
        return bytes(self._primitive.encrypt(plain, b""))

    def open(self, sealed: bytes) -> bytes:
        if self._siv:
            return bytes(self._primitive.decrypt_deterministically(sealed, b""))
        return bytes(self._primitive.decrypt(sealed, b""))


PLAINS = [b"", b"x", b"hello world", "Ünïcødé ☃".encode(), b"0123456789abcdef" * 40]


@pytest.mark.parametrize("algorithm", PROTO_HEADS)
class TestOtherLibraries:
    def test_values_of_cryptography(self, world: World, algorithm: str) -> None:
        frame_head, engine, key = self.start(world, algorithm)
        for plain in PLAINS:
            sealed = seal(algorithm, key, plain, "string")
            body = number(1) + text(sealed) + text("n") + b"\x02" + text(seal(algorithm, key, plain))
            assert engine.deserialize("t", [frame_head + body]).values == [
                {"id": 1, "v": plain.decode(), "note": "n", "w": plain}
            ]

    def test_values_of_tink(self, world: World, algorithm: str) -> None:
        frame_head, engine, key = self.start(world, algorithm)
        tink = Tink(algorithm, key)
        for plain in PLAINS:
            body = (
                number(1)
                + text(base64.b64encode(tink.seal(plain)))
                + text("n")
                + b"\x02"
                + text(tink.seal(plain))
            )
            assert engine.deserialize("t", [frame_head + body]).values == [
                {"id": 1, "v": plain.decode(), "note": "n", "w": plain}
            ]

    def test_ours_open_with_both(self, world: World, algorithm: str) -> None:
        _, engine, key = self.start(world, algorithm)
        tink = Tink(algorithm, key)
        rows = [{"id": 1, "v": plain.decode(), "note": "n", "w": plain} for plain in PLAINS]
        for plain, frame in zip(PLAINS, engine.serialize("t", rows).values, strict=True):
            assert frame is not None
            v, note, w = leaves(FLAT, frame[5:])
            assert note.value == b"n"
            assert unseal(algorithm, key, v.value, "string") == unseal(algorithm, key, w.value) == plain
            assert tink.open(w.value) == plain

    @staticmethod
    def start(world: World, algorithm: str) -> tuple[bytes, Engine, bytes]:
        registered = world.put(FLAT, rule(algorithm))
        engine = world.engine()
        engine.serialize("t", [flat(1)]).raise_for_errors()  # makes the DEK
        return (
            b"\x00" + registered.id.to_bytes(4, "big"),
            engine,
            world.key(subject=SUBJECT, algorithm=algorithm),
        )
