"""Who calls AWS KMS: Confluent's settings and environment variables, over boto3's own chain."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from csfle_fast.errors import KmsError
from csfle_fast.kms.aws_failures import SCHEME
from csfle_fast.kms.options import text

__all__ = ["AwsIdentity", "Sdk"]

_ACCESS_KEY_ID = "access.key.id"
_SECRET_ACCESS_KEY = "secret.access.key"  # noqa: S105 - the name of a setting
_DEFAULT_SESSION_NAME = "confluent-encrypt"
# With a token file, AWS_ROLE_ARN is the role that boto3 gets for the token; it is not assumed once more.
_TOKEN_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105 - the name of a variable

# At DEBUG these loggers write whole requests and answers, with the DEK in them.
_TELLTALES = ("botocore.endpoint", "botocore.parsers")


@dataclass(frozen=True, kw_only=True)
class AwsIdentity:
    """The settings; where a role is named, the other credentials are those that assume it.

    Attributes:
        access_key: key id and secret, None for a profile or boto3's chain.
        profile: of boto3's configuration files, None for boto3's choice.
        role_arn: the role to assume, None for none.
        role_session_name: what AWS's logs call us.
        role_external_id: what the role's trust policy may ask for.
    """

    access_key: tuple[str, str] | None = field(repr=False)
    profile: str | None
    role_arn: str | None
    role_session_name: str
    role_external_id: str | None = field(repr=False)

    @classmethod
    def of(cls, conf: Mapping[str, object]) -> AwsIdentity:
        """Read them from a driver's configuration and the environment.

        Raises:
            KmsError: missing_credentials, half an access key; bad_kms_option.
        """
        key_id, secret = text(conf, _ACCESS_KEY_ID), text(conf, _SECRET_ACCESS_KEY)
        if (key_id is None) != (secret is None):
            raise KmsError(
                "missing_credentials",
                f"{SCHEME}: set both {_ACCESS_KEY_ID} and {_SECRET_ACCESS_KEY}, or neither",
            )
        with_token = bool(os.environ.get(_TOKEN_FILE))
        return cls(
            access_key=(key_id, secret) if key_id is not None and secret is not None else None,
            profile=text(conf, "profile"),
            role_arn=text(conf, "role.arn", None if with_token else "AWS_ROLE_ARN"),
            role_session_name=text(conf, "role.session.name", "AWS_ROLE_SESSION_NAME")
            or _DEFAULT_SESSION_NAME,
            role_external_id=text(conf, "role.external.id", "AWS_ROLE_EXTERNAL_ID"),
        )


class Sdk:
    """botocore's clients for one key; made with its public parts alone, and safe to share between threads.

    Attributes:
        kms: the client of KMS.

    Args:
        identity: who calls.
        region: of the key; STS is called there too.
        timeout_sec: for connecting and for each answer, of KMS and STS.
        kms_endpoint: URL in place of AWS's own.
        sts_endpoint: the same for the call that assumes ``role.arn``.

    Raises:
        NoCredentialsError: nothing in the chain has any. Other exceptions of botocore: a setting of its own
            cannot be used.
    """

    def __init__(
        self,
        identity: AwsIdentity,
        *,
        region: str,
        timeout_sec: float,
        kms_endpoint: str | None,
        sts_endpoint: str | None,
    ) -> None:
        for name in _TELLTALES:
            logging.getLogger(name).setLevel(logging.INFO)
        self._region = region
        self._timeout_sec = timeout_sec
        # A profile is not looked at where the key is given: it need not exist then.
        profile = None if identity.access_key else identity.profile
        session = self._session(profile)
        if identity.access_key:
            session.set_credentials(*identity.access_key)
        self._credentials = _credentials(session)
        self._sts = None
        if identity.role_arn is not None:
            self._sts = session.create_client("sts", endpoint_url=sts_endpoint)
            self._credentials = _assumed(self._sts, identity)
            session = self._session(profile)
            session.register_component(
                "credential_provider", SimpleNamespace(load_credentials=lambda: self._credentials)
            )
        self.kms = session.create_client("kms", endpoint_url=kms_endpoint)

    def fetch_credentials(self) -> None:
        """Have them ready and fresh; a request is made only when that is due."""
        self._credentials.get_frozen_credentials()

    def close(self) -> None:
        """Close the connections; the clients must not be used after."""
        self.kms.close()
        if self._sts is not None:
            self._sts.close()

    def _session(self, profile: str | None) -> Any:
        import botocore.session  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        session = botocore.session.Session(profile=profile)
        session.set_config_variable("region", self._region)
        session.set_config_variable(
            "sts_regional_endpoints", "regional"
        )  # the default of newer releases only
        # The session's default, so that it holds for the STS clients of boto3's own chain as well.
        session.set_default_client_config(
            Config(
                connect_timeout=self._timeout_sec,
                read_timeout=self._timeout_sec,
                retries={"total_max_attempts": 1, "mode": "standard"},
            )
        )
        return session


def _credentials(session: Any) -> Any:
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

    credentials = session.get_credentials()
    if credentials is None:  # a client made now would never find any
        raise NoCredentialsError
    return credentials


def _assumed(sts: Any, identity: AwsIdentity) -> Any:
    """Credentials of the role: fetched when first used, and anew before they expire."""
    from botocore import credentials  # noqa: PLC0415

    asked = {"RoleArn": identity.role_arn, "RoleSessionName": identity.role_session_name}
    if identity.role_external_id is not None:
        asked["ExternalId"] = identity.role_external_id
    return credentials.DeferredRefreshableCredentials(
        refresh_using=credentials.create_assume_role_refresher(sts, asked), method="sts-assume-role"
    )
