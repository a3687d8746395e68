"""What Kafka Connect made of records that it failed on: frozen in a file, and compared with a new run."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FROZEN = Path(__file__).resolve().parent.parent / "data" / "connect_dead_letters.json"
STACK_TRACE = "__connect.errors.exception.stacktrace"

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record as a consumer reads it.

    Attributes:
        topic: where it lies.
        partition: of the topic.
        partitions: how many the topic has.
        offset: in the partition.
        timestamp_type: ``CREATE_TIME`` or ``LOG_APPEND_TIME``.
        timestamp: milliseconds.
        key: None is null.
        value: None is null.
        headers: in order, duplicates kept; a value None is null.
    """

    topic: str
    partition: int
    partitions: int
    offset: int
    timestamp_type: str
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", tuple((name, value) for name, value in self.headers))

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file: bytes in base64."""
        return vars(self) | {
            "key": _text(self.key),
            "value": _text(self.value),
            "headers": [[name, _text(value)] for name, value in self.headers],
        }

    @classmethod
    def from_json(cls, there: dict[str, Any]) -> Record:
        """What `as_json` wrote."""
        return cls(
            **there
            | {
                "key": _bytes(there["key"]),
                "value": _bytes(there["value"]),
                "headers": [(name, _bytes(value)) for name, value in there["headers"]],
            }
        )


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One record and the dead letter that Connect wrote for it.

    Attributes:
        name: the connector's.
        shows: what is to be seen, in one sentence.
        config: the connector's settings, all of them.
        task: the state of the task afterwards, ``RUNNING`` or ``FAILED``.
        record: the one that failed.
        dead_letter: what lies in the dead letter topic for it.
    """

    name: str
    shows: str
    config: dict[str, str]
    task: str
    record: Record
    dead_letter: Record

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return vars(self) | {"record": self.record.as_json(), "dead_letter": self.dead_letter.as_json()}

    @classmethod
    def from_json(cls, there: dict[str, Any]) -> Reference:
        """What `as_json` wrote."""
        records = {name: Record.from_json(there[name]) for name in ("record", "dead_letter")}
        return cls(**there | records)


def load(path: Path = FROZEN) -> list[Reference]:
    """The references of a file."""
    return [Reference.from_json(case) for case in json.loads(path.read_text(encoding="utf-8"))["cases"]]


def save(references: Sequence[Reference], kafka: str, path: Path = FROZEN) -> None:
    """Write a file that `load` reads, with the version of Kafka that made it."""
    whole = {"kafka": kafka, "cases": [reference.as_json() for reference in references]}
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was frozen.

    Attributes:
        case: the name of the reference.
        where: the part of it, for instance ``dead_letter.headers[3]``.
        frozen: as the file has it.
        live: as the new run has it.
    """

    case: str
    where: str
    frozen: object
    live: object


def differences(frozen: Sequence[Reference], live: Sequence[Reference]) -> Iterator[Difference]:
    """All that differs, case by case, header by header.

    Of a stack trace only the first line and its end count: the lines between name the JDK's own methods.
    """
    here = {reference.name: reference for reference in live}
    there = {reference.name: reference for reference in frozen}
    if list(here) != list(there):
        yield Difference("", "cases", list(there), list(here))
    for name in there.keys() & here.keys():
        old, new = dict(_parts(there[name])), dict(_parts(here[name]))
        for where in old | new:
            if old.get(where) != new.get(where):
                yield Difference(name, where, old.get(where), new.get(where))


def _parts(reference: Reference) -> Iterator[tuple[str, object]]:
    yield "task", reference.task
    yield from ((f"config.{name}", value) for name, value in reference.config.items())
    for where in ("record", "dead_letter"):
        record: Record = getattr(reference, where)
        for name, value in vars(record).items():
            if name == "headers":
                yield f"{where}.headers", [header for header, _ in record.headers]
                for at, header in enumerate(record.headers):
                    yield f"{where}.headers[{at}]", _shortened(header)
            else:
                yield f"{where}.{name}", value


def _shortened(header: tuple[str, bytes | None]) -> tuple[object, ...]:
    name, value = header
    if name != STACK_TRACE or value is None:
        return header
    return name, value.split(b"\n")[0], value[-1:]


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
