"""The Vault driver on OpenBao: what it stores, keys of every kind, and confluent-kafka's driver beside it."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.schema_registry.rules.encryption.hcvault.hcvault_driver import HcVaultKmsDriver

from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsDriver, driver_for
from csfle_fast.kms.vault import VaultDriver
from services.certificates import Certificates
from services.openbao import OpenBaoServer, binary
from vault_world import (
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

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "kms-vault.md"
POLICY = re.compile(r"^```hcl\n(.+?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^vault (.+)$", re.MULTILINE)
THREADS = 8


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_environment(monkeypatch)


def test_the_driver_is_built_in() -> None:
    assert isinstance(driver_for("hcvault://https://vault/transit/keys/kek"), VaultDriver)
    assert isinstance(VaultDriver(), KmsDriver)


def test_without_its_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac.adapters", None)
    with pytest.raises(KmsError, match=r"csfle-fast\[vault\]") as caught:
        client("https://vault/transit/keys/kek", {"token.id": "t"})
    assert caught.value.code == "kms_sdk_missing"


def test_what_is_stored_is_the_servers_text(openbao: OpenBaoServer) -> None:
    ours = client(new_key(openbao), conf(openbao))
    first, second = ours.wrap(PROTO), ours.wrap(PROTO)
    assert first != second
    assert re.fullmatch(rb"vault:v1:[A-Za-z0-9+/]+=*", first)
    assert [ours.unwrap(first), ours.unwrap(second)] == [PROTO, PROTO]
    ours.close()


@pytest.mark.parametrize("how", ["token", "nested mount", "namespace", "approle"])
def test_theirs_unwraps_ours_and_ours_theirs(openbao: OpenBaoServer, how: str) -> None:
    settings = conf(openbao)
    namespace, mount = "", new_name("theirs")
    if how == "namespace":
        namespace = new_name("theirs-namespace")
        openbao.make_namespace(namespace)
        settings["namespace"] = namespace
    if how == "nested mount":
        mount = f"{mount}/keys/deep"
    openbao.mount_transit(mount, namespace=namespace)
    key_id = openbao.make_key(mount, "kek", namespace=namespace)
    if how == "approle":
        policy = openbao.write_policy(new_name("theirs"), path(key_id, "encrypt"), path(key_id, "decrypt"))
        role = openbao.make_approle(new_name("theirs"), policy)
        settings |= {"approle.role.id": role.role_id, "approle.secret.id": role.secret_id}
        del settings["token.id"]
    ours = client(key_id, settings)
    uri = f"hcvault://{key_id}"
    theirs = HcVaultKmsDriver().new_kms_client(settings, uri)
    aead = theirs.get_aead(uri)
    assert aead.decrypt(ours.wrap(PROTO), b"") == PROTO
    assert ours.unwrap(aead.encrypt(PROTO, b"")) == PROTO
    ours.close()
    theirs._client.adapter.close()


def test_after_a_rotation_new_and_old_are_opened(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    ours = client(key_id, conf(openbao))
    old = ours.wrap(PROTO)
    openbao.call("POST", f"{path(key_id, 'keys')}/rotate")
    new = ours.wrap(PROTO)
    assert (old[:9], new[:9]) == (b"vault:v1:", b"vault:v2:")
    assert [ours.unwrap(old), ours.unwrap(new)] == [PROTO, PROTO]
    ours.close()


@pytest.mark.parametrize("kind", ["aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"])
def test_every_kind_of_key_that_encrypts(openbao: OpenBaoServer, kind: str) -> None:
    mount = new_name("kinds")
    openbao.mount_transit(mount)
    openbao.call("POST", f"{mount}/keys/kek", {"type": kind})
    openbao.make_key(mount, "other")
    ours = client(f"{openbao.url}/{mount}/keys/kek", conf(openbao))
    others = client(f"{openbao.url}/{mount}/keys/other", conf(openbao))
    assert ours.unwrap(ours.wrap(PROTO)) == PROTO
    for stranger, wrapped in ((ours, others.wrap(PROTO)), (others, ours.wrap(PROTO))):
        assert refused(partial(stranger.unwrap, wrapped)).code == "unwrap_refused"
    ours.close()
    others.close()


def test_eight_threads_share_a_client_and_its_one_login(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    policy = openbao.write_policy(new_name("threads"), path(key_id, "encrypt"), path(key_id, "decrypt"))
    role = openbao.make_approle(new_name("threads"), policy, secret_id_num_uses=1)  # a second login fails
    ours = client(key_id, conf(openbao, approle__role__id=role.role_id, approle__secret__id=role.secret_id))

    def round_trips(number: int) -> bool:
        protos = [bytes([number, count]) * 16 for count in range(20)]
        return all(ours.unwrap(ours.wrap(proto)) == proto for proto in protos)

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(round_trips, range(THREADS))) == [True] * THREADS
    ours.close()


def test_a_client_outlives_its_server(
    openbao: OpenBaoServer, certificates: Certificates, tmp_path: Path
) -> None:
    del openbao  # its fixture has skipped where there is none; this test kills one of its own
    with OpenBaoServer(tmp_path, certificates) as server:
        ours = client(new_key(server), conf(server))
        wrapped = ours.wrap(PROTO)
        server.kill()
        assert refused(lambda: ours.unwrap(wrapped)).code == "kms_unreachable"
        server.start()
        assert ours.unwrap(wrapped) == PROTO
        ours.close()


def test_the_commands_of_the_page(openbao: OpenBaoServer, tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "reader.hcl").write_text(POLICY.findall(text)[1], encoding="utf-8")
    namespace = new_name("page-commands")
    openbao.make_namespace(namespace)
    environment = {"BAO_ADDR": openbao.url, "BAO_CACERT": str(openbao.authority), "BAO_NAMESPACE": namespace}
    environment["BAO_TOKEN"] = openbao.root_token
    commands = COMMAND.findall(text)
    assert len(commands) == 8
    told = ""
    for command in commands:
        done = subprocess.run(
            [str(binary()), *command.split()],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        told += done.stdout
    role_id, secret_id = (
        re.search(rf"^{name} +(\S+)$", told, re.MULTILINE) for name in ("role_id", "secret_id")
    )
    assert role_id is not None
    assert secret_id is not None
    key_id = f"{openbao.url}/transit/keys/customers"
    reader = client(
        key_id,
        conf(
            openbao,
            namespace=namespace,
            token__id=None,
            approle__role__id=role_id[1],
            approle__secret__id=secret_id[1],
        ),
    )
    root = client(key_id, conf(openbao, namespace=namespace))
    assert reader.unwrap(root.wrap(PROTO)) == PROTO
    reader.close()
    root.close()


def test_the_policies_of_the_page_allow_what_they_should(openbao: OpenBaoServer) -> None:
    mount = new_name("page")
    openbao.mount_transit(mount)
    key_id = openbao.make_key(mount, "customers")
    clients = []
    for rules in POLICY.findall(PAGE.read_text(encoding="utf-8")):
        assert "transit/" in rules
        name = new_name("page")
        openbao.call("PUT", f"sys/policies/acl/{name}", {"policy": rules.replace("transit/", f"{mount}/")})
        token = openbao.make_token(name, no_default_policy=True)
        clients.append([client(one, conf(openbao, token__id=token)) for one in (key_id, key_id + "2")])
    (writer, maker), (reader, _) = clients
    wrapped = writer.wrap(PROTO)
    assert writer.unwrap(wrapped) == PROTO
    assert reader.unwrap(wrapped) == PROTO
    assert refused(lambda: reader.wrap(PROTO)).code == "kms_denied"
    # Encrypting with a key that does not exist would make it.
    assert refused(lambda: maker.wrap(PROTO)).code == "kms_denied"
    assert openbao.call("LIST", f"{mount}/keys")["keys"] == ["customers"]
    for one in (writer, maker, *clients[1]):
        one.close()


@pytest.mark.parametrize(
    ("key_id", "called"),
    [
        ("transit/keys/kek", "/v1/transit/encrypt/kek"),
        ("a/b/c/keys/kek", "/v1/a/b/c/encrypt/kek"),
        ("keys/keys/keys/keys", "/v1/keys/keys/encrypt/keys"),
        ("team.eu/transit_1/keys/Kek-1.~b", "/v1/team.eu/transit_1/encrypt/Kek-1.~b"),
    ],
)
def test_a_key_id_is_mount_and_name(key_id: str, called: str) -> None:
    with VaultStandIn(Answer(200, b'{"data": {"ciphertext": "vault:v1:QQ=="}}')) as server:
        ours = client(f"{server.url}/{key_id}", {"token.id": "t"})
        assert ours.wrap(PROTO) == b"vault:v1:QQ=="
        ours.close()
    assert [where for where, _ in server.seen] == [called]


def test_without_a_scheme_it_is_https(openbao: OpenBaoServer) -> None:
    key_id = new_key(openbao)
    ours = client(key_id.removeprefix("https://"), conf(openbao))
    assert client(key_id, conf(openbao)).unwrap(ours.wrap(PROTO)) == PROTO
    ours.close()


@pytest.mark.parametrize(
    "key_id",
    [
        "",
        "kek",
        "https://vault",
        "https://vault/keys/kek",
        "https://vault//keys/kek",
        "https://vault/transit/keys/",
        "https://vault/transit/keys/kek/",
        "https://vault/transit/keys/kek/1",
        "https://vault/transit/key/kek",
        "https://vault/a//b/keys/kek",
        "https://vault/a/../keys/kek",
        "https://vault/transit/keys/..",
        "https://vault/transit/keys/k%2fk",
        "https://vault/transit/keys/kek?version=1",
        "https://vault/transit/keys/kek#1",
        "https://vault/transit/keys/kek\n",
        "https://vault/transit/keys/k\u00e9k",
        "https://user:hunter2@vault/transit/keys/kek",
        "https://vault\\@other/transit/keys/kek",
        "https://vault:65536/transit/keys/kek",
        "https://vault:port/transit/keys/kek",
        "https://:8200/transit/keys/kek",
        "https:///transit/keys/kek",
        "ftp://vault/transit/keys/kek",
        "hcvault://https://vault/transit/keys/kek",
    ],
)
def test_any_other_key_id_is_refused(key_id: str) -> None:
    assert refused(lambda: client(key_id, {"token.id": "t"}), "hunter2").code == "bad_key_id"


def test_a_client_shows_nothing() -> None:
    ours = client("https://vault/transit/keys/kek", {"approle.role.id": "rrr", "approle.secret.id": "sss"})
    assert not hasattr(ours, "__dict__")
    assert not {"rrr", "sss"} & set(re.findall(r"\w+", repr(ours)))
    ours.close()
