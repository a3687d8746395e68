"""READ: by the writer's rules, by the latest's, and what a change of rules does to older frames."""

from __future__ import annotations

import decimal
import json
import uuid
from typing import Any

import pytest

from csfle_fast import CsfleError
from incumbent import KEK, field, record
from wire import leaves, seal, text
from worlds import FLAT, World, decode, encode, flat, framed, payload_rule, rule, world

__all__ = ["world"]  # a fixture

V1 = record(field("a", "string", "PII"), field("b", "string"))
V2 = record(field("a", "string", "PII"), field("added", "string", default="default"))
LATEST = {"use.latest.version": True}


class TestByTheWriter:
    def test_frames_of_several_versions_in_one_batch(self, world: World) -> None:
        old = world.put(V1, rule())
        engine = world.engine({"latest.cache.ttl.sec": 0})
        first = engine.serialize("t", [{"a": "1", "b": "2"}]).values
        new = world.put(V2, rule(kek="another"))
        second = engine.serialize("t", [{"a": "3", "added": "4"}]).values
        result = engine.deserialize("t", [*first, *second, None, *first])
        assert result.values == [{"a": "1", "b": "2"}, {"a": "3", "added": "4"}, None, {"a": "1", "b": "2"}]
        assert result.schema_ids == [old.id, new.id, None, old.id]
        bodies = engine.decrypt("t", [*first, *second])
        assert bodies.schema_ids == [old.id, new.id]
        assert [decode(V1, bodies.values[0] or b""), decode(V2, bodies.values[1] or b"")] == [
            {"a": "1", "b": "2"}, {"a": "3", "added": "4"},
        ]  # fmt: skip

    def test_without_rules_rows_are_what_they_are(self, world: World) -> None:
        registered = world.put(FLAT)
        engine = world.engine()
        frame = framed(registered.id, encode(FLAT, flat(1)))
        assert engine.serialize("t", [flat(1)]).values == [frame]
        assert engine.deserialize("t", [frame]).values == [flat(1)]
        assert world.requests("dek-registry") == []

    def test_a_read_rule_alone_opens(self, world: World) -> None:
        world.put(FLAT, rule(mode="WRITE"))
        writer = world.engine()
        sealed = writer.serialize("t", [flat(1)]).values
        reading = world.put(FLAT, rule(mode="READ"))
        frame = framed(reading.id, (sealed[0] or b"")[5:])
        assert world.engine().deserialize("t", [frame]).values == [flat(1)]
        assert world.engine().serialize("t", [flat(1)]).values == [framed(reading.id, encode(FLAT, flat(1)))]

    def test_a_rule_that_is_disabled_here_leaves_ciphertext(self, world: World) -> None:
        world.put(FLAT, rule())
        frames = world.engine().serialize("t", [flat(2)]).values
        reader = world.engine({"rule.executors._ENCRYPT_.disabled": True})
        assert reader.deserialize("t", frames).values == [decode(FLAT, (frames[0] or b"")[5:])]

    def test_soft_deleted_keys_still_open(self, world: World) -> None:
        world.put(FLAT, rule())
        frames = world.engine().serialize("t", [flat(1)]).values
        world.http.deks.delete(KEK, "t-value")
        world.http.keks.delete(KEK)
        assert world.engine().deserialize("t", frames).values == [flat(1)]

    def test_a_reader_creates_nothing(self, world: World) -> None:
        registered = world.put(FLAT, rule())
        engine = world.engine()
        sealed = seal("AES256_GCM", bytes(32), b"x", "string")
        [error] = engine.decrypt(
            "t", [framed(registered.id, b"\x02" + text(sealed) + text("n") + b"\x00")]
        ).errors
        assert (error.code, error.row) == ("no_kek", 0)
        assert [request for request in world.requests("dek-registry") if not request.startswith("GET")] == []

    def test_non_string_branches_pass(self, world: World) -> None:
        schema = record(field("u", ["null", "string", "int"], "PII"), field("n", "long", "PII"))
        registered = world.put(schema, rule())
        frame = framed(registered.id, encode(schema, {"u": 5, "n": 7}))
        assert world.engine().deserialize("t", [frame]).values == [{"u": 5, "n": 7}]

    def test_values_come_as_fastavro_gives_them(self, world: World) -> None:
        schema = record(
            field("u", {"type": "string", "logicalType": "uuid"}, "PII"),
            field("d", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "PII"),
        )
        world.put(schema, rule())
        row = {"u": uuid.UUID(int=7), "d": decimal.Decimal("-12.30")}
        engine = world.engine()
        assert engine.deserialize("t", engine.serialize("t", [row]).values).values == [row]

    def test_a_tag_on_a_record_reaches_in_only_where_asked(self, world: World) -> None:
        schema = record(
            field("inner", record(field("s", "string"), field("n", ["null", "string"]), name="I"), "PII")
        )
        world.put(schema, rule())
        row = {"inner": {"s": "plain", "n": "nullable"}}
        own, java = world.engine(), world.engine({"tag.inheritance": "java"})
        assert b"plain" in (own.serialize("t", [row]).values[0] or b"")
        sent = java.serialize("t", [row]).values
        assert b"plain" not in (sent[0] or b"")
        assert b"nullable" in (sent[0] or b"")
        assert java.deserialize("t", sent).values == [row]


