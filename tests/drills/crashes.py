"""Topic to topic while the worker, and the broker, are killed: what comes out equals what went in, once.

PYTHONPATH=tests python -m drills.crashes --kills 50 --broker-kills 5
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Producer

from csfle_fast.connect import SourceHook
from csfle_fast.dev import DevRegistry
from drills.stage import Stage
from drills.worker import BEGUN, SENT
from incumbent import SECRET
from services import launch
from services.kafka import KafkaServer

__all__ = ["Crashes", "run"]

_TESTS = Path(__file__).resolve().parent.parent
_BATCH = 50
_SHARE = 0.02
#: A kill that does not find its transaction within this time is made all the same, and counted apart.
_PATIENCE_SEC = 30.0
_DONE_SEC = 120.0
#: Longest time, in seconds, between what the worker tells and the kill: a transaction takes about as long.
_DELAY_SEC = 0.004


@dataclass
class Crashes:
    """What was done, and what came of it.

    Attributes:
        kills: workers killed.
        inside: how many of them were inside an open transaction.
        broker_kills: brokers killed.
        ended: workers that ended by themselves, with an error, and were started again.
        longest: seconds until the first transaction after a kill, at most.
        produced: ids that went in, and what was wrong with some.
        out: how often each id came out.
        letters: how often each id became a dead letter.
    """

    kills: int = 0
    inside: int = 0
    broker_kills: int = 0
    longest: float = 0.0
    ended: int = 0
    produced: dict[int, str | None] = field(default_factory=dict)
    out: Counter[int] = field(default_factory=Counter)
    letters: Counter[int] = field(default_factory=Counter)

    def faults(self) -> list[str]:
        """What does not add up; nothing if all is well."""
        # No key is wrong here: records of the older version's key are as good as others.
        harms = {number: harm for number, harm in self.produced.items() if harm not in (None, "wrong key")}
        bad, good = Counter(harms.keys()), Counter(self.produced.keys() - harms.keys())
        checks = {
            "lost": good - self.out,
            "came out twice, or should not have": self.out - good,
            "no dead letter": bad - self.letters,
            "a dead letter twice, or should not be": self.letters - bad,
        }
        return [f"{found.total()} records: {what}" for what, found in checks.items() if found]


class _Worker:
    """A worker process and what it tells."""

    def __init__(self, stage: Stage) -> None:
        group = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500}
        static = {"group.instance.id": "worker"}  # the next worker takes the place at once
        servers = {"bootstrap.servers": stage.kafka.bootstrap_servers}
        given = {
            # A broker that is killed twice in a row may leave librdkafka waiting for its transaction: a
            # worker that gives up soon, and is started again, is at work sooner than one that waits.
            "config": stage.config() | {"errors.retry.timeout": "15000"},
            "consumer": servers
            | group
            | static
            | {
                "group.id": f"crashes-{stage.run}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            },
            # What a killed broker forgets of a transaction is waited for so long by the next reader.
            "producer": servers
            | {"transactional.id": f"crashes-{stage.run}", "transaction.timeout.ms": 10_000},
            "source": stage.source,
            "target": stage.target,
            "batch_size": _BATCH,
        }
        self._given = json.dumps(given)
        self.log = Path(tempfile.gettempdir()) / f"csfle-fast-crashes-{stage.run}.log"
        self.ended_itself = 0
        self.start()

    def start(self) -> None:
        """Begin anew, in the place of one that has ended."""
        self.last = b""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, launch.__file__, str(os.getpid())),  # it ends with this process
                    *(sys.executable, "-m", "drills.worker", self._given),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=_TESTS,
                env=os.environ | {"PYTHONPATH": str(_TESTS)},
            )

    def hear(self, timeout_sec: float) -> bytes:
        """Letters that arrived."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_sec)
        heard = os.read(self.process.stdout.fileno(), 65_536) if ready else b""
        if ready and not heard:
            # A broker that was killed may take the producer's transaction with it: that ends the pipeline.
            self.process.communicate()
            self.ended_itself += 1
            self.start()
        self.last = heard[-1:] or self.last
        return heard

    def await_letter(self, letter: bytes) -> None:
        """Return once the worker tells this letter."""
        deadline = time.monotonic() + _PATIENCE_SEC
        while letter not in self.hear(0.1) and time.monotonic() < deadline:
            pass

    def kill(self) -> bool:
        """SIGKILL; whether it hit an open transaction."""
        self.process.kill()
        told, _ = self.process.communicate()
        self.last = told[-1:] or self.last
        return self.last in (BEGUN, SENT)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        self.process.communicate(timeout=60)
        if self.process.returncode == 0:
            self.log.unlink()
        return self.process.returncode


