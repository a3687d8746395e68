"""What Azure Key Vault refuses on the stand-in, each with its code, and what goes wrong on the way there."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from contextlib import closing
from email.utils import format_datetime

import pytest

from azure_world import PROTO, client, refused
from csfle_fast.errors import KmsError
from csfle_fast.kms.azure import AzureKmsClient
from csfle_fast.kms.refusal import CAUSES
from services.azure import AzureStandIn, Version
from services.azure_answers import Fault
from services.certificates import Certificates

TENANT = "3f8c9f1e-0000-4000-8000-000000000000"

Spoil = Callable[[AzureStandIn, Version], None]


def disable(_: AzureStandIn, version: Version) -> None:
    version.enabled = False


def expire(_: AzureStandIn, version: Version) -> None:
    version.expires = time.time() - 60


def postpone(_: AzureStandIn, version: Version) -> None:
    version.not_before = time.time() + 3600


def take_rights(azure: AzureStandIn, _: Version) -> None:
    azure.application.may.clear()


def move_vault(azure: AzureStandIn, _: Version) -> None:
    azure.vault_tenant = TENANT


def fault(status: int, code: str = "Fault", message: str = "", inner: str | None = None) -> Spoil:
    return lambda azure, _: azure.faults.append(
        Fault("^kv.*crypt$", status, code=code, message=message, inner=inner)
    )


def wrapped_by(ours: AzureKmsClient, azure: AzureStandIn) -> bytes:
    """A DEK of the client's; the log is empty after that."""
    wrapped = ours.wrap(PROTO)
    azure.requests.clear()
    return wrapped


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (disable, "kms_key_disabled", "(HTTP 403 KeyDisabled)"),
        (take_rights, "kms_denied", "(HTTP 403 ForbiddenByRbac)"),
        (fault(403, "Forbidden"), "kms_denied", "(HTTP 403 Forbidden)"),
        (
            fault(403, "Forbidden", inner="ForbiddenByFirewall"),
            "kms_denied",
            "(HTTP 403 ForbiddenByFirewall)",
        ),
        (fault(403, "Forbidden", inner="<b>"), "kms_denied", "(HTTP 403 Forbidden)"),
        (
            fault(401, "Unauthorized", "AKV10022: Invalid audience."),
            "kms_unauthenticated",
            "(HTTP 401 AKV10022)",
        ),
        (
            fault(401, "Unauthorized", "AKV10032: Invalid issuer."),
            "kms_wrong_location",
            "(HTTP 401 AKV10032)",
        ),
        (move_vault, "kms_wrong_location", "(HTTP 401 AKV10032)"),
        (fault(404, "KeyNotFound"), "kms_key_unknown", "(HTTP 404 KeyNotFound)"),
        (fault(404, "NotFound"), "kms_failed", "(HTTP 404 NotFound)"),
        (fault(408), "kms_timeout", "(HTTP 408 Fault)"),
        (fault(409, "Conflict"), "kms_failed", "(HTTP 409 Conflict)"),
        (fault(429, "Throttled"), "kms_throttled", "(HTTP 429 Throttled)"),
        (fault(500, "InternalServerError"), "kms_unavailable", "(HTTP 500 InternalServerError)"),
        (fault(503), "kms_unavailable", "(HTTP 503 Fault)"),
        (fault(599), "kms_unavailable", "(HTTP 599 Fault)"),
        (fault(0), "kms_timeout", "(TimeoutError)"),
        (fault(-1), "kms_unavailable", "(the connection broke)"),
    ],
)
@pytest.mark.parametrize("operation", ["encrypt", "decrypt"])
def test_refusals(operation: str, spoil: Spoil, code: str, told: str, azure: AzureStandIn) -> None:
    key = azure.make_key()
    with closing(client(azure, key, kms__timeout__sec=1)) as ours:
        wrapped = wrapped_by(ours, azure)
        spoil(azure, azure.version(key))
        call, given = (ours.wrap, PROTO) if operation == "encrypt" else (ours.unwrap, wrapped)
        error = refused(call, given, secrets=(azure.application.secret,))
    assert error.code == code
    assert error.message.startswith(f"azure-kms: {operation} with key {key}: {CAUSES[code]}")
    assert told in error.message
    # One attempt; after a 401 the SDK signs in once more.
    assert azure.count(f"/{operation}$") <= (2 if "401" in told else 1)


