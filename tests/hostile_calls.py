"""Hostile rows and frames through all four calls, in a process of its own that may die of them.

Prints one JSON line a case before it is tried, ``{"case": ...}``, and one after, with the codes by call.
Dies of SIGXCPU after more than ten seconds of CPU time.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import UserDict, UserList, deque
from collections.abc import Callable, Iterator
from typing import Any

from incumbent import TOPIC, Subject, field, record
from leaks import MARK, assert_silent

CPU_SECONDS = 10  # far beyond what these rows need, on any machine
MEMORY = 6 << 30
DEEP = 10_000
FAR = 50  # arrays between a record and the next


def in_arrays(what: Any) -> Any:
    """So many arrays around a type, as a type."""
    for _ in range(FAR):
        what = {"type": "array", "items": what}
    return what


TREE = record(
    field("v", ["null", "string"], "PII"),
    field("next", ["null", "R"]),
    field("kids", {"type": "array", "items": "R"}),
    field("named", {"type": "map", "values": "R"}),
    field("far", in_arrays("R")),
)
FLAT = record(field("v", "string", "PII"), field("list", {"type": "array", "items": "string"}))

LEAF = b"\x00" * 5
FRAMES = {
    "through a union": b"\x00\x02" * DEEP + LEAF + b"\x00" * 3 * DEEP,
    "through arrays": b"\x00\x00\x02" * DEEP + LEAF + b"\x00" * 3 * DEEP,
    "through maps": b"\x00\x00\x00\x02\x02k" * DEEP + LEAF + b"\x00" * 2 * DEEP,
    "through few records in many arrays": (b"\x00" * 4 + b"\x02" * FAR) * 400 + LEAF + b"\x00" * FAR * 400,
    "cut short": b"\x00\x02" * DEEP,
}


def tree(**parts: Any) -> dict[str, Any]:
    return {"v": MARK, "next": None, "kids": [], "named": {}, "far": []} | parts


def nested(wrap: Callable[[Any], Any], levels: int = DEEP, leaf: Any = None) -> Any:
    row = tree() if leaf is None else leaf
    for _ in range(levels):
        row = wrap(row)
    return row


def far(row: Any) -> Any:
    for _ in range(FAR):
        row = [row]
    return row


def holds_itself(place: Callable[[dict[str, Any]], None], make: Callable[..., Any] = dict) -> Any:
    row = make(tree())
    place(row)
    return row


def own_list() -> Any:
    kids: list[Any] = []
    kids.append(tree(kids=kids))
    return tree(kids=kids)


class Endless(list[Any]):
    """A list that holds a new row with such a list whenever it is looked into."""

    def __iter__(self) -> Iterator[Any]:
        yield tree(kids=Endless())


def deep_list(levels: int = 100_000) -> Any:
    found: Any = MARK
    for _ in range(levels):
        found = [found]
    return found


ROWS: dict[str, Callable[[], Any]] = {
    "deep through a union": lambda: nested(lambda row: tree(next=row)),
    "deep through lists": lambda: nested(lambda row: tree(kids=[row])),
    "deep through tuples": lambda: nested(lambda row: tree(kids=(row,))),
    "deep through maps": lambda: nested(lambda row: tree(named={"k": row})),
    "deep through named branches": lambda: nested(lambda row: tree(next=("R", row))),
    "deep through mappings": lambda: nested(lambda row: UserDict(tree(next=row))),
    "deep through sequences": lambda: nested(lambda row: tree(kids=UserList([row]))),
    "deep through deques": lambda: nested(lambda row: tree(kids=deque([row]))),
    "deep through map mappings": lambda: nested(lambda row: tree(named=UserDict({"k": row}))),
    "few records in many lists": lambda: nested(lambda row: tree(far=far(row)), 400),
    "few mappings in many lists": lambda: nested(lambda row: UserDict(tree(far=far(row))), 400),
    "holds itself": lambda: holds_itself(lambda row: row.update(next=row)),
    "holds itself in a list": lambda: holds_itself(lambda row: row.update(kids=[tree(), row])),
    "holds itself in a tuple": lambda: holds_itself(lambda row: row.update(kids=(row,))),
    "holds itself in a map": lambda: holds_itself(lambda row: row.update(named={"k": row})),
    "holds itself in a branch": lambda: holds_itself(lambda row: row.update(next=("R", row))),
    "holds itself as a mapping": lambda: holds_itself(lambda row: row.update(next=row), UserDict),
    "holds itself in a sequence": lambda: holds_itself(lambda row: row.update(kids=UserList([row]))),
    "a list that holds itself": own_list,
    "a list that never ends": lambda: tree(kids=Endless()),
    "shared twice at each of 60 levels": lambda: nested(lambda row: tree(kids=[row, row]), 60),
    "shared twice in maps": lambda: nested(lambda row: tree(named={"a": row, "b": row}), 60),
    "shared twice in sequences": lambda: nested(lambda row: tree(kids=UserList([row, row])), 60),
    "shared through union and map": lambda: nested(lambda row: tree(next=row, named={"a": row}), 60),
}
MISFITS: dict[str, Callable[[], Any]] = {
    "a list 100,000 deep for text": lambda: {"v": deep_list(), "list": []},
    "a list 100,000 deep for a list": lambda: {"v": "", "list": deep_list()},
    "a list of itself": lambda: {"v": "", "list": own_list()["kids"]},
    "itself for text": lambda: holds_itself(lambda row: row.update(v=row, list=[])),
    "a frame's worth of nothing": lambda: {"v": "", "list": range(10)},
}


def main() -> None:
    """See the module."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kind = sys.argv[1]
    for name in sys.argv[2:]:
        print(json.dumps({"case": name}), flush=True)  # noqa: T201 - the parent reads it
        codes = _frame(FRAMES[name]) if kind == "frame" else _row(kind, name)
        print(json.dumps({"case": name, "codes": codes}), flush=True)  # noqa: T201


def _frame(body: bytes) -> dict[str, str]:
    subject = Subject(TREE)
    with subject.engine() as engine:
        [good] = engine.serialize(TOPIC, [tree()]).values
        frame = subject.frame(body)
        results: dict[str, Any] = {
            "decrypt": engine.decrypt(TOPIC, [good, frame, good]),
            "deserialize": engine.deserialize(TOPIC, [good, frame, good]),
            "encrypt": engine.encrypt(TOPIC, [LEAF, body, LEAF]),
        }
        return {call: _code(result) for call, result in results.items()}


def _row(kind: str, name: str) -> dict[str, str]:
    schema, rows = (TREE, ROWS) if kind == "row" else (FLAT, MISFITS)
    good = tree() if kind == "row" else {"v": MARK, "list": []}
    with Subject(schema).engine() as engine:
        return {"serialize": _code(engine.serialize(TOPIC, [good, rows[name](), good]))}


def _code(result: Any) -> str:
    """The code of the middle row; the others must be well."""
    assert [error.row for error in result.errors] == [1]
    assert [value is None for value in result.values] == [False, True, False]
    assert_silent(result.errors[0])
    return str(result.errors[0].code)


if __name__ == "__main__":
    main()
