"""What a forked child must not share with its parent: locks and threads.

Threads do not survive a fork, so a child would wait for ever on a lock that a thread of its
parent held, or on a pool whose workers are gone. The child therefore gets new ones; the old
pool is kept alive, because ending it would join threads that do not exist.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from csfle_fast._core import Pool

__all__ = ["pool", "register"]


class _Resettable(Protocol):
    def reset_locks(self) -> None: ...


_pool = Pool()
_left_behind: list[Pool] = []
_registered: weakref.WeakSet[_Resettable] = weakref.WeakSet()


def pool() -> Pool:
    """The threads of this process."""
    return _pool


def register(owner: _Resettable) -> None:
    """Have ``owner.reset_locks()`` called in every child that is forked while ``owner`` lives."""
    _registered.add(owner)


def _in_child() -> None:
    global _pool  # noqa: PLW0603 - one pool a process is the point
    _left_behind.append(_pool)
    _pool = Pool()
    for owner in list(_registered):
        owner.reset_locks()


os.register_at_fork(after_in_child=_in_child)
