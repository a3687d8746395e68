from __future__ import annotations

import base64
from typing import Any

import pytest

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.key_tables import KeyTables
from csfle_fast.dev.local_kms import LocalKms
from csfle_fast.dev.models import Dek
from csfle_fast.dev.names import LATEST
from csfle_fast.dev.sharing import Sharing
from dev.refused import refused

SECRET = "a secret"
MATERIAL = base64.b64encode(b"wrapped key").decode()
OTHER = base64.b64encode(b"another key").decode()


@pytest.fixture
def tables() -> KeyTables:
    return KeyTables(Clock(), Sharing(SECRET))


@pytest.fixture
def keks(tables: KeyTables) -> KekStore:
    store = KekStore(tables)
    for name, shared in (("k", False), ("s", True)):
        store.create({"name": name, "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": shared})
    return store


@pytest.fixture
def deks(tables: KeyTables, keks: KekStore) -> DekStore:
    return DekStore(tables)


def body(**changes: Any) -> dict[str, Any]:
    return {"subject": "t-value", "algorithm": "AES256_GCM", "encryptedKeyMaterial": MATERIAL, **changes}


def key(dek: dict[str, Any]) -> bytes:
    return LocalKms(SECRET).unwrap(base64.b64decode(dek["encryptedKeyMaterial"]))


def test_created_and_read(deks: DekStore) -> None:
    dek = deks.create("k", body())
    assert dek.pop("ts")
    assert dek == {
        "kekName": "k",
        "subject": "t-value",
        "version": 1,
        "algorithm": "AES256_GCM",
        "encryptedKeyMaterial": MATERIAL,
    }
    assert deks.get("k", "t-value")["encryptedKeyMaterial"] == MATERIAL
    assert deks.subjects("k") == ["t-value"]
    assert refused(lambda: deks.get("k", "none")) == (404, 40470)
    assert refused(lambda: deks.get("none", "t-value")) == (404, 40470)
    assert refused(lambda: deks.create("none", body())) == (404, 40470)


def test_the_algorithm_is_part_of_the_identity(deks: DekStore) -> None:
    for algorithm in ("AES256_GCM", "AES128_GCM", "AES256_SIV"):
        deks.create("k", body(algorithm=algorithm))
        assert deks.get("k", "t-value", algorithm=algorithm)["algorithm"] == algorithm
    deks.create("k", body(algorithm=None, subject="other"))
    assert deks.versions("k", "other", "AES256_GCM") == [1]
    assert refused(lambda: deks.versions("k", "other", "AES256_SIV")) == (404, 40470)
    assert refused(lambda: deks.get("k", "t-value", algorithm="AES")) == (422, 42271)


def test_without_a_version_it_is_the_first_and_latest_is_the_newest(deks: DekStore) -> None:
    for version in (1, 3, 2):
        deks.create("k", body(version=version))
    assert deks.versions("k", "t-value") == [1, 2, 3]
    assert deks.get("k", "t-value")["version"] == 1
    assert deks.get("k", "t-value", LATEST)["version"] == 3
    assert refused(lambda: deks.get("k", "t-value", 4)) == (404, 40470)
    assert refused(lambda: deks.get("k", "none", LATEST)) == (404, 40470)


def test_created_again(deks: DekStore) -> None:
    deks.create("k", body())
    assert refused(lambda: deks.create("k", body())) == (409, 40971)
    assert refused(lambda: deks.create("k", body(encryptedKeyMaterial=OTHER))) == (409, 40971)
    deks.delete("k", "t-value")
    assert refused(lambda: deks.create("k", body(encryptedKeyMaterial=OTHER))) == (409, 40971)
    assert "deleted" not in deks.create("k", body())


@pytest.mark.parametrize(
    "change",
    [
        {"subject": None},
        {"subject": "a\nb"},
        {"algorithm": "AES"},
        {"version": 0},
        {"version": -1},
        {"encryptedKeyMaterial": "not base64!"},
        {"encryptedKeyMaterial": ""},
        {"encryptedKeyMaterial": None},
    ],
    ids=str,
)
def test_what_cannot_be(deks: DekStore, change: dict[str, Any]) -> None:
    assert refused(lambda: deks.create("k", body(**change))) == (422, 42271)
    assert deks.subjects("k") == []


def test_a_shared_kek_has_its_keys_made_and_returned(deks: DekStore) -> None:
    made = deks.create("s", body(encryptedKeyMaterial=None, algorithm="AES256_SIV"))
    assert base64.b64decode(made["keyMaterial"]) == key(made)
    assert key(made)[:2].hex() == "1240"
    assert deks.get("s", "t-value", algorithm="AES256_SIV") == made
    assert refused(lambda: deks.create("s", body(algorithm="AES256_SIV"))) == (409, 40971)


def test_a_shared_kek_takes_the_first_key_of_a_client(deks: DekStore) -> None:
    wrapped = base64.b64encode(LocalKms(SECRET).wrap(b"proto")).decode()
    made = deks.create("s", body(encryptedKeyMaterial=wrapped))
    assert base64.b64decode(made["keyMaterial"]) == b"proto"


