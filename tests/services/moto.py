"""moto: an emulator of AWS, here for S3, KMS, STS and IAM."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
import pytest

from services.cache import installed, run_installer
from services.ports import LOOPBACK, free_ports
from services.process import ServerProcess

REQUIREMENT = "moto[server,kms,s3]==5.2.5"
REGION = "eu-central-1"


class AccessKey(NamedTuple):
    """A user of IAM, as clients know him."""

    id: str
    secret: str


class MotoServer(ServerProcess):
    """AWS on one URL. What was put there is gone with the process.

    Attributes:
        endpoint_url: what AWS clients are given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("moto", folder)
        (self._port,) = free_ports(1)
        self.endpoint_url = f"http://{LOOPBACK}:{self._port}"

    def command(self) -> Sequence[str]:
        python = _environment() / "bin" / "python"
        return [str(python), "-I", "-m", "moto.server", "-H", LOOPBACK, "-p", str(self._port)]

    def environment(self) -> Mapping[str, str]:
        return {}  # it uses AWS's SDK itself, which would look for settings

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.endpoint_url}/moto-api/", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False

    @contextmanager
    def client(self, service: str, region: str = REGION) -> Iterator[Any]:
        """boto3's client, as somebody who may do everything until IAM is enforced."""
        import boto3  # noqa: PLC0415 - it takes its time to load

        with pytest.MonkeyPatch.context() as monkeypatch:
            hide_aws_settings(monkeypatch)
            session = boto3.Session("testing", "testing", region_name=region)
            client = session.client(service, endpoint_url=self.endpoint_url)
        try:
            yield client
        finally:
            client.close()

    def create_key(self, region: str = REGION) -> str:
        """The ARN of a new symmetric key."""
        with self.client("kms", region) as kms:
            return str(kms.create_key()["KeyMetadata"]["Arn"])

    def create_alias(self, name: str, key_arn: str) -> str:
        """The ARN of a new alias of a key."""
        alias = f"alias/{name}"
        with self.client("kms", key_arn.split(":")[3]) as kms:
            kms.create_alias(AliasName=alias, TargetKeyId=key_arn)
        return f"{key_arn.partition(':key/')[0]}:{alias}"

    def create_user(self, name: str, *actions: str, resource: str = "*") -> AccessKey:
        """A user who may do these things.

        Args:
            name: of the user.
            actions: such as ``kms:Decrypt``.
            resource: to this resource.
        """
        with self.client("iam") as iam:
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=_allow(actions, resource))
            key = iam.create_access_key(UserName=name)["AccessKey"]
        return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])

    def create_role(self, name: str, *actions: str, external_id: str) -> str:
        """The ARN of a role that may do these things, for everybody who names the external id.

        Args:
            name: of the role.
            actions: such as ``kms:Decrypt``.
            external_id: what its trust policy asks for.
        """
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        with self.client("iam") as iam:
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=_allow(actions, "*"))
        return str(role["Arn"])

    def enforce_iam(self) -> None:
        """Check signatures and policies from now on, of everybody: for servers that a test has to itself."""
        url = f"{self.endpoint_url}/moto-api/reset-auth"
        answer = httpx.post(url, content="0", headers={"Content-Type": "text/plain"}, trust_env=False)
        assert answer.is_success, answer.text


def hide_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what this machine tells AWS's clients: credentials, settings, proxies."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _allow(actions: Sequence[str], resource: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _environment() -> Path:
    """A virtual environment of its own: moto needs much that the package must never find."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return installed("moto", f"{REQUIREMENT.partition('==')[2]}-py{version}", _install)


def _install(folder: Path) -> None:
    # The scripts of the environment name this folder, which is renamed; its python finds the rest by itself.
    run_installer([sys.executable, "-m", "venv", str(folder)])
    python = folder / "bin" / "python"
    run_installer(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
    )
