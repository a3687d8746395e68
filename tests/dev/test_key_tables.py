from __future__ import annotations

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.key_tables import DekId, KekId, KeyTables
from csfle_fast.dev.models import Dek, Kek

KEK = Kek(name="k", kms_type="local-kms", kms_key_id="mykey", shared=True)
KEK_ID = KekId(".", "k")
DEK = Dek(kek_name="k", subject="s", encrypted_key_material="AAAA")


def test_writes_are_stamped_now_unless_told_otherwise() -> None:
    clock = Clock()
    clock.advance(days=-2)
    tables = KeyTables(clock)
    assert abs((tables.store_kek(KEK_ID, KEK).ts or 0) - clock.now_ms()) < 60_000
    assert tables.store_kek(KEK_ID, KEK, 5).ts == 5
    dek_id = DekId(KEK_ID, "s", "AES256_GCM", 1)
    assert tables.store_dek(dek_id, DEK, 7).ts == 7
    assert abs((tables.store_dek(dek_id, DEK).ts or 0) - clock.now_ms()) < 60_000


def test_several_deks_are_written_and_removed_together() -> None:
    tables = KeyTables(Clock())
    ids = [DekId(KEK_ID, "s", "AES256_GCM", version) for version in (1, 2)]
    stored = tables.store_deks({ids[0]: DEK, ids[1]: DEK.model_copy(update={"ts": 5})})
    assert tables.deks == stored
    assert stored[ids[1]].ts == 5
    tables.remove_deks(ids)
    assert tables.deks == {}


def test_a_kek_is_removed() -> None:
    tables = KeyTables(Clock())
    tables.store_kek(KEK_ID, KEK)
    tables.remove_kek(KEK_ID)
    assert tables.keks == {}
