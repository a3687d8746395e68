"""What becomes of AWS's refusals: one code a cause, one request, nothing quoted.

moto knows few of AWS's errors. The others are answered by the proxy in front of it, in the shape that AWS
documents.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import botocore.exceptions
import pytest

from aws_world import ARN, PROTO, ROLE, client_behind, failure, refused, role_client
from csfle_fast.errors import OUTAGE_CODES
from csfle_fast.kms.aws import AwsKmsClient
from csfle_fast.kms.aws_failures import failure_of
from services.fault_proxy import Fault, FaultProxy
from services.moto import MotoServer, hide_aws_settings

pytestmark = pytest.mark.usefixtures("aws_environment")

SESSION = "arn:aws:sts::123456789012:assumed-role/csfle/confluent-encrypt"
UNAUTHENTICATED, WRONG_LOCATION = "kms_unauthenticated", "kms_wrong_location"


@pytest.fixture(scope="module")
def faults(moto: MotoServer) -> Iterator[FaultProxy]:
    """In front of moto; a new client costs much more than a test does."""
    with FaultProxy(moto.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def shared_client(moto: MotoServer, faults: FaultProxy) -> Iterator[AwsKmsClient]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        hide_aws_settings(monkeypatch)
        client = client_behind(faults, moto.create_key())
    with closing(client):
        yield client


@pytest.fixture
def proxy(faults: FaultProxy) -> FaultProxy:
    """Without faults, and nothing seen."""
    faults.clear()
    return faults


@pytest.fixture
def client(shared_client: AwsKmsClient, proxy: FaultProxy) -> AwsKmsClient:
    """A key on moto, behind the proxy."""
    return shared_client


@pytest.mark.parametrize(
    ("theirs", "status", "text", "ours"),
    [
        ("DisabledException", 400, f"{ARN} is disabled.", "kms_key_disabled"),
        ("KMSInvalidStateException", 400, f"{ARN} is pending deletion.", "kms_key_disabled"),
        ("NotFoundException", 400, f"Key '{ARN}' does not exist", "kms_key_unknown"),
        ("NotFoundException", 400, "Invalid arn us-west-2", WRONG_LOCATION),
        ("InvalidSignatureException", 400, "Credential should be scoped to a valid region. ", WRONG_LOCATION),
        ("IncorrectKeyException", 400, "", "unwrap_refused"),
        ("InvalidCiphertextException", 400, "", "unwrap_refused"),
        ("AccessDeniedException", 400, f"User: {SESSION} is not authorized to perform: kms:X", "kms_denied"),
        ("UnrecognizedClientException", 400, "The security token included is invalid.", UNAUTHENTICATED),
        (
            "InvalidSignatureException",
            400,
            "The request signature we calculated is not yours",
            UNAUTHENTICATED,
        ),
        ("ExpiredTokenException", 400, "The security token included has expired", UNAUTHENTICATED),
        (
            "ThrottlingException",
            400,
            "You have exceeded the rate at which you may call KMS.",
            "kms_throttled",
        ),
        ("KMSInternalException", 500, "", "kms_unavailable"),
        ("DependencyTimeoutException", 500, "", "kms_unavailable"),
        ("KeyUnavailableException", 500, "", "kms_unavailable"),
        ("ServiceUnavailable", 503, "", "kms_unavailable"),
        ("ValidationException", 400, "1 validation error detected", "kms_failed"),
        ("InvalidKeyUsageException", 400, "", "kms_failed"),
    ],
)
def test_each_cause_has_its_code(
    client: AwsKmsClient, proxy: FaultProxy, theirs: str, status: int, text: str, ours: str
) -> None:
    wrapped = client.wrap(PROTO)
    proxy.clear()
    proxy.add(refused(theirs, text, status))
    for operation, call, given in (("Encrypt", client.wrap, PROTO), ("Decrypt", client.unwrap, wrapped)):
        error = failure(call, given)
        assert error.code == ours
        assert f"aws-kms: {operation} with key arn:aws:kms:" in error.message
        assert f"({theirs})" in error.message
        assert error.retry_after is None
    assert len(proxy.seen()) == 2  # nothing was repeated
    proxy.clear()
    assert client.unwrap(wrapped) == PROTO


def test_the_causes_to_repeat_or_to_wait_for_are_told_apart() -> None:
    # An outage may be bridged with what an earlier answer allowed; a refusal must not be.
    assert {"kms_throttled", "kms_unavailable", "kms_timeout", "kms_unreachable"} <= OUTAGE_CODES
    assert not {"kms_denied", "kms_key_disabled", "kms_key_unknown", UNAUTHENTICATED} & OUTAGE_CODES


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        (401, UNAUTHENTICATED),
        (403, "kms_denied"),
        (404, "kms_failed"),
        (408, "kms_timeout"),
        (429, "kms_throttled"),
        (500, "kms_unavailable"),
        (502, "kms_unavailable"),
        (504, "kms_unavailable"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"__type": "SomethingNew"}'])
def test_an_answer_without_a_known_code_counts_by_its_status(
    client: AwsKmsClient, proxy: FaultProxy, status: int, ours: str, body: bytes
) -> None:
    proxy.add(Fault(status=status, body=body))
    assert failure(client.wrap).code == ours
    assert len(proxy.seen()) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"Retry-After": "99999999999999999999"}, 3600.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_is_asked_for_is_handed_on(
    client: AwsKmsClient, proxy: FaultProxy, headers: dict[str, str], seconds: float | None
) -> None:
    for fault in (
        refused("ThrottlingException", headers=headers),
        refused("ServiceUnavailable", "", 503, headers),
    ):
        proxy.clear()
        proxy.add(fault)
        assert failure(client.wrap).retry_after == seconds
    proxy.clear()
    proxy.add(refused("DisabledException", headers=headers))
    assert failure(client.wrap).retry_after is None


@pytest.mark.parametrize(
    "who", [SESSION, "arn:aws-cn:iam::123456789012:user/team/writer@a.b", "arn:aws:iam::123456789012:root"]
)
def test_who_was_denied_is_told(client: AwsKmsClient, proxy: FaultProxy, who: str) -> None:
    proxy.add(
        refused(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: kms:Encrypt on resource: {ARN}",
        )
    )
    error = failure(client.wrap)
    assert error.message.endswith(f"access was denied (AccessDeniedException), as {who}")


@pytest.mark.parametrize(
    "text",
    [
        f"User: {base64.b64encode(PROTO).decode()} is not authorized to perform: kms:Encrypt",
        f"User: {ROLE}{'x' * 300} is not authorized to perform: kms:Encrypt",
        f"User: {ROLE} s3cr3t is not authorized to perform: kms:Encrypt",
        f"It was {base64.b64encode(PROTO).decode()}. User: {ROLE} is not authorized to perform: kms:Encrypt",
    ],
)
def test_nothing_else_of_the_text_is_told(client: AwsKmsClient, proxy: FaultProxy, text: str) -> None:
    proxy.add(refused("AccessDeniedException", text))
    assert failure(client.wrap).message.endswith("access was denied (AccessDeniedException)")


@pytest.mark.parametrize("code", ["Bad Code", "x" * 65, base64.b64encode(PROTO).decode(), "7", "a\nb"])
def test_a_code_that_is_none_is_not_told(client: AwsKmsClient, proxy: FaultProxy, code: str) -> None:
    proxy.add(refused(code, "text"))
    error = failure(client.wrap)
    assert (error.code, error.message.endswith("the call failed (HTTP 400)")) == ("kms_failed", True)


def answer(**given: object) -> Fault:
    return Fault(status=200, body=json.dumps(given).encode())


BLOB = base64.b64encode(b"blob").decode()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200),
        Fault(status=200, body=b"<html>hello</html>"),
        Fault(status=200, body=b"\xff\xfe"),
        Fault(status=200, body=b"[" * 100_000),
        Fault(status=400, body=b"[1]"),
        answer(),
        answer(KeyId=ARN),
        answer(Plaintext=BLOB, CiphertextBlob=BLOB),
        answer(Plaintext="", CiphertextBlob="", KeyId=ARN),
        answer(Plaintext=7, CiphertextBlob=[], KeyId=ARN),
    ],
)
def test_an_answer_that_makes_no_sense(proxy: FaultProxy, fault: Fault) -> None:
    proxy.add(fault)
    with closing(client_behind(proxy)) as client:
        assert failure(client.wrap).code == "kms_failed"
        assert failure(client.unwrap, b"blob").code == "kms_failed"


def test_another_key_than_the_one_asked_for(proxy: FaultProxy) -> None:
    other = ARN.replace("1234abcd", "5678abcd")
    proxy.add(answer(Plaintext=BLOB, CiphertextBlob=BLOB, KeyId=other))
    with ExitStack() as stack:
        by_key = stack.enter_context(closing(client_behind(proxy)))
        assert failure(by_key.unwrap, b"blob").code == "unwrap_refused"
        assert failure(by_key.wrap).code == "kms_failed"
        alias = ARN.partition(":key/")[0] + ":alias/dek"
        by_alias = stack.enter_context(closing(client_behind(proxy, alias)))
        assert by_alias.unwrap(b"blob") == b"blob"  # an alias may stand for any key
        assert by_alias.wrap(PROTO) == b"blob"


STS_REFUSAL = (
    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    "<Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"
)


@pytest.mark.parametrize(
    ("theirs", "status", "text", "ours"),
    [
        ("AccessDenied", 403, "", "kms_denied"),
        ("InvalidClientTokenId", 403, "The security token included is invalid.", UNAUTHENTICATED),
        ("SignatureDoesNotMatch", 403, "", UNAUTHENTICATED),
        (
            "SignatureDoesNotMatch",
            403,
            "Credential should be scoped to a valid region, not 'a'.",
            WRONG_LOCATION,
        ),
        ("ExpiredToken", 400, "", UNAUTHENTICATED),
        ("InvalidIdentityToken", 400, "", UNAUTHENTICATED),
        ("IDPRejectedClaim", 403, "", UNAUTHENTICATED),
        ("IDPCommunicationError", 400, "", "kms_unavailable"),
        ("RegionDisabledException", 403, "", WRONG_LOCATION),
        ("Throttling", 400, "Rate exceeded", "kms_throttled"),
        ("InternalFailure", 500, "", "kms_unavailable"),
    ],
)
@pytest.mark.parametrize("web_identity", [False, True])
def test_what_sts_refuses(
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    theirs: str,
    status: int,
    text: str,
    ours: str,
    web_identity: bool,
) -> None:
    proxy.add(Fault(status=status, body=STS_REFUSAL.format(theirs, text).encode()))
    with closing(role_client(proxy, monkeypatch, tmp_path, web_identity=web_identity)) as client:
        error = failure(client.wrap)
    assert error.code == ours
    step = "AssumeRoleWithWebIdentity" if web_identity else "AssumeRole"
    assert error.message.startswith(f"aws-kms: {step} for Encrypt with key {ARN}: ")
    assert f"({theirs})" in error.message
    assert len(proxy.seen()) == 1  # STS was asked once, and KMS not at all


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (botocore.exceptions.SSLError(endpoint_url="u", error="e"), "kms_unreachable"),
        (botocore.exceptions.ProxyConnectionError(proxy_url="http://user:s3cr3t@host"), "kms_unreachable"),
        (botocore.exceptions.PartialCredentialsError(provider="p", cred_var="v"), "missing_credentials"),
        (botocore.exceptions.ConfigParseError(path="p"), "missing_credentials"),
        (
            botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="s3cr3t"),
            "missing_credentials",
        ),
        (botocore.exceptions.UnauthorizedSSOTokenError(), UNAUTHENTICATED),
        (botocore.exceptions.TokenRetrievalError(provider="p", error_msg="s3cr3t"), UNAUTHENTICATED),
        (PermissionError("s3cr3t"), "missing_credentials"),
        (ZeroDivisionError("s3cr3t"), "kms_failed"),
    ],
)
def test_what_is_raised_on_the_way_to_credentials(error: Exception, ours: str) -> None:
    found = failure_of(error, "Encrypt", ARN, fetching_credentials=True)
    assert found.code == ours
    assert "s3cr3t" not in str(found)
    assert f"({type(error).__name__} while fetching credentials)" in found.message
    if isinstance(error, PermissionError):  # the same from elsewhere says nothing about credentials
        assert failure_of(error, "Encrypt", ARN, fetching_credentials=False).code == "kms_failed"
