"""The reading side of a topic: made anew when something of it is due, with all that still holds."""

from __future__ import annotations

import threading

import pytest

from csfle_fast import Engine
from csfle_fast.reading import ReadSide
from incumbent import KEK, field, record
from worlds import FLAT, World, flat, rule, world

__all__ = ["world"]  # a fixture

NEWER = record(
    field("id", "long"),
    field("v", "string", "PII"),
    field("note", "string"),
    field("w", ["null", "bytes"], "PII"),
    field("more", {"type": "string"}) | {"default": "none"},
)


def make_due(engine: Engine) -> ReadSide:
    """Have the next batch make the only side anew; the side as it was."""
    [side] = engine._reads._sides.values()
    side.fresh_until = 0.0
    return side


def misses(engine: Engine) -> int:
    return engine.stats()["misses"]


def frames_of_versions(world: World, count: int) -> list[bytes | None]:
    """Frames sealed under so many DEK versions."""
    writer = world.engine({"dek.max.seals": 1})
    return [writer.serialize("t", [flat(2 * number)]).values[0] for number in range(count)]


@pytest.mark.parametrize("calls", ["deserialize", "decrypt"])
def test_what_still_holds_is_not_missed_again(world: World, calls: str) -> None:
    world.put(FLAT, rule(days=1))
    frames, reader = frames_of_versions(world, 5), world.engine()
    first = getattr(reader, calls)("t", frames)
    old, before, asked = make_due(reader), misses(reader), len(world.http.requests)
    again = getattr(reader, calls)("t", frames)
    assert again.values == first.values
    assert (misses(reader), len(world.http.requests)) == (before, asked)
    [side] = reader._reads._sides.values()
    assert side is not old
    assert side.fresh_until > old.fresh_until


def test_a_key_that_is_over_is_asked_for_again(world: World) -> None:
    world.put(FLAT, rule(days=1))
    frames, reader = frames_of_versions(world, 2), world.engine()
    reader.deserialize("t", frames)
    make_due(reader)
    reader._keys._readers._entries.popitem()
    before = misses(reader)
    assert reader.deserialize("t", frames).values == [flat(0), flat(2)]
    assert misses(reader) == before + 1


def test_a_key_that_was_revoked_meanwhile_is_not_taken_over(world: World) -> None:
    world.put(FLAT, rule())
    frames = world.engine().serialize("t", [flat(1)]).values
    reader = world.engine({"missing.cache.ttl.sec": 10})
    reader.deserialize("t", frames).raise_for_errors()
    # What a refresh in the background leaves when the registry refuses.
    [wanted] = reader._keys._readers._entries
    world.http.faults.add("GET", "/deks/", status=403)
    [settled] = next(iter(reader._reads._sides.values())).lanes[0].compiled.rules
    with pytest.raises(Exception, match="forbidden"):
        reader._keys._readers.get(wanted, lambda: reader._keys._load_reader(settled, "t-value", 1), max_age=0)
    make_due(reader)
    [error] = reader.deserialize("t", frames).errors
    assert error.code == "forbidden"


def test_a_new_latest_version_is_looked_at_anew(world: World) -> None:
    world.put(FLAT, rule())
    frames = world.engine().serialize("t", [flat(1)]).values
    reader = world.engine({"use.latest.version": True, "latest.cache.ttl.sec": 0})
    assert reader.deserialize("t", frames).values == [flat(1)]
    world.put(NEWER, rule())
    make_due(reader)
    before = misses(reader)
    assert reader.deserialize("t", frames).values == [flat(1) | {"more": "none"}]
    assert misses(reader) == before + 2  # the writer schema, and its DEK


def test_where_the_record_names_the_subject_every_schema_is_looked_at_anew(world: World) -> None:
    world.put(FLAT, rule(), subject="R")
    writer = world.engine({"subject.name.strategy": lambda _, name: name or "R"})
    frames = writer.serialize("t", [flat(1)]).values
    reader = world.engine({"subject.name.strategy": "RECORD"})
    reader.deserialize("t", frames).raise_for_errors()
    make_due(reader)
    before = misses(reader)
    assert reader.deserialize("t", frames).values == [flat(1)]
    assert misses(reader) == before + 2


def test_a_side_that_grows_while_it_is_taken_over_harms_nobody(world: World) -> None:
    world.put(FLAT, rule(days=1))
    frames, reader = frames_of_versions(world, 20), world.engine()
    stop = threading.Event()

    def renew() -> None:
        while not stop.is_set():
            for side in list(reader._reads._sides.values()):
                side.fresh_until = 0.0

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        for last in range(1, 21):
            found = reader.deserialize("t", frames[:last])
            assert found.values == [flat(2 * number) for number in range(last)]
    finally:
        stop.set()
        thread.join()
    assert world.http.deks.versions(KEK, "t-value") == list(range(1, 21))
