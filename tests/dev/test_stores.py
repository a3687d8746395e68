"""What the stores hold survives in their state, all of it; what a state refuses has not happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.models import ConfigUpdate
from csfle_fast.dev.names import LATEST
from csfle_fast.dev.policies import GLOBAL
from csfle_fast.dev.sharing import Sharing
from csfle_fast.dev.state import Key, State
from csfle_fast.dev.state_file import StateFile
from csfle_fast.dev.stores import Stores
from csfle_fast.errors import ConfigError
from dev.refused import refused
from dev.samples import SECRET, payload, rule

ENUM = {"schema": '{"type":"enum","name":"E","symbols":["A"]}'}
HOLDER = {
    "schema": '{"type":"record","name":"R","fields":[{"name":"e","type":"E"}]}',
    "references": [{"name": "E", "subject": "e", "version": 1}],
}
KEK = {"name": "k", "kmsType": "local-kms", "kmsKeyId": "mykey", "kmsProps": {"a": "b"}, "doc": "d"}
TOPIC = {"resourceName": "t", "resourceId": "i", "associations": [{"subject": "s", "frozen": True}]}
MATERIAL = {"encryptedKeyMaterial": "AAAA"}


class Files:
    """Stores over one file, opened anew as often as asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: State = State()

    def open(self) -> Stores:
        self.close()
        self._state = StateFile(self._path)
        return Stores(Clock(), Sharing(SECRET), self._state)

    def close(self) -> None:
        self._state.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    found = Files(tmp_path / "state")
    yield found
    found.close()


def test_schemas(files: Files) -> None:
    stores = files.open()
    stores.schemas.register("s", payload())
    stores.schemas.register("s", payload(ruleSet={"domainRules": [rule(name="two")], "enableAt": "CLIENT"}))
    stores.schemas.register("e", ENUM)
    stores.schemas.register("r", HOLDER)
    stores.schemas.register(":.ctx:s", payload(), schema_id=77)
    stores.schemas.delete_version("s", 2)
    before = [stores.schemas.versions(name, deleted=True) for name in stores.schemas.subjects()]
    again = files.open().schemas
    assert [again.versions(name, deleted=True) for name in again.subjects()] == before
    assert again.subjects() == [":.ctx:s", "e", "r", "s"]
    assert [v.version for v in again.versions("s")] == [1]
    assert again.by_id(77, ".ctx").guid == again.by_id(1).guid == again.by_guid(before[0][0].guid).guid
    assert again.referenced_by("e") == [4]
    assert again.contexts() == [".", ".ctx"]


def test_ids_and_versions_go_on_where_they_were(files: Files) -> None:
    schemas = files.open().schemas
    schemas.register("s", payload())
    schemas.register("s", ENUM)
    schemas.register(":.ctx:s", ENUM, schema_id=50)
    schemas.delete_version("s", 1)
    schemas.delete_subject(":.ctx:s")
    schemas.delete_subject(":.ctx:s", permanent=True)
    schemas.delete_subject("s")
    schemas.delete_subject("s", permanent=True)
    again = files.open().schemas
    assert again.subjects(deleted=True) == []
    assert (again.max_id(), again.max_id(".ctx")) == (2, 50)
    assert again.register("t", HOLDER | {"references": [], "schema": '"string"'}).id == 3
    assert again.register(":.ctx:t", payload()).id == 51


def test_policies(files: Files) -> None:
    policies = files.open().policies
    policies.put_config(GLOBAL, ConfigUpdate(compatibility="FULL"))
    policies.put_config("s", ConfigUpdate.model_validate({"defaultRuleSet": {"domainRules": [rule()]}}))
    policies.put_config("gone", ConfigUpdate(normalize=True))
    policies.delete_config("gone")
    policies.put_mode("s", "READONLY")
    policies.put_mode("gone", "READONLY")
    policies.delete_mode("gone")
    again = files.open().policies
    assert again.config(GLOBAL) == policies.config(GLOBAL) == {"compatibilityLevel": "FULL"}
    assert again.config("s") == policies.config("s")
    assert again.effective_config("s").default_rule_set is not None
    assert again.mode("s") == "READONLY"
    assert refused(lambda: again.config("gone")) == (404, 40408)
    assert refused(lambda: again.mode("gone")) == (404, 40409)


def test_associations(files: Files) -> None:
    associations = files.open().associations
    created = associations.create(TOPIC)
    associations.create({**TOPIC, "resourceId": "gone", "resourceName": "gone"}, ".ctx")
    associations.delete("gone")
    assert files.open().associations.find() == created


