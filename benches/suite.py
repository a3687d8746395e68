"""Every measurement of the table, with its bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.results import Bar, Line, faster, within
from benches.session import Session
from benches.workloads import GCM_10X5, WORKLOADS
from csfle_fast.cli.measure import Contestant, best_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benches.core_results import CoreResult
    from benches.workloads import Workload

__all__ = ["BATCH", "core_lines", "one_message_lines", "thread_lines", "workload_lines"]

BATCH = 1_000
_REPEAT = 20  # of ours within a turn: a batch of ours takes a hundredth of one of theirs
_THREAD_SIZES = (1, 10, 100, 1_000, 10_000)

# Bars as "how many times faster than confluent-kafka", by workload and call.
_FASTER = {
    ("strings_10x5_gcm", "encrypt"): 100,
    ("strings_10x5_gcm", "decrypt"): 100,
    ("strings_10x5_gcm", "serialize"): 22,
    ("strings_10x5_gcm", "deserialize"): 18,
    ("debezium", "encrypt"): 800,
    ("strings_10x5_siv", "encrypt"): 60,
}


def workload_lines(workload: Workload, rounds: int) -> Iterator[Line]:
    """The four calls on one workload, list in and list out, against confluent-kafka and fastavro."""
    with Session(workload, BATCH) as session:
        session.compare()
        theirs = session.incumbent
        assert theirs is not None
        best = best_seconds(
            {
                "encrypt": Contestant(session.encrypt, lambda: session.bodies, _REPEAT),
                "decrypt": Contestant(session.decrypt, lambda: session.frames, _REPEAT),
                "serialize": Contestant(session.serialize, lambda: session.rows, 5),
                "deserialize": Contestant(session.deserialize, lambda: session.frames, 5),
                "their serialize": Contestant(theirs.serialize, session.fresh_rows),
                "their deserialize": Contestant(theirs.deserialize, lambda: session.frames),
                "fastavro write": Contestant(session.fastavro_write, lambda: session.rows, 5),
                "fastavro read": Contestant(session.fastavro_read, lambda: session.bodies, 5),
            },
            rounds,
        )
    ns = {name: seconds * 1e9 / BATCH for name, seconds in best.items()}
    title = workload.title
    for call in ("encrypt", "decrypt", "serialize", "deserialize"):
        their_call = "serialize" if call in ("encrypt", "serialize") else "deserialize"
        bar = _FASTER.get((workload.name, call))
        yield faster(title, call, ns[call], f"confluent-kafka {their_call}", ns[f"their {their_call}"], bar)
    yield faster(title, "serialize", ns["serialize"], "fastavro write alone", ns["fastavro write"])
    yield faster(title, "deserialize", ns["deserialize"], "fastavro read alone", ns["fastavro read"])
    if workload is GCM_10X5:
        yield within(title, "decrypt", ns["decrypt"], "our encrypt", ns["encrypt"], 1.0)
    if workload.name == "strings_10x0":
        yield Line(title, "encrypt", ns["encrypt"], bar=Bar("at most", 60))


def core_lines(core: Mapping[str, CoreResult], engine: Sequence[Line]) -> Iterator[Line]:
    """What the Rust bench measured, packed bodies to frames, and what the Engine adds to its bare loop."""
    for workload in WORKLOADS:
        if workload.name not in core:
            continue
        title, core_ns, bare_ns = workload.title, core[workload.name].core_ns, core[workload.name].bare_ns
        if bare_ns is None:
            untagged = workload.name == "strings_10x0"
            yield Line(title, "core", core_ns, bar=Bar("at most", 15) if untagged else None)
            continue
        core_bar, engine_bar = (1.20, 1.30) if workload is GCM_10X5 else (None, None)
        yield within(title, "core", core_ns, "bare loop", bare_ns, core_bar)
        encrypt = next(line for line in engine if (line.workload, line.call) == (title, "encrypt"))
        yield within(title, "encrypt", encrypt.ours, "bare loop", bare_ns, engine_bar)


def one_message_lines(rounds: int) -> Iterator[Line]:
    """One call a message: what the batch saves, and what a caller without one pays."""
    with Session(GCM_10X5, BATCH) as session:
        session.compare()
        theirs = session.incumbent
        assert theirs is not None
        best = best_seconds(
            {
                "encrypt": Contestant(session.encrypt_each, lambda: session.bodies, 3),
                "serialize": Contestant(session.serialize_each, lambda: session.rows, 3),
                "theirs": Contestant(theirs.serialize, session.fresh_rows),
            },
            rounds,
        )
    ns = {name: seconds * 1e9 / BATCH for name, seconds in best.items()}
    for call in ("encrypt", "serialize"):
        name = f"{call}, one message a call"
        yield faster(GCM_10X5.title, name, ns[call], "confluent-kafka serialize", ns["theirs"])


def thread_lines(rounds: int) -> Iterator[Line]:
    """Two threads against one, packed and list; below 1,000 rows they must only not be slower."""
    for size in _THREAD_SIZES:
        with Session(GCM_10X5, size, incumbent=False) as session:
            session.compare()
            packed = session.packed_bodies()
            engine, topic = session.engine, session.topic
            repeat = max(3, min(200, 20_000 // size))

            def packed_run(threads: int) -> Callable[[object], object]:
                return lambda _: engine.encrypt(topic, packed, threads=threads)  # noqa: B023 - runs within the turn

            def list_run(threads: int) -> Callable[[object], object]:
                return lambda _: engine.encrypt(topic, session.bodies, threads=threads)  # noqa: B023 - as above

            best = best_seconds(
                {
                    f"{form} {threads}": Contestant(run(threads), repeat=repeat)
                    for form, run in (("packed", packed_run), ("list", list_run))
                    for threads in (1, 2)
                },
                rounds,
            )
        for form, wanted in (("packed", 1.8), ("list", 1.7)):
            one, two = (best[f"{form} {threads}"] * 1e9 / size for threads in (1, 2))
            # Small batches run on one thread whatever was asked: 5 % is the noise of equal work.
            bar = wanted if size >= BATCH else 0.95
            call = f"encrypt {form}, 2 threads, {size:,} rows"
            yield faster(GCM_10X5.title, call, two, "1 thread", one, bar)
