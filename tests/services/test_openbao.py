"""OpenBao as the tests use it: keys survive a crash, namespaces are apart, policies allow what they say."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.certificates import Certificates
from services.openbao import OpenBaoServer

TEXT = {"plaintext": base64.b64encode(b"text").decode()}


def test_a_crash_keeps_keys_and_seals(
    openbao: OpenBaoServer, certificates: Certificates, tmp_path: Path
) -> None:
    del openbao  # its fixture has skipped where there is none; this test kills one of its own
    with OpenBaoServer(tmp_path, certificates) as server:
        server.mount_transit("kept")
        assert server.make_key("kept", "one") == f"{server.url}/kept/keys/one"
        wrapped = server.call("POST", "kept/encrypt/one", TEXT)
        root_token = server.root_token

        server.kill()
        assert server.health() is None
        assert not server.is_ready()
        server.start()
        assert server.root_token == root_token
        assert server.call("POST", "kept/decrypt/one", {"ciphertext": wrapped["ciphertext"]}) == TEXT

        server.call("PUT", "sys/seal")
        assert server.health() == 503
        server.unseal()
        assert server.health() == 200
    assert not server.is_running()


def test_a_namespace_has_mounts_and_tokens_of_its_own(openbao: OpenBaoServer) -> None:
    openbao.make_namespace("services-apart")
    openbao.mount_transit("services-apart-mount", namespace="services-apart")
    openbao.make_key("services-apart-mount", "one", namespace="services-apart")
    assert "services-apart-mount/" not in openbao.call("GET", "sys/mounts")
    assert "services-apart-mount/" in openbao.call("GET", "sys/mounts", namespace="services-apart")


def test_a_policy_allows_update_and_nothing_else(openbao: OpenBaoServer) -> None:
    openbao.mount_transit("services-policy")
    openbao.make_key("services-policy", "one")
    path = "services-policy/encrypt/one"
    token = openbao.make_token(openbao.write_policy("services-policy", path))
    for given, status in ((token, 200), ("s.wrong", 403)):
        assert openbao._send("POST", path, TEXT, {"X-Vault-Token": given}).status_code == status
    for other in ("services-policy/decrypt/one", "services-policy/encrypt/new"):
        assert openbao._send("POST", other, TEXT, {"X-Vault-Token": token}).status_code == 403


def test_a_role_logs_in(openbao: OpenBaoServer) -> None:
    for name in ("services-first", "services-second"):  # the first of a server also enables the method
        role = openbao.make_approle(name, "default", token_ttl="60s")
        auth = openbao.call("POST", "auth/approle/login", role._asdict())["auth"]
        assert (auth["metadata"]["role_name"], auth["lease_duration"]) == (name, 60)


def test_a_call_that_fails_says_why(openbao: OpenBaoServer) -> None:
    with pytest.raises(AssertionError, match=r"GET services-nowhere/keys/one: 404 .*no handler for route"):
        openbao.call("GET", "services-nowhere/keys/one")