class TestByTheLatest:
    def test_rows_take_the_latest_shape_and_bodies_the_writers(self, world: World) -> None:
        old = world.put(V1, rule())
        frames = world.engine().serialize("t", [{"a": "secret", "b": "clear"}]).values
        world.put(V2, rule())
        reader = world.engine(LATEST)
        result = reader.deserialize("t", frames)
        assert (result.values, result.schema_ids) == ([{"a": "secret", "added": "default"}], [old.id])
        assert reader.decrypt("t", frames).values == [encode(V1, {"a": "secret", "b": "clear"})]

    @pytest.mark.parametrize(
        "change",
        [
            rule(kek="another"),
            rule("AES256_SIV"),
            rule(days=30),
            rule(name="anew", kek="another", algorithm="AES128_GCM"),
        ],
        ids=["kek", "algorithm", "rotation", "all"],
    )
    def test_a_changed_rule_leaves_older_frames_readable(self, world: World, change: dict[str, Any]) -> None:
        world.put(V1, rule())
        old = world.engine().serialize("t", [{"a": "old", "b": ""}]).values
        world.put(V1, change)
        new = world.engine().serialize("t", [{"a": "new", "b": ""}]).values
        result = world.engine(LATEST).deserialize("t", old + new)
        assert (result.values, result.errors) == ([{"a": "old", "b": ""}, {"a": "new", "b": ""}], [])

    def test_a_latest_without_rules_leaves_ciphertext(self, world: World) -> None:
        world.put(V1, rule())
        frames = world.engine().serialize("t", [{"a": "secret", "b": ""}]).values
        world.put(V1)
        wire = decode(V1, (frames[0] or b"")[5:])
        assert world.engine(LATEST).deserialize("t", frames).values == [wire]
        assert world.engine().deserialize("t", frames).values == [{"a": "secret", "b": ""}]

    def test_a_field_that_the_latest_does_not_tag_stays_sealed(self, world: World) -> None:
        both = record(field("a", "string", "PII"), field("b", "string", "PII"))
        world.put(both, rule())
        frames = world.engine().serialize("t", [{"a": "one", "b": "two"}]).values
        world.put(V1, rule())
        [row] = world.engine(LATEST).deserialize("t", frames).values
        assert (row["a"], row["b"] == "two") == ("one", False)

    def test_fields_follow_their_aliases(self, world: World) -> None:
        world.put(V1, rule())
        frames = world.engine().serialize("t", [{"a": "secret", "b": "clear"}]).values
        world.put(record(field("z", "string", "PII", aliases=["a"]), field("b", "string")), rule())
        assert world.engine(LATEST).deserialize("t", frames).values == [{"z": "secret", "b": "clear"}]

    def test_migration_rules_are_refused_by_name(self, world: World) -> None:
        world.put(V1, rule())
        frames = world.engine().serialize("t", [{"a": "1", "b": "2"}]).values
        upgrade = {"name": "liftUp", "kind": "TRANSFORM", "type": "JSONATA", "mode": "UPGRADE", "expr": "$"}
        rules = {"domainRules": [rule()], "migrationRules": [upgrade]}
        world.http.store.register("t-value", {"schema": json.dumps(V2), "ruleSet": rules})
        [error] = world.engine(LATEST).decrypt("t", frames).errors
        assert error.code == "foreign_rule"
        assert "liftUp" in error.message
        assert world.engine().decrypt("t", frames).errors == []

    def test_without_a_latest_version_the_batch_is_refused(self, world: World) -> None:
        with pytest.raises(CsfleError) as caught:
            world.engine(LATEST).decrypt("t", [b"\x00\x00\x00\x00\x01"])
        assert caught.value.code == "unknown_subject"


