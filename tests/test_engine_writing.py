"""WRITE: which rules run, with which keys, for which version of the subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from csfle_fast import CsfleError, KeyServiceError, RegistryError, RuleSetError
from incumbent import KEK, TOPIC, field, record
from wire import PROTO_HEADS, leaves, unseal, version_of
from worlds import FLAT, World, decode, encode, flat, framed, payload_rule, rule, world

__all__ = ["world"]  # a fixture

MAYBE = record(field("id", "long"), field("v", ["null", "string"], "PII"))
TWICE = record(field("a", "string", "PII", "GDPR"), field("b", "bytes", "GDPR"), field("c", "string", "PII"))


def wire_of(schema: Any, frame: bytes | None) -> Any:
    assert frame is not None
    return decode(schema, frame[5:])


class TestKeys:
    @pytest.mark.parametrize("algorithm", PROTO_HEADS)
    @pytest.mark.parametrize("days", [0, 1])
    def test_every_algorithm_with_and_without_the_version_prefix(
        self, world: World, algorithm: str, days: int
    ) -> None:
        world.put(FLAT, rule(algorithm, days))
        engine = world.engine()
        sent = engine.serialize("t", [flat(1)])
        assert engine.deserialize("t", sent.values).values == [flat(1)]
        v, _, w = leaves(FLAT, (sent.values[0] or b"")[5:])
        key = world.key(algorithm=algorithm)
        assert unseal(algorithm, key, v.value, "string", prefixed=bool(days)) == b"secret 1"
        assert unseal(algorithm, key, w.value, prefixed=bool(days)) == b"bytes 1"
        if days:
            assert version_of(v.value, "string") == version_of(w.value) == 1

    def test_kek_and_dek_are_made_though_no_value_is_sealed(self, world: World) -> None:
        world.put(MAYBE, rule())
        engine = world.engine()
        engine.serialize("t", [{"id": 1, "v": None}]).raise_for_errors()
        assert engine.stats()["values_sealed"] == 0
        assert world.http.keks.get(KEK).kms_type == "local-kms"
        assert world.http.deks.versions(KEK, "t-value") == [1]

    def test_rows_that_seal_nothing_are_read_without_any_key(self, world: World) -> None:
        registered = world.put(MAYBE, rule())
        row = {"id": 1, "v": None}
        assert world.engine().deserialize("t", [framed(registered.id, encode(MAYBE, row))]).values == [row]
        assert world.requests("dek-registry") == []

    def test_of_two_rules_each_has_its_kek(self, world: World) -> None:
        world.put(TWICE, rule(name="one", kek="k1"), rule("AES256_SIV", name="two", kek="k2", tags=["GDPR"]))
        engine = world.engine()
        row = {"a": "both", "b": b"second", "c": "first"}
        sent = engine.serialize("t", [row])
        a, b, c = leaves(TWICE, (sent.values[0] or b"")[5:])
        one, two = world.key("k1"), world.key("k2", algorithm="AES256_SIV")
        # In the order of the rules, so the second is the outer one.
        inner = unseal("AES256_SIV", two, a.value, "string")
        assert unseal("AES256_GCM", one, inner, "string") == b"both"
        assert unseal("AES256_SIV", two, b.value) == b"second"
        assert unseal("AES256_GCM", one, c.value, "string") == b"first"
        assert engine.deserialize("t", sent.values).values == [row]
        assert engine.stats()["values_sealed"] == engine.stats()["values_opened"] == 4

    def test_payload_rules_seal_the_whole_body(self, world: World) -> None:
        world.put(FLAT, rule(name="fields"), encoding=[payload_rule("AES128_GCM", 7, "payload-kek")])
        engine = world.engine()
        sent = engine.serialize("t", [flat(1)])
        [frame] = sent.values
        assert frame is not None
        body = unseal(
            "AES128_GCM", world.key("payload-kek", algorithm="AES128_GCM"), frame[5:], prefixed=True
        )
        v, note, _ = leaves(FLAT, body)
        assert note.value == b"note 1"
        assert unseal("AES256_GCM", world.key(), v.value, "string") == b"secret 1"
        assert engine.deserialize("t", [frame]).values == [flat(1)]
        assert engine.decrypt("t", engine.encrypt("t", [encode(FLAT, flat(1))]).values).values == [
            encode(FLAT, flat(1))
        ]

    def test_two_payload_rules_and_no_field_rule(self, world: World) -> None:
        rules = [payload_rule(name="inner", kek="in"), payload_rule("AES256_SIV", name="outer", kek="out")]
        world.put(record(field("n", "long")), encoding=rules)
        engine = world.engine()
        sent = engine.serialize("t", [{"n": 1}, {"n": 2}])
        body = unseal("AES256_SIV", world.key("out", algorithm="AES256_SIV"), (sent.values[0] or b"")[5:])
        assert unseal("AES256_GCM", world.key("in"), body) == b"\x02"
        assert engine.deserialize("t", sent.values).values == [{"n": 1}, {"n": 2}]

    def test_a_kek_that_cannot_be_made_stops_the_batch(self, world: World) -> None:
        bare = rule()
        bare["params"] = {"encrypt.kek.name": KEK}
        world.put(FLAT, bare)
        with pytest.raises(KeyServiceError, match=f"Kek:{KEK}") as caught:
            world.engine().serialize("t", [flat(1)])
        assert caught.value.code == "no_kek"


class TestRotation:
    def test_an_old_dek_is_replaced_and_both_are_read(self, world: World) -> None:
        world.put(FLAT, rule(days=1))
        first = world.engine().serialize("t", [flat(1)]).values
        dek = world.http.deks.get(KEK, "t-value")
        world.http.deks.put(dek | {"ts": dek["ts"] - 86_400_000})  # a day ago, as if all clocks had moved
        second = world.engine().serialize("t", [flat(3)]).values
        versions = [version_of(leaves(FLAT, (f or b"")[5:])[0].value, "string") for [f] in (first, second)]
        assert versions == world.http.deks.versions(KEK, "t-value") == [1, 2]
        reader = world.engine()
        assert reader.deserialize("t", first + second + first).values == [flat(1), flat(3), flat(1)]
        assert reader.stats()["deks_created"] == 0

    def test_a_young_dek_is_kept(self, world: World) -> None:
        world.put(FLAT, rule(days=1))
        for _ in range(2):
            world.engine().serialize("t", [flat(1)]).raise_for_errors()
        assert world.http.deks.versions(KEK, "t-value") == [1]

    def test_a_spent_dek_is_replaced_early(self, world: World) -> None:
        world.put(FLAT, rule(days=1))
        engine = world.engine({"dek.max.seals": 10})
        rows = [flat(2 * n + 1) for n in range(12)]  # two values each
        sent = [engine.serialize("t", [row]).values[0] for row in rows]
        versions = [version_of(leaves(FLAT, (frame or b"")[5:])[0].value, "string") for frame in sent]
        assert versions == [1] * 5 + [2] * 5 + [3] * 2
        assert engine.deserialize("t", sent).values == rows

    def test_without_rotation_a_spent_dek_can_stop_the_writer(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine({"dek.max.seals": 6, "dek.max.seals.action": "error"})
        engine.serialize("t", [flat(1), flat(3), flat(5)]).raise_for_errors()
        with pytest.raises(KeyServiceError) as caught:
            engine.serialize("t", [flat(7)])
        assert caught.value.code == "dek_exhausted"


class TestWhichRules:
    def test_of_equal_tags_the_first_wins(self, world: World) -> None:
        world.put(FLAT, rule(name="one", kek="k1"), rule(name="two", kek="k2"))
        engine = world.engine()
        sent = engine.serialize("t", [flat(1)])
        v, _, _ = leaves(FLAT, (sent.values[0] or b"")[5:])
        assert unseal("AES256_GCM", world.key("k1"), v.value, "string") == b"secret 1"
        assert world.requests("/keks/k2") == []
        assert engine.deserialize("t", sent.values).values == [flat(1)]

    @pytest.mark.parametrize("enable_at", [None, "ALL", "CLIENT"])
    def test_rules_of_clients_run(self, world: World, enable_at: str | None) -> None:
        world.put(FLAT, rule(), enable_at=enable_at)
        assert b"secret" not in (world.engine().serialize("t", [flat(1)]).values[0] or b"")

    @pytest.mark.parametrize("enable_at", ["GATEWAY", "SERVER", "NONE"])
    def test_rules_of_others_do_not(self, world: World, enable_at: str) -> None:
        registered = world.put(FLAT, rule(), enable_at=enable_at)
        engine = world.engine()
        assert engine.serialize("t", [flat(1)]).values == [framed(registered.id, encode(FLAT, flat(1)))]
        assert world.requests("dek-registry") == []
        assert {plan.reason for plan in engine.explain("t")} == {
            f"the rule set runs elsewhere (enableAt {enable_at})"
        }

    @pytest.mark.parametrize("how", ["rule", "conf by name", "conf by type", "conf for all"])
    def test_a_disabled_rule_does_not_run(self, world: World, how: str) -> None:
        world.put(FLAT, rule(disabled=how == "rule"))
        who = {"conf by name": "encryptPII", "conf by type": "_ENCRYPT_", "conf for all": "_default_"}.get(
            how
        )
        engine = world.engine({f"rule.executors.{who}.disabled": True} if who else None)
        assert b"secret" in (engine.serialize("t", [flat(1)]).values[0] or b"")

    def test_the_configuration_enables_too(self, world: World) -> None:
        world.put(FLAT, rule(disabled=True))
        engine = world.engine({"rule.executors.encryptPII.disabled": "false"})
        assert b"secret" not in (engine.serialize("t", [flat(1)]).values[0] or b"")

    def test_write_only_rules_leave_ciphertext_to_readers(self, world: World) -> None:
        world.put(FLAT, rule(mode="WRITE"))
        engine = world.engine()
        sent = engine.serialize("t", [flat(2)])
        [row] = engine.deserialize("t", sent.values).values
        assert row == wire_of(FLAT, sent.values[0]) != flat(2)

    def test_rules_of_other_executors_are_refused_by_name(self, world: World) -> None:
        cel = {"name": "checkAge", "kind": "CONDITION", "type": "CEL", "mode": "WRITE", "expr": "true"}
        number = world.put(FLAT, rule(), cel).id
        engine = world.engine()
        writes: tuple[Callable[[], object], ...] = (
            lambda: engine.serialize("t", [flat(1)]),
            lambda: engine.encrypt("t", [encode(FLAT, flat(1))]),
        )
        for write in writes:
            with pytest.raises(RuleSetError, match="checkAge") as caught:
                write()
            assert caught.value.code == "foreign_rule"
        # It does not run on READ, so reading is not refused.
        assert engine.decrypt("t", [framed(number, b"")]).errors[0].code == "truncated"

    def test_tags_by_pattern_count(self, world: World) -> None:
        schema = record(field("first_name", "string"), field("other", "string"))
        world.put(schema, rule(), metadata={"tags": {"*.first_*": ["PII"]}})
        engine = world.engine()
        sent = engine.serialize("t", [{"first_name": "Ada", "other": "clear"}])
        wire = wire_of(schema, sent.values[0])
        assert (wire["first_name"] == "Ada", wire["other"]) == (False, "clear")

    def test_parameters_may_stand_in_the_metadata(self, world: World) -> None:
        bare = rule()
        params = bare.pop("params")
        world.put(FLAT, bare | {"params": {}}, metadata={"properties": params})
        assert b"secret" not in (world.engine().serialize("t", [flat(1)]).values[0] or b"")

    def test_a_type_that_cannot_be_sealed_fails_its_row(self, world: World) -> None:
        schema = record(field("n", ["null", "long"], "PII"), field("v", "string", "PII"))
        world.put(schema, rule())
        result = world.engine().serialize("t", [{"n": 1, "v": "a"}, {"n": None, "v": "b"}])
        assert [(error.row, error.field, error.code) for error in result.errors] == [
            (0, "n", "unsupported_type")
        ]
        assert [value is None for value in result.values] == [True, False]


class TestPinnedSchema:
    def test_an_older_version_is_sealed_by_its_own_rules(self, world: World) -> None:
        old = world.put(FLAT, rule(kek="old-kek"))
        new = world.put(record(field("v", "string", "PII")), rule(kek="new-kek"))
        engine = world.engine()
        body = encode(FLAT, flat(1))
        [frame] = engine.encrypt("t", [body], schema_id=old.id).values
        assert frame is not None
        assert frame[:5] == framed(old.id, b"")
        v, _, _ = leaves(FLAT, frame[5:])
        assert unseal("AES256_GCM", world.key("old-kek"), v.value, "string") == b"secret 1"
        assert engine.decrypt("t", [frame]).values == [body]
        latest = engine.encrypt(
            "t", [encode(record(field("v", "string", "PII")), {"v": "x"})], schema_id=new.id
        )
        assert (latest.values[0] or b"")[:5] == framed(new.id, b"")

    def test_an_older_version_without_rules_takes_the_latests(self, world: World) -> None:
        old = world.put(FLAT)
        world.put(FLAT, rule())
        engine = world.engine()
        [frame] = engine.encrypt("t", [encode(FLAT, flat(1))], schema_id=old.id).values
        assert b"secret" not in (frame or b"")

    def test_tags_of_the_latest_count_for_the_fields_that_resolve_to_it(self, world: World) -> None:
        old_schema = record(field("a", "string"), field("b", "string"), field("c", "string", "PII"))
        new_schema = record(field("a", "string", "PII"), field("renamed", "string", "PII", aliases=["b"]))
        old = world.put(old_schema, rule())
        world.put(new_schema, rule())
        engine = world.engine()
        row = {"a": "now tagged", "b": "renamed, now tagged", "c": "tagged then"}
        [frame] = engine.encrypt("t", [encode(old_schema, row)], schema_id=old.id).values
        wire = wire_of(old_schema, frame)
        assert [wire[name] == row[name] for name in row] == [False, False, False]
        # A reader that goes by the latest opens what the latest tags.
        reader = world.engine({"use.latest.version": True})
        assert reader.deserialize("t", [frame]).values == [{"a": row["a"], "renamed": row["b"]}]

    def test_a_foreign_id_is_refused(self, world: World) -> None:
        world.put(FLAT, rule())
        other = world.put(record(field("x", "string")), subject="other-value").id
        for wrong in (other, 9_999):
            with pytest.raises(RegistryError, match=rf"{wrong}.*t-value") as caught:
                world.engine().encrypt("t", [b""], schema_id=wrong)
            assert caught.value.code == "foreign_schema_id"

    def test_the_framing_is_that_of_the_version(self, world: World) -> None:
        old = world.put(FLAT, rule())
        world.put(record(field("v", "string")), rule())
        engine = world.engine()
        sent = engine.encrypt("t", [encode(FLAT, flat(1))], schema_id=old.id, framing="header")
        result = engine.decrypt("t", sent.values, headers=sent.headers)
        assert result.values == [encode(FLAT, flat(1))]


class TestShared:
    def test_a_shared_kek_needs_no_kms(self, world: World) -> None:
        world.put(FLAT, rule())
        world.http.keks.put({"name": KEK, "kmsType": "local-kms", "kmsKeyId": "tests-key", "shared": True})
        engine = world.engine(rule_conf={})
        sent = engine.serialize(TOPIC, [flat(1)])
        assert engine.deserialize(TOPIC, sent.values).values == [flat(1)]
        assert engine.stats()["kms_calls"] == 0

    def test_a_wrong_secret_is_told(self, world: World) -> None:
        world.put(FLAT, rule())
        world.engine().warm_up("t")
        with pytest.raises(CsfleError) as caught:
            world.engine(rule_conf={"secret": "a very other secret"}).serialize("t", [flat(1)])
        assert "a very other secret" not in repr(caught.value)
        assert isinstance(caught.value, KeyServiceError)
