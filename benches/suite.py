"""Every measurement of the table."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from benches.bars import bar
from benches.results import Bar, Line, faster, within
from benches.session import Session, Wrong
from benches.workloads import GCM_10X5, UNTAGGED, WORKLOADS
from csfle_fast._core import Schema
from csfle_fast.cli.measure import Contestant, best_seconds
from csfle_fast.objects import Codec, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benches.core_results import CoreResult
    from benches.workloads import Workload

__all__ = ["BATCH", "core_lines", "one_message_lines", "thread_lines", "workload_lines"]

BATCH = 1_000
_REPEAT = 20  # of ours within a turn: a batch of ours takes a hundredth of one of theirs
_THREAD_SIZES = (1, 10, 100, 200, 300, 500, 700, 1_000, 10_000)
_THREAD_BARS = {"packed": Bar("at least", 1.9), "list": Bar("at least", 1.7)}
# Two threads are never slower; 5 % is the noise of equal work, for small batches run on one thread anyway.
_NEVER_SLOWER = Bar("at least", 0.95)


def workload_lines(workload: Workload, rounds: int) -> Iterator[Line]:
    """The four calls on one workload, list in and list out, against confluent-kafka and fastavro."""
    with Session(workload, BATCH) as session:
        session.compare()
        theirs = session.incumbent
        assert theirs is not None
        write, read = codec_calls(session, workload)
        best = best_seconds(
            {
                "encrypt": Contestant(session.encrypt, lambda: session.bodies, _REPEAT),
                "decrypt": Contestant(session.decrypt, lambda: session.frames, _REPEAT),
                "serialize": Contestant(session.serialize, lambda: session.rows, 5),
                "deserialize": Contestant(session.deserialize, lambda: session.frames, 5),
                "dict codec, write": Contestant(write, lambda: session.rows, 5),
                "dict codec, read": Contestant(read, lambda: session.bodies, 5),
                "their serialize": Contestant(theirs.serialize, session.fresh_rows),
                "their deserialize": Contestant(theirs.deserialize, lambda: session.frames),
                "fastavro write": Contestant(session.fastavro_write, lambda: session.rows, 5),
                "fastavro read": Contestant(session.fastavro_read, lambda: session.bodies, 5),
            },
            rounds,
        )
    ns = {name: seconds * 1e9 / BATCH for name, seconds in best.items()}
    title = workload.title

    def line(call: str, other: str, theirs: str) -> Line:
        return faster(title, call, ns[call], other, ns[theirs], bar(title, call, other))

    yield line("encrypt", "confluent-kafka serialize", "their serialize")
    yield line("decrypt", "confluent-kafka deserialize", "their deserialize")
    yield line("serialize", "confluent-kafka serialize", "their serialize")
    yield line("deserialize", "confluent-kafka deserialize", "their deserialize")
    for call, way in (("serialize", "write"), ("deserialize", "read")):
        yield line(call, f"fastavro {way} alone", f"fastavro {way}")
        yield line(f"dict codec, {way}", f"fastavro {way} alone", f"fastavro {way}")
    beside = bar(title, "decrypt", "our encrypt")
    yield within(title, "decrypt", ns["decrypt"], "our encrypt", ns["encrypt"], beside)
    if workload is UNTAGGED:
        yield Line(title, "encrypt", ns["encrypt"], bar=bar(title, "encrypt"))


def codec_calls(
    session: Session, workload: Workload
) -> tuple[Callable[[Sequence[Any]], object], Callable[[Sequence[bytes]], object]]:
    """The dict codec alone, as ``serialize`` and ``deserialize`` use it: rows to bodies, and bodies to rows.

    Raises:
        Wrong: it gives other bodies or rows than fastavro.
    """
    codec = Codec(Schema(json.dumps(workload.schema)), workload.name)

    def read(bodies: Sequence[bytes]) -> tuple[list[Any], ...]:
        return decode(bodies, [codec] * len(bodies), None)[:2]

    written = codec.encode(session.rows)
    if written.errors or list(written.bodies) != session.bodies:
        raise Wrong(f"{workload.name}: the dict codec writes other bodies than fastavro")
    if read(session.bodies) != (session.fastavro_read(session.bodies), []):
        raise Wrong(f"{workload.name}: the dict codec reads other rows than fastavro")
    return codec.encode, read


def core_lines(core: Mapping[str, CoreResult], engine: Sequence[Line]) -> Iterator[Line]:
    """What the Rust bench measured, packed bodies to frames, and what the Engine adds to its bare loop."""
    for workload in WORKLOADS:
        if workload.name not in core:
            continue
        title, core_ns, bare_ns = workload.title, core[workload.name].core_ns, core[workload.name].bare_ns
        if bare_ns is None:
            yield Line(title, "core", core_ns, bar=bar(title, "core"))
            continue
        encrypt = next(line for line in engine if (line.workload, line.call) == (title, "encrypt"))
        for call, ours in (("core", core_ns), ("encrypt", encrypt.ours)):
            yield within(title, call, ours, "bare loop", bare_ns, bar(title, call, "bare loop"))


def one_message_lines(rounds: int) -> Iterator[Line]:
    """One call a message: what the batch saves, and what a caller without one pays."""
    with Session(GCM_10X5, BATCH) as session:
        session.compare()
        theirs = session.incumbent
        assert theirs is not None
        best = best_seconds(
            {
                "encrypt": Contestant(partial(session.each, "encrypt"), lambda: session.bodies, 3),
                "serialize": Contestant(partial(session.each, "serialize"), lambda: session.rows, 3),
                "theirs": Contestant(theirs.serialize, session.fresh_rows),
            },
            rounds,
        )
    ns = {name: seconds * 1e9 / BATCH for name, seconds in best.items()}
    for call in ("encrypt", "serialize"):
        name = f"{call}, one message a call"
        yield faster(GCM_10X5.title, name, ns[call], "confluent-kafka serialize", ns["theirs"])


def thread_lines(rounds: int, sizes: Sequence[int] = _THREAD_SIZES) -> Iterator[Line]:
    """Two threads against one, packed and list; below 1,000 rows they must only not be slower."""
    for size in sizes:
        with Session(GCM_10X5, size, incumbent=False) as session:
            session.compare()
            given = {"packed": session.packed_bodies(), "list": session.bodies}
            repeat = max(3, min(200, 20_000 // size))
            best = best_seconds(
                {
                    f"{form} {threads}": Contestant(
                        partial(session.engine.encrypt, session.topic, threads=threads),
                        partial(given.__getitem__, form),
                        repeat,
                    )
                    for form in given
                    for threads in (1, 2)
                },
                rounds,
            )
        for form, wanted in _THREAD_BARS.items():
            one, two = (best[f"{form} {threads}"] * 1e9 / size for threads in (1, 2))
            call = f"encrypt {form}, 2 threads, {size:,} rows"
            yield faster(
                GCM_10X5.title, call, two, "1 thread", one, wanted if size >= BATCH else _NEVER_SLOWER
            )