class TestPayloadsByTheLatest:
    """Encoding rules are always the writer's own."""

    def test_a_payload_is_opened_though_the_latest_has_no_such_rule(self, world: World) -> None:
        world.put(V1, rule(), encoding=[payload_rule(kek="payload-kek")])
        frames = world.engine().serialize("t", [{"a": "secret", "b": "clear"}]).values
        world.put(V2, rule())
        reader = world.engine(LATEST)
        assert reader.deserialize("t", frames).values == [{"a": "secret", "added": "default"}]
        assert reader.decrypt("t", frames).values == [encode(V1, {"a": "secret", "b": "clear"})]

    def test_a_payload_rule_of_the_latest_does_not_touch_older_frames(self, world: World) -> None:
        world.put(V1, rule())
        frames = world.engine().serialize("t", [{"a": "secret", "b": "clear"}]).values
        world.put(V1, rule(), encoding=[payload_rule()])
        assert world.engine(LATEST).deserialize("t", frames).values == [{"a": "secret", "b": "clear"}]


class TestWhatIsOdd:
    """Told once, by the logger of the package."""

    def test_a_tagged_record(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        schema = record(field("inner", record(field("s", "string"), name="I"), "PII"))
        world.put(schema, rule())
        engine = world.engine()
        for _ in range(2):
            frames = engine.serialize("t", [{"inner": {"s": "x"}}]).values
            engine.deserialize("t", frames)
        told = [entry.getMessage() for entry in caplog.records if "inner" in entry.getMessage()]
        assert len(told) == 1
        assert "tag.inheritance" in told[0]

    def test_equal_tags_in_another_order(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.put(
            record(field("v", "string", "A", "B")),
            rule(name="one", tags=["A", "B"]),
            rule(name="two", tags=["B", "A"]),
        )
        engine = world.engine()
        assert engine.deserialize("t", engine.serialize("t", [{"v": "x"}]).values).values == [{"v": "x"}]
        told = [entry.getMessage() for entry in caplog.records if "another order" in entry.getMessage()]
        assert len(told) == 1
        assert "two" in told[0]

    def test_nothing_where_nothing_is(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        engine.deserialize("t", engine.serialize("t", [flat(1)]).values)
        assert [entry for entry in caplog.records if entry.name.startswith("csfle_fast")] == []


class TestDekVersions:
    def test_each_value_is_opened_by_the_version_in_front_of_it(self, world: World) -> None:
        registered = world.put(FLAT, rule(days=30))
        writer = world.engine({"dek.max.seals": 1})
        frames = [writer.serialize("t", [flat(2 * n)]).values[0] for n in range(4)]
        assert world.http.deks.versions(KEK, "t-value") == [1, 2, 3, 4]
        # Values of two versions in one row: each is opened with its own.
        v = [leaves(FLAT, (frame or b"")[5:])[0].value for frame in frames]
        key = world.key(version=3)
        mixed = b"\x02" + text(v[0]) + text("n") + b"\x02" + text(seal("AES256_GCM", key, b"w", version=3))
        result = world.engine().deserialize("t", [*frames, framed(registered.id, mixed)])
        result.raise_for_errors()
        assert result.values[:4] == [flat(2 * n) for n in range(4)]
        assert result.values[4] == {"id": 1, "v": "secret 0", "note": "n", "w": b"w"}

    def test_a_version_made_meanwhile_is_found(self, world: World) -> None:
        world.put(FLAT, rule(days=30))
        writer, reader = world.engine({"dek.max.seals": 1}), world.engine()
        for n in range(3):
            sent = writer.serialize("t", [flat(2 * n)])
            assert reader.deserialize("t", sent.values).values == [flat(2 * n)]