@pytest.mark.parametrize("spoil", [expire, postpone])
def test_outside_its_dates_a_key_only_opens(spoil: Spoil, azure: AzureStandIn) -> None:
    key = azure.make_key()
    with closing(client(azure, key)) as ours:
        wrapped = wrapped_by(ours, azure)
        spoil(azure, azure.version(key))
        assert refused(ours.wrap, PROTO).code == "kms_key_disabled"
        assert ours.unwrap(wrapped) == PROTO


def test_a_key_that_is_not_there(azure: AzureStandIn) -> None:
    azure.make_key()
    with closing(client(azure, f"https://{azure.vault}/keys/other")) as ours:
        assert refused(ours.wrap, PROTO).code == "kms_key_unknown"
        assert refused(ours.unwrap, PROTO).code == "kms_key_unknown"


def test_wrapped_deks_that_do_not_open(azure: AzureStandIn) -> None:
    with (
        closing(client(azure, azure.make_key("one"))) as one,
        closing(client(azure, azure.make_key("two"))) as two,
    ):
        wrapped = one.wrap(PROTO)
        tampered = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        for material in (tampered, wrapped[:-1], wrapped + b"\0", b"", b"x", two.wrap(PROTO)):
            error = refused(one.unwrap, material)
            assert error.code == "unwrap_refused"
        assert one.unwrap(wrapped) == PROTO


def test_who_was_refused_is_told(azure: AzureStandIn) -> None:
    app = azure.application
    with closing(client(azure, azure.make_key())) as ours:
        take_rights(azure, azure.version(ours._key.key_id))
        error = refused(ours.wrap, PROTO)
    assert error.message.endswith(f", as appid={app.client_id};oid={app.object_id}")


@pytest.mark.parametrize(
    ("message", "principal"),
    [
        (
            f"Operation is not allowed.\r\nCaller: appid={TENANT};numgroups=1;oid={TENANT};iss=https://sts",
            f", as appid={TENANT};oid={TENANT}",
        ),
        (f"The user, group or application 'appid={TENANT};iss=https://sts' does not", f", as appid={TENANT}"),
        ("Caller: appid=***;oid=***;iss=x", ""),
        (f"Caller: appid={TENANT}-hunter2;oid={TENANT}{TENANT}", ""),
        ("marker4711" * 1000, ""),
    ],
)
def test_no_more_of_a_text_is_told_than_ids(message: str, principal: str, azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key())) as ours:
        ours.wrap(PROTO)
        azure.faults.append(Fault("/encrypt$", 403, "Forbidden", message))
        error = refused(ours.wrap, PROTO)
    assert error.message.endswith(f"(HTTP 403 Forbidden){principal}")


def in_a_minute() -> str:
    return format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1), usegmt=True)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (lambda: "7", 7, 7),
        (lambda: "0", 0, 0),
        (in_a_minute, 40, 60),
        (lambda: "Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_is_asked_for_is_passed_on(
    status: int, header: Callable[[], str], low: float, high: float, azure: AzureStandIn
) -> None:
    with closing(client(azure, azure.make_key())) as ours:
        azure.faults.append(Fault("/encrypt$", status, headers={"Retry-After": header()}))
        error = refused(ours.wrap, PROTO)
    assert error.retry_after is not None
    assert low <= error.retry_after <= high


