"""The local KMS against Confluent's published values and against tink."""

from __future__ import annotations

import base64

import pytest
from confluent_kafka.schema_registry.rules.encryption.localkms.local_driver import (
    LocalKmsDriver as ConfluentLocalKmsDriver,
)
from tink import aead

from csfle_fast.errors import KmsError
from csfle_fast.kms.local import LocalKmsClient, LocalKmsDriver

# Wrapped DEKs of the suites of Confluent's clients, for the secret "mysecret", and what is inside.
UPSTREAM = {
    "07V2ndh02DA73p+dTybwZFm7DKQSZN1tEwQh+FoX1DZLk4Yj2LLu4omYjp/84tAg3BYlkfGSz+zZacJHIE4=": (
        "1a2041e5234c24a6a4f85b1d8237e99a12df8722f0c21837556acd0ec7adde5869cf"
    ),
    "YSx3DTlAHrmpoDChquJMifmPntBzxgRVdMzgYL82rgWBKn7aUSnG+WIu9ozBNS3y2vXd++mBtK07w4/W/G6w0da39X9hfOVZsGnkSvry"
    "/QRht84V8yz3dqKxGMOK5A==": (
        "12409b971301e8ef5f0d9ce82e8cb28ef8fb14fa74944f4e5a958f598389958e1e392b76c3e213b4a726c8437e3f0ee4a137bde3"
        "f4b8990e07aa8a050c8e7115498f"
    ),
    "W/v6hOQYq1idVAcs1pPWz9UUONMVZW4IrglTnG88TsWjeCjxmtRQ4VaNe/I5dCfm2zyY9Cu0nqdvqImtUk4=": (
        "1a2008d571545a5c3517771440b4a8fe1fd2283b4a2272e12e867c9b6761ee0e9666"
    ),
}


@pytest.mark.parametrize(("wrapped", "proto"), UPSTREAM.items())
def test_upstream_deks_are_unwrapped(wrapped: str, proto: str) -> None:
    assert LocalKmsClient("mysecret").unwrap(base64.b64decode(wrapped)).hex() == proto


def test_theirs_unwraps_ours_and_ours_theirs() -> None:
    aead.register()  # what their encryption executor does when it is imported
    ours = LocalKmsDriver().client("local-kms://key", {"secret": "s"})
    theirs = ConfluentLocalKmsDriver().new_kms_client({"secret": "s"}, "local-kms://key").get_aead("any")
    assert theirs.decrypt(ours.wrap(b"proto"), b"") == b"proto"
    assert ours.unwrap(theirs.encrypt(b"proto", b"")) == b"proto"


def test_no_two_wraps_are_equal() -> None:
    client = LocalKmsClient("s")
    assert client.wrap(b"proto") != client.wrap(b"proto")


def test_another_secret_and_damaged_material_are_refused() -> None:
    wrapped = LocalKmsClient("s").wrap(b"proto")
    changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    for secret, material in (("t", wrapped), ("s", changed), ("s", wrapped[:27]), ("s", b"")):
        with pytest.raises(KmsError) as caught:
            LocalKmsClient(secret).unwrap(material)
        assert caught.value.code == "unwrap_refused"
        assert caught.value.__context__ is None


def test_the_secret_comes_from_the_configuration_then_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCAL_SECRET", "from-environment")
    for conf, secret in (({"secret": "from-conf"}, "from-conf"), ({}, "from-environment")):
        wrapped = LocalKmsDriver().client("local-kms://key", conf).wrap(b"proto")
        assert LocalKmsClient(secret).unwrap(wrapped) == b"proto"


@pytest.mark.parametrize("conf", [{}, {"secret": ""}, {"secret": 3}])
def test_without_a_secret_there_is_no_client(
    conf: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_SECRET", raising=False)
    with pytest.raises(KmsError) as caught:
        LocalKmsDriver().client("local-kms://key", conf)
    assert caught.value.code == "missing_credentials"


def test_neither_secret_nor_key_is_shown() -> None:
    client = LocalKmsClient("very secret")
    assert "very secret" not in repr(client)
    assert not hasattr(client, "__dict__")
