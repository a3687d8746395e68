"""Many threads in several processes that want the same key at the same moment, on one registry over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from incumbent import KEK, SUBJECT, TOPIC
from key_world import KeyWorld, encrypt_rule, key_world
from race_worker import SCHEMA, THREADS, Order, RaceWorker, version
from worlds import World, rule, world

__all__ = ["key_world", "world"]  # fixtures

PROCESSES = 4
KEKS, DEKS = "/keks", f"/deks/{SUBJECT}"
#: So long the DEK is still good when the race begins; first batches take a tenth of it.
LEFT_SEC = 3.0


class Race:
    """Processes on one registry.

    Attributes:
        sealed: every frame that any of them sealed, by the id of its row.
    """

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self.sealed: dict[str, bytes] = {}
        self._stack = stack
        self._workers: list[RaceWorker] = []

    def start(self, conf: dict[str, object] | None = None, gates: tuple[str, ...] = ()) -> None:
        """Bring the processes up, cold."""
        for _ in range(PROCESSES):
            worker = RaceWorker(self.world.http.url, conf or {}, gates)
            self._workers.append(self._stack.enter_context(worker))
        assert [worker.hear() for worker in self._workers] == [{"ready": True}] * PROCESSES

    def run(self, name: str, gates: Sequence[str] = (), **order: int) -> list[dict[str, Any]]:
        """Have all seal at once; what each of them says afterwards.

        Args:
            name: of this run.
            gates: where all meet on the way, one after the other.
            order: see Order.
        """
        for number, worker in enumerate(self._workers):
            worker.order(Order(f"{name}-{number}", **order))
        for gate in gates:
            assert [worker.hear() for worker in self._workers] == [{"gate": gate}] * PROCESSES
            for worker in self._workers:
                worker.open_gate()
        told = [worker.hear() for worker in self._workers]
        for one in told:
            one["frames"] = {id_: bytes.fromhex(frame) for id_, frame in one["frames"].items()}
            self.sealed |= one["frames"]
        return told

    def posts(self) -> list[tuple[str, int]]:
        """The POSTs that the registry saw: what their paths end with, and how they were answered."""
        seen = [request for request in self.world.http.requests if request.method == "POST"]
        return [(request.path.removeprefix("/dek-registry/v1/keks"), request.status) for request in seen]

    def check_that_all_can_be_read(self) -> None:
        """A reader that has seen nothing of it opens every frame."""
        opened = self.world.engine().deserialize(TOPIC, list(self.sealed.values()))
        opened.raise_for_errors()
        assert opened.values == [{"id": id_, "v": f"secret {id_}"} for id_ in self.sealed]


@pytest.fixture
def race(world: World) -> Iterator[Race]:
    with ExitStack() as stack:
        yield Race(world, stack)


def versions(frames: Mapping[str, bytes]) -> Counter[int]:
    return Counter(version(frame) for frame in frames.values())


def test_a_dek_that_expires_under_way_is_followed_once(race: Race) -> None:
    world = race.world
    world.put(SCHEMA, rule(days=1))
    race.start(gates=(DEKS,))
    world.http.clock.advance(days=-1, seconds=LEFT_SEC)
    world.engine().serialize(TOPIC, [{"id": "first", "v": "secret first"}]).raise_for_errors()
    world.http.clock.reset()
    world.http.clear_requests()
    # All of them have found version 1 expired before one of them makes version 2.
    told = race.run("expiry", [DEKS], batches=20, rows=2, until=2)
    for one in told:
        assert set(versions(one["frames"])) == {1, 2}, "each has sealed before and behind"
        assert one["behind"] == [2], "the losers move on at once"
        assert len(one["posts"]) == 1
    assert sorted(race.posts()) == [(f"/{KEK}{DEKS}", 200)] + [(f"/{KEK}{DEKS}", 409)] * (PROCESSES - 1)
    assert sum(one["stats"]["deks_created"] for one in told) == 1
    assert world.http.deks.versions(KEK, SUBJECT) == [1, 2]
    world.http.clear_requests()
    for one in race.run("after", batches=20, rows=2):
        assert set(versions(one["frames"])) == {2}
        assert one["posts"] == []
    assert world.http.requests == []
    race.check_that_all_can_be_read()


def test_the_first_kek_and_dek_are_made_once(race: Race) -> None:
    world = race.world
    world.put(SCHEMA, rule())
    race.start(gates=(KEKS, DEKS))
    told = race.run("first", [KEKS, DEKS], batches=5, rows=4)
    assert [len(one["posts"]) for one in told] == [2] * PROCESSES
    assert Counter(race.posts()) == {
        ("", 200): 1,
        ("", 409): PROCESSES - 1,
        (f"/{KEK}{DEKS}", 200): 1,
        (f"/{KEK}{DEKS}", 409): PROCESSES - 1,
    }
    assert [sum(one["stats"][name] for one in told) for name in ("keks_created", "deks_created")] == [1, 1]
    assert world.http.deks.versions(KEK, SUBJECT) == [1]
    world.http.clear_requests()
    race.run("after", batches=5, rows=4)
    assert world.http.requests == []
    assert len(race.sealed) == PROCESSES * THREADS * 2 * 5 * 4
    race.check_that_all_can_be_read()


def test_no_dek_seals_more_than_its_budget(race: Race) -> None:
    most, batches, rows = 400, 10, 10
    race.world.put(SCHEMA, rule(days=1))
    race.start({"dek.max.seals": most, "dek.max.seals.producers": PROCESSES})
    told = race.run("budget", batches=batches, rows=rows)
    by_version = versions(race.sealed)
    assert by_version.total() == PROCESSES * THREADS * batches * rows
    assert max(by_version.values()) <= most
    for one in told:
        own = versions(one["frames"])
        assert max(own.values()) <= most // PROCESSES, "its part"
        stated = {name.rpartition("/")[2]: n for name, n in one["stats"].items() if "dek_seals/" in name}
        assert {str(number): count for number, count in own.items()} == stated
    # A process needs eight versions, and takes those that another has made before it makes one.
    assert set(by_version) <= set(race.world.http.deks.versions(KEK, SUBJECT))
    assert sum(len(one["posts"]) for one in told) < PROCESSES * THREADS
    race.check_that_all_can_be_read()


def test_versions_of_a_race_are_read_in_any_order(key_world: KeyWorld) -> None:
    """Processes that rotate by their budgets leave versions in a batch that do not rise one by one."""
    key_world.put_kek()
    for number in range(1, 6):
        key_world.put_dek(b"\x1a\x20" + bytes([number] * 32), number)
    cold, daily = key_world.service(), encrypt_rule(expiry_days=1)
    for number in (1, 3, 2, 5, 4):
        assert cold.reader_key(daily, SUBJECT, number).value.cipher.version == number