class _Feed(threading.Thread):
    """Produces without end, so that records are always in flight, and not faster than they are worked off."""

    def __init__(self, stage: Stage, crashes: Crashes, seed: int) -> None:
        super().__init__(daemon=True)
        self._stage = stage
        self._crashes = crashes
        self._dice = random.Random(seed)  # noqa: S311 - a drill is to be repeatable
        self._over = threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        producer = self._stage.producer()
        try:
            with SourceHook(self._stage.config()) as hook:
                while not self._over.is_set():
                    self._produce(hook, producer)
                    self._over.wait(0.1)
        except BaseException as error:  # noqa: BLE001 - told to the one who joins
            self.failed = error
        left = producer.flush(60)
        if left and self.failed is None:
            self.failed = RuntimeError(f"{left} records were not produced")

    def _produce(self, hook: SourceHook, producer: Producer) -> None:
        first = len(self._crashes.produced)
        for number, frame, harm in self._stage.frames(hook, first, _BATCH, self._dice, _SHARE):
            self._crashes.produced[number] = harm
            producer.produce(self._stage.source, key=str(number), value=frame)
            producer.poll(0)

    def check(self) -> None:
        """Raise what it failed with."""
        if self.failed is not None:
            raise self.failed

    def end(self) -> None:
        """Produce no more."""
        self._over.set()
        self.join()
        self.check()


def run(kafka: KafkaServer, registry: DevRegistry, kills: int, broker_kills: int, seed: int) -> Crashes:
    """Kill workers and brokers at moments of ``seed``, and count what came out."""
    stage, crashes = Stage(kafka, registry), Crashes()
    dice = random.Random(seed)  # noqa: S311 - as above
    feed = _Feed(stage, crashes, seed)
    feed.start()
    while not crashes.produced:
        time.sleep(0.01)
    moments = ["worker"] * kills + ["broker"] * broker_kills
    dice.shuffle(moments)
    worker = _Worker(stage)
    try:
        for moment in moments:
            feed.check()
            began = time.monotonic()
            worker.await_letter(dice.choice([BEGUN, SENT]))
            crashes.longest = max(crashes.longest, time.monotonic() - began)
            time.sleep(dice.uniform(0, _DELAY_SEC))
            if moment == "broker":
                kafka.kill()
                kafka.start()
                crashes.broker_kills += 1
            else:
                crashes.inside += worker.kill()
                crashes.kills += 1
                worker.start()
        feed.end()
        _await_all(stage, crashes)
        if worker.end() != 0:
            raise RuntimeError(f"the worker did not end in good order; see {worker.log}")
        crashes.ended = worker.ended_itself
    finally:
        if worker.process.poll() is None:
            worker.kill()
    return crashes


def _await_all(stage: Stage, crashes: Crashes) -> None:
    deadline = time.monotonic() + _DONE_SEC
    while True:
        crashes.out, crashes.letters = stage.ids(stage.target), stage.ids(stage.dead_letters)
        seen = crashes.out.total() + crashes.letters.total()
        if seen >= len(crashes.produced) or time.monotonic() > deadline:
            return
        time.sleep(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--broker-kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}")
    with (
        TemporaryDirectory(prefix="csfle-fast-") as folder,
        KafkaServer(Path(folder)) as kafka,
        DevRegistry(secret=SECRET) as registry,
    ):
        crashes = run(kafka, registry, given.kills, given.broker_kills, given.seed)
    print(f"workers killed {crashes.kills}, {crashes.inside} of them inside an open transaction")
    print(f"brokers killed {crashes.broker_kills}")
    print(f"workers that gave up by themselves {crashes.ended}")
    print(f"at work again after {crashes.longest:.1f} s at most")
    print(
        f"in {len(crashes.produced):,}, out {crashes.out.total():,}, dead letters {crashes.letters.total():,}"
    )
    for fault in crashes.faults():
        print(f"FAULT: {fault}")
    return bool(crashes.faults())


if __name__ == "__main__":
    sys.exit(main())
