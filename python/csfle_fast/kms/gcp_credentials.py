"""Who calls Google Cloud KMS: a service account's key from the configuration, else what the environment has.

Tokens are fetched by google-auth before a call. gRPC could do it, but in threads of its own, without a
time-out that we can set; and it reports what a token service answers as if the KMS had said so.
"""
# ruff: noqa: PLC0415 - google-auth comes with an extra, and is loaded by those who use it

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from csfle_fast.errors import KmsError
from csfle_fast.kms.options import text

__all__ = ["BadAccount", "GcpCredentials", "NoToken", "service_account"]

_SCOPES = ("https://www.googleapis.com/auth/cloudkms",)
_ACCOUNT_TYPE = "account.type"
_CLIENT_ID = "client.id"
_CLIENT_EMAIL = "client.email"
_PRIVATE_KEY_ID = "private.key.id"
_PRIVATE_KEY = "private.key"
# google-auth wants one, and does not call it: it signs the token of a service account itself.
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - no secret


class BadAccount(Exception):
    """The service account of the configuration cannot be used; the message says why, and quotes nothing."""


class NoToken(Exception):
    """There is nothing to authorise a call with.

    Attributes:
        code: see ``csfle_fast.kms.refusal``.
        detail: google-auth's name of the failure.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class GcpCredentials:
    """Tokens for calls, renewed before they end. Safe to share between threads.

    Args:
        account: google-auth's credentials; None for Application Default Credentials, which are looked for at
            first use, because that may ask the machine's metadata server.
    """

    def __init__(self, account: Any | None) -> None:
        from google.auth.transport.requests import Request

        self._account = account
        self._http = Request()

    @property
    def principal(self) -> str | None:
        """The e-mail address of who calls, where google-auth knows it."""
        for name in ("service_account_email", "account"):
            told = getattr(self._account, name, None)
            if isinstance(told, str) and "@" in told:  # a virtual machine's account is "default" at first
                return told
        return None

    def headers(self, url: str, timeout: float) -> list[tuple[str, str]]:
        """What a call is authorised with, and the project that its quota is taken from, if one is set.

        Args:
            url: what is called.
            timeout: seconds, in which the token must be there.

        Raises:
            NoToken: it could not be had.
        """
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

        http = _Timed(self._http, timeout)
        headers: dict[str, str] = {}
        try:
            if self._account is None:
                self._account = _from_environment(http)  # threads that look at the same time find the same
            self._account.before_request(http, "POST", url, headers)
        except (DefaultCredentialsError, OSError) as error:  # OSError: the file cannot be read
            failure = NoToken("missing_credentials", type(error).__name__)
        except GoogleAuthError as error:
            failure = NoToken(http.failure or "kms_unauthenticated", f"token: {type(error).__name__}")
        else:
            return [(name.lower(), value) for name, value in headers.items()]
        raise failure

    def close(self) -> None:
        """Close the connections to token services."""
        self._http.session.close()


class _Timed:
    """google-auth's HTTP transport, all of whose requests end within one time-out.

    Attributes:
        session: google-auth looks for it.
        failure: the code of what the last request came to; None where it was answered.
    """

    def __init__(self, request: Any, timeout: float) -> None:
        self.session = request.session
        self.failure: str | None = None
        self._request = request
        self._deadline = time.monotonic() + timeout

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **rest: Any,
    ) -> Any:
        from google.auth import exceptions
        from requests.exceptions import Timeout

        transport_error: Any = exceptions.TransportError
        left = self._deadline - time.monotonic()
        if left <= 0:
            self.failure = "kms_timeout"
            raise transport_error("no time is left")
        try:
            answer = self._request(url, method, body, headers, timeout=min(left, timeout or left), **rest)
        except transport_error as error:
            self.failure = "kms_timeout" if isinstance(error.__cause__, Timeout) else "kms_unreachable"
            raise
        if answer.status == 429:
            self.failure = "kms_throttled"
        else:
            self.failure = "kms_unavailable" if answer.status >= 500 else None
        return answer


def service_account(conf: Mapping[str, object]) -> Any | None:
    """google-auth's credentials for the service account of the configuration; None where it has none.

    Raises:
        KmsError: bad_kms_option.
        BadAccount: a part of it is missing, or its key is no key.
    """
    from google.oauth2 import service_account as oauth2

    if text(conf, _ACCOUNT_TYPE) not in (None, "service_account"):
        raise KmsError("bad_kms_option", f"option {_ACCOUNT_TYPE} must be service_account")
    given = {name: text(conf, name) for name in (_CLIENT_EMAIL, _PRIVATE_KEY_ID, _PRIVATE_KEY)}
    if not any(given.values()):
        return None  # client.id alone is no account: another KMS has an option of that name
    given[_CLIENT_ID] = text(conf, _CLIENT_ID)
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise BadAccount(f"without {', '.join(missing)}")
    make: Any = oauth2.Credentials.from_service_account_info
    try:
        account = make(
            {
                "client_email": given[_CLIENT_EMAIL],
                "private_key_id": given[_PRIVATE_KEY_ID],
                "private_key": given[_PRIVATE_KEY],
                "token_uri": _TOKEN_URI,
            },
            scopes=_SCOPES,
            always_use_jwt_access=True,
        )
        account.sign_bytes(b"")  # a key of another kind than RSA shows only now
    except Exception:  # noqa: BLE001, S110 - what a parser raises for no key may quote it; raised below
        pass
    else:
        return account
    raise BadAccount(f"{_PRIVATE_KEY} is no RSA key in PEM")


def _from_environment(http: Any) -> Any:
    """Application Default Credentials."""
    import google.auth
    from google.auth.credentials import with_scopes_if_required

    # Without scopes, which come after: with them, it asks a workload identity's project for its name.
    found, _ = google.auth.default(request=http)
    scoped: Any = with_scopes_if_required
    found = scoped(found, _SCOPES)
    # A service account's key can sign the tokens: Google's clients then ask no token service, either.
    signing: Any = getattr(found, "with_always_use_jwt_access", None)
    return signing(True) if signing else found