def test_keys(files: Files) -> None:
    stores = files.open()
    kek = stores.keks.create({**KEK, "shared": True})
    far = stores.keks.create({**KEK, "kmsKeyId": "far"}, ".ctx")
    stores.keks.create({**KEK, "name": "gone"})
    stores.keks.delete("gone")
    stores.keks.delete("gone", permanent=True)
    made = stores.deks.create("k", {"subject": "s"})
    stores.deks.create("k", {"subject": ":.ctx:s", **MATERIAL})
    for version in (1, 2, 3):
        stores.deks.create("k", {"subject": "t", "algorithm": "AES256_SIV", "version": version})
    stores.deks.delete("k", "t", "AES256_SIV", version=2)
    stores.deks.delete("k", "t", "AES256_SIV", version=3)
    stores.deks.delete("k", "t", "AES256_SIV", version=3, permanent=True)
    again = files.open()
    assert again.keks.get("k") == kek
    assert again.keks.get("k", ".ctx") == far
    assert again.keks.names(deleted=True) == ["k"]
    assert again.deks.get("k", "s") == made
    assert again.deks.get("k", ":.ctx:s")["encryptedKeyMaterial"] == "AAAA"
    assert again.deks.versions("k", "t", "AES256_SIV") == [1]
    assert again.deks.versions("k", "t", "AES256_SIV", deleted=True) == [1, 2]


def test_neither_the_secret_nor_a_key_is_in_the_file(files: Files, tmp_path: Path) -> None:
    stores = files.open()
    stores.keks.create({**KEK, "shared": True})
    made = stores.deks.create("k", {"subject": "s"})
    kept = (tmp_path / "state").read_text(encoding="utf-8")
    assert made["encryptedKeyMaterial"] in kept
    assert made["keyMaterial"] not in kept
    assert SECRET not in kept


def test_a_record_of_another_make_is_refused(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "state")
    state.save({("subject", "s"): [{"version": 1}]})
    with pytest.raises(ConfigError, match="a record of 'subject' cannot be read"):
        Stores(Clock(), Sharing(), state)
    state.close()


class Full(State):
    """A state that takes nothing any more, once it is told so."""

    full = False

    def save(self, changes: Mapping[Key, Any]) -> None:
        if self.full:
            raise OSError("no space")


WRITES: dict[str, Callable[[Stores], object]] = {
    "register": lambda stores: stores.schemas.register("s", ENUM),
    "register another": lambda stores: stores.schemas.register("new", ENUM),
    "delete version": lambda stores: stores.schemas.delete_version("s", LATEST),
    "delete subject": lambda stores: stores.schemas.delete_subject("s"),
    "put config": lambda stores: stores.policies.put_config("s", ConfigUpdate(compatibility="FULL")),
    "delete config": lambda stores: stores.policies.delete_config("s"),
    "put mode": lambda stores: stores.policies.put_mode("s", "IMPORT"),
    "delete mode": lambda stores: stores.policies.delete_mode("s"),
    "associate": lambda stores: stores.associations.create({**TOPIC, "resourceId": "other"}),
    "dissociate": lambda stores: stores.associations.delete("i"),
    "create KEK": lambda stores: stores.keks.create({**KEK, "name": "new"}),
    "update KEK": lambda stores: stores.keks.update("k", {"doc": "new"}),
    "delete KEK": lambda stores: stores.keks.delete("unused"),
    "remove KEK": lambda stores: stores.keks.delete("deleted", permanent=True),
    "create DEK": lambda stores: stores.deks.create("k", {"subject": "new", **MATERIAL}),
    "delete DEKs": lambda stores: stores.deks.delete("k", "s"),
    "remove DEKs": lambda stores: stores.deks.delete("k", "deleted", permanent=True),
}


def everything(stores: Stores) -> list[Any]:
    return [
        [stores.schemas.versions(s, deleted=True) for s in stores.schemas.subjects(deleted=True)],
        stores.schemas.max_id(),
        stores.policies.config("s", default_to_global=True),
        stores.policies.mode("s", default_to_global=True),
        stores.associations.find(),
        [stores.keks.get(name, deleted=True) for name in stores.keks.names(deleted=True)],
        stores.deks.subjects("k"),
        stores.deks.subjects("k", deleted=True),
    ]


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_what_cannot_be_kept_has_not_happened(write: Callable[[Stores], object]) -> None:
    state = Full()
    stores = Stores(Clock(), Sharing(), state)
    stores.schemas.register("s", payload())
    stores.policies.put_config("s", ConfigUpdate(normalize=True))
    stores.policies.put_mode("s", "READONLY")
    stores.associations.create(TOPIC)
    for name in ("k", "unused", "deleted"):
        stores.keks.create({**KEK, "name": name})
    stores.keks.delete("deleted")
    for subject in ("s", "deleted"):
        for version in (1, 2):
            stores.deks.create("k", {"subject": subject, "version": version, **MATERIAL})
    stores.deks.delete("k", "deleted")
    before = everything(stores)
    state.full = True
    with pytest.raises(OSError, match="no space"):
        write(stores)
    assert everything(stores) == before
    state.full = False
    write(stores)
    assert everything(stores) != before
