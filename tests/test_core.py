"""The compiled module: opaque keys, frozen classes, the GIL, and mistakes of its caller."""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

import csfle_fast
from csfle_fast import KeyServiceError, SchemaError
from csfle_fast._core import (
    Cipher,
    Plan,
    Pool,
    Reader,
    ReadLane,
    Schema,
    Writer,
    build_info,
    generate_key,
    row_codes,
)
from incumbent import field, record
from leaks import assert_silent
from wire import PROTO_HEADS, leaves, text, unseal

KEYS = {name: os.urandom(size) for name, size in (("AES128_GCM", 16), ("AES256_GCM", 32), ("AES256_SIV", 64))}
SCHEMA = json.dumps(record(field("v", "string", "PII")))


def cipher(algorithm: str = "AES256_GCM", **more: Any) -> Cipher:
    return Cipher(algorithm, PROTO_HEADS[algorithm] + KEYS[algorithm], **more)


def write_plan(algorithm: str = "AES256_GCM") -> Plan:
    return Plan(Schema(SCHEMA), "WRITE", [({"PII"}, algorithm, False)])


def writer() -> Writer:
    return Writer(write_plan(), [cipher()], b"\x00\x00\x00\x00\x01")


def lane() -> ReadLane:
    plan = Plan(Schema(SCHEMA), "READ", [({"PII"}, "AES256_GCM", False)])
    return ReadLane(plan, [([cipher()], {}, None)])


def reader() -> Reader:
    return Reader([lane()], {1: 0}, {}, {}, {}, [])


OBJECTS: dict[str, Callable[[], object]] = {
    "Cipher": cipher, "Pool": Pool, "Plan": write_plan, "Writer": writer, "Reader": reader,
    "Schema": lambda: Schema(SCHEMA), "ReadLane": lane,
}  # fmt: skip


class TestOpaque:
    @pytest.mark.parametrize("algorithm", KEYS)
    def test_nothing_shows_a_key(self, algorithm: str) -> None:
        one = cipher(algorithm, version=7)
        raw = KEYS[algorithm]
        public = [getattr(one, name) for name in dir(one) if not name.startswith("__")]
        shown = f"{one!r} {one} {one:} {dir(one)} {public}"
        for secret in (raw.hex(), repr(raw)[2:-1], str(list(raw))[1:-1]):
            assert secret not in shown
        assert (one.algorithm, one.version, one.sealed) == (algorithm, 7, 0)
        with pytest.raises(TypeError):
            vars(one)
        with pytest.raises(TypeError):
            memoryview(one)  # type: ignore[arg-type]
        assert not gc.get_referents(one) or gc.get_referents(one) == [Cipher]

    @pytest.mark.parametrize("make", OBJECTS.values(), ids=list(OBJECTS))
    @pytest.mark.parametrize(
        "out", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
    )
    def test_nothing_is_pickled_or_copied(
        self, make: Callable[[], object], out: Callable[[object], object]
    ) -> None:
        with pytest.raises(TypeError):
            out(make())

    @pytest.mark.parametrize("make", OBJECTS.values(), ids=list(OBJECTS))
    def test_classes_are_frozen(self, make: Callable[[], object]) -> None:
        one = make()
        with pytest.raises(AttributeError):
            one.more = 1  # type: ignore[attr-defined]
        with pytest.raises(TypeError):
            type("Sub", (type(one),), {})
        public = [name for name in dir(one) if not name.startswith("_")]
        for name in public:
            with pytest.raises(AttributeError):
                setattr(one, name, None)

    @pytest.mark.parametrize(
        ("proto", "code"),
        [
            (b"", "bad_key_proto"),
            (b"\xff" * 34, "bad_key_proto"),
            (b"\x1a\x20" + KEYS["AES256_GCM"][:31], "bad_key_proto"),
            (b"\x1a\x10" + KEYS["AES128_GCM"], "wrong_key_length"),
            (b"\x08\x01\x1a\x20" + KEYS["AES256_GCM"], "bad_key_proto"),
        ],
    )
    def test_a_key_that_is_none_is_refused_without_being_quoted(self, proto: bytes, code: str) -> None:
        with pytest.raises(KeyServiceError) as caught:
            Cipher("AES256_GCM", proto)
        assert caught.value.code == code
        assert_silent(caught.value, *(key[:16] for key in KEYS.values()))

    def test_names_that_are_not_known(self) -> None:
        with pytest.raises(KeyServiceError) as caught:
            Cipher("ROT13", PROTO_HEADS["AES256_GCM"] + KEYS["AES256_GCM"])
        assert caught.value.code == "unknown_algorithm"
        with pytest.raises(KeyServiceError) as caught:
            cipher(provider="openssl")
        assert caught.value.code == "unknown_provider"

    @pytest.mark.parametrize("algorithm", KEYS)
    def test_a_cipher_says_who_does_the_work(self, algorithm: str) -> None:
        best = build_info()["default_provider"]
        expected = {"ring": "ring", "many": best, "auto": best}
        for provider, name in expected.items():
            one = cipher(algorithm, provider=provider)
            assert one.provider == ("aes-siv" if algorithm == "AES256_SIV" else name)
            assert one.fell_back == (provider == "many" and one.provider == "ring")

    @pytest.mark.parametrize("algorithm", KEYS)
    def test_fresh_keys_are_whole_and_differ(self, algorithm: str) -> None:
        made = {generate_key(algorithm) for _ in range(100)}
        assert len(made) == 100
        assert {proto[:2] for proto in made} == {PROTO_HEADS[algorithm]}
        assert {len(proto) - 2 for proto in made} == {len(KEYS[algorithm])}


