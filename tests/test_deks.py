"""DEK versions: found, made, unwrapped for either end."""

from __future__ import annotations

import base64
from functools import partial
from types import SimpleNamespace

import pytest

from csfle_fast.dek_registry import LATEST, Dek, Kek, dek_registry
from csfle_fast.deks import DekId, Deks
from csfle_fast.errors import KeyServiceError, KmsError
from csfle_fast.kms.local import LocalKmsClient
from csfle_fast.kms.wrapper import DekWrapper
from csfle_fast.settings import Settings
from key_world import ALGORITHM, KEK, SECRET, SUBJECT, KeyWorld, encrypt_rule, key_world, spend

__all__ = ["key_world"]  # a fixture

PROTO = b"\x1a\x20" + bytes(32)
OURS = Kek(KEK, "local-kms", "key")
SHARED = Kek(KEK, "local-kms", "key", shared=True)


def deks(world: KeyWorld, secret: str = SECRET) -> Deks:
    wrapper = DekWrapper({"secret": secret}, size=10, clock=world.clock)
    return Deks(dek_registry(world.client()), wrapper, Settings())


def dek(wrapped: bytes | None = None, unwrapped: bytes | None = None, version: int = 1) -> Dek:
    return Dek(version, ALGORITHM, wrapped, unwrapped, 1)


def wrapped(proto: bytes = PROTO) -> bytes:
    return base64.b64decode(KeyWorld.wrap(proto))


def test_what_is_made_is_found(key_world: KeyWorld) -> None:
    key_world.put_kek()
    ours, rule = deks(key_world), encrypt_rule()
    assert ours.find(rule, SUBJECT, LATEST, deleted=False) is None
    made = ours.create(OURS, rule, SUBJECT, 1)
    assert made is not None
    assert ours.find(rule, SUBJECT, LATEST, deleted=False) == made
    assert ours.opener(OURS, SUBJECT, made).algorithm == ALGORITHM
    assert ours.created == 1


def test_one_that_somebody_else_made_is_not_made_again(key_world: KeyWorld) -> None:
    key_world.put_kek()
    key_world.put_dek(PROTO)
    ours = deks(key_world)
    assert ours.create(OURS, encrypt_rule(), SUBJECT, 1) is None
    assert ours.created == 0


def test_an_entry_without_material_is_none(key_world: KeyWorld) -> None:
    body = {"version": 1, "algorithm": ALGORITHM, "ts": 1}
    key_world.http.faults.add("GET", "/versions/1$", status=200, body=body)
    assert deks(key_world).find(encrypt_rule(), SUBJECT, 1, deleted=True) is None


def test_both_ends_ask_the_kms(key_world: KeyWorld) -> None:
    ours = deks(key_world, secret="wrong")
    for end in (ours.opener, partial(ours.sealer, strict=False)):
        with pytest.raises(KmsError, match=f"Kek:{KEK}") as caught:
            end(OURS, SUBJECT, dek(wrapped()))
        assert caught.value.code == "unwrap_refused"


def test_only_a_shared_keks_answer_is_believed(key_world: KeyWorld) -> None:
    ours = deks(key_world, secret="wrong")
    assert ours.opener(SHARED, SUBJECT, dek(unwrapped=PROTO)).version == 1
    with pytest.raises(KeyServiceError, match="not wrapped") as caught:
        ours.opener(OURS, SUBJECT, dek(unwrapped=PROTO))
    assert caught.value.code == "no_dek"


def test_every_sealer_of_a_key_goes_on_counting(key_world: KeyWorld) -> None:
    ours = deks(key_world)
    spend(ours.sealer(OURS, SUBJECT, dek(wrapped()), strict=False), 3)
    spend(ours.sealer(OURS, SUBJECT, dek(wrapped()), strict=False), 4)  # wrapped with another nonce
    assert ours.sealer(OURS, SUBJECT, dek(wrapped()), strict=False).sealed == 7
    assert ours.sealer(SHARED, SUBJECT, dek(unwrapped=PROTO), strict=False).sealed == 7


def test_another_key_or_version_or_subject_is_counted_for_itself(key_world: KeyWorld) -> None:
    ours = deks(key_world)
    spend(ours.sealer(OURS, SUBJECT, dek(wrapped()), strict=False), 3)
    others = [
        ours.sealer(OURS, SUBJECT, dek(wrapped(PROTO[:-1] + b"1")), strict=False),
        ours.sealer(OURS, SUBJECT, dek(wrapped(), version=2), strict=False),
        ours.sealer(OURS, "other-value", dek(wrapped()), strict=False),
    ]
    assert [other.sealed for other in others] == [0, 0, 0]


def test_keys_that_another_provider_had_to_take_are_counted(
    key_world: KeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = deks(key_world)
    ours.opener(OURS, SUBJECT, dek(wrapped()))
    assert ours.fallbacks == 0
    monkeypatch.setattr("csfle_fast.deks.Cipher", lambda *_, **__: SimpleNamespace(fell_back=True))
    ours.opener(OURS, SUBJECT, dek(wrapped()))
    ours.sealer(OURS, SUBJECT, dek(wrapped()), strict=False)
    assert ours.fallbacks == 2


def test_openers_take_no_room_among_the_counts(key_world: KeyWorld) -> None:
    ours = deks(key_world)
    ours.opener(OURS, SUBJECT, dek(wrapped()))
    assert len(ours._counts) == 0


@pytest.mark.parametrize(
    "change", [{"kms_type": "aws-kms"}, {"kms_key_id": "other"}, {"algorithm": "AES256_SIV"}]
)
def test_rules_that_differ_ask_for_different_keys(change: dict[str, str]) -> None:
    one = DekId.of(encrypt_rule(), SUBJECT, 1)
    assert one == DekId.of(encrypt_rule(name="other", tags=("OTHER",)), SUBJECT, 1)
    assert one != DekId.of(encrypt_rule(**change), SUBJECT, 1)
    assert one != DekId.of(encrypt_rule(), SUBJECT, 2)


class TestSharedKek:
    def test_the_registry_makes_the_key_and_no_kms_is_called(self, key_world: KeyWorld) -> None:
        key_world.put_kek(shared=True)
        for ours in (key_world.service(rule_conf={}), key_world.service(rule_conf={})):
            ours.writer_key(encrypt_rule(), SUBJECT)
            ours.reader_key(encrypt_rule(), SUBJECT)
            assert ours.counters()["kms_calls"] == 0
        proto = LocalKmsClient(SECRET).unwrap(key_world.wrapped())
        assert (proto[:2], len(proto)) == (b"\x1a\x20", 34)

    def test_a_key_in_an_answer_of_a_kek_that_is_not_shared_is_not_believed(
        self, key_world: KeyWorld
    ) -> None:
        ours = key_world.service()
        ours.writer_key(encrypt_rule(), SUBJECT)
        answer = key_world.http.deks.get(KEK, SUBJECT) | {"keyMaterial": "GiAA"}
        key_world.http.faults.add("GET", "/versions/1$", status=200, body=answer)
        reader = key_world.service()
        reader.reader_key(encrypt_rule(), SUBJECT)
        assert reader.counters()["kms_calls"] == 1
