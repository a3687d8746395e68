"""The long run of the object codec against fastavro: ``python tests/object_codec_run.py --rows 200000``.

Prints one line, and fails at the first difference. The same seed makes the same rows.
"""

from __future__ import annotations

import argparse
import time
from random import Random

from codec_judge import try_one


def run(rows: int, seed: int) -> tuple[int, int, int]:
    """Compare until so many rows and bodies were compared: how many, how many fast, how many refused."""
    random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    done = fast = refused = 0
    while done < rows:
        judge = try_one(random, odd=random.choice([0, 0, 40, 8]))
        if judge is not None:
            done, fast, refused = done + judge.rows, fast + judge.fast, refused + judge.refused
    return done, fast, refused


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start = time.monotonic()
    done, fast, refused = run(given.rows, given.seed)
    print(  # noqa: T201 - what the command is for
        f"seed {given.seed}: {done:,} rows and bodies, 0 differences, {fast / done:.0%} without fastavro, "
        f"{refused:,} refused by both, {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
