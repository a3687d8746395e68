"""The drill of outages, short: each kind once, with TTLs below a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from drills import outage
from drills.outage import KINDS, Place
from drills.outage_account import CLOSING
from services.kafka import KafkaServer
from services.openbao import OpenBaoServer
from vault_world import clear_environment

OUTAGE_SEC = 4.5
SEED = 20_261_125


@pytest.fixture(scope="module")
def place(
    kafka: KafkaServer, openbao: OpenBaoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    del openbao  # its fixture has skipped where there is none; the drill kills one of its own
    with ExitStack() as stack:
        yield Place.start(kafka, tmp_path_factory.mktemp("outage"), SEED, stack)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_wrong_or_readable(place: Place, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clear_environment(monkeypatch)
    result = outage.run(place, kind, OUTAGE_SEC)
    assert result.faults() == []
    assert result.rows > 0
    assert (result.asked > 0) == ("killed" not in kind)
    codes = {code for side in result.sides for call in side.bad() for code in call.codes}
    assert bool(codes) == (kind in CLOSING)
    if kind == "kms killed":
        assert codes == {"kms_unreachable"}
