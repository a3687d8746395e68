from __future__ import annotations

import base64
from typing import NoReturn

import pytest

from csfle_fast.dev.models import Kek
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.sharing import Kms, Sharing
from csfle_fast.errors import KmsError
from csfle_fast.kms.local import LocalKmsDriver

KEK = Kek(name="k", kms_type="local-kms", kms_key_id="mykey", shared=True)
AWS = KEK.model_copy(update={"kms_type": "aws-kms"})


class Turned:
    """A KMS that turns a key around, and so much for wrapping."""

    def wrap(self, plaintext: bytes) -> bytes:
        return plaintext[::-1]

    def unwrap(self, ciphertext: bytes) -> bytes:
        return ciphertext[::-1]


class Failing:
    """A KMS that raises what it is given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def wrap(self, plaintext: bytes) -> NoReturn:
        raise self._error

    def unwrap(self, ciphertext: bytes) -> NoReturn:
        raise self._error


class Forgetful(Turned):
    """A KMS that returns another key than it wrapped."""

    def unwrap(self, ciphertext: bytes) -> bytes:
        return b"another"


def test_wraps_and_unwraps_with_the_secret() -> None:
    sharing = Sharing("secret")
    assert sharing.unwrap(KEK, sharing.wrap(KEK, b"proto")) == b"proto"
    sharing.try_out(KEK)


def test_another_kms_is_used_for_its_type_only() -> None:
    sharing = Sharing("secret", {"aws-kms": Turned()})
    assert base64.b64decode(sharing.wrap(AWS, b"proto")) == b"otorp"
    sharing.try_out(AWS)
    assert sharing.unwrap(KEK, sharing.wrap(KEK, b"proto")) == b"proto"


def test_a_client_of_a_driver_will_do() -> None:
    client = LocalKmsDriver().client("local-kms://mykey", {"secret": "secret"})
    driven = Sharing(kms={"local-kms": client})
    assert Sharing("secret").unwrap(KEK, driven.wrap(KEK, b"proto")) == b"proto"
    driven.try_out(KEK)
    client.close()


def test_one_for_the_local_type_goes_before_the_secret() -> None:
    assert base64.b64decode(Sharing("secret", {"local-kms": Turned()}).wrap(KEK, b"proto")) == b"otorp"


@pytest.mark.parametrize(
    ("sharing", "kek", "reason"),
    [
        (Sharing(), KEK, "without a secret"),
        (Sharing("secret"), AWS, "no access to a KMS of the type 'aws-kms'"),
        (Sharing(kms={"aws-kms": Failing(ValueError("TEXT"))}), AWS, "does not wrap"),
        (Sharing(kms={"aws-kms": Failing(KmsError("kms_timeout", "TEXT"))}), AWS, "does not wrap"),
        (Sharing(kms={"aws-kms": Forgetful()}), AWS, "does not return the key it wrapped"),
    ],
)
def test_a_kms_that_cannot_be_used(sharing: Sharing, kek: Kek, reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as refused:
        sharing.try_out(kek)
    assert (refused.value.status, refused.value.error_code) == (500, 50070)
    assert "TEXT" not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize("error", [PermissionError("secret"), KmsError("kms_denied", "secret")])
def test_a_kms_that_denies_itself(error: Exception) -> None:
    kms: Kms = Failing(error)
    sharing = Sharing(kms={"aws-kms": kms})
    for call in (lambda: sharing.wrap(AWS, b"proto"), lambda: sharing.unwrap(AWS, "AAAA")):
        with pytest.raises(Refusal, match="denies") as refused:
            call()
        assert (refused.value.status, refused.value.error_code) == (403, 40370)
        assert "secret" not in str(refused.value)
        assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize("material", ["AAAA", "!", ""])
def test_material_that_does_not_unwrap(material: str) -> None:
    with pytest.raises(Refusal, match=r"'k'.*does not unwrap") as refused:
        Sharing("secret").unwrap(KEK, material)
    assert refused.value.error_code == 50070
    assert refused.value.__cause__ is refused.value.__context__ is None
