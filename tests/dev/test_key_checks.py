from __future__ import annotations

import pytest

from csfle_fast.dev.key_checks import (
    check_algorithm,
    check_kek_name,
    check_material,
    checked_kms_type,
    checked_subject,
)
from csfle_fast.dev.refusal import Refusal


@pytest.mark.parametrize(
    ("kms_type", "key_id", "stored"),
    [
        ("aws", "arn:aws:kms:eu-west-1:1:key/x", "aws-kms"),
        ("AWS-KMS", "arn:aws:kms:eu-west-1:1:key/x", "aws-kms"),
        ("azure-kms", "https://v.vault.azure.net/keys/k", "azure-kms"),
        ("gcp", "projects/p/locations/l/keyRings/r/cryptoKeys/k", "gcp-kms"),
        ("hcvault", "http://127.0.0.1:8200/transit/keys/k", "hcvault"),
        ("local-kms", "anything", "local-kms"),
        ("my-kms", "anything", "my-kms"),
    ],
)
def test_kms_types_are_stored_in_full(kms_type: str, key_id: str, stored: str) -> None:
    assert checked_kms_type(kms_type, key_id) == stored


@pytest.mark.parametrize(
    ("kms_type", "key_id", "member"),
    [
        (None, "k", "kmsType"),
        ("", "k", "kmsType"),
        ("local-kms", None, "kmsKeyId"),
        ("local-kms", "", "kmsKeyId"),
        ("aws-kms", "alias/x", "kmsKeyId"),
        ("azure-kms", "http://v/keys/k", "kmsKeyId"),
        ("gcp-kms", "p", "kmsKeyId"),
        ("hcvault", "transit/keys/k", "kmsKeyId"),
    ],
)
def test_kms_keys_that_cannot_be(kms_type: str | None, key_id: str | None, member: str) -> None:
    with pytest.raises(Refusal, match=member) as refused:
        checked_kms_type(kms_type, key_id)
    assert (refused.value.status, refused.value.error_code) == (422, 42271)


@pytest.mark.parametrize("name", ["", "9a", "-a", "a b", "a/b", "a.b"])
def test_kek_names_that_cannot_be(name: str) -> None:
    with pytest.raises(Refusal, match="name"):
        check_kek_name(name)


def test_kek_names() -> None:
    for name in ("k", "_k", "kek1-f1", "schlüssel_1"):
        check_kek_name(name)


def test_subjects_algorithms_and_material() -> None:
    assert checked_subject(":.:s") == "s"
    check_algorithm("AES128_GCM")
    check_material("AAAA")
    with pytest.raises(Refusal, match="subject"):
        checked_subject(None)
    with pytest.raises(Refusal, match="algorithm"):
        check_algorithm("AES")
    for material in ("", "not base64!", "AAA"):
        with pytest.raises(Refusal, match="encryptedKeyMaterial") as refused:
            check_material(material)
        assert not material or material not in str(refused.value)
