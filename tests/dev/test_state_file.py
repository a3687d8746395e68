from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csfle_fast.dev.state import Key
from csfle_fast.dev.state_file import StateFile
from csfle_fast.errors import ConfigError

LOCK_IT = """
import sys
from csfle_fast.dev.state_file import StateFile
StateFile(sys.argv[1])
print("mine", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


def pair(key: Key, value: Any) -> tuple[Key, Any]:
    return key, value


def contents(path: Path, table: str = "t") -> list[tuple[Key, Any]]:
    state = StateFile(path)
    try:
        return state.records(table, pair)
    finally:
        state.close()


def fill(path: Path, *changes: dict[Key, Any]) -> None:
    state = StateFile(path)
    for change in changes:
        state.save(change)
    state.close()


def test_what_was_saved_is_there_again_in_its_order(path: Path) -> None:
    fill(
        path,
        {("t", "b"): {"x": [1, None, "ü\n\u2028"]}, ("other", "a"): 1},
        {("t", "a"): "new"},
        {("t", "b"): {"x": []}, ("t", "c", "d"): True},
        {("t", "a"): None, ("t", "never there"): None},
    )
    assert contents(path) == [(("t", "b"), {"x": []}), (("t", "c", "d"), True)]
    assert contents(path, "other") == [(("other", "a"), 1)]
    assert contents(path, "none") == []


def test_a_new_one_is_whole_at_once_and_its_owners_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        StateFile(path).close()
        assert contents(path) == []
        fill(path, {("t", "a"): 1})
    finally:
        os.umask(old)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"state": 0o600, "state.lock": 0o600}


def test_rights_that_were_wider_become_narrow_with_the_next_change(path: Path) -> None:
    StateFile(path).close()
    path.chmod(0o644)
    path.with_name("state.new").touch(mode=0o644)  # left by a process that was killed
    fill(path, {("t", "a"): 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_link_points_to_is_the_state(path: Path) -> None:
    fill(path, {("t", "a"): 1})
    link = path.with_name("link")
    link.symlink_to(path)
    fill(link, {("t", "a"): 2})
    assert link.is_symlink()
    assert contents(path) == [(("t", "a"), 2)]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_end(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:-1])


def without_a_record(content: bytes) -> bytes:
    head, _, *rest = content.splitlines(keepends=True)
    return b"".join([head, *rest])


def with_another_value(content: bytes) -> bytes:
    return content.replace(b'"one"', b'"two"')


def of_another_version(content: bytes) -> bytes:
    head, *rest = content.splitlines(keepends=True)
    name, version = json.loads(head)
    return b"".join([json.dumps([name, version + 1]).encode() + b"\n", *rest])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut, "it is damaged"),
        (without_end, "it is damaged"),
        (without_a_record, "it is damaged"),
        (with_another_value, "it is damaged"),
        (lambda content: content + b"\n", "it is damaged"),
        (of_another_version, "it is of another version"),
        (lambda content: b"", "it is no state file"),
        (lambda content: b'{"subjects":[]}\n', "it is no state file"),
        (lambda content: b"[" * 100_000, "it is no state file"),
        (lambda content: bytes(range(256)), "it is no state file"),
    ],
)
def test_another_content_is_refused_and_left_as_it_is(
    path: Path, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    fill(path, {("t", "a"): "one", ("t", "b"): "one"})
    spoiled = spoil(path.read_bytes())
    path.write_bytes(spoiled)
    for _ in range(2):  # the first one let go of the lock
        with pytest.raises(ConfigError, match=reason) as refused:
            StateFile(path)
        assert str(path) in refused.value.message
        assert refused.value.__cause__ is None
    assert path.read_bytes() == spoiled


def test_a_record_that_cannot_be_read_is_not_quoted(path: Path) -> None:
    fill(path, {("t", "a"): "QUOTED"})
    state = StateFile(path)
    with pytest.raises(ConfigError, match="a record of 't'") as refused:
        state.records("t", lambda key, value: int(value))
    state.close()
    assert "QUOTED" not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


def test_it_belongs_to_one_at_a_time(path: Path) -> None:
    state = StateFile(path)
    with pytest.raises(ConfigError, match="in use by another registry"):
        StateFile(path)
    state.close()
    state.close()
    assert contents(path) == []


def test_it_belongs_to_one_process_until_that_is_killed(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOCK_IT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "mine\n"
            with pytest.raises(ConfigError, match="in use by another registry"):
                StateFile(path)
        finally:
            process.kill()
            process.wait()
    assert contents(path) == []


def test_a_closed_one_takes_nothing(path: Path) -> None:
    state = StateFile(path)
    open_first = not state.closed
    state.close()
    assert open_first
    assert state.closed
    with pytest.raises(RuntimeError, match="closed"):
        state.save({("t", "a"): 1})
    assert contents(path) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StateFile(tmp_path / "none" / "state")


def test_a_change_that_cannot_be_written_has_not_happened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateFile(path)
    state.save({("t", "a"): 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            state.save({("t", "b"): 2})
    assert state.records("t", pair) == [(("t", "a"), 1)]
    state.save({("t", "c"): 3})
    state.close()
    assert contents(path) == [(("t", "a"), 1), (("t", "c"), 3)]


def test_several_threads_lose_nothing(path: Path) -> None:
    state = StateFile(path)

    def write(name: str) -> None:
        for number in range(20):
            state.save({("t", name, str(number)): number})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state.close()
    assert {key for key, _ in contents(path)} == {
        ("t", name, str(number)) for name in "abcd" for number in range(20)
    }