class TestBuild:
    def test_build_info(self) -> None:
        info = build_info()
        assert info == csfle_fast.build_info()
        assert {"version", "profile", "target"} <= set(info)
        assert csfle_fast.__version__ == info["version"]
        assert info["default_provider"] == info["aes_gcm"][0]
        assert "ring" in info["aes_gcm"]
        assert info["profile"] == "release"  # another warns on import, which ends this suite at once

    def test_row_codes_are_names_with_sentences(self) -> None:
        assert len(dict(row_codes())) == len(row_codes()) > 20
        assert all(name == name.lower() and " " in sentence for name, sentence in row_codes())


class TestTheGil:
    def test_other_threads_run_while_a_batch_does(self) -> None:
        one, pool = writer(), Pool()
        batch = [text(b"x" * 1_000_000)] * 50  # some tens of milliseconds at the least
        done = threading.Event()
        during = 0

        def seal() -> None:
            for _ in range(5):
                one.encrypt(batch, pool)
            done.set()

        thread = threading.Thread(target=seal)
        thread.start()
        # Held through each call, the GIL would come here between two calls only, some five times.
        while not done.wait(0.001):
            during += 1
        thread.join()
        assert during > 10

    def test_batches_of_several_threads_share_a_writer(self) -> None:
        one, other, pool = writer(), reader(), Pool()
        bodies = [text(f"row {n}") for n in range(2_000)]
        failures: list[object] = []

        def work() -> None:
            for threads in (1, 2):
                frames = one.encrypt(bodies, pool, threads)[0]
                if other.decrypt(frames, pool, threads)[0] != bodies:
                    failures.append(threads)

        running = [threading.Thread(target=work) for _ in range(6)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert failures == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("values", [1, 3, 5, 6, 200, 20_000])
def test_no_nonce_comes_twice(values: int, threads: int) -> None:
    one, pool = writer(), Pool()
    seen: set[str] = set()
    for _ in range(3):
        frames = one.encrypt([text(b"x" * 50)] * values, pool, threads)[0]
        seen |= {leaves(SCHEMA, frame[5:])[0].value[:16].decode() for frame in frames}
    assert len(seen) == 3 * values  # 12 bytes are the first 16 characters


class TestMistakes:
    """Of whoever calls the core; the Engine makes none."""

    def test_of_ciphers(self) -> None:
        plan = write_plan()
        for wrong in ([], [cipher()] * 2, [cipher("AES128_GCM")]):
            with pytest.raises(RuntimeError, match="cipher"):
                Writer(plan, wrong, b"")
        read = Plan(Schema(SCHEMA), "READ", [({"PII"}, "AES256_GCM", False)])
        with pytest.raises(RuntimeError, match="WRITE"):
            Writer(read, [cipher()], b"")
        with pytest.raises(RuntimeError, match="READ"):
            ReadLane(plan, [([cipher()], {}, None)])
        with pytest.raises(RuntimeError, match="lane"):
            Reader([], {1: 0}, {}, {}, {}, [])

    @pytest.mark.parametrize("batch", [None, 7, b"bytes", ("one",), (b"", b"", b""), {}])
    def test_what_is_no_batch(self, batch: Any) -> None:
        for call in (writer().encrypt, reader().decrypt):
            with pytest.raises(TypeError):
                call(batch, Pool())

    def test_items_are_named_by_row(self) -> None:
        with pytest.raises(TypeError, match="row 2 is str"):
            writer().encrypt([b"", None, "text"], Pool())

    @pytest.mark.parametrize("mode", ["read", "WRITEREAD", ""])
    def test_modes(self, mode: Any) -> None:
        with pytest.raises(RuntimeError, match="WRITE or READ"):
            Plan(Schema(SCHEMA), mode, [])

    def test_a_schema_too_deep_is_refused(self) -> None:
        levels = 100_000
        with pytest.raises(SchemaError) as caught:
            Schema('{"type":"array","items":' * levels + '"string"' + "}" * levels)
        assert caught.value.code == "schema_too_deep"


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_writer_seals_and_counts(algorithm: str) -> None:
    one = cipher(algorithm)
    frames, faults, misses, _, counts = Writer(write_plan(algorithm), [one], b"head").encrypt(
        [text("a"), None, text("b")], Pool()
    )
    assert not faults
    assert not misses
    assert (counts[0], one.sealed) == (2, 2)
    assert [frame and frame[:4] for frame in frames] == [b"head", None, b"head"]
    [leaf] = leaves(SCHEMA, frames[2][4:])
    assert unseal(algorithm, KEYS[algorithm], leaf.value, "string") == b"b"
