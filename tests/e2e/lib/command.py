# SPDX-License-Identifier: Apache-2.0
"""Commands that must end: one that hangs is a failure, with the kernel stacks of what hangs."""
import glob
import os
import subprocess
from pathlib import Path

from .mount import stacks
from .wait import LIMIT, wait_until


class Hangs(AssertionError):
    pass


def descendants(pid):
    found = [pid]
    for children in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            for child in Path(children).read_text().split():
                found += descendants(int(child))
        except OSError:
            pass
    return found


def finish(process, timeout=LIMIT):
    """CompletedProcess of a Popen with text pipes; Hangs with stacks when it does not end."""
    try:
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
    except subprocess.TimeoutExpired:
        where = "\n".join(stacks(pid) for pid in descendants(process.pid))
        for pid in reversed(descendants(process.pid)):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        # No wait: what is in state D outlives SIGKILL.
        raise Hangs(f"{process.args} does not end:\n{where}") from None


def start(*args, cwd=None, env=None, **keys):
    """A Popen. user=, group=, extra_groups= as subprocess has them."""
    return subprocess.Popen([str(a) for a in args], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C", **(env or {})}, **keys)


def run(*args, timeout=LIMIT, **keys):
    return finish(start(*args, **keys), timeout)


def shell(where, command, **keys):
    """In the directory `where`, by sh; $0 is not used."""
    return run("sh", "-c", command, cwd=str(getattr(where, "path", where)), **keys)


def state(pid):
    """The letter in /proc/PID/stat; "gone"."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def waits_for_fuse(pid, call=""):
    """Whether it sits in the kernel and waits for the daemon's answer, to that call."""
    try:
        stack = Path(f"/proc/{pid}/stack").read_text()
    except OSError:
        return False
    return "request_wait_answer" in stack and call in stack


def is_locked_out(process):
    """Whether an rm waits for the lock of an inode that another process has."""
    try:
        stack = Path(f"/proc/{process.pid}/stack").read_text()
    except OSError:
        return False
    return "vfs_unlink" in stack and "fuse_unlink" not in stack


def wait_parked(process):
    def must_live():
        if process.poll() is not None:
            raise AssertionError(f"{process.args} ended with {process.returncode}: it did not wait\n"
                                 f"{process.stdout.read() if process.stdout else ''}"
                                 f"{process.stderr.read() if process.stderr else ''}")

    # Not for its lookup or open, which are answered at once.
    call = {"sync": "fsync", "touch": "vfs_utimes", "truncate": "do_truncate"}.get(process.args[0], "")
    wait_until(lambda: waits_for_fuse(process.pid, call), what=f"{process.args} waits for an answer", alive=must_live)


def parked_sync(path):
    """A sync that waits."""
    process = start("sync", path)
    wait_parked(process)
    return process


def errno_of(call, *args, **keys):
    """The errno it fails with; 0 when it does not."""
    try:
        call(*args, **keys)
        return 0
    except OSError as e:
        return e.errno
