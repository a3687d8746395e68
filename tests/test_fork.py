"""A forked child: no lock of a parent's thread holds it, and no nonce of the parent's comes again."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from csfle_fast import Engine
from incumbent import SECRET, encrypt_rule, field, mock_registry, record, register
from wire import leaves

# A fork while threads run is what is tested; Python warns of it from 3.12 on.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

SCHEMA = record(field("a", "bytes", "PII"), field("b", "bytes", "PII"))
ROWS = [{"a": bytes(300), "b": bytes(300)}] * 1_500  # enough to be worth two threads
NONCE = 12
CHILDREN = 4


@pytest.fixture
def engine() -> Iterator[Engine]:
    client = mock_registry()
    register(client, json.dumps(SCHEMA), [encrypt_rule()])
    with Engine(client, rule_conf={"secret": SECRET}) as engine:
        engine.warm_up("t")
        work(engine)  # the pool is up
        yield engine


def work(engine: Engine) -> list[bytes]:
    """Seals and opens with two threads; returns the nonces."""
    sent = engine.serialize("t", ROWS, threads=2)
    sent.raise_for_errors()
    received = engine.deserialize("t", sent.values, threads=2)
    received.raise_for_errors()
    assert received.values == ROWS
    return [leaf.value[:NONCE] for frame in sent.values for leaf in leaves(SCHEMA, (frame or b"")[5:])]


@contextmanager
def busy(engine: Engine, threads: int = 3) -> Iterator[None]:
    """Other threads in and out of every lock of the engine."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            engine.serialize("t", ROWS[:200], threads=2)
            engine.stats()
            engine.decrypt("t", [b"\x00\x00\x00\x7f\x7f"])

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()


def in_child(act: Callable[[], bytes]) -> bytes:
    """What ``act`` gives in a child made by ``os.fork``; fails if that raises or does not end."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            with os.fdopen(write_end, "wb") as out:
                out.write(act())
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as inbox:
        answer = inbox.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return answer


def test_children_work_and_no_nonce_comes_twice(engine: Engine) -> None:
    nonces: list[bytes] = []
    with busy(engine):
        for _ in range(CHILDREN):
            joined = in_child(lambda: b"".join(work(engine)))
            nonces += [joined[at : at + NONCE] for at in range(0, len(joined), NONCE)]
            nonces += work(engine)
    assert len(nonces) == 2 * CHILDREN * 2 * len(ROWS)
    assert len(set(nonces)) == len(nonces)


def test_a_grandchild_works_as_well(engine: Engine) -> None:
    def child() -> bytes:
        work(engine)
        return in_child(lambda: b"".join(work(engine))[:NONCE])

    with busy(engine):
        assert len(in_child(child)) == NONCE


def test_the_parent_goes_on_with_its_own_threads(engine: Engine) -> None:
    before = work(engine)
    in_child(lambda: b"".join(work(engine))[:0])
    assert not set(before) & set(work(engine))


def test_many_children_at_once_share_no_nonce(engine: Engine) -> None:
    # Forked one after the other from one state, so whatever is copied is the same in all of them.
    pipes = []
    for _ in range(CHILDREN):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                few = engine.encrypt("t", [b"\x00\x00"] * 2).values  # few nonces come straight from the OS
                seen = b"".join(leaf.value[:NONCE] for f in few for leaf in leaves(SCHEMA, (f or b"")[5:]))
                with os.fdopen(write_end, "wb") as out:
                    out.write(seen + b"".join(work(engine)))
                status = 0
            finally:
                os._exit(status)
        os.close(write_end)
        pipes.append((child, read_end))
    nonces: list[bytes] = []
    for child, read_end in pipes:
        with os.fdopen(read_end, "rb") as inbox:
            joined = inbox.read()
        nonces += [joined[at : at + NONCE] for at in range(0, len(joined), NONCE)]
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    assert len(nonces) == CHILDREN * (4 + 2 * len(ROWS))
    assert len(set(nonces)) == len(nonces)


def _worker(engine: Any, answers: Any) -> None:
    answers.put(b"".join(work(engine)))


def test_multiprocessing(engine: Engine) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with busy(engine):
        processes = [context.Process(target=_worker, args=(engine, answers)) for _ in range(2)]
        for process in processes:
            process.start()
        seen = [answers.get() for _ in processes]
        for process in processes:
            process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert seen[0] != seen[1]


def test_an_engine_of_the_childs_own_works(engine: Engine) -> None:
    def child() -> bytes:
        client = mock_registry()
        register(client, json.dumps(SCHEMA), [encrypt_rule()])
        with Engine(client, rule_conf={"secret": SECRET}) as own:
            return b"".join(work(own))[:NONCE]

    with busy(engine):
        assert len(in_child(child)) == NONCE


def test_a_child_loads_anew_in_the_background_by_threads_of_its_own(engine: Engine) -> None:
    def child() -> bytes:
        ran = threading.Event()
        engine._refresher.submit(ran.set, ran.clear)
        return b"ran" if ran.wait(20) else b"waits"

    ran = threading.Event()
    engine._refresher.submit(ran.set, ran.clear)  # the parent has a thread that waits, which a child has not
    assert ran.wait(20)
    assert in_child(child) == b"ran"
    with engine._refresher._lock:
        assert in_child(child) == b"ran"
