"""Who the Vault driver is and whom it trusts: tokens, AppRole logins, TLS, and the environment."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from csfle_fast.kms.vault import VaultClient
from services.certificates import Certificates
from services.openbao import AppRole, OpenBaoServer
from services.ports import LOOPBACK, free_ports
from vault_world import (
    NO_KEYS,
    PROTO,
    Answer,
    VaultStandIn,
    clear_environment,
    client,
    conf,
    new_key,
    new_name,
    path,
    refused,
)

KEY_ID = "https://vault/transit/keys/kek"
THREADS = 8
NOTHING: dict[str, object] = {}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_environment(monkeypatch)


@pytest.fixture
def team(openbao: OpenBaoServer) -> Iterator[str]:
    """A namespace of this test, so that revoking all of its logins harms no other."""
    namespace = new_name("team")
    openbao.make_namespace(namespace)
    openbao.mount_transit("transit", namespace=namespace)
    openbao.make_key("transit", "kek", namespace=namespace)
    openbao.write_policy("both", "transit/encrypt/kek", "transit/decrypt/kek", namespace=namespace)
    yield namespace
    openbao.call("DELETE", f"sys/namespaces/{namespace}")


def as_role(server: OpenBaoServer, namespace: str, role: AppRole) -> VaultClient:
    settings = conf(server, namespace=namespace, token__id=None)
    settings |= {"approle.role.id": role.role_id, "approle.secret.id": role.secret_id}
    return client(f"{server.url}/transit/keys/kek", settings)


def revoke_logins(server: OpenBaoServer, namespace: str) -> None:
    server.call("POST", "sys/leases/revoke-force/auth/approle/login", namespace=namespace)


def test_a_login_is_made_once_and_again_when_its_token_is_refused(openbao: OpenBaoServer, team: str) -> None:
    # The secret id is good for two logins: a third would show.
    role = openbao.make_approle("two", "both", namespace=team, secret_id_num_uses=2)
    ours = as_role(openbao, team, role)
    wrapped = ours.wrap(PROTO)
    assert ours.unwrap(wrapped) == PROTO
    revoke_logins(openbao, team)
    assert ours.unwrap(wrapped) == PROTO
    assert ours.unwrap(wrapped) == PROTO
    revoke_logins(openbao, team)
    assert refused(partial(ours.unwrap, wrapped), *role).code == "kms_unauthenticated"
    ours.close()


def test_threads_whose_token_is_refused_share_the_new_login(openbao: OpenBaoServer, team: str) -> None:
    role = openbao.make_approle("threads", "both", namespace=team, secret_id_num_uses=2)
    ours = as_role(openbao, team, role)
    wrapped = ours.wrap(PROTO)
    revoke_logins(openbao, team)
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(ours.unwrap, [wrapped] * 40)) == [PROTO] * 40
    ours.close()


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_token_that_expires_is_replaced(openbao: OpenBaoServer, team: str, kind: str) -> None:
    settings = {"token_ttl": "1s", "token_type": kind}
    again = as_role(openbao, team, openbao.make_approle("again", "both", namespace=team, **settings))
    settings["secret_id_num_uses"] = "1"
    once = as_role(openbao, team, openbao.make_approle("once", "both", namespace=team, **settings))
    wrapped = again.wrap(PROTO)
    once.wrap(PROTO)
    time.sleep(1.5)
    assert refused(partial(once.unwrap, wrapped)).code == "kms_unauthenticated"  # so they are expired
    assert again.unwrap(wrapped) == PROTO
    again.close()
    once.close()


def test_a_token_that_is_used_up_is_replaced(openbao: OpenBaoServer, team: str) -> None:
    ours = as_role(openbao, team, openbao.make_approle("each", "both", namespace=team, token_num_uses=1))
    for _ in range(3):
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()


def test_a_role_that_only_reads(openbao: OpenBaoServer, team: str) -> None:
    openbao.write_policy("read", "transit/decrypt/kek", namespace=team)
    writer = as_role(openbao, team, openbao.make_approle("writer", "both", namespace=team))
    role = openbao.make_approle("reader", "read", namespace=team, secret_id_num_uses=1)
    reader = as_role(openbao, team, role)
    wrapped = writer.wrap(PROTO)
    error = refused(partial(reader.wrap, PROTO), *role)
    assert error.code == "kms_denied"
    assert error.message.endswith(", as AppRole reader")
    assert reader.unwrap(wrapped) == PROTO  # being denied was no reason to log in again
    reader.close()
    writer.close()


@pytest.mark.parametrize("wrong", ["role", "secret", "namespace", "no method"])
def test_a_login_that_is_refused(openbao: OpenBaoServer, team: str, wrong: str) -> None:
    role = openbao.make_approle("wrong", "both", namespace=team)
    role = role._replace(role_id="hunter2") if wrong == "role" else role
    role = role._replace(secret_id="hunter2") if wrong == "secret" else role
    if wrong == "no method":
        openbao.call("DELETE", "sys/auth/approle", namespace=team)
    ours = as_role(openbao, "nowhere" if wrong == "namespace" else team, role)
    error = refused(partial(ours.wrap, PROTO), *role)
    assert error.code == ("kms_wrong_location" if wrong == "namespace" else "kms_unauthenticated")
    assert error.message.startswith("hcvault: AppRole login with key ")
    ours.close()


@pytest.mark.parametrize(
    "auth", [None, [], {}, {"client_token": 7}, {"client_token": ""}, {"client_token": "a\nb"}]
)
def test_a_login_without_a_token(auth: object) -> None:
    with VaultStandIn(Answer(200, json.dumps({"auth": auth}).encode())) as server:
        ours = client(server.key_id, {"approle.role.id": "r", "approle.secret.id": "s"})
        assert refused(partial(ours.wrap, PROTO)).code in {"kms_failed", "missing_credentials"}
        ours.close()
    assert [where for where, _ in server.seen] == ["/v1/auth/approle/login"]


@pytest.mark.parametrize("metadata", [None, [], {"role_name": 7}, {"role_name": "a\nb"}, {"role_name": ""}])
def test_a_role_whose_name_cannot_be_shown(metadata: object) -> None:
    auth = {"client_token": "t", "metadata": metadata}
    with VaultStandIn(Answer(200, json.dumps({"auth": auth}).encode())) as server:
        ours = client(server.key_id, {"approle.role.id": "r", "approle.secret.id": "s"})
        assert refused(partial(ours.wrap, PROTO)).code == "kms_failed"  # the login went well, this did not
        server.answer = Answer(403, b'{"errors": ["1 error occurred:\\n\\t* permission denied\\n\\n"]}')
        assert refused(partial(ours.wrap, PROTO)).message.endswith(", as an AppRole")
        ours.close()


def test_a_token_of_the_users_is_not_renewed(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    token = openbao.make_token(openbao.write_policy(new_name("once"), path(key_id, "encrypt")), num_uses=1)
    ours = client(key_id, conf(openbao, token__id=token))
    ours.wrap(PROTO)
    assert refused(partial(ours.wrap, PROTO), token).code == "kms_unauthenticated"
    ours.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "neither token.id nor approle.role.id with approle.secret.id is set"),
        ({"token.id": ""}, "neither token.id"),
        ({"approle.role.id": "r"}, "approle.role.id is set and approle.secret.id is not"),
        ({"approle.secret.id": "hunter2"}, "approle.secret.id is set and approle.role.id is not"),
        ({"token.id": "t", "approle.role.id": "r"}, "approle.secret.id is not"),
        ({"token.id": "t", "ssl.key.location": "k"}, "ssl.certificate.location is not"),
        ({"token.id": "t", "ssl.ca.location": "/nowhere"}, "ssl.ca.location cannot be read"),
        ({"token.id": "t", "ssl.ca.location": __file__}, "ssl.ca.location cannot be read"),
        ({"token.id": "t", "ssl.certificate.location": __file__}, "ssl.certificate.location"),
        ({"token.id": "t", "ssl.certificate.location": "a\0b"}, "ssl.certificate.location"),
    ],
)
def test_credentials_that_are_missing_or_incomplete(
    settings: dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".vault-token").write_text("of-somebody-else", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    error = refused(lambda: client(KEY_ID, settings), "hunter2")
    assert error.code == "missing_credentials"
    assert told in error.message


def test_an_encrypted_key_is_refused_and_not_asked_for(certificates: Certificates, tmp_path: Path) -> None:
    key = load_pem_private_key(certificates.client.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        certificates.client.certificate.read_bytes()
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))
    )
    settings = {"token.id": "t", "ssl.certificate.location": str(locked)}
    assert "without a password" in refused(lambda: client(KEY_ID, settings)).message


def test_a_token_that_fits_no_header() -> None:
    with VaultStandIn(Answer(200)) as server:
        for token in ("line\n", "\u20ac"):
            ours = client(server.key_id, {"token.id": token})
            assert refused(partial(ours.unwrap, NO_KEYS), token).code == "missing_credentials"
            ours.close()
    assert server.seen == []


def test_what_is_no_text_is_refused() -> None:
    for name in ("token.id", "namespace", "approle.role.id", "ssl.ca.location"):
        assert refused(partial(client, KEY_ID, {"token.id": "t", name: 7})).code == "bad_kms_option"
    assert refused(lambda: client(KEY_ID, {"token.id": "t", "kms.timeout.sec": 0})).code == "bad_kms_option"


def test_javas_key_stores_are_refused_unless_pem_is_there_too(certificates: Certificates) -> None:
    authority, pair = str(certificates.authority), certificates.client
    stores = {"ssl.keystore.location": "k.jks", "ssl.keystore.password": "hunter2"}
    trust = {"ssl.truststore.location": "t.jks", "ssl.truststore.password": "hunter2"}
    pem = {"ssl.certificate.location": str(pair.certificate), "ssl.key.location": str(pair.key)}
    for given, ours in ((stores, "ssl.certificate.location"), (trust, "ssl.ca.location")):
        for name, value in given.items():
            error = refused(partial(client, KEY_ID, {"token.id": "t", name: value}), "hunter2")
            assert error.code == "bad_kms_option"
            assert f"{name} is for Java's key stores; give {ours}" in error.message
    client(KEY_ID, {"token.id": "t", **stores, **trust, **pem, "ssl.ca.location": authority}).close()


def test_each_setting_has_its_variable(
    openbao: OpenBaoServer, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = openbao.make_approle("variables", "both", namespace=team)
    monkeypatch.setenv("VAULT_CACERT", str(openbao.authority))
    monkeypatch.setenv("VAULT_NAMESPACE", team)
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")  # the key id says where
    monkeypatch.setenv("VAULT_TOKEN", openbao.make_token("both", namespace=team))
    by_token = client(f"{openbao.url}/transit/keys/kek", NOTHING)
    wrapped = by_token.wrap(PROTO)
    monkeypatch.setenv("VAULT_TOKEN", "s.wrong")
    monkeypatch.setenv("VAULT_APPROLE_ROLE_ID", role.role_id)
    monkeypatch.setenv("VAULT_APPROLE_SECRET_ID", role.secret_id)
    by_role = client(f"{openbao.url}/transit/keys/kek", NOTHING)  # and a role goes before a token
    assert by_role.unwrap(wrapped) == PROTO
    by_token.close()
    by_role.close()


def test_a_setting_goes_before_its_variable(openbao: OpenBaoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = new_key(openbao)
    for name in ("VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "REQUESTS_CA_BUNDLE", "VAULT_CLIENT_CERT"):
        monkeypatch.setenv(name, "wrong")
    monkeypatch.setattr("hvac.v1.VAULT_CLIENT_CERT", "wrong")
    ours = client(key_id, conf(openbao, namespace="", ssl__certificate__location=""))
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()


@pytest.mark.parametrize("authority", [None, "", "stranger"])
def test_a_server_that_is_not_trusted(
    openbao: OpenBaoServer, certificates: Certificates, authority: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VAULT_SKIP_VERIFY", "BAO_SKIP_VERIFY"):
        monkeypatch.setenv(name, "true")
    given = str(certificates.stranger) if authority == "stranger" else authority
    ours = client(new_key(openbao), conf(openbao, ssl__ca__location=given))
    error = refused(partial(ours.wrap, PROTO))
    assert error.code == "kms_unreachable"
    assert "its certificate is not trusted" in error.message
    ours.close()


def test_a_bundle_of_requests_is_trusted_where_no_setting_is(
    openbao: OpenBaoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(openbao.authority))
    ours = client(new_key(openbao), conf(openbao, ssl__ca__location=None))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()


def test_the_client_shows_its_certificate(
    openbao: OpenBaoServer, certificates: Certificates, tmp_path: Path
) -> None:
    key_id = new_key(openbao).replace(openbao.url, openbao.mtls_url)
    pair, other = certificates.client, certificates.server
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    for settings in (_shown(pair.certificate, pair.key), _shown(both)):
        ours = client(key_id, conf(openbao, **settings))
        assert ours.unwrap(ours.wrap(PROTO)) == PROTO
        ours.close()
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("VAULT_CLIENT_CERT", str(pair.certificate))
        variables.setenv("VAULT_CLIENT_KEY", str(pair.key))
        ours = client(key_id, conf(openbao))
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()
    # Without one the server only says that the handshake failed, as it does for other reasons too.
    for settings, code in (
        ({}, "kms_unreachable"),
        (_shown(other.certificate, other.key), "kms_unauthenticated"),
    ):
        ours = client(key_id, conf(openbao, **settings))
        error = refused(partial(ours.wrap, PROTO))
        assert error.code == code, error.message
        assert "TLS: " in error.message
        assert "_ALERT_" in error.message
        ours.close()


def _shown(certificate: Path, key: Path | None = None) -> dict[str, object]:
    return {"ssl__certificate__location": str(certificate), "ssl__key__location": str(key) if key else None}


def test_proxies_of_the_environment_are_used(openbao: OpenBaoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = new_key(openbao)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{free_ports(1)[0]}")
    ours = client(key_id, conf(openbao))
    assert refused(partial(ours.wrap, PROTO)).code == "kms_unreachable"
    ours.close()
    monkeypatch.setenv("NO_PROXY", LOOPBACK)
    ours = client(key_id, conf(openbao))
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()


def test_passwords_of_netrc_are_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {LOOPBACK} login somebody password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with VaultStandIn(Answer(200)) as server:
        ours = client(server.key_id, {"token.id": "t", "namespace": "team"})
        refused(partial(ours.wrap, PROTO))
        ours.close()
    ((_, headers),) = server.seen
    assert (headers["X-Vault-Token"], headers["X-Vault-Namespace"]) == ("t", "team")
    assert "Authorization" not in headers
