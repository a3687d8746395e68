"""What a call refuses before it asks anybody, and what a batch with nothing in it costs: nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from csfle_fast import BatchError, ConfigError, CsfleError, Engine, KmsError, RuleSetError
from worlds import FLAT, World, encode, flat, rule, world

__all__ = ["world"]  # a fixture

CALLS = ["encrypt", "decrypt", "serialize", "deserialize"]


class TestArguments:
    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(
        ("topic", "options"),
        [(None, {}), ("", {}), ("t", {"field": "header"}), ("t", {"threads": 0}), ("t", {"threads": -1})],
    )
    def test_what_no_call_takes(self, world: World, call: str, topic: Any, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            getattr(world.engine(), call)(topic, [None], **options)
        assert world.requests() == []

    @pytest.mark.parametrize("call", CALLS)
    def test_nor_one_that_is_warm(self, world: World, call: str) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        engine.warm_up("t")
        odd: list[tuple[str, list[Any]]] = [
            ("topic", [None, "", [], {}, 5, b"t"]),
            ("threads", [0, -1, 1.0, 1.5, "1", None, []]),
            ("field", ["header", None, [], b"value"]),
            ("rules", ["some", None, [], True]),
        ]
        for name, values in odd:
            for value in values:
                options = {"topic": "t"} | {name: value}
                with pytest.raises(ConfigError):
                    getattr(engine, call)(options.pop("topic"), [None], **options)

    @pytest.mark.parametrize("call", ["encrypt", "serialize"])
    def test_a_framing_that_is_none(self, world: World, call: str) -> None:
        world.put(FLAT, rule())
        with pytest.raises(ConfigError, match="framing"):
            getattr(world.engine(), call)("t", [None], framing="heder")
        assert world.requests() == []

    @pytest.mark.parametrize("call", ["encrypt", "decrypt"])
    def test_a_tuple_that_is_no_pair(self, world: World, call: str) -> None:
        with pytest.raises(BatchError) as caught:
            getattr(world.engine(), call)("t", (b"a",))
        assert caught.value.code == "bad_batch"

    @pytest.mark.parametrize("rows", [flat(1), "text", b"bytes"])
    def test_one_row_in_place_of_rows(self, world: World, rows: Any) -> None:
        world.put(FLAT, rule())
        with pytest.raises(BatchError) as caught:
            world.engine().serialize("t", rows)
        assert caught.value.code == "bad_batch"


class TestNothingToSeal:
    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("batch", [[], [None], [None, None]])
    def test_it_costs_no_request_and_no_key(self, world: World, call: str, batch: list[None]) -> None:
        engine = world.engine()
        result = getattr(engine, call)("a-topic-that-nobody-registered", batch)
        assert (result.values, result.errors) == (batch, [])
        assert result.values is not batch
        assert world.requests("/versions") == world.requests("/dek-registry") == []
        assert engine.stats()["tombstones"] == len(batch)

    def test_packed(self, world: World) -> None:
        result = world.engine().encrypt("t", (b"", np.zeros(1, np.int64)))
        assert (result.values.buffer, list(result.values.offsets), result.errors) == (b"", [0], [])


class TestHeaders:
    def test_each_row_has_its_own_list(self, world: World) -> None:
        world.put(FLAT, rule())
        engine = world.engine()
        first = engine.serialize("t", [flat(1), flat(2)], framing="header")
        first.headers[0].append(("trace", b"1"))
        assert len(first.headers[1]) == 1
        again = engine.encrypt("t", [encode(FLAT, flat(1))], framing="header")
        assert [len(headers) for headers in again.headers] == [1]

    def test_a_tombstone_names_no_schema(self, world: World) -> None:
        world.put(FLAT, rule())
        result = world.engine().serialize("t", [None, flat(1)], framing="header")
        assert [len(headers) for headers in result.headers] == [0, 1]


class TestWarmUp:
    def test_a_reader_without_access_is_told(self, world: World) -> None:
        world.put(FLAT, rule())
        world.engine().warm_up("t")
        with pytest.raises(KmsError):
            world.engine(rule_conf={"secret": "another"}).warm_up("t", mode="READ")

    def test_keys_that_nobody_made_yet_are_no_error(self, world: World) -> None:
        world.put(FLAT, rule(), rule(days=1, name="rotated", tags=["OTHER"], kek="other"))
        world.engine().warm_up("t", mode="READ")
        assert [request for request in world.requests("/dek-registry") if request.startswith("POST")] == []

    def test_a_mode_that_is_none(self, world: World) -> None:
        mode: Any = "foo"
        with pytest.raises(ConfigError, match="mode"):
            world.engine().warm_up("t", mode=mode)


def test_a_pinned_version_keeps_its_own_rules_of_other_executors(world: World) -> None:
    cel = {"name": "check", "kind": "CONDITION", "type": "CEL", "mode": "WRITE", "expr": "true"}
    old = world.put(FLAT, cel)
    world.put(FLAT, rule())
    with pytest.raises(RuleSetError) as caught:
        world.engine().encrypt("t", [encode(FLAT, flat(1))], schema_id=old.id)
    assert caught.value.code == "foreign_rule"


def test_a_registry_that_is_away_is_asked_once_a_batch(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    frames = [b"\x00" + number.to_bytes(4, "big") for number in range(100, 140)]
    world.http.faults.add("GET", "/schemas/ids/", status=503)
    asked: Callable[[], int] = lambda: len(world.requests("/schemas/ids/"))  # noqa: E731 - one expression
    codes = {error.code for error in engine.decrypt("t", frames).errors}
    assert codes == {"registry_failed"}
    assert asked() == len(frames)  # it answers, so each is asked for
    world.http.stop()
    gone = engine.decrypt("t", [b"\x00" + number.to_bytes(4, "big") for number in range(200, 240)])
    assert {error.code for error in gone.errors} == {"unreachable"}
    assert engine.stats()["registry_requests"] == len(frames) + 2  # the subject, the 40 before, and one more


def test_a_closed_engine_takes_no_batch(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    engine.encrypt("t", [encode(FLAT, flat(1))])
    engine.close()
    for call in (Engine.encrypt, Engine.decrypt, Engine.serialize, Engine.deserialize):
        with pytest.raises(CsfleError) as caught:
            call(engine, "t", [b""])
        assert caught.value.code == "engine_closed"
