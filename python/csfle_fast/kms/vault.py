"""HashiCorp Vault and OpenBao: KEKs of a transit secrets engine.

A key id is ``https://<host>:<port>/<mount>/keys/<name>``; without a scheme, https is meant. What is stored is
the text that the server gives, ``vault:v1:...``. hvac's own client also takes ``~/.vault-token`` and more of
``VAULT_*`` than is named here, so its parts are put together without it.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from csfle_fast.cache import LoadingCache
from csfle_fast.errors import KmsError
from csfle_fast.kms.options import text, timeout_sec
from csfle_fast.kms.refusal import refusal
from csfle_fast.kms.sdk import from_extra
from csfle_fast.kms.vault_answers import json_object, meaning_of_answer, meaning_of_failure, refuses_token

__all__ = ["VaultClient", "VaultDriver"]

_SCHEME = "hcvault"

_SEGMENT = r"(?!\.{1,2}(?:/|$))[\w.~-]+"
_KEY_ID = re.compile(
    rf"""(?:(?P<scheme>https?)://)?
    (?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{{1,5}}))?
    /(?P<mount>{_SEGMENT}(?:/{_SEGMENT})*)
    /keys/(?P<name>{_SEGMENT})""",
    re.ASCII | re.VERBOSE,
)
_MAX_PORT = 65535
_WRAPPED = re.compile(r"vault:v[1-9][0-9]*:[A-Za-z0-9+/]+={0,2}")
_ROLE_NAME = re.compile(r"[\w.-]{1,256}", re.ASCII)

_LOGIN = "AppRole login"
# Java's settings, and the one that says the same here.
_OF_JAVA = {
    "ssl.keystore.location": "ssl.certificate.location",
    "ssl.keystore.password": "ssl.certificate.location",
    "ssl.truststore.location": "ssl.ca.location",
    "ssl.truststore.password": "ssl.ca.location",
}


class _Key(NamedTuple):
    """A key id and its parts."""

    key_id: str
    server: str
    mount: str
    name: str


class _Access(NamedTuple):
    """hvac's transit engine under one token, and who that is, where the server tells it."""

    transit: Any
    principal: str | None


