from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from csfle_fast.dev.local_kms import ALGORITHMS, LocalKms, LocalKmsError, generate_key_proto


def test_unwraps_what_other_clients_wrapped() -> None:
    wrapped = base64.b64decode(
        "07V2ndh02DA73p+dTybwZFm7DKQSZN1tEwQh+FoX1DZLk4Yj2LLu4omYjp/84tAg3BYlkfGSz+zZacJHIE4="
    )
    proto = bytes.fromhex("1a2041e5234c24a6a4f85b1d8237e99a12df8722f0c21837556acd0ec7adde5869cf")
    assert LocalKms("mysecret").unwrap(wrapped) == proto


def test_wraps_anew_each_time_and_unwraps_it() -> None:
    kms = LocalKms("a secret")
    one, other = kms.wrap(b"key"), kms.wrap(b"key")
    assert one != other
    assert kms.unwrap(one) == kms.unwrap(other) == b"key"


@pytest.mark.parametrize("spoil", [lambda w: w[:-1], lambda w: b"", lambda w: bytes([w[0] ^ 1]) + w[1:]])
def test_does_not_unwrap_what_changed(spoil: Callable[[bytes], bytes]) -> None:
    kms = LocalKms("a secret")
    with pytest.raises(LocalKmsError):
        kms.unwrap(spoil(kms.wrap(b"key")))
    with pytest.raises(LocalKmsError):
        LocalKms("another").unwrap(kms.wrap(b"key"))


@pytest.mark.parametrize(
    ("algorithm", "head", "size"),
    [("AES128_GCM", "1a10", 18), ("AES256_GCM", "1a20", 34), ("AES256_SIV", "1240", 66)],
)
def test_generates_key_protos(algorithm: str, head: str, size: int) -> None:
    one, other = generate_key_proto(algorithm), generate_key_proto(algorithm)
    assert one != other
    assert (one[:2].hex(), len(one)) == (head, size)
    assert algorithm in ALGORITHMS
