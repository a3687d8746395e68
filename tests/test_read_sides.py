"""The reading sides of an Engine: none is kept behind its close."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from csfle_fast import CsfleError, Engine
from moody_kms import moody_kms
from worlds import FLAT, World, flat, rule, world

__all__ = ["world"]  # a fixture

Call = Callable[[Engine, list[bytes | None]], Any]


@pytest.mark.parametrize(
    "call",
    [
        lambda engine, frames: engine.decrypt("t", frames),
        lambda engine, frames: engine.deserialize("t", frames),
        lambda engine, _: engine.warm_up("t", mode="READ"),
        lambda engine, _: engine.serialize("t", [flat(1)]),
        lambda engine, _: engine.warm_up("t", mode="WRITE"),
    ],
    ids=["decrypt", "deserialize", "warm_up READ", "serialize", "warm_up WRITE"],
)
@pytest.mark.parametrize("latest", [False, True])
def test_what_is_under_way_at_the_close_leaves_no_key(world: World, call: Call, latest: bool) -> None:
    world.put(FLAT, rule())
    frames = world.engine().serialize("t", [flat(1)]).values
    with moody_kms() as kms, ThreadPoolExecutor(1) as pool:
        engine = world.engine({"use.latest.version": latest})
        kms.held.clear()
        under_way = pool.submit(call, engine, frames)
        assert kms.entered.wait(30)
        engine.close()
        kms.held.set()
        under_way.exception(30)
    assert (len(engine._reads._sides), len(engine._writes._snapshots)) == (0, 0)
    assert len(engine._keys._readers) == len(engine._keys._writers) == 0


@pytest.mark.parametrize("mode", ["READ", "WRITE", "WRITEREAD"])
def test_a_closed_engine_is_not_warmed_up(world: World, mode: Any) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    engine.close()
    asked = len(world.http.requests)
    with pytest.raises(CsfleError, match="closed"):
        engine.warm_up("t", mode=mode)
    assert len(world.http.requests) == asked


def test_nothing_is_loaded_in_the_background_behind_the_close(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    engine.warm_up("t")
    engine.close()
    dropped: list[bool] = []
    engine._refresher.submit(lambda: dropped.append(False), lambda: dropped.append(True))
    assert dropped == [True]
