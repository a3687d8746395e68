from __future__ import annotations

import pytest

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.key_tables import DekId, KekId, KeyTables
from csfle_fast.dev.models import Dek, Kek
from csfle_fast.dev.refusal import Refusal

KEK = Kek(name="k", kms_type="local-kms", kms_key_id="mykey", shared=True)


def test_writes_are_stamped_now_unless_told_otherwise() -> None:
    clock = Clock()
    clock.advance(days=-2)
    tables = KeyTables(clock, None)
    kek_id = KekId(".", "k")
    assert abs((tables.store_kek(kek_id, KEK).ts or 0) - clock.now_ms()) < 60_000
    assert tables.store_kek(kek_id, KEK, 5).ts == 5
    dek = Dek(kek_name="k", subject="s", encrypted_key_material="AAAA")
    assert tables.store_dek(DekId(kek_id, "s", "AES256_GCM", 1), dek, 7).ts == 7


def test_wraps_and_unwraps_for_a_shared_kek() -> None:
    tables = KeyTables(Clock(), "secret")
    wrapped = tables.wrap(KEK, b"proto")
    dek = Dek(kek_name="k", subject="s", encrypted_key_material=wrapped)
    assert tables.unwrap(KEK, dek) == b"proto"
    tables.try_sharing(KEK)


@pytest.mark.parametrize(
    ("secret", "kek", "reason"),
    [
        (None, KEK, "without a secret"),
        ("secret", KEK.model_copy(update={"kms_type": "aws-kms"}), "local-kms"),
    ],
)
def test_a_kms_that_cannot_be_used(secret: str | None, kek: Kek, reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as refused:
        KeyTables(Clock(), secret).try_sharing(kek)
    assert (refused.value.status, refused.value.error_code) == (500, 50070)


@pytest.mark.parametrize("material", ["AAAA", "!", ""])
def test_material_that_does_not_unwrap(material: str) -> None:
    dek = Dek(kek_name="k", subject="s", encrypted_key_material=material)
    with pytest.raises(Refusal, match=r"'k'.*does not unwrap") as refused:
        KeyTables(Clock(), "secret").unwrap(KEK, dek)
    assert refused.value.error_code == 50070
    assert refused.value.__cause__ is None
