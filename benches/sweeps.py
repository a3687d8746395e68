"""How the time of a message grows: with tagged fields, with the size of values, with the batch, with threads.

Every provider of AES-GCM that is there takes part, and confluent-kafka beside it where it has such a size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benches.session import Session, Wrong
from benches.workloads import GCM_10X5, Workload, strings
from csfle_fast.cli.demo_incumbent import copies
from csfle_fast.cli.machine import providers
from csfle_fast.cli.measure import Contestant, best_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["SWEEPS", "Point", "Sweep", "left_out", "measure_sweep", "sweep_markdown"]

_FIELDS = (1, 2, 5, 10, 20)
_BYTES = (8, 16, 32, 64, 128, 256, 512, 1_024, 4_096)
_BATCHES = (1, 10, 100, 1_000, 10_000)
_THREADS = (1, 2)
_ROWS = 1_000
_LARGE_ROWS = 200  # where a row has up to 40 KiB
_THEIR_ROWS = 100  # a message of theirs takes a hundred times as long, and the same in a batch of any size
_THEIRS = ("serialize", "deserialize")


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement.

    Attributes:
        at: the size.
        engine: csfle_fast or confluent-kafka.
        call: what was measured, with the provider.
        ns: nanoseconds a message, of the fastest run.
    """

    at: int
    engine: str
    call: str
    ns: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """One question: what does a size do?

    Attributes:
        name: of the files.
        title: for table and picture.
        across: what the size is, with its unit.
        sizes: which are measured.
        workload: the records of a size.
        rows: how many of them make a batch.
        threads: how many work on a batch of a size.
        incumbent: whether confluent-kafka takes part.
    """

    name: str
    title: str
    across: str
    sizes: Sequence[int]
    workload: Callable[[int], Workload]
    rows: Callable[[int], int] = lambda _: _ROWS
    threads: Callable[[int], int] = lambda _: 1
    incumbent: bool = True


SWEEPS = (
    Sweep(
        "fields",
        "By tagged fields: 20 strings of 24 bytes, batches of 1,000",
        "tagged fields of 20",
        _FIELDS,
        lambda tagged: strings(f"strings_20x{tagged}", "20 strings", tagged=tagged, count=20),
    ),
    Sweep(
        "sizes",
        f"By size of values: 10 strings, 5 tagged, batches of {_LARGE_ROWS}",
        "bytes of each string",
        _BYTES,
        lambda size: strings(f"strings_{size}b", "10 strings, 5 tagged", tagged=5, size=size),
        rows=lambda _: _LARGE_ROWS,
    ),
    Sweep(
        "batches",
        "By batch: 10 strings of 24 bytes, 5 tagged",
        "messages in a batch (confluent-kafka has none)",
        _BATCHES,
        lambda _: GCM_10X5,
        rows=lambda size: size,
    ),
    Sweep(
        "threads",
        "By threads: 10 strings of 24 bytes, 5 tagged, batches of 10,000",
        "threads",
        _THREADS,
        lambda _: GCM_10X5,
        rows=lambda _: 10_000,
        threads=lambda threads: threads,
        incumbent=False,
    ),
)


def left_out() -> list[str]:
    """The providers that are not measured, each with its reason."""
    return [f"provider {name}: {why}" for name, why in providers().items() if why is not None]


def measure_sweep(sweep: Sweep, rounds: int) -> Iterator[Point]:
    """Every size, all contestants in turns, results compared first."""
    for size in sweep.sizes:
        rows = sweep.rows(size)
        with Session(sweep.workload(size), rows, incumbent=sweep.incumbent) as session:
            session.compare()
            contestants = dict(_ours(session, sweep.threads(size)))
            counts = dict.fromkeys(contestants, rows)
            if session.incumbent is not None:
                for call in _THEIRS:
                    contestants["confluent-kafka", call] = _theirs(session, call)
                    counts["confluent-kafka", call] = min(rows, _THEIR_ROWS)
            names = {" ".join(key): key for key in contestants}
            best = best_seconds({name: contestants[key] for name, key in names.items()}, rounds)
        for name, key in names.items():
            yield Point(size, *key, best[name] * 1e9 / counts[key])


def _ours(session: Session, threads: int) -> Iterator[tuple[tuple[str, str], Contestant]]:
    """Our calls under every provider that is there."""
    repeat = max(3, min(200, 10_000 // len(session.rows)))
    given: dict[str, list[Any]] = {"encrypt": session.bodies, "decrypt": session.frames}
    given |= {"serialize": session.rows, "deserialize": session.frames}
    for provider, hindrance in providers().items():
        if hindrance is not None:
            continue
        engine = session.engine_with({"crypto.provider": provider})
        if engine.decrypt(session.topic, session.frames).values != session.bodies:
            raise Wrong(f"{session.topic}: provider {provider} opens other bodies")
        for call, batch in given.items():
            run = partial(getattr(engine, call), session.topic, threads=threads)
            yield (
                ("csfle_fast", f"{call}, {provider}"),
                Contestant(run, partial(_as_it_is, batch), repeat if call.endswith("crypt") else 3),
            )


def _theirs(session: Session, call: str) -> Contestant:
    run = getattr(session.incumbent, call)
    if call == "serialize":  # it overwrites the rows that it gets
        return Contestant(run, lambda: copies(session.rows[:_THEIR_ROWS]))
    return Contestant(run, lambda: session.frames[:_THEIR_ROWS])


def _as_it_is(given: Any) -> Any:
    return given


def sweep_markdown(sweep: Sweep, points: Sequence[Point]) -> str:
    """One row for each call, one column for each size."""
    calls = list(dict.fromkeys((point.engine, point.call) for point in points))
    ns = {(point.engine, point.call, point.at): point.ns for point in points}
    sizes = sorted({point.at for point in points})
    rows = [
        f"| {engine} {call} | {' | '.join(f'{ns[engine, call, size]:,.0f}' for size in sizes)} |"
        for engine, call in calls
    ]
    return "\n".join(
        [
            f"{sweep.title}; ns a message",
            "",
            f"| {sweep.across} | {' | '.join(f'{size:,}' for size in sizes)} |",
            f"|---|{'--:|' * len(sizes)}",
            *rows,
            "",
        ]
    )
