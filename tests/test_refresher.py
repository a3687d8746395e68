"""The refresher: jobs run beside the caller, threads come and go, nothing is kept alive by them."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from asyncio import CancelledError

import pytest

from csfle_fast import refresher
from csfle_fast.refresher import Refresher

PATIENCE = 30.0


def never() -> None:
    """For jobs that are not to be dropped."""
    raise AssertionError


def threads() -> int:
    return sum(thread.name == "csfle-fast-refresher" for thread in threading.enumerate())


def wait_until_idle(most: int = 0) -> None:
    deadline = time.monotonic() + PATIENCE
    while threads() > most:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_jobs_run_in_threads_of_their_own_that_end_with_it() -> None:
    before, ours, done = threads(), Refresher(), threading.Event()
    names: list[str] = []

    def job() -> None:
        names.append(threading.current_thread().name)
        done.set()

    ours.submit(job, never)
    assert done.wait(PATIENCE)
    assert names == ["csfle-fast-refresher"]
    ours.close()
    wait_until_idle(before)


def test_slow_jobs_do_not_hold_up_the_others_and_threads_are_few() -> None:
    before, ours, release, ran = threads(), Refresher(), threading.Event(), threading.Semaphore(0)
    started: list[int] = []

    def slow() -> None:
        started.append(1)
        release.wait(PATIENCE)
        ran.release()

    for _ in range(20):
        ours.submit(slow, never)
    deadline = time.monotonic() + PATIENCE
    while len(started) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert threads() - before == 4
    release.set()
    for _ in range(20):
        assert ran.acquire(timeout=PATIENCE)
    assert ours.submitted == 20
    ours.close()
    wait_until_idle(before)


def test_after_the_close_nothing_is_taken_and_what_waits_is_dropped() -> None:
    ours, running, release = Refresher(), threading.Semaphore(0), threading.Event()
    ran: list[str] = []

    def slow() -> None:
        running.release()
        release.wait(PATIENCE)

    for _ in range(4):
        ours.submit(slow, never)
    for _ in range(4):
        assert running.acquire(timeout=PATIENCE)
    ours.submit(lambda: ran.append("run"), lambda: ran.append("dropped"))
    before = threads()
    ours.close()
    release.set()
    wait_until_idle(before - 4)
    ours.submit(lambda: ran.append("run"), lambda: ran.append("dropped"))
    assert ran == ["dropped", "dropped"]


@pytest.mark.parametrize("raised", [ZeroDivisionError, CancelledError, SystemExit])
def test_a_job_that_raises_ends_no_thread(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    ours, ran = Refresher(), threading.Semaphore(0)

    def job() -> None:
        ran.release()
        raise raised("a value")

    for _ in range(20):
        ours.submit(job, never)
    for _ in range(20):
        assert ran.acquire(timeout=PATIENCE), "as many as ever"
    ours.close()
    assert {record.message for record in caplog.records} == {
        f"loading anew in the background failed ({raised.__name__})"
    }


def test_an_idle_thread_ends_and_a_later_job_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "_IDLE_SEC", 0.01)
    before, ours = threads(), Refresher()
    for _ in range(50):
        done = threading.Event()
        ours.submit(done.set, never)
        assert done.wait(PATIENCE), "no job is left behind by a thread that goes"
        time.sleep(0.01)
    wait_until_idle(before)


def test_without_a_thread_to_be_had_a_job_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ours, dropped, done = Refresher(), threading.Event(), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        ours.submit(never, dropped.set)
        assert dropped.is_set()
    ours.submit(done.set, never)
    assert done.wait(PATIENCE), "and the next is run when there are threads again"
    ours.close()


def test_its_threads_keep_neither_it_nor_a_jobs_owner_alive() -> None:
    class Owner:
        pass

    ours, owner, done = Refresher(), Owner(), threading.Event()

    def job(held: Owner = owner) -> None:
        done.set()

    ours.submit(job, never)
    assert done.wait(PATIENCE)
    watched: list[weakref.ref[object]] = [weakref.ref(ours), weakref.ref(owner)]
    del ours, owner, job
    deadline = time.monotonic() + PATIENCE
    while any(ref() is not None for ref in watched):
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


def test_a_forked_child_starts_anew() -> None:
    ours, running, release = Refresher(), threading.Semaphore(0), threading.Event()

    def slow() -> None:
        running.release()
        release.wait(PATIENCE)

    for _ in range(4):
        ours.submit(slow, never)
    for _ in range(4):
        assert running.acquire(timeout=PATIENCE)
    ours._lock.acquire()
    ours.reset_locks()
    done = threading.Event()
    ours.submit(done.set, never)
    assert done.wait(PATIENCE), "not behind threads that a child does not have"
    release.set()
    ours.close()
