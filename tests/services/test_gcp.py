"""The stand-in for Google Cloud KMS, asked by Google's own client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import google_crc32c
import grpc
import pytest
from google.api_core import exceptions
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.oauth2.service_account import Credentials

from services.certificates import Certificates
from services.gcp import Account, GcpKms, make_account, retry_after
from services.gcp_tokens import GcpTokens

KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
EMAIL = "a@p.iam.gserviceaccount.com"
Connect = Callable[[Account], Any]


@pytest.fixture
def connect(gcp_kms: GcpKms, certificates: Certificates) -> Iterator[Connect]:
    """Google's client, as whom is asked for."""
    channels: list[Any] = []

    def connect(account: Account) -> Any:
        credentials = Credentials.from_service_account_info(account.file())  # type: ignore[no-untyped-call]
        channel = KeyManagementServiceGrpcTransport.create_channel(
            gcp_kms.endpoint,
            credentials=credentials.with_always_use_jwt_access(True),
            ssl_credentials=grpc.ssl_channel_credentials(certificates.authority.read_bytes()),
        )
        channels.append(channel)
        return kms_v1.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))

    yield connect
    for channel in channels:
        channel.close()


@pytest.fixture
def client(gcp_kms: GcpKms, connect: Connect) -> Any:
    gcp_kms.create_key(KEY)
    return connect(gcp_kms.account(EMAIL))


def encrypt(client: Any, **request: object) -> Any:
    return client.encrypt(request={"name": KEY, "plaintext": b"text", **request}, retry=None, timeout=20)


def decrypt(client: Any, ciphertext: bytes, **request: object) -> Any:
    return client.decrypt(request={"name": KEY, "ciphertext": ciphertext, **request}, retry=None, timeout=20)


def test_encrypt_and_decrypt_with_associated_data_and_checksums(client: Any) -> None:
    sealed = encrypt(
        client, additional_authenticated_data=b"aad", plaintext_crc32c=google_crc32c.value(b"text")
    )
    assert sealed.name == f"{KEY}/cryptoKeyVersions/1"
    assert sealed.verified_plaintext_crc32c
    assert sealed.ciphertext_crc32c == google_crc32c.value(sealed.ciphertext)
    opened = decrypt(client, sealed.ciphertext, additional_authenticated_data=b"aad")
    assert opened.plaintext == b"text"
    assert opened.plaintext_crc32c == google_crc32c.value(b"text")
    assert opened.used_primary


def test_without_a_checksum_none_is_verified(client: Any) -> None:
    assert not encrypt(client).verified_plaintext_crc32c


def test_what_was_changed_is_refused(client: Any) -> None:
    ciphertext = encrypt(client, additional_authenticated_data=b"aad").ciphertext
    changed = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    for material, more in (
        (ciphertext, {"additional_authenticated_data": b"other"}),
        (changed, {"additional_authenticated_data": b"aad"}),
        (ciphertext, {"additional_authenticated_data": b"aad", "ciphertext_crc32c": 7}),
        (b"", {}),
    ):
        with pytest.raises(exceptions.InvalidArgument):
            decrypt(client, material, **more)
    with pytest.raises(exceptions.InvalidArgument):
        encrypt(client, plaintext_crc32c=7)


def test_versions_and_their_states(gcp_kms: GcpKms, client: Any) -> None:
    old = encrypt(client).ciphertext
    gcp_kms.rotate(KEY)
    new = encrypt(client)
    assert new.name.endswith("/cryptoKeyVersions/2")
    assert not decrypt(client, old).used_primary
    gcp_kms.set_state(KEY, 1, "DISABLED")
    with pytest.raises(exceptions.FailedPrecondition) as caught:
        decrypt(client, old)
    assert caught.value.details[0].violations[0].type == "KEY_DISABLED"
    assert decrypt(client, new.ciphertext).plaintext == b"text"
    gcp_kms.set_state(KEY, 2, "DESTROYED")
    with pytest.raises(exceptions.FailedPrecondition):
        encrypt(client)


def test_rights_and_names(gcp_kms: GcpKms, client: Any, connect: Connect) -> None:
    reader = connect(gcp_kms.account("reader@p.iam.gserviceaccount.com", ["Decrypt"]))
    assert decrypt(reader, encrypt(client).ciphertext).plaintext == b"text"
    with pytest.raises(exceptions.PermissionDenied):
        encrypt(reader)
    with pytest.raises(exceptions.NotFound, match="not found"):
        encrypt(client, name=f"{KEY}2")
    with pytest.raises(exceptions.NotFound, match="concerns location 'mars'"):
        encrypt(client, name=KEY.replace("global", "mars"))


def test_only_tokens_that_an_account_signed_are_accepted(
    gcp_kms: GcpKms, client: Any, connect: Connect
) -> None:
    encrypt(client)
    stranger = make_account("stranger@p.iam.gserviceaccount.com")
    liar = Account(EMAIL, stranger.key_id, stranger.private_key)
    for account in (stranger, liar):
        with pytest.raises(exceptions.Unauthenticated):
            encrypt(connect(account))
    assert [(call.operation, call.email) for call in gcp_kms.calls] == [("Encrypt", EMAIL)]


def test_an_order_to_fail_is_for_so_many_calls(gcp_kms: GcpKms, client: Any) -> None:
    gcp_kms.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded", retry_after(1.5), times=2)
    for _ in range(2):
        with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded") as caught:
            encrypt(client)
        assert caught.value.details[0].retry_delay.ToMilliseconds() == 1500
    encrypt(client)
    assert len(gcp_kms.calls) == 3


def test_answers_are_spoiled_on_order(gcp_kms: GcpKms, client: Any) -> None:
    gcp_kms.spoiled |= {"ciphertext_crc32c", "verified_plaintext_crc32c", "name"}
    spoiled = encrypt(client, plaintext_crc32c=google_crc32c.value(b"text"))
    assert spoiled.ciphertext_crc32c != google_crc32c.value(spoiled.ciphertext)
    assert not spoiled.verified_plaintext_crc32c
    assert not spoiled.name.startswith(f"{KEY}/")


def test_it_can_be_held_stopped_and_started(gcp_kms: GcpKms, client: Any) -> None:
    ciphertext = encrypt(client).ciphertext
    gcp_kms.hold()
    with pytest.raises(exceptions.DeadlineExceeded):
        client.decrypt(request={"name": KEY, "ciphertext": ciphertext}, retry=None, timeout=0.5)
    gcp_kms.stop()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("gcp-kms")] == []
    gcp_kms.start()
    assert client.decrypt(request={"name": KEY, "ciphertext": ciphertext}, timeout=60).plaintext == b"text"


def test_the_token_service_leaves_no_thread() -> None:
    with GcpTokens(lambda token: None) as tokens:
        assert tokens.exchange("subject")[0] == 200
    assert [thread for thread in threading.enumerate() if thread.name == "gcp-tokens"] == []
