# SPDX-License-Identifier: Apache-2.0
"""System calls as they are, and other implementations of the commands."""
import ctypes
import os
import shutil
import subprocess

AT_FDCWD = -100
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


def utimensat(path, atime, mtime):
    """Each time is UTIME_NOW, UTIME_OMIT or nanoseconds since 1970; without both: NULL."""
    def timespec(t):
        return Timespec(0, t) if t in (UTIME_NOW, UTIME_OMIT) else Timespec(t // 10**9, t % 10**9)

    libc = ctypes.CDLL(None, use_errno=True)
    times = None if atime is None else (Timespec * 2)(timespec(atime), timespec(mtime))
    if libc.utimensat(AT_FDCWD, os.fsencode(path), times, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))


def uutils():
    """The multi-call binary of uutils, or None: $BATCHFS_UUTILS, or on PATH where it is not GNU's."""
    names = (os.environ.get("BATCHFS_UUTILS"), "uutils", "uu-coreutils", "coreutils")
    for path in (shutil.which(n) for n in names if n):
        if path:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if "GNU" not in said:
                return path
    return None
