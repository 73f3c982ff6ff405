# SPDX-License-Identifier: Apache-2.0
"""Many processes with one file at the same moment: whatever they wait for, each of them can be ended at once."""
import errno
import os
import random
import signal
import sys
import threading
import time
import unittest

from fake import LIMIT, Mount, wait_until, wchan

# In the process itself: what takes the inode's lock by the name, by an open file, and the directory's.
CALLS = {
    "sync": "fd = os.open(name, os.O_RDONLY); go(); os.fsync(fd)",
    "open and sync": "go(); os.fsync(os.open(name, os.O_RDONLY | os.O_NONBLOCK))",
    "utime": "go(); os.utime(name)",
    "touch": "go(); os.utime(os.open(name, os.O_WRONLY | os.O_CREAT))",
    "write": "go(); os.write(os.open(name, os.O_WRONLY), b'why')",
    "truncate": "go(); os.truncate(name, 0)",
    "open to truncate": "go(); os.open(name, os.O_WRONLY | os.O_TRUNC)",
    "chmod": "go(); os.chmod(name, 0o644)",
    "tail": "go(); os.lseek(os.open(name, os.O_RDONLY), 0, os.SEEK_END)",
    "stat": "go(); os.stat(name)",
    "ls": "go(); os.listdir(os.path.dirname(name))",
}
CHILD = """import os, signal, sys
name = sys.argv[1]
def go():
    os.write(1, b"ready\\n"); os.read(0, 1)
try:
    {}
except OSError:
    pass
signal.pause()
"""
NAMES = ("sessions/2024-01-01", "sessions/2024-01-01.{}", "sessions/2024-01", "sessions/.run")


def can_be_ended(where):
    """Whether a process sleeps where a signal reaches it: in a request of its own, or done with its call."""
    return where == "request_wait_answer" or "pause" in where


