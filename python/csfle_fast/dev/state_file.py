"""The state file: everything that is stored, in one file that is always whole.

It has one JSON text a line: a head, the records, and an end that tells how many there are and the SHA-256
of what stands before it. Every change writes the file anew beside the old one, has it on the disk, and puts
it in the place of the old one. So a process that is killed leaves the file from before or from after.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from csfle_fast.dev.state import Key, State
from csfle_fast.errors import ConfigError

__all__ = ["StateFile"]

_T = TypeVar("_T")

_FORMAT = "state of the csfle-fast development registry"
_VERSION = 1


class StateFile(State):
    """A file with all records. Safe to use from several threads; it belongs to one process at a time.

    The file can be read by its owner alone: it holds wrapped DEKs. A file beside it, of the same name and
    ``.lock``, stays there: it says whether somebody uses the state.

    Args:
        path: the file; it is made if it is not there, its folder is not.

    Raises:
        ConfigError: another process uses it, it is damaged, or it is no state file. It is left as it is.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Through a link it would be the link that is replaced.
        self._path = Path(path).resolve()
        self._mutex = threading.Lock()
        self._lines: dict[Key, bytes] = {}
        self._lock = _lock(self._path)
        try:
            try:
                found = self._path.read_bytes()
            except FileNotFoundError:
                self._write(self._lines)
            else:
                self._lines = self._parsed(found)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """See State."""
        return self._lock is None

    def records(self, table: str, read: Callable[[Key, Any], _T]) -> list[_T]:
        """See State."""
        found: list[_T] = []
        try:
            for key, line in self._lines.items():
                if key[0] == table:
                    found.append(read(key, json.loads(line)[1]))
        except (LookupError, TypeError, ValueError):  # its text may quote the record
            pass
        else:
            return found
        raise self._unusable(f"a record of '{table}' cannot be read")

    def save(self, changes: Mapping[Key, Any]) -> None:
        """See State."""
        with self._mutex:
            if self.closed:
                raise RuntimeError("the state file is closed: nothing can be stored any more")
            lines = dict(self._lines)
            for key, value in changes.items():
                if value is None:
                    lines.pop(key, None)
                else:
                    lines[key] = _line([key, value])
            self._write(lines)
            self._lines = lines

    def close(self) -> None:
        """See State."""
        with self._mutex:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _write(self, lines: Mapping[Key, bytes]) -> None:
        body = _line([_FORMAT, _VERSION]) + b"".join(lines.values())
        fresh = self._path.with_name(self._path.name + ".new")
        # One that a killed process left may be there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(fresh, flags, 0o600), "wb") as file:  # noqa: PTH123 - it takes a descriptor
            os.fchmod(file.fileno(), 0o600)
            file.write(body)
            file.write(_end(len(lines), body))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # so that the new name is on the disk, too
        finally:
            os.close(folder)

    def _parsed(self, found: bytes) -> dict[Key, bytes]:
        head, *lines = found.splitlines(keepends=True) or [b""]
        version = _head_version(head)
        if version is None:
            raise self._unusable("it is no state file of the development registry")
        if version != _VERSION:
            raise self._unusable("it is of another version of csfle-fast")
        records = lines[:-1]
        if lines[-1:] != [_end(len(records), b"".join([head, *records]))]:
            raise self._unusable("it is damaged")
        return {tuple(json.loads(line)[0]): line for line in records}

    def _unusable(self, reason: str) -> ConfigError:
        return ConfigError(
            f"the state file {self._path} cannot be used: {reason}; move it away to begin anew"
        )


def _lock(path: Path) -> int | None:
    """The descriptor that holds the state until it is closed, at the latest with the process."""
    descriptor = os.open(
        path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    else:
        return descriptor
    raise ConfigError(f"the state file {path} is in use by another registry")


def _head_version(line: bytes) -> int | None:
    try:
        head = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(head, list) and len(head) == 2 and head[0] == _FORMAT and isinstance(head[1], int):
        return head[1]
    return None


def _line(value: Iterable[Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _end(count: int, body: bytes) -> bytes:
    return _line([count, hashlib.sha256(body).hexdigest()])
