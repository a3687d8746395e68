"""The same workloads for pytest-benchmark, which shows spread and outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from benches.session import Session
from benches.suite import BATCH
from benches.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=WORKLOADS, ids=lambda workload: workload.name)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """One workload, warmed, its results compared."""
    with Session(request.param, BATCH) as ready:
        ready.compare()
        yield ready


@pytest.mark.parametrize(
    ("call", "given"),
    [("encrypt", "bodies"), ("decrypt", "frames"), ("serialize", "rows"), ("deserialize", "frames")],
)
def test_engine(session: Session, benchmark: Any, call: str, given: str) -> None:
    benchmark.group = session.topic
    result = benchmark(getattr(session, call), getattr(session, given))
    assert len(result) == BATCH


def test_confluent_kafka_serialize(session: Session, benchmark: Any) -> None:
    theirs = session.incumbent
    assert theirs is not None

    def fresh() -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (session.fresh_rows(),), {}

    benchmark.group = session.topic
    assert len(benchmark.pedantic(theirs.serialize, setup=fresh, rounds=5, warmup_rounds=1)) == BATCH


def test_confluent_kafka_deserialize(session: Session, benchmark: Any) -> None:
    theirs = session.incumbent
    assert theirs is not None
    benchmark.group = session.topic
    assert len(benchmark.pedantic(theirs.deserialize, (session.frames,), rounds=5, warmup_rounds=1)) == BATCH


@pytest.mark.parametrize(("call", "given"), [("fastavro_write", "rows"), ("fastavro_read", "bodies")])
def test_fastavro_alone(session: Session, benchmark: Any, call: str, given: str) -> None:
    benchmark.group = session.topic
    assert len(benchmark(getattr(session, call), getattr(session, given))) == BATCH