class ManyAtOnceTest(unittest.TestCase):
    def mount(self, *options):
        m = Mount(*options)
        self.addCleanup(m.close)
        return m

    def crowd(self, m, name, ways, each):
        """Processes that go at the same moment."""
        dice = random.Random(0)
        calls = [CALLS[way] for way in ways for _ in range(each)]
        dice.shuffle(calls)
        read, write = os.pipe()
        children = [m.start_python(CHILD.format(call), name, stdin=read) for call in calls]
        os.close(read)
        for child in children:
            self.assertEqual(child.stdout.readline(), "ready\n")
        os.write(write, b"x" * len(children))
        self.addCleanup(os.close, write)
        for child in children:
            wait_until(lambda c=child: can_be_ended(wchan(c.pid)))
        dice.shuffle(children)
        return children

    def assert_each_can_be_ended(self, m, children):
        # One after the other: who waits for another's lock would outlive his SIGKILL.
        for child in children:
            child.kill()
            child.wait(LIMIT)
        self.assertEqual(m.run("ls -l sessions").returncode, 0)

    def test_while_it_is_built(self):
        for name in NAMES:
            with self.subTest(name=name):
                m = self.mount()
                m.tell("hold builds")
                self.assertEqual(m.run("touch sessions/2024-01-01").returncode, 0)
                name = name.format("running")
                wait_until(lambda path=m / "sessions/2024-01-01.running": os.path.exists(path))
                waiting = m.start(f"sync {name}")
                m.wait_for_entry(waiting.pid)
                self.assert_each_can_be_ended(m, self.crowd(m, name, CALLS, 4))
                self.assertIsNone(waiting.poll())
                # This backend cancels only what is queued. Whatever it says, it says at once.
                self.assertIn(m.start(f"rm {name}").wait(LIMIT), (0, 1))

    def test_while_it_is_requested(self):
        for name in NAMES:
            with self.subTest(name=name):
                m = self.mount()
                m.tell("hold requests")
                name = name.format("pending")
                self.assert_each_can_be_ended(m, self.crowd(m, name, CALLS, 4))

    def test_a_file_that_was_open_before(self):
        m = self.mount()
        path = m / "sessions/2024-01-01"
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        m.tell("hold builds")
        os.utime(path)
        waiter = threading.Thread(target=os.fsync, args=(fd,))
        waiter.start()
        wait_until(lambda: wchan(f"self/task/{waiter.native_id}") == "request_wait_answer")
        # Its inode is locked: the names lead elsewhere as soon as the announcer has told the kernel.
        wait_until(lambda: os.stat(path).st_ino == os.fstat(fd).st_ino and m.run(f"touch {path}").returncode == 0)
        self.assert_each_can_be_ended(m, self.crowd(m, "sessions/2024-01-01", CALLS, 2))
        self.assertEqual(m.run("rm sessions/2024-01-01; ls -l sessions").returncode, 0)
        m.tell("release builds")
        waiter.join(LIMIT)
        self.assertFalse(waiter.is_alive())

    def test_by_the_descriptor_alone(self):
        """No name is looked up again: /proc/self/fd/N leads to the inode that is open."""
        m = self.mount()
        path = m / "sessions/2024-01-01"
        fd = os.open(path, os.O_PATH)
        self.addCleanup(os.close, fd)
        os.utime(f"/proc/self/fd/{fd}")
        self.assertEqual(m.run(f"sync {path}").returncode, 0)
        os.chmod(f"/proc/self/fd/{fd}", 0o444)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o444)
        os.chmod(path, 0o644)
        m.tell("hold builds")
        os.utime(path)
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
        self.addCleanup(os.close, again)
        self.assertIn(os.read(again, 4096).split(b'"state": "')[1][:6], (b"queued", b"runnin"))

    def test_thousands_of_short_waits_beside_a_long_one(self):
        m = self.mount()
        m.tell("hold builds")
        os.utime(m / "sessions/2024-01-01")
        waiting = m.start("sync sessions/2024-01-01")
        m.wait_for_entry(waiting.pid)

        class Enough(Exception):
            pass

        def ring(*_):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Enough

        before = signal.signal(signal.SIGALRM, ring)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        for _ in range(5000):
            fd = os.open(m / "sessions/2024-01-01", os.O_RDONLY)
            try:
                # Again and again: the first may come when Python has looked for signals and not called yet.
                signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.001)
                os.fsync(fd)
            except Enough:
                pass
            os.close(fd)
        self.assertIsNone(waiting.poll())
        self.assertEqual(m.run("rm sessions/2024-01-01; touch sessions/2024-01-01 && ls -l sessions").returncode, 0)

    def test_a_signal_does_not_end_a_touch_that_is_being_recorded(self):
        m = self.mount()
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        for day in range(1, 32):
            begin = time.monotonic()
            try:
                os.utime(m / f"sessions/2024-01-{day:02}")
            except InterruptedError:
                # However busy the machine is, not before the time that a touch is given (WAIT_DEAF_US).
                self.assertGreaterEqual(time.monotonic() - begin, 0.05)

    def test_other_names_do_not_change_what_one_means(self):
        m = self.mount()
        os.stat(m / "sessions/2024-03")
        fd = os.open(m / "sessions/2024-02", os.O_RDONLY)
        self.addCleanup(os.close, fd)
        text = os.pread(fd, 4096, 0)
        for hour in range(20000):
            name = f"2024-03-{hour % 28 + 1:02}T{hour // 28 % 24:02}--2024-10-{hour // 672:02}"
            try:
                os.stat(m / f"{('sessions', 'hourly')[hour % 2]}/{name}")
            except OSError as e:
                self.assertEqual(e.errno, errno.ENOENT)
        os.utime(m / "sessions/2024-03")
        self.assertEqual(m.run("sync sessions/2024-03").returncode, 0)
        self.assertEqual(m.counts()[0], 31)
        self.assertTrue(os.path.exists(m / "sessions/2024-03-01"))
        self.assertEqual(os.pread(fd, 4096, 0), text)


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("no /dev/fuse that may be opened")
        sys.exit(1 if os.environ.get("BATCHFS_MUST_WORK") == "1" else 77)
    unittest.main(verbosity=2)
