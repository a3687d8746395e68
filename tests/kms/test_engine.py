"""Engines over every KMS: a writer makes KEK and DEKs there, a cold reader opens, and few calls do."""

from __future__ import annotations

import pytest

from csfle_fast import Engine
from incumbent import KEK
from kms_worlds import KmsWorld, kms_world
from worlds import FLAT, World, flat, rule, world

__all__ = ["kms_world", "world"]  # fixtures

ROWS = [flat(number) for number in range(100)]


def put(world: World, kms: KmsWorld, **params: str) -> None:
    """Register FLAT with a rule for that KMS."""
    of_kms = {"encrypt.kms.type": kms.kms_type, "encrypt.kms.key.id": kms.key_id}
    rotating = rule(days=1)
    world.put(FLAT, rotating | {"params": rotating["params"] | of_kms | params})


def engine(world: World, kms: KmsWorld, **conf: object) -> Engine:
    return world.engine({name.replace("_", "."): value for name, value in conf.items()}, kms.conf)


def test_rows_go_out_and_come_back_cold(world: World, kms_world: KmsWorld) -> None:
    put(world, kms_world)
    writer, reader = engine(world, kms_world), engine(world, kms_world)
    for _ in range(3):
        sent = writer.serialize("t", ROWS)
        assert reader.deserialize("t", sent.values).values == ROWS
    # To make a DEK is to wrap it and to unwrap what was registered.
    assert (writer.stats()["kms_calls"], reader.stats()["kms_calls"]) == (2, 1)
    stored = world.http.keks.get(KEK)
    assert (stored.kms_type, stored.kms_key_id) == (kms_world.kms_type, kms_world.key_id)


def test_every_version_of_a_rotation_is_opened(world: World, kms_world: KmsWorld) -> None:
    put(world, kms_world)
    sent = engine(world, kms_world, dek_max_seals=40).serialize("t", ROWS)
    assert engine(world, kms_world).deserialize("t", sent.values).values == ROWS
    assert world.http.deks.versions(KEK, "t-value") == [1, 2, 3, 4]


# The first key cannot be missing in the others: there any id will do, or wrapping makes it.
@pytest.mark.parametrize("kms_world", ["aws-kms", "azure-kms", "gcp-kms"], indirect=True)
def test_an_alternate_key_takes_over_where_the_first_is_gone(world: World, kms_world: KmsWorld) -> None:
    assert kms_world.unknown_key_id is not None
    put(world, kms_world, **{"encrypt.kms.key.id": kms_world.unknown_key_id})
    conf = {**kms_world.conf, "encrypt.alternate.kms.key.ids": kms_world.key_id}
    writer, reader = world.engine(rule_conf=conf), world.engine(rule_conf=conf)
    assert reader.deserialize("t", writer.serialize("t", ROWS).values).values == ROWS
    assert writer.stats()["kms_calls"] == 4, "each of two calls, tried with the first and then the other"