def test_rewrap_keeps_the_key(deks: DekStore) -> None:
    made = deks.create("s", body(encryptedKeyMaterial=None))
    again = deks.create("s", body(encryptedKeyMaterial=None), rewrap=True)
    assert again["encryptedKeyMaterial"] != made["encryptedKeyMaterial"]
    assert again["keyMaterial"] == made["keyMaterial"]
    assert refused(lambda: deks.create("s", body(), rewrap=True)) == (409, 40971)
    deks.create("k", body())
    assert deks.create("k", body(encryptedKeyMaterial=OTHER), rewrap=True)["encryptedKeyMaterial"] == OTHER


def test_a_shared_kek_without_a_kms() -> None:
    tables = KeyTables(Clock())
    KekStore(tables).create({"name": "s", "kmsType": "local-kms", "kmsKeyId": "mykey", "shared": True})
    closed = DekStore(tables)
    assert refused(lambda: closed.create("s", body(encryptedKeyMaterial=None))) == (500, 50070)
    assert closed.subjects("s") == []


def test_deleted_undeleted_and_gone(deks: DekStore, keks: KekStore) -> None:
    for version in (1, 2):
        deks.create("k", body(version=version))
    deks.delete("k", "t-value", version=2)
    assert deks.versions("k", "t-value") == [1]
    assert deks.versions("k", "t-value", deleted=True) == [1, 2]
    assert deks.get("k", "t-value", LATEST)["version"] == 1
    assert refused(lambda: deks.get("k", "t-value", 2)) == (404, 40470)
    assert deks.get("k", "t-value", 2, deleted=True)["deleted"] is True
    deks.undelete("k", "t-value", version=2)
    assert deks.versions("k", "t-value") == [1, 2]
    assert refused(lambda: deks.delete("k", "t-value", permanent=True)) == (404, 40471)
    deks.delete("k", "t-value")
    assert refused(lambda: deks.versions("k", "t-value")) == (404, 40470)
    assert (deks.subjects("k"), deks.subjects("k", deleted=True)) == ([], ["t-value"])
    deks.delete("k", "t-value", version=LATEST, permanent=True)
    assert deks.versions("k", "t-value", deleted=True) == [1]
    keks.delete("k")
    assert refused(lambda: deks.undelete("k", "t-value")) == (404, 40472)
    assert refused(lambda: deks.get("k", "t-value")) == (404, 40470)
    assert deks.get("k", "t-value", deleted=True)["version"] == 1
    assert refused(lambda: deks.create("k", body(version=9))) == (404, 40470)
    keks.undelete("k")
    deks.undelete("k", "t-value")
    assert deks.versions("k", "t-value") == [1]
    assert refused(lambda: deks.delete("k", "none")) == (404, 40470)


def test_the_kek_is_that_of_the_subjects_context_or_else_the_default_one(
    deks: DekStore, keks: KekStore
) -> None:
    deks.create("k", body(subject=":.ctx:t-value"))
    assert deks.subjects("k") == [":.ctx:t-value"]
    keks.create({"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey"}, ".ctx")
    assert refused(lambda: deks.get("k", ":.ctx:t-value")) == (404, 40470)
    deks.create("k", body(subject=":.ctx:t-value", encryptedKeyMaterial=OTHER))
    assert deks.get("k", ":.ctx:t-value")["encryptedKeyMaterial"] == OTHER
    assert deks.subjects("k", ".ctx") == [":.ctx:t-value"]
    deks.create("k", body())
    assert deks.get("k", "t-value")["encryptedKeyMaterial"] == MATERIAL


def test_the_registry_can_be_full(deks: DekStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csfle_fast.dev.deks.MAX_KEYS", 1)
    deks.create("k", body())
    assert refused(lambda: deks.create("k", body(version=2))) == (409, 40972)


def test_ts_follows_the_clock() -> None:
    clock = Clock()
    tables = KeyTables(clock)
    KekStore(tables).create({"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey"})
    deks = DekStore(tables)
    clock.advance(days=-2)
    old = deks.create("k", body())
    clock.advance(days=2)
    new = deks.create("k", body(version=2))
    assert 2 * 86_400_000 <= new["ts"] - old["ts"] < 2 * 86_400_000 + 60_000


def test_put_stores_what_it_is_given(deks: DekStore) -> None:
    stored = deks.put({**body(), "kekName": "k", "version": 3, "ts": 5, "unwrapped_proto_hex": "00"})
    assert stored.ts == 5
    assert deks.get("k", "t-value", 3)["ts"] == 5
    deks.put(stored.model_copy(update={"ts": None}))
    assert deks.get("k", "t-value", 3)["ts"] > 5
    assert refused(lambda: deks.put({**body(), "kekName": "none"})) == (404, 40470)


def test_repr_shows_no_material(deks: DekStore) -> None:
    assert MATERIAL not in repr(Dek(kek_name="k", subject="s", encrypted_key_material=MATERIAL))
