# SPDX-License-Identifier: Apache-2.0
"""One daemon in the foreground and its mount."""
import glob
import json
import os
import signal
import subprocess
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

from .wait import LIMIT, wait_until

FAULT_WORDS = ("ERROR: AddressSanitizer", "runtime error", "WARNING: ThreadSanitizer", "LeakSanitizer",
               "UndefinedBehaviorSanitizer", "broken contract", "fuse: reading device")
# A call on a file system that does not answer cannot be interrupted from within: the daemon is killed instead.
HANGING = 4 * LIMIT


def is_mounted(path):
    """By the kernel's table: asking the file system could hang."""
    escaped = str(path).replace("\\", r"\134").replace(" ", r"\040")
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        return any(line.split()[4] == escaped for line in table)


def unmount_lazily(path):
    while is_mounted(path):
        done = subprocess.run(["fusermount3", "-u", "-z", str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=True)


def stacks(pid):
    """Where the threads are, for a test that hangs."""
    lines = []
    for task in sorted(glob.glob(f"/proc/{pid}/task/*")):
        parts = []
        for name in ("comm", "wchan", "stack"):
            try:
                parts.append(Path(task, name).read_text().strip())
            except OSError as e:
                parts.append(str(e))
        lines.append(f"{task}: {parts[0]} {parts[1]}\n{parts[2]}")
    return "\n".join(lines)


class Mount:
    """Paths below it with `/`: mount / "sessions" / "2024-09-01"."""

    def __init__(self, binary, manifest, path, options, env, log):
        self.path = Path(path)
        self.log = Path(log)
        self.command = [str(binary), str(manifest), str(path), "-f"]
        if options:
            self.command += ["-o", ",".join(options)]
        self.env = {**os.environ, **env}
        self.process = None
        self.first_start = None
        self.said_before = 0
        self.hung = None
        self.watchdog = None

    def __truediv__(self, name):
        return self.path / name

    def _words(self):
        """The command; the clock that now= begins does not go back when the daemon is started again."""
        if self.first_start is None:
            self.first_start = time.monotonic()
        passed = timedelta(seconds=int(time.monotonic() - self.first_start))

        def later(option):
            name, _, at = option.partition("=")
            return f"now={(datetime.fromisoformat(at) + passed).isoformat()}" if name == "now" and passed else option
        return [",".join(map(later, word.split(","))) for word in self.command]

    def start(self, wait=True, **keys):
        """`keys` go to Popen."""
        if not is_mounted(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            # What an earlier start has said does not count: the dead mount is still there for a moment.
            self.said_before = log.tell()
            self.process = subprocess.Popen(self._words(), stdin=subprocess.DEVNULL, env=self.env,
                                            **{"stdout": log, "stderr": log, **keys})
        self.watchdog = threading.Timer(HANGING, self._kill_hanging)
        self.watchdog.daemon = True
        self.watchdog.start()
        if wait:
            self.wait_mounted()
        return self

    def wait_mounted(self):
        wait_until(self._serves, what=f"{self.path} is mounted", alive=self._must_live)

    def _serves(self):
        if not is_mounted(self.path):
            return False
        try:
            # Waits in the kernel until the daemon has said hello.
            os.statvfs(self.path)
        except OSError:
            return False
        return b"mounted, " in self.log.read_bytes()[self.said_before:]

    def _must_live(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"batchfs ended with {self.process.returncode} before it was mounted:\n"
                               f"{self.log_text()}")

    def _kill_hanging(self):
        if self.process.poll() is None:
            self.hung = stacks(self.process.pid)
            self.process.kill()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def pid(self):
        return self.process.pid

    def document(self, *names):
        """A file's JSON."""
        return json.loads(self.path.joinpath(*names).read_text())

    def ls(self, *names):
        return sorted(n for n in os.listdir(self.path.joinpath(*names)) if not n.startswith("."))

    def states(self, model):
        """{batch: state} by the listing's suffixes."""
        pairs = (n.partition(".") for n in self.ls(model))
        return {batch: state or "done" for batch, _, state in pairs}

    def build(self, *names):
        """touch and sync; raises what they raise."""
        path = self.path.joinpath(*names)
        os.utime(path)
        self.sync(*names)

    def sync(self, *names):
        fd = os.open(self.path.joinpath(*names), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def wait_exit(self, timeout=LIMIT):
        code = self.process.wait(timeout)
        self.watchdog.cancel()
        return code

    def unmount(self):
        """As a user does; the daemon must end with 0."""
        subprocess.run(["fusermount3", "-u", str(self.path)], check=True, capture_output=True, text=True)
        code = self.wait_exit()
        assert code == 0, f"exit status {code} after an unmount:\n{self.log_text()}"

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_exit()
        assert code == 0, f"exit status {code} after SIGTERM:\n{self.log_text()}"
        assert not is_mounted(self.path)

    def kill(self):
        """kill -9: the dead mount stays behind."""
        self.process.kill()
        self.wait_exit()

    def finish(self):
        """Whatever the test did: nothing is left, and nothing was wrong. Returns the complaints."""
        faults = []
        try:
            if self.process and self.process.poll() is None:
                if is_mounted(self.path):
                    self.unmount()
                else:
                    self.terminate()
        except (AssertionError, subprocess.SubprocessError) as e:
            faults.append(f"{e}\n{stacks(self.process.pid)}")
        finally:
            if self.watchdog:
                self.watchdog.cancel()
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            unmount_lazily(self.path)
        if self.hung:
            faults.append(f"the mount hung and was killed:\n{self.hung}")
        faults += [f"{word} in the log" for word in FAULT_WORDS if word in self.log_text()]
        return faults
