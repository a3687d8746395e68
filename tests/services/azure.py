"""A stand-in for Azure Key Vault and Entra ID: HTTPS under their names, with real RSA keys.

It does what Microsoft's documentation and published error reports say, as we read them. A test against it
shows that a client agrees with the official SDK and with that reading; it does not show what Azure does.
Clients reach it by environment variables alone, through a proxy that lets nothing else out.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from services.azure_answers import Answer, Fault, login_refused, refused, result
from services.azure_server import HttpsServer, Request
from services.certificates import Certificates
from services.connect_proxy import ConnectProxy

LOGIN = "login.microsoftonline.com"
RESOURCE = "https://vault.azure.net"
HOLD_SECONDS = 30.0
# The SDK remembers for the process what each vault asks for, so no two stand-ins have a vault in common.
_vaults = itertools.count()
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
# Without a version both forms are met: SDKs in Python and Go send an empty one, .NET's sends none.
_KEY_PATH = re.compile(
    r"/keys/(?P<name>[\w-]+)(?:/(?P<version>\w{32}|))?(?:/(?P<operation>encrypt|decrypt))?"
)


@dataclass
class Version:
    """One version of a key."""

    private: rsa.RSAPrivateKey = field(repr=False)
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    enabled: bool = True
    not_before: float = 0.0
    expires: float = float("inf")


@dataclass
class Application:
    """Who may sign in, and what it may do with keys."""

    secret: str = field(repr=False)
    may: set[str]
    client_id: str = field(default_factory=lambda: str(uuid4()))
    object_id: str = field(default_factory=lambda: str(uuid4()))


class _Token(NamedTuple):
    application: Application
    tenant: str
    until: float


class AzureStandIn:
    """One tenant with one application and one vault, as a context manager.

    Attributes:
        tenant: of the application.
        vault_tenant: whose tokens the vault accepts.
        told_tenant: where the vault sends who has no token.
        resource: what the vault wants a token for.
        vault: the vault's host.
        application: who signs in.
        token_seconds: how long new tokens are good for.
        faults: looked through for each request, in order.
        requests: all of them, in order.
        proxy: the way to it.
    """

    def __init__(self, certificates: Certificates) -> None:
        self.tenant = self.vault_tenant = self.told_tenant = str(uuid4())
        self.resource = RESOURCE
        self.vault = f"kv{next(_vaults)}.vault.azure.net"
        self.application = Application(secrets.token_urlsafe(24), {"encrypt", "decrypt"})
        self.token_seconds = 3600
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self._certificates = certificates
        self._numbers = itertools.count()
        self._keys: dict[str, list[Version]] = {}
        self._tokens: dict[str, _Token] = {}
        self._lock = threading.Lock()
        self._let_go = threading.Event()
        self._server = HttpsServer(self._answer, certificates)
        names = ("*.vault.azure.net:443", f"{LOGIN}:443", "localhost:443")
        self.proxy = ConnectProxy(dict.fromkeys(names, int(self._server.server_address[1])))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="azure")

    def __enter__(self) -> Self:
        self._thread.start()
        self.proxy.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.let_go()
        self.proxy.__exit__(kind, error, traceback)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        assert self._server.errors == []

    def let_go(self) -> None:
        """Give the answers that are held back, and hold none back from now on."""
        self._let_go.set()

    def lead_clients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make clients of Azure's come here, and see nothing of this machine's proxies and credentials."""
        for name in list(os.environ):
            of_azure = name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_"))
            if of_azure or name.lower().endswith(("_proxy", "_ca_bundle")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("HTTPS_PROXY", self.proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self._certificates.authority))

    def settings(self) -> dict[str, object]:
        """The application's credentials, as Confluent's clients are given them."""
        return {
            "tenant.id": self.tenant,
            "client.id": self.application.client_id,
            "client.secret": self.application.secret,
        }

    def make_key(self, name: str = "kek") -> str:
        """A key with one version; its id, without version."""
        self._keys[name] = [Version(_rsa_key(next(self._numbers)))]
        return f"https://{self.vault}/keys/{name}"

    def rotate(self, key_id: str) -> None:
        """Give a key a new version, which is the current one from now on."""
        self._keys[key_id.split("/")[4]].append(Version(_rsa_key(next(self._numbers))))

    def version(self, key_id: str) -> Version:
        """The version that an id names, or the current one."""
        name, _, version = key_id.partition("/keys/")[2].partition("/")
        found = self._find(name, version)
        assert found is not None
        return found

    def count(self, path: str) -> int:
        """How many requests had such a path, those left out in which a client asks where to sign in."""
        return sum(
            re.search(path, one.path) is not None
            for one in list(self.requests)
            if one.host != self.vault or "Authorization" in one.headers
        )

    def _answer(self, request: Request) -> Answer | None:
        with self._lock:
            self.requests.append(request)
            fault = next(self._faults(f"{request.host}{request.path}"), None)
        if fault is not None and fault.status == 0:
            self._let_go.wait(HOLD_SECONDS)
        elif fault is not None:
            return fault.answer() if fault.status > 0 else None
        if request.host == LOGIN:
            return self._log_in(request)
        if request.host == "localhost":
            return self._give_managed_identity(request)
        return self._vault(request)

    def _faults(self, where: str) -> Iterator[Fault]:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.on, where):
                fault.times -= 1
                yield fault

    def _log_in(self, request: Request) -> Answer:
        tenant, _, rest = request.path.lstrip("/").partition("/")
        base = f"https://{LOGIN}/{tenant}"
        if request.path == "/common/discovery/instance":
            return result({"metadata": [{"preferred_network": LOGIN, "aliases": [LOGIN]}]})
        if tenant != self.tenant:
            return login_refused(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
        if rest == "v2.0/.well-known/openid-configuration":
            return result(
                {
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                }
            )
        assert rest == "oauth2/v2.0/token"
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form["client_id"] != self.application.client_id:
            return login_refused(400, "unauthorized_client", 700016, "Application was not found.")
        if form.get("client_secret", form.get("client_assertion")) != self.application.secret:
            return login_refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        assert form["scope"] == f"{self.resource}/.default"
        return result({"token_type": "Bearer", "expires_in": self.token_seconds, **self._new_token()})

    def _give_managed_identity(self, request: Request) -> Answer:
        """As App Service does."""
        assert parse_qs(request.query)["resource"] == [self.resource]
        assert request.headers["X-IDENTITY-HEADER"] == self.application.secret
        until = str(int(time.time()) + self.token_seconds)
        return result({"token_type": "Bearer", "expires_on": until, **self._new_token()})

    def _new_token(self) -> dict[str, str]:
        token = secrets.token_urlsafe(24)
        self._tokens[token] = _Token(self.application, self.tenant, time.time() + self.token_seconds)
        return {"access_token": token}

    def _vault(self, request: Request) -> Answer:
        token = self._tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if token is None or token.until < time.time():
            return self._challenge("AKV10000: Request is missing a Bearer or PoP token.")
        if token.tenant != self.vault_tenant:
            found = f"https://sts.windows.net/{token.tenant}/"
            expected = f"https://sts.windows.net/{self.vault_tenant}/"
            return self._challenge(f"AKV10032: Invalid issuer. Expected {expected}, found {found}.")
        path = _KEY_PATH.fullmatch(request.path)
        assert path is not None, request.path
        operation = path["operation"] or "get"
        if operation not in token.application.may:
            return _forbidden(token, operation)
        version = self._find(path["name"], path["version"] or "")
        if version is None:
            return refused(404, "KeyNotFound", f"A key with (name/id) {path['name']} was not found.")
        return _operate(version, f"https://{self.vault}/keys/{path['name']}/{version.id}", operation, request)

    def _challenge(self, message: str) -> Answer:
        told = f'Bearer authorization="https://{LOGIN}/{self.told_tenant}", resource="{self.resource}"'
        return refused(401, "Unauthorized", message, headers={"WWW-Authenticate": told})

    def _find(self, name: str, version_id: str) -> Version | None:
        versions = self._keys.get(name, [])
        return next((one for one in reversed(versions) if version_id in ("", one.id)), None)


def _operate(version: Version, kid: str, operation: str, request: Request) -> Answer:
    if operation == "get":
        return result({"key": _jwk(version, kid), "attributes": {"enabled": version.enabled}})
    if not version.enabled:
        return _not_allowed(operation, "a disabled key", "KeyDisabled")
    # Whatever its dates are, a key opens what it sealed.
    if operation == "encrypt" and time.time() >= version.expires:
        return _not_allowed(operation, "an expired key", "KeyExpired")
    if operation == "encrypt" and time.time() < version.not_before:
        return _not_allowed(operation, "a key that is not yet valid", "KeyNotYetValid")
    told = json.loads(request.body)
    assert told["alg"] == "RSA-OAEP-256"
    given = base64.urlsafe_b64decode(told["value"] + "==")
    try:
        if operation == "encrypt":
            value = version.private.public_key().encrypt(given, _OAEP)
        else:
            value = version.private.decrypt(given, _OAEP)
    except ValueError:
        return refused(400, "BadParameter", "The parameter is incorrect.")
    return result({"kid": kid, "value": _base64url(value)})


def _not_allowed(operation: str, what: str, inner: str) -> Answer:
    return refused(403, "Forbidden", f"Operation {operation} is not allowed on {what}.", inner)


def _forbidden(token: _Token, operation: str) -> Answer:
    app = token.application
    said = (
        "Caller is not authorized to perform action on resource.\r\n"
        f"Caller: appid={app.client_id};oid={app.object_id};iss=https://sts.windows.net/{token.tenant}/\r\n"
        f"Action: 'Microsoft.KeyVault/vaults/keys/{operation}/action'\r\nAssignment: (not found)"
    )
    return refused(403, "Forbidden", said, "ForbiddenByRbac")


def _jwk(version: Version, kid: str) -> Mapping[str, object]:
    numbers = version.private.public_key().public_numbers()
    return {
        "kid": kid,
        "kty": "RSA",
        "key_ops": ["encrypt", "decrypt"],
        "n": _base64url(numbers.n.to_bytes(256)),
        "e": _base64url(numbers.e.to_bytes(3)),
    }


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@functools.cache
def _rsa_key(number: int) -> rsa.RSAPrivateKey:
    """Made once in a test run, because it takes a while; a stand-in never has the same one twice."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)
