"""The codes of the Vault driver: what OpenBao refuses, what a stand-in says, and where nothing answers."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial

import pytest
from requests import exceptions
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError
from urllib3.exceptions import SSLError as TlsFailure

from csfle_fast.errors import KmsError
from csfle_fast.kms.vault_answers import meaning_of_failure
from services.certificates import Certificates
from services.openbao import OpenBaoServer
from services.ports import LOOPBACK, free_ports
from vault_world import (
    NO_KEYS,
    PROTO,
    Answer,
    VaultStandIn,
    clear_environment,
    client,
    conf,
    mount_of,
    new_key,
    new_name,
    path,
    refused,
)

TOKEN = "hvs.hunter2"
# Seconds: well above the time-out that a test sets, and below the one that it has by default.
SOON = 4.0
# How the stand-in answers, the code of unwrapping, and what its message tells.
SAID = [
    (Answer(500), "kms_unavailable", "HTTP 500"),
    (Answer(500, b'{"errors": ["cipher: message authentication failed"]}'), "kms_unavailable", "HTTP 500"),
    (Answer(502, b"<html>bad gateway"), "kms_unavailable", "HTTP 502"),
    (Answer(503, b'{"errors": ["Vault is sealed"]}'), "kms_unavailable", "HTTP 503"),
    (Answer(429, b"slow down"), "kms_throttled", "HTTP 429"),
    (
        Answer(405, b'{"errors": ["1 error occurred:\\n\\t* unsupported operation"]}'),
        "kms_failed",
        "HTTP 405",
    ),
    (Answer(400, b'{"errors": "encryption key not found"}'), "kms_failed", "HTTP 400"),
    (Answer(400, b"[" * 100_000), "kms_failed", "HTTP 400"),
    (Answer(403, b'{"errors": ["permission denied", "invalid token"]}'), "kms_unauthenticated", "the token"),
    (Answer(0), "kms_unavailable", "the connection broke"),
    (Answer(204, b""), "kms_failed", "not that of a transit engine"),
    (Answer(200, b""), "kms_failed", "not that of a transit engine"),
    (Answer(200, b"[]"), "kms_failed", "not that of a transit engine"),
    (Answer(200, b'{"data": []}'), "kms_failed", "not that of a transit engine"),
    (Answer(200, b'{"data": {"plaintext": 7}}'), "kms_failed", "not that of a transit engine"),
    (Answer(200, b'{"data": {"plaintext": "QQ"}}'), "kms_failed", "not that of a transit engine"),
    (Answer(200, b'{"data": {"plaintext": "Q$Q=="}}'), "kms_failed", "not that of a transit engine"),
]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_environment(monkeypatch)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener.getsockname()[1]


def unwrap(key_id: str, settings: Mapping[str, object], wrapped: bytes = NO_KEYS) -> KmsError:
    ours = client(key_id, settings)
    error = refused(lambda: ours.unwrap(wrapped), TOKEN)
    ours.close()
    return error


def wrap(key_id: str, settings: Mapping[str, object]) -> KmsError:
    ours = client(key_id, settings)
    error = refused(lambda: ours.wrap(PROTO), TOKEN)
    ours.close()
    return error


def test_an_unknown_key(openbao: OpenBaoServer) -> None:
    error = unwrap(f"{new_key(openbao)}2", conf(openbao))
    assert error.code == "kms_key_unknown"
    assert error.message.startswith(f"hcvault: decrypt with key {openbao.url}/")


def test_an_unknown_key_is_not_made_where_the_mount_forbids_it(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    openbao.call("POST", f"{mount_of(key_id)}/config/keys", {"disable_upsert": True})
    assert wrap(f"{key_id}2", conf(openbao)).code == "kms_key_unknown"


def test_a_policy_that_denies(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    token = openbao.make_token(openbao.write_policy(new_name("decrypt"), path(key_id, "decrypt")))
    ours = client(key_id, conf(openbao, token__id=token))
    error = refused(lambda: ours.wrap(PROTO), token)
    assert error.code == "kms_denied"
    assert error.message.startswith(f"hcvault: encrypt with key {key_id}: ")
    ours.close()


@pytest.mark.parametrize("token", [TOKEN, "s.123456789012345678901234"])
def test_a_token_that_nobody_gave(openbao: OpenBaoServer, token: str) -> None:
    assert wrap(new_key(openbao), conf(openbao, token__id=token)).code == "kms_unauthenticated"


def test_a_deleted_key(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    ours = client(key_id, conf(openbao))
    wrapped = ours.wrap(PROTO)
    openbao.call("DELETE", f"{path(key_id, 'keys')}/soft-delete")
    assert refused(lambda: ours.unwrap(wrapped)).code == "kms_key_disabled"
    assert refused(lambda: ours.wrap(PROTO)).code == "kms_key_disabled"
    openbao.call("POST", f"{path(key_id, 'keys')}/soft-delete-restore")
    assert ours.unwrap(wrapped) == PROTO
    ours.close()


def test_a_version_that_is_not_opened_any_more(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    ours = client(key_id, conf(openbao))
    old = ours.wrap(PROTO)
    openbao.call("POST", f"{path(key_id, 'keys')}/rotate")
    openbao.call("POST", f"{path(key_id, 'keys')}/config", {"min_decryption_version": 2})
    assert refused(lambda: ours.unwrap(old)).code == "kms_key_disabled"
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()


def test_a_mount_or_a_namespace_that_is_not_there(openbao: OpenBaoServer) -> None:
    no_mount = unwrap(f"{openbao.url}/nowhere/keys/kek", conf(openbao))
    no_namespace = unwrap(new_key(openbao), conf(openbao, namespace="nowhere"))
    below = unwrap(new_key(openbao).replace("/keys/", "/deeper/keys/"), conf(openbao))
    assert {error.code for error in (no_mount, no_namespace, below)} == {"kms_wrong_location"}
    assert "there is no such mount" in no_mount.message
    assert "there is no such namespace" in no_namespace.message


def test_what_was_wrapped_elsewhere_or_was_changed(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    ours, other = client(key_id, conf(openbao)), client(new_key(openbao), conf(openbao))
    sealed = base64.b64decode(ours.wrap(PROTO)[9:])
    changed = [sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:-1], sealed[:20], b"A", sealed + b"\0"]
    texts = [b"vault:v1:" + base64.b64encode(one) for one in changed]
    texts += [b"vault:v2:" + base64.b64encode(sealed), b"vault:v1:QQ", other.wrap(PROTO)]
    for text in texts:
        assert refused(partial(ours.unwrap, text)).code == "unwrap_refused", text
    ours.close()
    other.close()


@pytest.mark.parametrize(
    "material",
    [
        b"",
        b"vault:v1:",
        b"vault:v0:QUJD",
        b"vault:v:QUJD",
        b"vault:v1:QUJD\n",
        b"vault:v1:QU JD",
        b"vault:v1:QUJD\xff",
        b"QUJD",
        bytes(50),
    ],
)
def test_what_is_no_text_of_vault_is_not_sent(material: bytes) -> None:
    with VaultStandIn(Answer(200)) as server:
        assert unwrap(server.key_id, {"token.id": TOKEN}, material).code == "unwrap_refused"
    assert server.seen == []


def test_a_quota(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    quota = f"sys/quotas/rate-limit/{new_name('quota')}"
    openbao.call("POST", quota, {"rate": 1, "interval": "1h", "path": f"{mount_of(key_id)}/"})
    ours = client(key_id, conf(openbao))
    ours.wrap(PROTO)
    quiet = refused(lambda: ours.wrap(PROTO))
    openbao.call("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
    told = refused(lambda: ours.wrap(PROTO))
    openbao.call("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": False})
    assert (quiet.code, quiet.retry_after) == ("kms_throttled", None)
    assert told.code == "kms_throttled"
    assert told.retry_after is not None
    assert 1 <= told.retry_after <= 3600
    ours.close()


def test_a_sealed_server(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    openbao.call("PUT", "sys/seal")
    try:
        error = wrap(key_id, conf(openbao))
    finally:
        openbao.unseal()
    assert error.code == "kms_unavailable"
    assert "HTTP 503" in error.message


@pytest.mark.parametrize(("answer", "code", "told"), SAID, ids=lambda one: str(one)[:60])
def test_what_a_server_may_say(answer: Answer, code: str, told: str) -> None:
    with VaultStandIn(answer) as server:
        error = unwrap(server.key_id, {"token.id": TOKEN})
    assert error.code == code
    assert told in error.message
    assert len(server.seen) == 1  # one call is one attempt


@pytest.mark.parametrize(
    "data", ["{}", '{"ciphertext": 7}', '{"ciphertext": "aws:1:QQ=="}', '{"ciphertext": "vault:v1:Q!"}']
)
def test_what_does_not_look_wrapped_is_not_stored(data: str) -> None:
    with VaultStandIn(Answer(200, f'{{"data": {data}}}'.encode())) as server:
        assert wrap(server.key_id, {"token.id": TOKEN}).code == "kms_failed"


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("0", 0.0), ("-1", None), ("soon", None), ("\u00b2", None)]
)
def test_the_time_to_wait(told: str, seconds: float | None) -> None:
    with VaultStandIn(Answer(503, headers={"Retry-After": told})) as server:
        assert unwrap(server.key_id, {"token.id": TOKEN}).retry_after == seconds


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing(silent_port: int, scheme: str) -> None:
    settings = {"token.id": TOKEN, "kms.timeout.sec": 0.2}
    started = time.monotonic()
    assert unwrap(f"{scheme}://{LOOPBACK}:{silent_port}/t/keys/kek", settings).code == "kms_timeout"
    assert time.monotonic() - started < SOON


def test_an_answer_that_stops_in_the_middle() -> None:
    with VaultStandIn(Answer(200, b'{"data":', length=100)) as server:
        started = time.monotonic()
        assert unwrap(server.key_id, {"token.id": TOKEN, "kms.timeout.sec": 0.2}).code == "kms_timeout"
        assert time.monotonic() - started < SOON


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssl.SSLEOFError(), "kms_unavailable"),
        (ssl.SSLZeroReturnError(), "kms_unavailable"),
        (ssl.SSLCertVerificationError(), "kms_unreachable"),
        (ssl.SSLError(), "kms_unreachable"),
    ],
)
def test_a_failure_of_tls_that_urllib3_hands_on_as_an_argument(error: ssl.SSLError, code: str) -> None:
    """How it does so while a request is written, which no server can bring about at will."""
    pool = HTTPSConnectionPool(LOOPBACK)
    handed_on = MaxRetryError(pool, "/")
    handed_on.__cause__ = TlsFailure(error)
    pool.close()
    assert meaning_of_failure(exceptions.SSLError(handed_on))[0] == code


def test_tls_that_breaks(certificates: Certificates) -> None:
    with VaultStandIn(Answer(0), certificates) as server:
        settings = {"token.id": TOKEN, "ssl.ca.location": str(certificates.authority)}
        assert unwrap(server.key_id, settings).code == "kms_unavailable"


def test_nobody_listens() -> None:
    error = unwrap(f"http://{LOOPBACK}:{free_ports(1)[0]}/t/keys/kek", {"token.id": TOKEN})
    assert error.code == "kms_unreachable"
    assert "ConnectionRefusedError" in error.message


def test_https_where_http_is_spoken() -> None:
    with VaultStandIn(Answer(200)) as server:
        error = unwrap(server.key_id.replace("http:", "https:"), {"token.id": TOKEN})
    assert error.code == "kms_unreachable"
    assert "TLS: " in error.message


def test_a_redirect_is_followed_once(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    there = {"Location": f"{openbao.url}/v1/{path(key_id, 'encrypt')}"}
    with VaultStandIn(Answer(307, headers=there)) as standby:
        ours = client(key_id.replace(openbao.url, standby.url), conf(openbao))
        assert ours.wrap(PROTO).startswith(b"vault:v1:")
        ours.close()
        standby.answer = Answer(307, headers={"Location": f"{standby.url}/v1/again"})
        assert wrap(standby.key_id, conf(openbao)).code == "kms_failed"
    assert len(standby.seen) == 3


def test_a_redirect_does_not_lead_out_of_tls(certificates: Certificates) -> None:
    with VaultStandIn(Answer(200)) as plain:
        there = {"Location": f"{plain.url}/v1/transit/encrypt/kek"}
        with VaultStandIn(Answer(307, headers=there), certificates) as standby:
            settings = {"token.id": TOKEN, "ssl.ca.location": str(certificates.authority)}
            assert wrap(standby.key_id, settings).code == "kms_failed"
            assert len(standby.seen) == 1
    assert plain.seen == []


def test_what_the_caller_is_handling_is_no_cause() -> None:
    url = f"http://{LOOPBACK}:{free_ports(1)[0]}"
    codes = []
    with closing(client(f"{url}/transit/keys/kek", {"token.id": "t", "kms.timeout.sec": 2})) as ours:
        for wrong in (exceptions.Timeout(), TimeoutError()):
            try:
                _raise(wrong)
            except type(wrong):
                with pytest.raises(KmsError) as caught:
                    ours.unwrap(NO_KEYS)
                codes.append(caught.value.code)
    assert codes == ["kms_unreachable"] * 2


def _raise(error: Exception) -> None:
    raise error
