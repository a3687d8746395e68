"""What the driver for Google Cloud KMS says when a call fails: each cause has a code of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from threading import Timer

import grpc
import pytest

from csfle_fast.errors import KmsError
from csfle_fast.kms.refusal import CAUSES
from gcp_world import EMAIL, KEY, PROTO, GcpWorld, refused
from services.certificates import Certificates
from services.connect_proxy import ConnectProxy
from services.gcp import GcpKms, make_account, retry_after
from services.ports import LOOPBACK

Status = grpc.StatusCode
OTHER_KEY = f"{KEY}-other"
READER = "reader@p.iam.gserviceaccount.com"
WORDS = "plaintext \n of somebody's words"
SHORT = {"kms.timeout.sec": 0.5}


@pytest.fixture
def world(gcp_kms: GcpKms, certificates: Certificates) -> GcpWorld:
    return GcpWorld(gcp_kms, certificates)


def unwrap_after(
    world: GcpWorld, change: Callable[[], object], options: Mapping[str, object] | None = None
) -> KmsError:
    """The refusal to unwrap what was wrapped before a change."""
    with world.client(options=options) as client:
        wrapped = client.wrap(PROTO)
        change()
        return refused(lambda: client.unwrap(wrapped))


def disabled(world: GcpWorld) -> KmsError:
    return unwrap_after(world, lambda: world.kms.set_state(KEY, 1, "DISABLED"))


def denied(world: GcpWorld) -> KmsError:
    with world.client(world.kms.account(READER, ["Decrypt"])) as client:
        return refused(lambda: client.wrap(PROTO))


def throttled(world: GcpWorld) -> KmsError:
    words = "Quota exceeded for quota metric 'Cryptographic requests'"
    return unwrap_after(world, lambda: world.kms.fail(Status.RESOURCE_EXHAUSTED, words, retry_after(1.5)))


def timed_out(world: GcpWorld) -> KmsError:
    return unwrap_after(world, world.kms.hold, SHORT)


def wrong_location(world: GcpWorld) -> KmsError:
    with world.client(key_id=KEY.replace("europe-west3", "europe-west99")) as client:
        return refused(lambda: client.wrap(PROTO))


def unknown_key(world: GcpWorld) -> KmsError:
    with world.client(key_id=OTHER_KEY) as client:
        return refused(lambda: client.wrap(PROTO))


def tampered(world: GcpWorld) -> KmsError:
    with world.client() as client:
        wrapped = client.wrap(PROTO)
        return refused(lambda: client.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1])))


def unauthenticated(world: GcpWorld) -> KmsError:
    with world.client(make_account("nobody@p.iam.gserviceaccount.com")) as client:
        return refused(lambda: client.wrap(PROTO))


def unreachable(world: GcpWorld) -> KmsError:
    world.kms.stop()
    with world.client() as client:
        error = refused(lambda: client.wrap(PROTO))
    world.kms.start()
    return error


def unavailable(world: GcpWorld) -> KmsError:
    return unwrap_after(world, lambda: world.kms.fail(Status.UNAVAILABLE, "The service is unavailable."))


def damaged(world: GcpWorld) -> KmsError:
    return unwrap_after(world, lambda: world.kms.spoiled.add("plaintext_crc32c"))


CAUSED = {
    disabled: "kms_key_disabled",
    denied: "kms_denied",
    throttled: "kms_throttled",
    timed_out: "kms_timeout",
    wrong_location: "kms_wrong_location",
    unknown_key: "kms_key_unknown",
    tampered: "unwrap_refused",
    unauthenticated: "kms_unauthenticated",
    unreachable: "kms_unreachable",
    unavailable: "kms_unavailable",
    damaged: "kms_failed",
}


@pytest.mark.parametrize(("cause", "code"), CAUSED.items(), ids=CAUSED.values())
def test_each_cause_has_its_code(world: GcpWorld, cause: Callable[[GcpWorld], KmsError], code: str) -> None:
    error = cause(world)
    assert error.code == code
    assert CAUSES[code] in error.message
    assert error.message.startswith(
        ("gcp-kms: Encrypt with key projects/", "gcp-kms: Decrypt with key projects/")
    )
    assert "@p.iam.gserviceaccount.com" in error.message  # who was refused
    assert (error.retry_after is not None) == (code == "kms_throttled")


def test_no_two_causes_share_a_code() -> None:
    assert len(set(CAUSED.values())) == len(CAUSED)


@pytest.mark.parametrize("state", ["DISABLED", "DESTROY_SCHEDULED", "DESTROYED"])
def test_a_version_that_is_not_enabled_neither_wraps_nor_unwraps(world: GcpWorld, state: str) -> None:
    with world.client() as client:
        wrapped = client.wrap(PROTO)
        world.kms.set_state(KEY, 1, state)
        for call in (lambda: client.wrap(PROTO), lambda: client.unwrap(wrapped)):
            error = refused(call)
            assert error.code == "kms_key_disabled"
            assert f"FAILED_PRECONDITION KEY_{state}" in error.message


def test_readers_need_no_right_to_wrap(world: GcpWorld) -> None:
    with world.client() as writer:
        wrapped = writer.wrap(PROTO)
    with world.client(world.kms.account(READER, ["Decrypt"])) as reader:
        assert reader.unwrap(wrapped) == PROTO
        error = refused(lambda: reader.wrap(PROTO))
    assert error.code == "kms_denied"
    assert "IAM_PERMISSION_DENIED" in error.message
    assert READER in error.message


def test_a_blob_of_another_key_and_one_that_is_none_are_refused(world: GcpWorld) -> None:
    world.kms.create_key(OTHER_KEY)
    with world.client() as client, world.client(key_id=OTHER_KEY) as other:
        for blob in (other.wrap(PROTO), b"", b"\0" * 100, client.wrap(PROTO)[:20]):
            assert refused(lambda blob=blob: client.unwrap(blob)).code == "unwrap_refused"  # type: ignore[misc]


def test_the_servers_wish_to_wait_is_told(world: GcpWorld) -> None:
    with world.client() as client:
        world.kms.fail(Status.RESOURCE_EXHAUSTED, WORDS, retry_after(2.25))
        assert refused(lambda: client.wrap(PROTO)).retry_after == 2.25
        world.kms.fail(Status.RESOURCE_EXHAUSTED, WORDS)
        assert refused(lambda: client.wrap(PROTO)).retry_after is None
        world.kms.fail(Status.UNAVAILABLE, WORDS, retry_after(-3))
        assert refused(lambda: client.wrap(PROTO)).retry_after == 0


@pytest.mark.parametrize(
    ("status", "on_wrap", "on_unwrap"),
    [
        (Status.INTERNAL, "kms_unavailable", "kms_unavailable"),
        (Status.UNKNOWN, "kms_unavailable", "kms_unavailable"),
        (Status.UNAVAILABLE, "kms_unavailable", "kms_unavailable"),
        (Status.UNAUTHENTICATED, "kms_unauthenticated", "kms_unauthenticated"),
        (Status.INVALID_ARGUMENT, "kms_failed", "unwrap_refused"),
        (Status.ABORTED, "kms_failed", "kms_failed"),
        (Status.UNIMPLEMENTED, "kms_failed", "kms_failed"),
        (Status.DATA_LOSS, "kms_failed", "kms_failed"),
    ],
    ids=str,
)
def test_every_status_is_told_without_the_servers_words(
    world: GcpWorld, status: grpc.StatusCode, on_wrap: str, on_unwrap: str
) -> None:
    with world.client() as client:
        wrapped = client.wrap(PROTO)
        for code, call in (
            (on_wrap, lambda: client.wrap(PROTO)),
            (on_unwrap, lambda: client.unwrap(wrapped)),
        ):
            world.kms.fail(status, WORDS)
            before = len(world.kms.calls)
            error = refused(call)
            assert error.code == code
            assert f"({status.name})" in error.message
            assert WORDS not in str(error)
            assert len(world.kms.calls) == before + 1  # one attempt, whatever it was


@pytest.mark.parametrize("part", ["ciphertext_crc32c", "verified_plaintext_crc32c", "name"])
def test_a_wrapped_dek_that_was_damaged_on_the_way_is_not_used(world: GcpWorld, part: str) -> None:
    world.kms.spoiled.add(part)
    with world.client() as client:
        error = refused(lambda: client.wrap(PROTO))
    assert error.code == "kms_failed"
    assert ("another key answered" if part == "name" else "damaged on the way: CRC32C") in error.message


def test_what_is_sent_carries_its_checksum(world: GcpWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.client() as client:
        wrapped = client.wrap(PROTO)
        monkeypatch.setattr(client, "_checksum", lambda data: 7)
        assert refused(lambda: client.wrap(PROTO)).message.count("INVALID_ARGUMENT") == 1
        assert refused(lambda: client.unwrap(wrapped)).message.count("INVALID_ARGUMENT") == 1


def test_a_time_out_ends_the_call_soon(world: GcpWorld) -> None:
    with world.client(options=SHORT) as client:
        world.kms.hold()
        began = time.monotonic()
        assert refused(lambda: client.wrap(PROTO)).code == "kms_timeout"
        assert time.monotonic() - began < 10


def test_a_port_that_takes_connections_and_says_nothing_is_a_time_out(world: GcpWorld) -> None:
    with socket.create_server((LOOPBACK, 0)) as mute:
        endpoint = f"{LOOPBACK}:{mute.getsockname()[1]}"
        with world.client(options={**SHORT, "kms.gcp.endpoint": endpoint}) as client:
            assert refused(lambda: client.wrap(PROTO)).code == "kms_timeout"


def test_a_server_under_another_authority_gets_nothing(world: GcpWorld) -> None:
    with world.client(options={"kms.gcp.ca.location": str(world.certificates.stranger)}) as client:
        error = refused(lambda: client.wrap(PROTO))
    assert error.code == "kms_unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert world.kms.calls == []


def test_a_connection_that_breaks_is_worth_another_attempt(
    world: GcpWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy({"cloudkms.googleapis.com:443": world.kms.port}) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        options = {"kms.gcp.endpoint": "cloudkms.googleapis.com", "kms.timeout.sec": 30}
        with world.client(options=options) as client:
            client.wrap(PROTO)
            world.kms.hold()
            cut = Timer(0.5, proxy.drop)
            cut.start()
            error = refused(lambda: client.wrap(PROTO))
            cut.join()
    assert error.code == "kms_unavailable"
    assert len(world.kms.calls) == 2  # it was on its way


def test_a_refusal_shows_neither_key_nor_dek(world: GcpWorld) -> None:
    for cause in CAUSED:
        said = repr(cause(GcpWorld(world.kms, world.certificates)))
        assert EMAIL.partition("@")[2] in said
        assert "PRIVATE KEY" not in said
        assert PROTO.hex() not in said
        world.kms.spoiled.clear()
        if cause is timed_out:
            world.kms.stop()
            world.kms.start()
