from __future__ import annotations

from typing import Any

import pytest

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.key_tables import KeyTables
from csfle_fast.dev.sharing import Sharing
from dev.refused import refused

BODY: dict[str, Any] = {
    "name": "k",
    "kmsType": "local-kms",
    "kmsKeyId": "mykey",
    "kmsProps": {"a": "b"},
    "doc": "d",
    "shared": False,
}


@pytest.fixture
def tables() -> KeyTables:
    return KeyTables(Clock(), Sharing("secret"))


@pytest.fixture
def keks(tables: KeyTables) -> KekStore:
    return KekStore(tables)


@pytest.fixture
def deks(tables: KeyTables) -> DekStore:
    return DekStore(tables)


def test_created_and_read(keks: KekStore) -> None:
    kek = keks.create(BODY)
    assert (kek.name, kek.kms_props, kek.shared) == ("k", {"a": "b"}, False)
    assert kek.ts is not None
    assert keks.get("k") == kek
    assert keks.names() == ["k"]
    assert refused(lambda: keks.get("other")) == (404, 40470)


def test_created_again(keks: KekStore) -> None:
    keks.create(BODY)
    assert refused(lambda: keks.create(BODY)) == (409, 40971)
    assert refused(lambda: keks.create({**BODY, "kmsKeyId": "other"})) == (409, 40971)
    keks.delete("k")
    assert refused(lambda: keks.create({**BODY, "doc": "other"})) == (409, 40971)
    assert keks.create(BODY).deleted is False
    assert keks.get("k").doc == "d"


def test_updated(keks: KekStore) -> None:
    created = keks.create(BODY)
    assert keks.update("k", {}) == created
    changed = keks.update("k", {"doc": "new"})
    assert (changed.doc, changed.kms_props, changed.shared) == ("new", {"a": "b"}, False)
    emptied = keks.update("k", {"kmsProps": None, "doc": None, "shared": True})
    assert (emptied.doc, emptied.kms_props, emptied.shared) == (None, {}, True)
    keks.delete("k")
    assert refused(lambda: keks.update("k", {"doc": "x"})) == (404, 40470)


def test_deleted_undeleted_and_gone(keks: KekStore) -> None:
    keks.create(BODY)
    assert refused(lambda: keks.delete("k", permanent=True)) == (404, 40471)
    keks.delete("k")
    keks.delete("k")  # as it is already, which is no error
    assert refused(lambda: keks.get("k")) == (404, 40470)
    assert keks.get("k", deleted=True).deleted
    assert (keks.names(), keks.names(deleted=True)) == ([], ["k"])
    keks.undelete("k")
    assert not keks.get("k").deleted
    keks.delete("k")
    keks.delete("k", permanent=True)
    assert refused(lambda: keks.undelete("k")) == (404, 40470)
    assert refused(lambda: keks.delete("k")) == (404, 40470)


def test_a_kek_with_deks_is_protected(keks: KekStore, deks: DekStore) -> None:
    keks.create(BODY)
    deks.create("k", {"subject": "s", "encryptedKeyMaterial": "AAAA"})
    assert refused(lambda: keks.delete("k")) == (422, 42272)
    deks.delete("k", "s")
    keks.delete("k")
    assert refused(lambda: keks.delete("k", permanent=True)) == (422, 42272)
    deks.delete("k", "s", permanent=True)
    keks.delete("k", permanent=True)


def test_names_by_subject(keks: KekStore, deks: DekStore) -> None:
    keks.create(BODY)
    keks.create({**BODY, "name": "unused"})
    deks.create("k", {"subject": "orders-value", "encryptedKeyMaterial": "AAAA"})
    assert keks.names() == ["k", "unused"]
    assert keks.names(subject_prefixes=["orders"]) == ["k"]
    assert keks.names(subject_prefixes=["o", "x"]) == ["k"]
    assert keks.names(subject_prefixes=["x"]) == []
    deks.delete("k", "orders-value")
    assert keks.names(subject_prefixes=["orders"]) == []
    assert keks.names(subject_prefixes=["orders"], deleted=True) == ["k"]


def test_a_name_belongs_to_a_context(keks: KekStore) -> None:
    keks.create(BODY)
    keks.create({**BODY, "doc": "in ctx"}, ".ctx")
    assert keks.get("k").doc == "d"
    assert keks.get("k", ".ctx").doc == "in ctx"
    assert keks.names(".none") == []


def test_sharing_is_tested(keks: KekStore) -> None:
    keks.create({**BODY, "shared": True}, test_sharing=True)
    assert keks.test("k").name == "k"
    keks.create({**BODY, "name": "own"}, test_sharing=True)
    assert refused(lambda: keks.test("own")) == (422, 42271)
    assert refused(lambda: keks.test("none")) == (404, 40470)
    closed = KekStore(KeyTables(Clock()))
    assert refused(lambda: closed.create({**BODY, "shared": True}, test_sharing=True)) == (500, 50070)
    assert closed.names() == []
    closed.create({**BODY, "shared": True})
    assert refused(lambda: closed.test("k")) == (500, 50070)


def test_the_registry_can_be_full(keks: KekStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csfle_fast.dev.keks.MAX_KEYS", 1)
    keks.create(BODY)
    assert refused(lambda: keks.create({**BODY, "name": "b"})) == (409, 40972)
    keks.delete("k")
    keks.create(BODY)


def test_put_stores_what_it_is_given(keks: KekStore) -> None:
    stored = keks.put({**BODY, "ts": 5, "kmsType": "aws", "deleted": True, "unknown": 1})
    assert (stored.ts, stored.kms_type, stored.deleted) == (5, "aws", True)
    assert keks.get("k", deleted=True) == stored
    assert keks.put({**BODY, "name": "in"}, context=":.ctx:").ts is not None
    assert keks.names(".ctx") == ["in"]
