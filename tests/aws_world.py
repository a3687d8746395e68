"""What the tests of the AWS driver share: a key that is nowhere, clients, and refusals as AWS words them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from csfle_fast.errors import KmsError
from csfle_fast.kms.aws import AwsKmsClient, AwsKmsDriver
from services.fault_proxy import Fault, FaultProxy

PROTO = b"\x1a\x20" + bytes(range(32))
ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = "arn:aws:iam::123456789012:role/csfle"
KEYS = {"access.key.id": "AKIAFROMCONF", "secret.access.key": "s3cr3t-of-conf"}


def make_client(arn: str, **conf: object) -> AwsKmsClient:
    return AwsKmsDriver().client(f"aws-kms://{arn}", conf)


def client_behind(proxy: FaultProxy, arn: str = ARN, /, **conf: object) -> AwsKmsClient:
    return make_client(arn, **{**KEYS, "kms.aws.endpoint": proxy.url, **conf})


def role_client(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, folder: Path, *, web_identity: bool
) -> AwsKmsClient:
    """A client that needs STS first, by a role in its settings or by a token of the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
    conf = {"kms.aws.endpoint": proxy.url, "kms.timeout.sec": 0.5}
    if not web_identity:
        return make_client(ARN, **conf, **KEYS, **{"role.arn": ROLE})
    (folder / "token").write_text("a-web-identity-token", encoding="utf-8")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    return make_client(ARN, **conf)


def failure(call: Callable[[bytes], object], given: bytes = PROTO) -> KmsError:
    """The error of a call, which must quote nothing and have nothing hanging on it."""
    with pytest.raises(KmsError) as caught:
        call(given)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for secret in (PROTO, base64.b64encode(PROTO), b"s3cr3t"):
        assert secret.decode("latin-1") not in str(caught.value)
    return caught.value


def refused(code: str, text: str = "", status: int = 400, headers: Mapping[str, str] | None = None) -> Fault:
    """An error as KMS answers it: a code in ``__type``, and a text."""
    told = {"content-type": "application/x-amz-json-1.1", **(headers or {})}
    return Fault(status=status, headers=told, body=json.dumps({"__type": code, "message": text}).encode())
