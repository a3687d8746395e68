"""KEKs: found, created by writers, held against the rule, kept for their TTL."""

from __future__ import annotations

import pytest

from csfle_fast.dek_registry import dek_registry
from csfle_fast.errors import KeyServiceError
from csfle_fast.keks import Keks
from csfle_fast.settings import Settings
from key_world import KEK, SUBJECT, KeyWorld, encrypt_rule, key_world

__all__ = ["key_world"]  # a fixture


def keks(world: KeyWorld, **conf: object) -> Keks:
    settings = Settings.parse({f"kek.cache.{name}".replace("_", "."): value for name, value in conf.items()})
    return Keks(dek_registry(world.client()), settings, world.clock, None)


def test_a_writer_creates_it_and_a_reader_does_not(key_world: KeyWorld) -> None:
    ours = keks(key_world)
    with pytest.raises(KeyServiceError) as caught:
        ours.lease(encrypt_rule(), SUBJECT, writing=False)
    assert caught.value.code == "no_kek"
    kek = ours.lease(encrypt_rule(), SUBJECT, writing=True).value
    assert (kek.name, kek.kms_type, kek.kms_key_id, kek.shared) == (KEK, "local-kms", "key", False)
    assert ours.lease(encrypt_rule(), SUBJECT, writing=False).value == kek
    assert ours.created == 1


def test_one_that_exists_is_not_created(key_world: KeyWorld) -> None:
    key_world.put_kek()
    ours = keks(key_world)
    ours.lease(encrypt_rule(), SUBJECT, writing=True)
    assert ours.created == 0
    assert key_world.posts("/keks") == 0


def test_it_comes_with_the_end_of_its_own_time(key_world: KeyWorld) -> None:
    key_world.put_kek()
    ours, end = keks(key_world, ttl_sec=60), key_world.clock.now + 60
    assert ours.lease(encrypt_rule(), SUBJECT, writing=True).until == end
    key_world.clock.now += 29
    assert ours.lease(encrypt_rule(), SUBJECT, writing=True).until == end
    assert len(key_world.http.requests) == 1
    key_world.clock.now += 1  # too old for a key that is to be built on it
    assert ours.lease(encrypt_rule(), SUBJECT, writing=True).until == end + 30
    assert len(key_world.http.requests) == 2


@pytest.mark.parametrize("change", [{"kms_type": "aws-kms"}, {"kms_key_id": "other"}])
def test_the_rule_must_agree_with_it_also_when_it_is_known(
    key_world: KeyWorld, change: dict[str, str]
) -> None:
    key_world.put_kek()
    ours = keks(key_world)
    ours.lease(encrypt_rule(), SUBJECT, writing=True)
    with pytest.raises(KeyServiceError, match=f"Kek:{KEK}") as caught:
        ours.lease(encrypt_rule(**change), SUBJECT, writing=True)
    assert caught.value.code == "kek_mismatch"


def test_a_soft_deleted_one_is_for_readers_and_writers_register_it_again(key_world: KeyWorld) -> None:
    key_world.put_kek()
    key_world.http.keks.delete(KEK)
    ours = keks(key_world)
    assert ours.lease(encrypt_rule(), SUBJECT, writing=False).value.name == KEK
    assert ours.created == 0
    assert ours.lease(encrypt_rule(), SUBJECT, writing=True).value.name == KEK
    assert ours.created == 1


def test_after_the_close_none_is_kept(key_world: KeyWorld) -> None:
    key_world.put_kek()
    ours = keks(key_world)
    ours.lease(encrypt_rule(), SUBJECT, writing=True)
    assert len(ours) == 1
    ours.close()
    ours.lease(encrypt_rule(), SUBJECT, writing=True)
    assert len(ours) == 0


def test_without_kms_type_and_key_id_no_kek_is_made(key_world: KeyWorld) -> None:
    for lacking in ({"kms_type": None}, {"kms_key_id": None}):
        with pytest.raises(KeyServiceError, match=f"Kek:{KEK}") as caught:
            key_world.service().writer_key(encrypt_rule(**lacking), SUBJECT)
        assert caught.value.code == "no_kek"
    key_world.put_kek()
    bare = encrypt_rule(kms_type=None, kms_key_id=None)
    assert key_world.service().writer_key(bare, SUBJECT).value.version == 1


def test_a_context_of_the_subject_is_the_keks_context(key_world: KeyWorld) -> None:
    subject = ":.ctx:t-value"
    key_world.service().writer_key(encrypt_rule(), subject)
    assert key_world.http.keks.get(KEK, ".ctx").name == KEK
    with pytest.raises(Exception, match=r"40470|not found"):
        key_world.http.keks.get(KEK)
    assert key_world.service().reader_key(encrypt_rule(), subject).value.cipher.version == 1


def test_a_kek_lost_to_another_writer_is_theirs(key_world: KeyWorld) -> None:
    key_world.put_kek()
    key_world.http.faults.add("GET", f"/keks/{KEK}$", status=404, count=1)
    assert key_world.service().writer_key(encrypt_rule(), SUBJECT).value.version == 1
