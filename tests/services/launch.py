"""Become the given command, and be killed by the kernel when the process that asked for it is gone.

Run as a script by `services.process`. A program of its own, because nothing of ours may run between fork and
exec of a process that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def launch(parent: int, command: list[str]) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() == parent:  # else it was gone before the kernel was asked
        os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    launch(int(sys.argv[1]), sys.argv[2:])
