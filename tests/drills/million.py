"""Source to topic to sink, with poisoned records among the good: each is accounted for exactly once.

PYTHONPATH=tests python -m drills.million --rows 1000000
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from csfle_fast.connect import (
    PipelineReport,
    SinkBatch,
    SinkHook,
    SourceHook,
    run_sink,
)
from csfle_fast.dev import DevRegistry
from drills.stage import HARMS, Stage
from incumbent import SECRET
from services.kafka import KafkaServer
from worlds import flat

__all__ = ["Account", "run"]

SHARE = 0.01
_CHUNK = 10_000
_MENDABLE = ("unknown schema", "wrong key")


@dataclass
class Account:
    """Who was seen where.

    Attributes:
        rows: how many records were produced.
        harmed: what was wrong with which record.
        delivered: how often each record was handed over by the first run, and was right.
        wrong: records that were handed over with another content.
        letters: how often each record was a dead letter after the first run, and its code.
        replayed: how often each record was handed over by the replay.
        again: how often each record was a dead letter once more.
        seconds: how long source, sink and replay took.
    """

    rows: int
    harmed: dict[int, str] = field(default_factory=dict)
    delivered: Counter[int] = field(default_factory=Counter)
    wrong: list[int] = field(default_factory=list)
    letters: Counter[int] = field(default_factory=Counter)
    codes: dict[int, str] = field(default_factory=dict)
    replayed: Counter[int] = field(default_factory=Counter)
    again: Counter[int] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """What does not add up; nothing if all is well."""
        good = set(range(self.rows)) - self.harmed.keys()
        mended = {number for number, harm in self.harmed.items() if harm in _MENDABLE}
        checks = {
            "a good record was not handed over exactly once": self.delivered != Counter(good),
            "a record was handed over with another content": bool(self.wrong),
            "a bad record was not a dead letter exactly once": self.letters != Counter(self.harmed.keys()),
            "a dead letter names another cause": any(
                self.codes.get(number) != HARMS[harm] for number, harm in self.harmed.items()
            ),
            "a mended dead letter was not handed over exactly once": self.replayed != Counter(mended),
            "another one was not a dead letter again": self.again != Counter(self.harmed.keys() - mended),
        }
        return [fault for fault, found in checks.items() if found]


def run(kafka: KafkaServer, registry: DevRegistry, rows: int, seed: int) -> Account:
    """Produce, consume, mend, replay."""
    stage, account, dice = Stage(kafka, registry), Account(rows), random.Random(seed)  # noqa: S311 - a drill is to be repeatable
    producer = stage.producer()
    with SourceHook(stage.config()) as source:
        began = time.perf_counter()
        for first in range(0, rows, _CHUNK):
            for number, frame, harm in stage.frames(source, first, min(_CHUNK, rows - first), dice, SHARE):
                if harm is not None:
                    account.harmed[number] = harm
                producer.produce(stage.source, key=str(number), value=frame)
                producer.poll(0)
        producer.flush()
        account.seconds["source"] = time.perf_counter() - began
    mend = stage.break_key()
    _consume(stage, account, "first", stage.source, account.delivered)
    for message in stage.drain(stage.dead_letters):
        number = int(message.key() or b"-1")
        account.letters[number] += 1
        headers: Any = message.headers()
        text = dict(headers)["__connect.errors.exception.message"].decode()
        account.codes[number] = text.rpartition("[")[2].removesuffix("]")
    mend()
    stage.add_schema()
    _consume(stage, account, "replay", stage.dead_letters, account.replayed)
    account.again = stage.ids(stage.dead_letters) - account.letters
    return account


def _consume(stage: Stage, account: Account, group: str, topic: str, seen: Counter[int]) -> PipelineReport:
    def handle(batch: SinkBatch) -> None:
        for key, row in zip(batch.keys, batch.values, strict=True):
            number = int(key)
            seen[number] += 1
            if row != flat(number):
                account.wrong.append(number)

    consumer = stage.consumer(group)
    began = time.perf_counter()
    try:
        with SinkHook(stage.config()) as sink:
            return run_sink(sink, consumer, handle, producer=stage.producer(), topics=[topic], until_end=True)
    finally:
        account.seconds[group] = time.perf_counter() - began
        consumer.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args(arguments)
    print(f"rows {given.rows:,}, seed {given.seed}")
    with (
        TemporaryDirectory(prefix="csfle-fast-") as folder,
        KafkaServer(Path(folder)) as kafka,
        DevRegistry(secret=SECRET) as registry,
    ):
        account = run(kafka, registry, given.rows, given.seed)
    print(f"poisoned {len(account.harmed):,}: {dict(Counter(account.harmed.values()))}")
    print(f"handed over {account.delivered.total():,}, dead letters {account.letters.total():,}")
    print(f"replayed {account.replayed.total():,}, dead letters again {account.again.total():,}")
    for name, seconds in account.seconds.items():
        print(f"{name}: {seconds:.1f} s")
    for fault in account.faults():
        print(f"FAULT: {fault}")
    return bool(account.faults())


if __name__ == "__main__":
    sys.exit(main())
