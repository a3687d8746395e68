"""The drills, small: see the package for how to run them at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from csfle_fast.dev import DevRegistry
from drills import crashes, million
from drills.stage import HARMS
from incumbent import SECRET
from services.kafka import KafkaServer

SEED = 20_261_125


def test_poisoned_records_are_accounted_for(kafka: KafkaServer) -> None:
    with DevRegistry(secret=SECRET) as registry:
        account = million.run(kafka, registry, rows=30_000, seed=SEED)
    assert account.faults() == []
    assert set(account.harmed.values()) == set(HARMS)
    assert account.delivered.total() + account.letters.total() == 30_000


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_by_crashes(kafka: KafkaServer, tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka") as own, DevRegistry(secret=SECRET) as registry:
        result = crashes.run(own, registry, kills=4, broker_kills=1, seed=SEED)
    assert result.faults() == []
    assert (result.kills, result.broker_kills) == (4, 1)
    assert result.inside > 0
    assert kafka.is_running()
