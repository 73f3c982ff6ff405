# SPDX-License-Identifier: Apache-2.0
"""One thread of a process stands still, as if the scheduler had forgotten it."""
import contextlib
import ctypes
import os
from pathlib import Path

from .wait import wait_until

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000


def announcer_of(m):
    """The thread of a mount that was started right behind the one that serves it."""
    tasks = sorted(int(t.name) for t in Path(f"/proc/{m.pid}/task").iterdir())

    def serving():
        return [t for t in tasks if "fuse_dev_do_read" in Path(f"/proc/{m.pid}/task/{t}/stack").read_text()]

    found = wait_until(serving, what="the thread that serves waits for the kernel")
    return tasks[tasks.index(found[0]) + 1]


@contextlib.contextmanager
def standing_still(tid):
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long] * 4

    def call(request):
        if ptrace(request, tid, 0, 0):
            raise OSError(ctypes.get_errno(), f"ptrace of {tid}")

    call(PTRACE_ATTACH)
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        call(PTRACE_DETACH)
