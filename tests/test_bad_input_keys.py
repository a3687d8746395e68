"""Keys that cannot be had or used: each cause has its code, reaches readers row by row and stops writers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from csfle_fast import CsfleError, KeyServiceError
from incumbent import KEK, SECRET
from leaks import MARK, assert_silent
from wire import PROTO_HEADS, seal, text, wrap
from worlds import FLAT, World, encode, flat, framed, rule, world

__all__ = ["world"]  # a fixture

KEY = os.urandom(32)
PROTO = PROTO_HEADS["AES256_GCM"] + KEY
BODY = b"\x02" + text(seal("AES256_GCM", KEY, MARK.encode(), "string")) + text("n") + b"\x00"


def put_dek(world: World, proto: bytes, secret: str = SECRET, kek: str = KEK) -> None:
    world.http.keks.put({"name": kek, "kmsType": "local-kms", "kmsKeyId": "tests-key", "shared": False})
    dek = {"kekName": kek, "subject": "t-value", "version": 1, "algorithm": "AES256_GCM"}
    world.http.deks.put(dek | {"encryptedKeyMaterial": wrap(secret, proto)})


def cannot_be_unwrapped(world: World) -> None:
    put_dek(world, PROTO, "another secret than ours")


def wrong_length(world: World) -> None:
    put_dek(world, b"\x1a\x10" + KEY[:16])


def odd_length(world: World) -> None:
    put_dek(world, b"\x1a\x1f" + KEY[:31])


def no_key_proto(world: World) -> None:
    put_dek(world, b"\xff" + KEY)


def naked_key(world: World) -> None:
    put_dek(world, b"\x07" + KEY[1:])


def of_a_later_version(world: World) -> None:
    put_dek(world, b"\x08\x01" + PROTO)


def of_another_kms(world: World) -> None:
    put_dek(world, PROTO)
    world.http.keks.put({"name": KEK, "kmsType": "local-kms", "kmsKeyId": "another-key", "shared": False})


def forbidden(world: World) -> None:
    put_dek(world, PROTO)
    world.http.faults.add("GET", "/dek-registry/", status=403, body={"error_code": 403, "message": MARK})


def broken_registry(world: World) -> None:
    put_dek(world, PROTO)
    world.http.faults.add("GET", "/dek-registry/", status=500, body={"error_code": 50001, "message": MARK})


def senseless_answer(world: World) -> None:
    put_dek(world, PROTO)
    world.http.faults.add("GET", "/deks/", status=200, body={"what": MARK})


def material_that_is_no_base64(world: World) -> None:
    put_dek(world, PROTO)
    dek = {"kekName": KEK, "subject": "t-value", "version": 1, "algorithm": "AES256_GCM"}
    world.http.deks.put(dek | {"encryptedKeyMaterial": f"\u2603{MARK}"})


CAUSES: dict[Callable[[World], None], str] = {
    cannot_be_unwrapped: "unwrap_refused",
    wrong_length: "wrong_key_length",
    odd_length: "wrong_key_length",
    no_key_proto: "bad_key_proto",
    naked_key: "bad_key_proto",
    of_a_later_version: "bad_key_proto",
    of_another_kms: "kek_mismatch",
    forbidden: "forbidden",
    broken_registry: "registry_failed",
    senseless_answer: "bad_answer",
    material_that_is_no_base64: "bad_answer",
}


@pytest.mark.parametrize(("cause", "code"), CAUSES.items(), ids=[cause.__name__ for cause in CAUSES])
class TestEveryCause:
    def test_readers_lose_the_row_and_no_other(
        self, world: World, cause: Callable[[World], None], code: str
    ) -> None:
        registered = world.put(FLAT, rule())
        cause(world)
        engine = world.engine({"missing.cache.ttl.sec": 10})
        nothing_sealed = b"\x02"  # cut short before any value: it needs no key
        other = world.put("string", subject="other-value")
        good = framed(other.id, encode("string", "fine"))
        for call in (engine.decrypt, engine.deserialize):
            result = call("t", [good, framed(registered.id, BODY), good])
            [error] = result.errors
            assert (error.row, error.code) == (1, code)
            assert KEK in error.message or "dek" in error.message.lower()
            assert_silent(error, KEY, SECRET.encode())
            assert [value is None for value in result.values] == [False, True, False]
        assert [e.code for e in engine.decrypt("t", [framed(registered.id, nothing_sealed)]).errors] == [
            "truncated"
        ]

    def test_readers_that_fail_do_not_ask_again_at_once(
        self, world: World, cause: Callable[[World], None], code: str
    ) -> None:
        registered = world.put(FLAT, rule())
        cause(world)
        engine = world.engine({"missing.cache.ttl.sec": 10})
        frame = framed(registered.id, BODY)
        assert [error.code for error in engine.decrypt("t", [frame]).errors] == [code]
        calls, world_calls = engine.stats()["kms_calls"], len(world.http.requests)
        assert [error.code for error in engine.decrypt("t", [frame] * 100).errors] == [code] * 100
        assert (engine.stats()["kms_calls"], len(world.http.requests)) == (calls, world_calls)

    def test_writers_get_the_error_and_write_nothing(
        self, world: World, cause: Callable[[World], None], code: str
    ) -> None:
        world.put(FLAT, rule())
        cause(world)
        engine = world.engine()
        writes: list[Callable[[], Any]] = [
            lambda: engine.serialize("t", [flat(1, MARK)]),
            lambda: engine.encrypt("t", [encode(FLAT, flat(1, MARK))]),
            lambda: engine.warm_up("t"),
        ]
        for write in writes:
            with pytest.raises(CsfleError) as caught:
                write()
            assert caught.value.code == code
            assert_silent(caught.value, KEY, SECRET.encode())
        assert engine.stats()["rows_encrypted"] == 0


def test_the_causes_are_told_apart() -> None:
    assert len(set(CAUSES.values())) == 7


def test_the_same_dek_in_good_order_opens(world: World) -> None:
    registered = world.put(FLAT, rule())
    # Fields in any order, version 0, and the last of a repeated field wins: all of it is protobuf.
    put_dek(world, b"\x1a\x20" + bytes(32) + b"\x08\x00" + PROTO)
    [row] = world.engine().deserialize("t", [framed(registered.id, BODY)]).values
    assert row["v"] == MARK


@pytest.mark.parametrize(("deleted", "code"), [("kek", "no_kek"), ("dek", "no_dek")])
def test_keys_that_are_not_there(world: World, deleted: str, code: str) -> None:
    registered = world.put(FLAT, rule())
    if deleted == "dek":
        world.http.keks.put({"name": KEK, "kmsType": "local-kms", "kmsKeyId": "tests-key", "shared": False})
    for call in (world.engine().decrypt, world.engine().deserialize):
        [error] = call("t", [framed(registered.id, BODY)]).errors
        assert error.code == code
        assert KEK in error.message
        assert "encryptPII" in error.message


def test_no_secret_for_the_local_kms(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_SECRET", raising=False)
    world.put(FLAT, rule())
    with pytest.raises(CsfleError, match=KEK) as caught:
        world.engine(rule_conf={}).serialize("t", [flat(1)])
    assert "secret" in caught.value.message
    assert isinstance(caught.value, KeyServiceError | CsfleError)


def test_an_unknown_kms_is_named(world: World) -> None:
    strange = rule()
    strange["params"]["encrypt.kms.type"] = "strange-kms"
    world.put(FLAT, strange)
    with pytest.raises(KeyServiceError, match="strange-kms") as caught:
        world.engine().serialize("t", [flat(1)])
    assert caught.value.code == "unknown_kms"
