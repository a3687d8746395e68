"""The threads that load anew, off the hot path, what is in use and soon over."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Refresher"]

_logger = logging.getLogger(__name__)

#: Enough that one slow KMS does not hold up the others, few enough to be a polite client.
_MOST_THREADS = 4
#: A thread with nothing to do ends after so many seconds, so that an idle program has none.
_IDLE_SEC = 10.0


class _Job(NamedTuple):
    run: Callable[[], None]
    drop: Callable[[], None]


class Refresher:
    """Runs jobs in a few threads that start when they are needed. Safe to share between threads.

    Its threads never keep the process from ending, nor an Engine from being collected.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._crew = _Crew()
        self._lock = threading.Lock()
        self._closed = False
        self._submitted = 0

    @property
    def submitted(self) -> int:
        """Jobs taken so far."""
        return self._submitted

    def submit(self, run: Callable[[], None], drop: Callable[[], None]) -> None:
        """Have ``run`` called soon, or ``drop``, which may not raise, where nothing is run any more."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._submit(_Job(run, drop))
        if closed:
            drop()

    def close(self) -> None:
        """Take no more jobs and drop those that wait; one that runs is let run out."""
        with self._lock:
            self._closed = self._crew.closed = True
        self._drop_all()
        for _ in range(_MOST_THREADS):
            self._jobs.put(None)  # wakes one thread each

    def reset_locks(self) -> None:
        """In a forked child, which has none of the threads: their jobs are dropped, and new ones start."""
        self._lock = threading.Lock()
        self._jobs = queue.SimpleQueue()
        self._crew = _Crew()

    def _submit(self, job: _Job) -> None:
        self._submitted += 1
        self._jobs.put(job)
        if self._crew.joins(self._jobs.qsize()):
            thread = threading.Thread(
                target=_work, args=(self._jobs, self._crew), name="csfle-fast-refresher", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the system has no more, or the interpreter is about to end
                if self._crew.lose() == 0:
                    self._drop_all()

    def _drop_all(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job.drop()


class _Crew:
    """How many threads there are, and how many of them wait for a job.

    Attributes:
        closed: all go home.
    """

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def joins(self, jobs: int) -> bool:
        """Whether one more is to work on so many jobs; it is counted."""
        with self._lock:
            more = self._idle < jobs and self._threads < _MOST_THREADS
            self._threads += more
            return more

    def lose(self) -> int:
        """One that was counted did not come; how many there are."""
        with self._lock:
            self._threads -= 1
            return self._threads

    def wait(self, jobs: queue.SimpleQueue[_Job | None]) -> _Job | None:
        """The next job; None for a thread that has waited long enough."""
        with self._lock:
            self._idle += 1
        try:
            return jobs.get(timeout=_IDLE_SEC)
        except queue.Empty:
            return None
        finally:
            with self._lock:
                self._idle -= 1

    def leave(self, jobs: queue.SimpleQueue[_Job | None]) -> bool:
        """Whether the thread may go: not with a job that came while it made up its mind."""
        with self._lock:
            gone = self.closed or jobs.empty()
            self._threads -= gone
            return gone


def _work(jobs: queue.SimpleQueue[_Job | None], crew: _Crew) -> None:
    # A function of the queue alone: a method would keep its Refresher, and with it the keys, alive.
    while True:
        job = crew.wait(jobs)
        if job is not None:
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 - no job ends the thread that others wait for
                _logger.warning("loading anew in the background failed (%s)", type(error).__name__)
            del job  # it may hold what should be collected while this thread waits
        elif crew.leave(jobs):
            return
