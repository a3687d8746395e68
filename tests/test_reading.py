"""The reading side of a topic: made anew when something of it is due, with all that still holds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from csfle_fast import Engine, KmsError
from csfle_fast.reading import ReadSide
from incumbent import KEK, SECRET, field, record
from moody_kms import moody_kms
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
    renewals = [entry.renew for entry in reader._keys._readers._entries.values()]
    assert old.fresh_until < side.fresh_until <= min(renewals)


def test_a_side_is_made_anew_when_one_of_its_keys_is_due(world: World) -> None:
    world.put(FLAT, rule(days=1))
    frames, reader = frames_of_versions(world, 2), world.engine()
    for frame in frames:
        reader.deserialize("t", [frame])
        [side] = reader._reads._sides.values()
        renewals = [entry.renew for entry in reader._keys._readers._entries.values()]
        assert side.fresh_until <= min(renewals)


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


def test_who_misses_nothing_does_not_wait_for_who_does(world: World) -> None:
    world.put(FLAT, rule(days=1))
    frames = frames_of_versions(world, 3)
    with moody_kms() as kms, ThreadPoolExecutor(1) as pool:
        reader = world.engine({"missing.cache.ttl.sec": 0})
        assert reader.deserialize("t", frames[:1]).values == [flat(0)]
        kms.failure = KmsError("kms_timeout", "slow")
        assert [error.code for error in reader.deserialize("t", frames[1:2]).errors] == ["kms_timeout"]
        kms.entered.clear()
        kms.held.clear()
        waiting = pool.submit(reader.deserialize, "t", frames[2:])
        assert kms.entered.wait(30)
        # Refusals are due to be forgotten, and then the side to be made anew: neither waits.
        for due in (False, True):
            if due:
                make_due(reader)
            with ThreadPoolExecutor(1) as other:
                found = other.submit(reader.deserialize, "t", frames[:1]).result(10)
            assert found.values == [flat(0)]
        assert not waiting.done()
        kms.held.set()
        assert [error.code for error in waiting.result(30).errors] == ["kms_timeout"]


@pytest.mark.parametrize("code", ["kms_unreachable", "kms_timeout", "kms_throttled", "kms_unavailable"])
def test_a_kms_that_is_away_is_asked_once_in_a_batch(world: World, code: str) -> None:
    world.put(FLAT, rule(days=1))
    frames = frames_of_versions(world, 10)
    with moody_kms() as kms:
        kms.failure = KmsError(code, "away")
        reader = world.engine(rule_conf={"secret": SECRET, "kms.max.attempts": 1})
        assert [error.code for error in reader.deserialize("t", frames).errors] == [code] * 10
        assert kms.calls == 1
        kms.failure = KmsError("kms_denied", "no")
        reader = world.engine(rule_conf={"secret": SECRET, "kms.max.attempts": 1})
        assert [error.code for error in reader.deserialize("t", frames).errors] == ["kms_denied"] * 10
        assert kms.calls == 11, "a refusal speaks of one DEK alone"


def test_one_kek_away_says_nothing_of_another(world: World) -> None:
    schema = record(field("v", "string", "PII"), field("u", "string", "OTHER"))
    other = rule(kek="other-kek", name="other", tags=["OTHER"])
    world.put(schema, rule(), other)
    frames = world.engine().serialize("t", [{"v": "a", "u": "b"}]).values
    with moody_kms() as kms:
        kms.failure = KmsError("kms_timeout", "away")
        reader = world.engine()
        reader.deserialize("t", frames)
        assert kms.calls == 2


def test_a_refusal_is_remembered_no_longer_than_where_it_was_met(world: World) -> None:
    world.put(FLAT, rule(days=1))
    frames = frames_of_versions(world, 1)
    bad_id = b"\x00" + (77).to_bytes(4, "big")
    reader = world.engine({"missing.cache.ttl.sec": 10})
    world.http.faults.add("GET", "/deks/", status=403)
    for frame in (frames[0], bad_id):
        ends = []
        for _ in range(2):  # the same failure met again by a new side, whose own memory would begin later
            assert len(reader.deserialize("t", [frame]).errors) == 1
            [side] = reader._reads._sides.values()
            ends.append(side._forget_at)
            reader._reads._sides.clear()
        assert ends[0] == ends[1]
