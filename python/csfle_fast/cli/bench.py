"""A schema with its rules through csfle_fast, confluent-kafka and fastavro, in one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka.schema_registry import SchemaRegistryError

from csfle_fast.cli import demo_incumbent
from csfle_fast.cli.bench_session import BenchSession
from csfle_fast.cli.machine import describe, providers
from csfle_fast.cli.measure import Contestant, timed
from csfle_fast.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csfle_fast.cli.bench_input import BenchInput
    from csfle_fast.cli.measure import Seconds

__all__ = ["BenchReport", "Figure", "run_bench"]

_WRITING = ("encrypt", "serialize", "write")
_GIVEN = {"encrypt": "bodies", "decrypt": "frames", "serialize": "rows", "deserialize": "frames"}
# Ours runs several times within a turn: a batch of ours takes a fraction of one of theirs.
_REPEAT = 5
_ONE = "singly"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one call of one engine takes.

    Attributes:
        engine: csfle_fast, confluent-kafka or fastavro.
        call: what was measured.
        best_ns: nanoseconds a record of the fastest run.
        median_ns: of the run in the middle.
        per_second: records a second of the fastest run.
        ratio: how many times faster than confluent-kafka the same way, None where it did not take part.
    """

    engine: str
    call: str
    best_ns: float
    median_ns: float
    per_second: int
    ratio: float | None


@dataclass(slots=True)
class BenchReport:
    """Everything that the bench found.

    Attributes:
        command: what was run.
        schema: name of the record.
        fields: how many fields are encrypted.
        batch: rows in a batch.
        rounds: turns of each contestant.
        machine: where the figures come from.
        figures: in the order of the table, writing before reading.
        notes: what was assumed, changed or left out.
        problems: what of ours did not hold; there are no figures then.
    """

    command: str
    schema: str
    batch: int
    rounds: int
    machine: dict[str, Any]
    fields: int = 0
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run_bench(given: BenchInput, *, rounds: int, threads: int, provider: str, command: str) -> BenchReport:
    """Compare results, then measure.

    Args:
        given: schema, rules and rows.
        rounds: turns of each contestant.
        threads: with more than one, our calls are measured with so many as well.
        provider: the setting ``crypto.provider``.
        command: for the report.

    Raises:
        ConfigError: nothing would be encrypted, the provider is not there, or the registry refuses schema
            or rules.
        CsfleError: the Engine refuses the rules, or a row.
    """
    report = BenchReport(command, given.name, len(given.rows), rounds, describe(provider))
    report.notes += given.notes
    hindrance = providers().get(provider)
    if hindrance is not None:
        report.notes.append(f"provider {provider}: {hindrance}")
    missing = demo_incumbent.missing()
    if missing is not None:
        report.notes.append(f"no comparison with confluent-kafka: {missing}")
    conf = {"crypto.provider": provider}
    try:
        session = BenchSession(given.name, given.payload, given.rows, conf=conf, incumbent=missing is None)
    except SchemaRegistryError as error:
        raise ConfigError(f"the registry refuses schema or rules: {error.error_message}") from None
    with session:
        plans = session.engine.explain(given.name)
        report.fields = sum(plan.decision == "encrypt" for plan in plans)
        if not report.fields:
            reasons = "; ".join(sorted({plan.reason for plan in plans})) or "no rule hits a field"
            raise ConfigError(f"nothing would be encrypted: {reasons}")
        report.problems += session.wrong()
        if report.problems:
            return report
        if not session.engine.stats()["values_sealed"]:
            report.notes.append("the rows have no value to seal: every encrypted field is null")
        disagreements = session.disagreements()
        if disagreements:
            # A time of another result means nothing.
            report.notes.append(f"confluent-kafka is not measured: {'; '.join(disagreements)}")
        theirs = missing is None and not disagreements
        report.figures = _figures(timed(_contestants(session, threads, theirs=theirs), rounds), report.batch)
    return report


def _contestants(session: BenchSession, threads: int, *, theirs: bool) -> dict[str, Contestant]:
    """By engine and call, in the order of the table; the engine's name has no space."""
    found: dict[str, Contestant] = {}
    for ours, others, alone, wants in (
        (("encrypt", "serialize"), "serialize", session.fastavro_write, session.rows),
        (("decrypt", "deserialize"), "deserialize", session.fastavro_read, session.bodies),
    ):
        for call in ours:
            given = getattr(session, _GIVEN[call])
            run = getattr(session, call)
            found[f"csfle_fast {call}"] = Contestant(run, partial(_as_it_is, given), _REPEAT)
            if threads > 1:
                found[f"csfle_fast {call}, {threads} threads"] = Contestant(
                    partial(run, threads=threads), partial(_as_it_is, given), _REPEAT
                )
            found[f"csfle_fast {call}, {_ONE}"] = Contestant(
                partial(session.each, call), partial(_as_it_is, given)
            )
        if theirs and session.incumbent is not None:
            # Their serializer overwrites the rows that it gets.
            fresh = session.fresh_rows if others == "serialize" else partial(_as_it_is, session.frames)
            found[f"confluent-kafka {others}, {_ONE}"] = Contestant(getattr(session.incumbent, others), fresh)
        way = "write" if others == "serialize" else "read"
        found[f"fastavro {way}, unencrypted"] = Contestant(alone, partial(_as_it_is, wants), _REPEAT)
    return found


def _as_it_is(given: Any) -> Any:
    return given


def _figures(seconds: Mapping[str, Seconds], batch: int) -> list[Figure]:
    figures = []
    for name, took in seconds.items():
        engine, _, call = name.partition(" ")
        way = "serialize" if call.startswith(_WRITING) else "deserialize"
        theirs = seconds.get(f"confluent-kafka {way}, {_ONE}")
        ratio = None if theirs is None else theirs.best / took.best
        best, median = (1e9 * each / batch for each in (took.best, took.median))
        figures.append(Figure(engine, call, best, median, round(1e9 / best), ratio))
    return figures