@pytest.mark.parametrize("header", ["soon", "-1", "1e3", "9" * 5000, ""])
def test_a_wait_that_is_none(header: str, azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key())) as ours:
        azure.faults.append(Fault("/encrypt$", 429, headers={"Retry-After": header}))
        assert refused(ours.wrap, PROTO).retry_after is None


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"<html>", "text/html"),
        (b"<html>", "application/json"),
        (b"[]", "application/json"),
        (b"{}", "application/json"),
        (b'{"value": 1}', "application/json"),
        (b'{"value": "A"}', "application/json"),
        (b'{"value": ""}', "application/json"),
        (b'{"value": "marker4711 "}', "application/json"),
        (b'{"value": ["AAAA"]}', "application/json"),
        (b"[" * 100_000, "text/plain"),
        (b"\xff\xfe", "application/json"),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_answers_that_are_none(status: int, body: bytes, content_type: str, azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key())) as ours:
        wrapped = ours.wrap(PROTO)
        azure.faults.append(Fault("crypt$", status, body=body, content_type=content_type))
        expected = "kms_failed" if status == 200 else "kms_unavailable"
        assert refused(ours.wrap, PROTO).code == expected
        assert refused(ours.unwrap, wrapped).code == expected


@pytest.mark.parametrize("kid", ["null", '"kek"', '"https://kv/keys/kek"', '"https://kv/keys/kek/../../x"'])
def test_a_version_that_is_to_be_saved_must_be_told(kid: str, azure: AzureStandIn) -> None:
    save = {"encrypt.azure.key.version.save": True}
    with closing(client(azure, azure.make_key(), **save)) as ours:
        azure.faults.append(Fault("/encrypt$", 200, body=b'{"kid": %s, "value": "AAAA"}' % kid.encode()))
        assert refused(ours.wrap, PROTO).code == "kms_failed"


def test_an_answer_that_ends_half_way(azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key(), kms__timeout__sec=0.5)) as ours:
        ours.wrap(PROTO)
        azure.faults.append(Fault("/encrypt$", 200, body=b'{"', headers={"Content-Length": "100"}))
        start = time.monotonic()
        assert refused(ours.wrap, PROTO).code == "kms_timeout"
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_is_not_followed(status: int, azure: AzureStandIn) -> None:
    with closing(client(azure, azure.make_key())) as ours:
        ours.wrap(PROTO)
        location = {"Location": "https://kv-other.vault.azure.net/keys/kek/encrypt"}
        azure.faults.append(Fault("/encrypt$", status, headers=location))
        assert refused(ours.wrap, PROTO).code == "kms_failed"
    assert {request.host for request in azure.requests if request.path.startswith("/keys/")} == {azure.vault}


def test_a_vault_that_cannot_be_reached(azure: AzureStandIn) -> None:
    with closing(client(azure, "https://kv.example.net/keys/kek")) as ours:
        error = refused(ours.wrap, PROTO)
    assert error.code == "kms_unreachable"
    assert azure.proxy.refused == ["kv.example.net:443"]


def test_a_certificate_that_is_not_trusted(
    azure: AzureStandIn, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.stranger))
    with closing(client(azure, azure.make_key())) as ours:
        error = refused(ours.wrap, PROTO)
    assert error.code == "kms_unreachable"
    assert "not trusted" in error.message
    assert azure.requests == []


def test_a_vault_gets_no_token_for_another_domain(azure: AzureStandIn) -> None:
    azure.resource = "https://vault.example.net"
    key = azure.make_key()
    with closing(client(azure, key)) as ours:
        error = refused(ours.wrap, PROTO)
        assert error.code == "kms_wrong_location"
        assert "kms.azure.verify.challenge.resource" in error.message
        assert azure.count("/v2.0/token$") == 0
    settings = {"kms.azure.verify.challenge.resource": "false"}
    with closing(client(azure, key, **settings)) as ours:  # a cloud of one's own
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    # The SDK remembers what the vault asked for, and compares it nevertheless.
    with closing(client(azure, key)) as ours:
        assert refused(ours.wrap, PROTO).code == "kms_wrong_location"


@pytest.mark.parametrize("where", ["/encrypt$", "/v2.0/token$"])
def test_what_the_caller_is_handling_is_no_cause(where: str, azure: AzureStandIn) -> None:
    def time_out() -> None:
        raise TimeoutError

    azure.faults.append(Fault(where, -1))
    with closing(client(azure, azure.make_key())) as ours:
        try:
            time_out()
        except TimeoutError:
            with pytest.raises(KmsError, match="kms_unavailable"):
                ours.wrap(PROTO)
