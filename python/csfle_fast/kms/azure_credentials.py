"""Tokens for Key Vault: a client secret of the configuration, else what azure-identity finds by itself."""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from csfle_fast.errors import KmsError
from csfle_fast.kms.azure_failures import Failure, of_exception, of_token_answer
from csfle_fast.kms.options import text, timeout_sec
from csfle_fast.kms.refusal import refusal
from csfle_fast.kms.sdk import from_extra

__all__ = ["SCHEME", "NoToken", "TokenSource", "token_source"]

SCHEME = "azure-kms"

_NAMES = ("tenant.id", "client.id", "client.secret")
_TENANT_VARIABLE = "AZURE_TENANT_ID"
_AUTHORITY = "kms.azure.authority"
_HOST = re.compile(r"(?:https://)?[\w.-]+(?::[0-9]{1,5})?/?", re.ASCII)
_ENTRA_PATHS = ("/v2.0/token", "/.well-known/openid-configuration")
_PASSING = (HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS)


class NoToken(Exception):
    """There is no token.

    Attributes:
        failure: why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class TokenSource:
    """One credential for the clients of a KEK. One thread at a time asks it, so that many ask once.

    To azure-core it is a credential itself.

    Args:
        credential: of azure-identity; it keeps a token until shortly before its end.
        met: where the members of a chain put what they raise; None where the credential is no chain.
        tenant: the tenant it signs in to, where that is known.
        patience: seconds to wait for another thread.
    """

    def __init__(
        self, credential: Any, met: list[Exception] | None, tenant: str | None, patience: float
    ) -> None:
        self._credential = credential
        self._met = met
        self._tenant = tenant
        self._patience = patience
        self._lock = threading.Lock()

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        """Called by azure-core when it needs a token.

        Raises:
            NoToken: in place of what azure-identity raises.
        """
        if not self._lock.acquire(timeout=self._patience):
            raise NoToken(Failure("kms_timeout", "sign-in: another thread is waiting for the answer"))
        before = sys.exception()
        try:
            return self._credential.get_token_info(*scopes, options=options)
        except Exception as error:  # noqa: BLE001 - MSAL and its transports raise what they like
            failure = self._failure(error, (options or {}).get("tenant_id"), before)
        finally:
            if self._met is not None:
                self._met.clear()
            self._lock.release()
        raise NoToken(failure)

    def close(self) -> None:
        """Close the connections."""
        self._credential.close()

    def _failure(self, error: Exception, wanted_tenant: str | None, before: BaseException | None) -> Failure:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415
        from azure.identity import CredentialUnavailableError  # noqa: PLC0415

        if self._met is not None and type(error) is ClientAuthenticationError:
            # A chain only gives the texts of what its members raised.
            tried = [one for one in self._met if not isinstance(one, CredentialUnavailableError)]
            if not tried and len(self._met) != 1:
                return Failure("missing_credentials", "azure-identity finds none in this environment")
            error = (tried or self._met)[-1]
        failure = of_exception(error, of_token_answer, before)
        if failure.code != "kms_unauthenticated" or failure.detail != type(error).__name__:
            return failure
        if isinstance(error, CredentialUnavailableError):
            return Failure("missing_credentials", failure.detail)
        if wanted_tenant and self._tenant and wanted_tenant.casefold() != self._tenant.casefold():
            # Nothing was sent: azure-identity does not sign in to another tenant than its own.
            return Failure("kms_wrong_location", "the vault wants a token of another tenant")
        return failure


class _Member:
    """A credential of a chain that keeps what it raises."""

    def __init__(self, credential: Any, met: list[Exception]) -> None:
        self._credential = credential
        self._met = met

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        try:
            return self._credential.get_token_info(*scopes, options=options)
        except Exception as error:
            self._met.append(error)
            raise

    def __exit__(self, *args: object) -> None:
        self._credential.__exit__(*args)


def token_source(conf: Mapping[str, object], key_id: str) -> TokenSource:
    """The credential that ``conf`` names; nothing is asked yet.

    Args:
        conf: the client's configuration.
        key_id: for messages.

    Raises:
        KmsError: missing_credentials, some are not there or malformed; bad_kms_option; kms_sdk_missing.
    """
    with from_extra(SCHEME, "azure"):
        from azure.identity import ClientSecretCredential, DefaultAzureCredential  # noqa: PLC0415
    timeout = timeout_sec(conf)
    settings: dict[str, Any] = {
        "connection_timeout": timeout,
        "read_timeout": timeout,
        "retry_total": 0,
        "raw_response_hook": _stop_at_refusals,
        **_authority(conf),
    }
    tenant, client, secret = (text(conf, name) for name in _NAMES)
    problem = "a tenant id or an AZURE_* variable has a value that it cannot have"
    try:
        if tenant and client and secret:
            credential = ClientSecretCredential(tenant, client, secret, **settings)
            return TokenSource(credential, None, tenant, timeout)
        if not (tenant or client or secret):
            # Developers' tools are processes of their own, and get as long.
            chain = DefaultAzureCredential(process_timeout=math.ceil(timeout), **settings)
            return TokenSource(chain, _watched(chain), os.environ.get(_TENANT_VARIABLE), timeout)
        problem = f"of {', '.join(_NAMES)}, some are set and some are not"
    except ValueError:
        pass
    raise refusal("missing_credentials", SCHEME, "sign-in", key_id, detail=problem)


def _authority(conf: Mapping[str, object]) -> dict[str, object]:
    authority = text(conf, _AUTHORITY)
    if authority is None:
        return {}
    if not _HOST.fullmatch(authority):
        raise KmsError("bad_kms_option", f"option {_AUTHORITY} must be a host, or its https URL")
    # A cloud of one's own is not known to Microsoft's: asking there whether it is would fail.
    return {"authority": authority, "disable_instance_discovery": True}


def _watched(chain: Any) -> list[Exception]:
    met: list[Exception] = []
    # azure-identity logs the name of a member's class.
    chain.credentials = tuple(type(type(one).__name__, (_Member,), {})(one, met) for one in chain.credentials)
    return met


def _stop_at_refusals(response: Any) -> None:
    """Called with each answer to azure-identity, which would go on to tell of it by a text only."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415

    answer = response.http_response
    of_entra = urlsplit(answer.request.url).path.endswith(_ENTRA_PATHS)
    # Others than Entra ID answer with 400 and the like what azure-identity needs to know.
    passing = answer.status_code in _PASSING or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    if passing or (of_entra and answer.status_code >= HTTPStatus.BAD_REQUEST):
        raise HttpResponseError(response=answer)