class VaultClient:
    """One key of a transit engine.

    Args:
        key: the key.
        adapter: makes hvac's adapter for a token, over the session.
        session: the connections.
        token: the user's token, None to log in.
        approle: role id and secret id to log in with, None with a token.
    """

    __slots__ = ("_accesses", "_adapter", "_approle", "_key", "_session", "_token", "_turn")

    def __init__(
        self,
        key: _Key,
        adapter: Callable[[str | None], Any],
        session: Any,
        token: str | None,
        approle: tuple[str, str] | None,
    ) -> None:
        self._key = key
        self._adapter = adapter
        self._session = session
        self._token = token
        self._approle = approle
        # Each login is a turn. It is made once, and whoever waits for it shares its success or failure.
        self._turn = 0
        self._accesses: LoadingCache[int, _Access] = LoadingCache(
            size=1, ttl=float("inf"), clock=time.monotonic
        )

    def wrap(self, plaintext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: see ``csfle_fast.kms.refusal``.
        """
        body = {"plaintext": base64.b64encode(plaintext).decode()}
        wrapped = self._call("encrypt", body).get("ciphertext")
        if not isinstance(wrapped, str) or not _WRAPPED.fullmatch(wrapped):
            raise self._refusal("kms_failed", "encrypt", "the answer is not that of a transit engine")
        return wrapped.encode()

    def unwrap(self, ciphertext: bytes) -> bytes:
        """See KmsClient.

        Raises:
            KmsError: see ``csfle_fast.kms.refusal``.
        """
        wrapped = ciphertext.decode("ascii", errors="replace")
        if not _WRAPPED.fullmatch(wrapped):
            raise self._refusal("unwrap_refused", "decrypt", "it is not of the form vault:v1:...")
        plaintext = self._call("decrypt", {"ciphertext": wrapped}).get("plaintext")
        if isinstance(plaintext, str):
            try:
                return base64.b64decode(plaintext, validate=True)
            except binascii.Error:
                pass
        raise self._refusal("kms_failed", "decrypt", "the answer is not that of a transit engine")

    def close(self) -> None:
        """See KmsClient. A token that was got by a login is left to its TTL."""
        self._accesses.close()
        self._session.close()

    def _call(self, operation: str, body: Mapping[str, str]) -> dict[str, Any]:
        """The ``data`` of the answer. Logs in where it must, and once more when the token is refused."""
        turn = self._turn
        access = self._accesses.get(turn, self._open)
        answer = self._transit(access, operation, body)
        if self._approle is not None and refuses_token(answer):
            turn = self._turn = max(self._turn, turn + 1)
            access = self._accesses.get(turn, self._open)
            answer = self._transit(access, operation, body)
        if not answer.ok:
            raise self._refused(operation, answer, access.principal)
        data = json_object(answer).get("data")
        return data if isinstance(data, dict) else {}

    def _transit(self, access: _Access, operation: str, body: Mapping[str, str]) -> Any:
        method = getattr(access.transit, f"{operation}_data")
        return self._send(operation, lambda: method(name=self._key.name, mount_point=self._key.mount, **body))

    def _open(self) -> _Access:
        """The transit engine under the user's token, or under one that a login gives."""
        from hvac.api.auth_methods import AppRole  # noqa: PLC0415 - an extra
        from hvac.api.secrets_engines import Transit  # noqa: PLC0415

        if self._approle is None:
            return _Access(Transit(self._adapter(self._token)), None)
        role_id, secret_id = self._approle
        method = AppRole(self._adapter(None))
        answer = self._send(_LOGIN, lambda: method.login(role_id, secret_id, use_token=False))
        if not answer.ok:
            raise self._refused(_LOGIN, answer, None)
        told = json_object(answer).get("auth")
        told = told if isinstance(told, dict) else {}
        token, about = told.get("client_token"), told.get("metadata")
        if not isinstance(token, str) or not token:
            raise self._refusal("kms_failed", _LOGIN, "the answer holds no token")
        name = about.get("role_name") if isinstance(about, dict) else None
        known = isinstance(name, str) and _ROLE_NAME.fullmatch(name)
        return _Access(Transit(self._adapter(token)), f"AppRole {name}" if known else "an AppRole")

    def _send(self, operation: str, send: Callable[[], Any]) -> Any:
        """The answer to one request, whatever its status."""
        before = sys.exception()
        try:
            return send()
        except Exception as error:  # noqa: BLE001 - any of them may quote what was sent
            code, detail = meaning_of_failure(error, before)
        raise self._refusal(code, operation, detail)

    def _refused(self, operation: str, answer: Any, principal: str | None) -> KmsError:
        code, detail = meaning_of_answer(answer, login=operation == _LOGIN)
        wait = answer.headers.get("Retry-After", "")
        retry_after = float(wait) if wait.isdecimal() else None
        return self._refusal(code, operation, detail, principal, retry_after)

    def _refusal(
        self,
        code: str,
        operation: str,
        detail: str,
        principal: str | None = None,
        retry_after: float | None = None,
    ) -> KmsError:
        return refusal(
            code,
            _SCHEME,
            operation,
            self._key.key_id,
            detail=detail,
            principal=principal,
            retry_after=retry_after,
        )


class VaultDriver:
    """Reads Confluent's settings for Vault, else the environment variables that belong to them."""

    scheme = _SCHEME

    def client(self, uri: str, conf: Mapping[str, object]) -> VaultClient:
        """See KmsDriver. Reads the TLS files, and does not call the server.

        Raises:
            KmsError: bad_key_id; missing_credentials, also for TLS files that cannot be read; bad_kms_option;
                kms_sdk_missing.
        """
        key = _parse(uri)
        for name, ours in _OF_JAVA.items():
            if text(conf, name) and not text(conf, ours):
                raise KmsError(
                    "bad_kms_option", f"{_SCHEME}: {name} is for Java's key stores; give {ours}, a PEM file"
                )
        token, approle = _credentials(conf)
        authority, certificate = _tls_files(conf)
        namespace = text(conf, "namespace", "VAULT_NAMESPACE")
        timeout = timeout_sec(conf)
        with from_extra(_SCHEME, "vault"):
            from hvac.adapters import RawAdapter  # noqa: PLC0415

        session = _session(key.server, authority, certificate)

        def adapter(token: str | None) -> Any:
            return RawAdapter(
                base_uri=key.server,
                token=token,
                timeout=timeout,
                session=session,
                namespace=namespace,
                ignore_exceptions=True,  # they lack the status and the headers
            )

        return VaultClient(key, adapter, session, token, approle)


def _parse(uri: str) -> _Key:
    key_id = uri.removeprefix(f"{_SCHEME}://")
    parts = _KEY_ID.fullmatch(key_id)
    if parts is None or int(parts["port"] or 0) > _MAX_PORT:
        # Not quoted: a password may stand in it.
        raise KmsError(
            "bad_key_id", f"{_SCHEME}: the key id is not of the form https://host:port/mount/keys/name"
        )
    port = f":{parts['port']}" if parts["port"] else ""
    server = f"{parts['scheme'] or 'https'}://{parts['host']}{port}"
    return _Key(key_id, server, parts["mount"], parts["name"])


def _credentials(conf: Mapping[str, object]) -> tuple[str | None, tuple[str, str] | None]:
    """Token or AppRole, never both: a complete AppRole goes first, as in Confluent's clients."""
    token = text(conf, "token.id", "VAULT_TOKEN")
    role_id = text(conf, "approle.role.id", "VAULT_APPROLE_ROLE_ID")
    secret_id = text(conf, "approle.secret.id", "VAULT_APPROLE_SECRET_ID")
    if role_id and secret_id:
        return None, (role_id, secret_id)
    if role_id or secret_id:
        given, lacking = ("role", "secret") if role_id else ("secret", "role")
        raise KmsError(
            "missing_credentials", f"{_SCHEME}: approle.{given}.id is set and approle.{lacking}.id is not"
        )
    if not token:
        raise KmsError(
            "missing_credentials",
            f"{_SCHEME}: neither token.id nor approle.role.id with approle.secret.id is set",
        )
    return token, None


def _tls_files(conf: Mapping[str, object]) -> tuple[str | None, tuple[str, str | None] | None]:
    """The authority to trust, and the client's certificate with its key; None for what is not set."""
    authority = text(conf, "ssl.ca.location", "VAULT_CACERT")
    certificate = text(conf, "ssl.certificate.location", "VAULT_CLIENT_CERT")
    key = text(conf, "ssl.key.location", "VAULT_CLIENT_KEY")
    if key and not certificate:
        raise KmsError(
            "missing_credentials", f"{_SCHEME}: ssl.key.location is set and ssl.certificate.location is not"
        )
    # Read here once, to say which one is wrong. Without a password OpenSSL would ask the terminal for one.
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    wrong = None
    try:
        if authority:
            wrong = "ssl.ca.location"
            is_folder = Path(authority).is_dir()
            trial.load_verify_locations(**{"capath" if is_folder else "cafile": authority})
        if certificate:
            wrong = "ssl.certificate.location with ssl.key.location"
            trial.load_cert_chain(certificate, key, password=lambda: "")
        wrong = None
    except (OSError, ValueError):
        pass
    if wrong is not None:
        raise KmsError("missing_credentials", f"{_SCHEME}: {wrong} cannot be read as PEM without a password")
    return authority, (certificate, key) if certificate else None


def _session(server: str, authority: str | None, certificate: tuple[str, str | None] | None) -> Any:
    """Connections to the server: always verified, and through the proxies of the environment."""
    from requests import Session  # noqa: PLC0415 - comes with hvac

    session: Any = Session()
    found = session.merge_environment_settings(server, {}, None, authority or True, None)
    session.proxies, session.verify = found["proxies"], found["verify"]
    session.trust_env = False  # from here on no ~/.netrc, and no REQUESTS_CA_BUNDLE over the setting
    if certificate is not None:
        session.cert = certificate if certificate[1] else certificate[0]
    # A standby may name the active node, once. No redirect leads out of TLS.
    session.max_redirects = 1
    if server.startswith("https:"):
        del session.adapters["http://"]
    return session
