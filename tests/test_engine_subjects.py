"""From a topic to its subject, in all four calls: associations, strategies, contexts."""

from __future__ import annotations

from typing import Any

import pytest

from csfle_fast import ConfigError
from incumbent import KEK
from worlds import FLAT, World, encode, flat, framed, rule, world

__all__ = ["world"]  # a fixture


def test_the_topics_association_decides(world: World) -> None:
    registered = world.put(FLAT, rule(), subject="elsewhere")
    world.http.associations.create(
        {
            "resourceName": "t",
            "resourceNamespace": "lkc-1",
            "resourceId": "lkc-1:t",
            "resourceType": "topic",
            "associations": [{"subject": "elsewhere", "associationType": "value"}],
        }
    )
    engine = world.engine()
    sent = engine.serialize("t", [flat(1)])
    assert (sent.values[0] or b"")[:5] == framed(registered.id, b"")
    assert engine.deserialize("t", sent.values).values == [flat(1)]
    assert world.http.deks.versions(KEK, "elsewhere") == [1]


def test_readers_by_record_name_find_the_record(world: World) -> None:
    registered = world.put(FLAT, rule(), subject="R")

    def by_record(context: Any, record_name: str | None) -> str:
        return record_name or "R"

    writer = world.engine({"subject.name.strategy": by_record})
    frames = writer.serialize("t", [flat(1)]).values
    assert world.http.deks.versions(KEK, "R") == [1]
    reader = world.engine({"subject.name.strategy": "RECORD"})
    assert reader.deserialize("t", frames).values == [flat(1)]
    assert reader.decrypt("other-topic", frames).schema_ids == [registered.id]


def test_writers_by_record_name_are_told_why_not(world: World) -> None:
    with pytest.raises(ConfigError, match="RECORD") as caught:
        world.engine({"subject.name.strategy": "RECORD"}).encrypt("t", [encode(FLAT, flat(1))])
    assert caught.value.code == "bad_strategy"


def test_a_subject_in_a_context_has_its_own_ids_and_keys(world: World) -> None:
    world.put(FLAT, rule())
    there = world.put(FLAT, rule("AES256_SIV"), subject=":.ctx:t-value", schema_id=77)
    conf: dict[str, object] = {
        "subject.name.strategy": lambda context, _: f":.ctx:{context.topic}-{context.field}"
    }
    engine = world.engine(conf)
    sent = engine.serialize("t", [flat(1)])
    assert (sent.values[0] or b"")[:5] == framed(there.id, b"")
    assert engine.deserialize("t", sent.values).values == [flat(1)]
    assert world.http.deks.versions(KEK, ":.ctx:t-value", "AES256_SIV") == [1]
    [error] = world.engine().decrypt("t", sent.values).errors
    assert error.code == "unknown_schema_id"


def test_topics_do_not_share_keys(world: World) -> None:
    world.put(FLAT, rule())
    world.put(FLAT, rule(), subject="u-value")  # the same schema, so the same id
    engine = world.engine()
    frames = engine.serialize("t", [flat(1)]).values
    engine.warm_up("u")
    assert {error.code for error in engine.deserialize("u", frames).errors} == {"authentication_failed"}
    assert engine.deserialize("t", frames).values == [flat(1)]
