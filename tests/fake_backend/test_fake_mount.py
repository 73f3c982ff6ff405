# SPDX-License-Identifier: Apache-2.0
"""fs/ on a real mount, over a backend whose requests and builds are held and released at will."""
import errno
import json
import os
import signal
import subprocess
import sys
import time
import unittest

from fake import LIMIT, Mount, wait_until, wchan


def document(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert len(text.encode()) % 512 == 0 and text.endswith("\n"), text
    return json.loads(text)


class FakeMountTest(unittest.TestCase):
    def mount(self, *options):
        m = Mount(*options)
        self.addCleanup(m.close)
        return m

    def assert_fails(self, code, call, *args):
        with self.assertRaises(OSError) as caught:
            call(*args)
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[code])

    def assert_usable(self, m, name):
        """Nothing of what others do with the file, or its directory, hangs; and a second waiter can be ended."""
        for command in ("stat {0}", "cat {0}", "tail -1 {0}", "ls -l sessions", "grep -c model {0}"):
            self.assertIn(m.run(command.format(name)).returncode, (0, 1), command)
        self.assertEqual(m.run(f"chmod 600 {name}").returncode, 1)
        held = int(m.tell("count").split()[2])
        for command in (f"touch {name}", f"sync {name}"):
            child = m.start(command)
            if held and command.startswith("touch"):
                m.wait_until_parked(held + 1)
            wait_until(lambda c=child: c.poll() is not None or wchan(c.pid) == "request_wait_answer")
            child.kill()
            child.wait(LIMIT)
        self.assertEqual(m.run("ls -l sessions").returncode, 0)

    def test_a_parked_request_blocks_nobody(self):
        for command in ("touch {0}", "sh -c 'echo why > {0}'", "sh -c 'echo why >> {0}'", "truncate -s 0 {0}"):
            for name in ("sessions/2024-01-01", "sessions/2024-01-02.pending", "sessions/2024-03"):
                with self.subTest(command=command, name=name):
                    m = self.mount()
                    m.tell("hold requests")
                    m.run("ls -l sessions")
                    child = m.start(command.format(name))
                    m.wait_until_parked(1)
                    second = m.start(f"touch {name}")
                    m.wait_until_parked(2)
                    self.assert_usable(m, name)
                    child.send_signal(signal.SIGINT)
                    child.wait(LIMIT)
                    m.tell("release requests")
                    second.wait(LIMIT)

    def test_waiting_syncs(self):
        for name in ("sessions/2024-01-01", "sessions/2024-03"):
            with self.subTest(name=name):
                m = self.mount()
                m.tell("hold builds")
                self.assertEqual(m.run(f"touch {name}").returncode, 0)
                first = m.start(f"sync {name}")
                m.wait_for_entry(first.pid)
                self.assert_usable(m, name)
                second = m.start(f"sync {name}")
                m.wait_for_entry(second.pid)
                first.send_signal(signal.SIGKILL)
                first.wait(LIMIT)
                m.tell("release builds")
                self.assertEqual(second.wait(LIMIT), 0)

    def test_sync_answers_from_the_states(self):
        m = self.mount()
        m.tell("fail sessions 1")
        self.assertEqual(m.run("touch sessions/2024-01").returncode, 0)
        for name, code in (("2024-01", errno.EIO), ("2024-01-02", errno.EIO), ("2024-01-03", 0),
                           ("2024-02-02", errno.ENODATA), ("2024-02", 0), ("2024-02-02--2024-02-03", 0)):
            fd = os.open(m / f"sessions/{name}", os.O_RDONLY)
            try:
                if code:
                    self.assert_fails(code, os.fsync, fd)
                else:
                    os.fsync(fd)
            finally:
                os.close(fd)
        self.assertIn("Invalid argument", m.run("sync sessions").stderr)

    def test_o_sync_waits_and_fails_with_the_batch(self):
        m = self.mount("sync")
        m.tell("hold builds")
        m.tell("fail sessions 0")
        children = [m.start(c) for c in ("touch sessions/2024-01-01", "sh -c ': > sessions/2024-01-01'")]
        for child in children:
            m.wait_for_entry(child.pid)
        self.assert_usable(m, "sessions/2024-01-01")
        m.tell("release builds")
        for child in children:
            self.assertIn("Input/output error", child.communicate(timeout=LIMIT)[0])
        self.assertEqual(m.run("touch sessions/2024-01-02").returncode, 0)
        self.assertEqual(document(m / "sessions/2024-01-02")["state"], "done")

    def test_timeout(self):
        m = self.mount("timeout=1")
        m.tell("hold requests")
        self.assert_fails(errno.ETIMEDOUT, os.utime, m / "sessions/2024-01-01")
        self.assert_fails(errno.ETIMEDOUT, os.open, m / "sessions/2024-01-01", os.O_WRONLY | os.O_TRUNC)
        m.tell("release requests")
        self.assertEqual(m.run("touch sessions/2024-01-01 && sync sessions/2024-01-01").returncode, 0)

    def test_a_suffix_is_compare_and_swap(self):
        m = self.mount()
        m.tell("hold builds")
        names = sorted(os.listdir(m / "sessions"))
        self.assertEqual(next(n for n in names if n[0] != "."), "2024-01-01.pending")
        pending = m / "sessions/2024-01-01.pending"
        os.stat(pending)
        os.utime(pending)
        self.assert_fails(errno.ENOENT, os.utime, pending)
        self.assert_fails(errno.ENOENT, os.open, pending, os.O_WRONLY)
        # The courtesies are for stat, cat and sync.
        self.assertIn(document(pending)["state"], ("queued", "running"))
        m.tell("release builds")
        self.assertEqual(m.run("sync sessions/2024-01-01.pending").returncode, 0)
        self.assertEqual(m.run("sync sessions/2024-01-01.running && cat sessions/2024-01-01.queued").returncode, 0)
        self.assertFalse(os.path.exists(m / "sessions/2024-01-01.failed"))
        self.assertEqual(m.counts(), (1, 1))

    def test_one_run_each(self):
        now = time.time()
        m = self.mount()
        ways = (
            ("touch {0}", ""), ("touch -c {0}", ""), (": > {0}", ""), ("echo a reason > {0}", "a reason"),
            ("echo a reason >> {0}", "a reason"), ("(echo first; echo second) > {0}", "first"),
            ("head -c 200000 /dev/zero > {0}", ""), ("truncate -s 0 {0}", ""), ("cp /dev/null {0}", ""),
            ("echo x | tee {0}", "x"), ("echo x | dd of={0} conv=fsync", "x"), (f"touch -d @{now} {{0}}", ""),
        )
        for number, (command, reason) in enumerate(ways, 1):
            name = f"sessions/2024-01-{number:02}"
            with self.subTest(command=command):
                if "-d @" in command:
                    os.utime(m / name, (time.time(), time.time()))
                else:
                    self.assertEqual(m.run(command.format(name)).returncode, 0)
                self.assertEqual(m.run(f"sync {name}").returncode, 0)
                self.assertEqual(m.counts(), (number, number))
                self.assertEqual(document(m / name)["attempt"], 1)
                if reason:
                    self.assertEqual(m.tell("reason"), reason)

    def test_no_run(self):
        m = self.mount()
        path = m / "sessions/2024-01-01"
        self.assert_fails(errno.EPERM, os.utime, path, (1, 1))
        self.assert_fails(errno.EPERM, os.chmod, path, 0o600)
        self.assert_fails(errno.EPERM, os.chown, path, 1, 1)
        self.assert_fails(errno.EPERM, os.unlink, path)
        self.assert_fails(errno.EPERM, os.rename, path, m / "sessions/x")
        self.assert_fails(errno.EPERM, os.link, path, m / "sessions/x")
        self.assert_fails(errno.EPERM, os.symlink, "x", m / "sessions/x")
        self.assert_fails(errno.EPERM, os.mkdir, m / "sessions/x")
        self.assert_fails(errno.EPERM, os.rmdir, m / "sessions")
        self.assert_fails(errno.EPERM, os.utime, m / "sessions")
        self.assert_fails(errno.EPERM, os.utime, m / "sessions/.model")
        self.assert_fails(errno.EPERM, os.utime, m / "hourly/.full-refresh")
        self.assert_fails(errno.EOPNOTSUPP, os.utime, m / "broken/2024-01-01")
        self.assert_fails(errno.ENOENT, os.open, m / "sessions/x", os.O_CREAT | os.O_WRONLY)
        self.assert_fails(errno.ENOENT, os.stat, m / "sessions/2030-01-01")
        self.assert_fails(errno.ENOENT, os.stat, m / "sessions/2023")
        self.assert_fails(errno.EOPNOTSUPP, os.utime, m / "sessions/.full-refresh")
        self.assert_fails(errno.EINVAL, os.stat, m / "sessions/2024-02--2024-02")
        self.assertEqual(m.run("touch -a sessions/2024-01-01; cat sessions/*; ls -lR").returncode, 0)
        with open(path, "r+b"):
            pass
        self.assertEqual(m.counts(), (0, 0))
        self.assertTrue(m.tell("refusal"))

    def test_read_only(self):
        m = self.mount("ro")
        self.assert_fails(errno.EROFS, os.utime, m / "sessions/2024-01-01")
        self.assert_fails(errno.EROFS, os.open, m / "sessions/2024-01-01", os.O_WRONLY)
        self.assertFalse(os.stat(m / "sessions/2024-01-01").st_mode & 0o222)
        self.assertEqual(m.counts(), (0, 0))

    def test_a_listing_loses_nothing_while_names_change(self):
        m = self.mount()
        writer = m.start("sh -c 'while :; do touch days/2024 days/2026; done'")
        for _ in range(50):
            names = [n.split(".")[0] for n in os.listdir(m / "days") if not n.startswith(".")]
            self.assertEqual(len(names), 1100)
            self.assertEqual(len(set(names)), 1100)
        writer.kill()
        writer.wait(LIMIT)

    def test_never_stale_never_cut(self):
        m = self.mount()
        loops = [m.start("sh -c 'while :; do ls -l sessions; done' >/dev/null 2>&1") for _ in range(2)]
        for i in range(2000):
            n, fail = i * 7 % 31, i % 3 == 0
            path = m / f"sessions/2024-01-{n + 1:02}"
            m.tell(f"{'fail' if fail else 'heal'} sessions {n}")
            before = time.time_ns() - 1000
            fd = os.open(path, os.O_RDONLY)
            os.utime(path)
            try:
                os.fsync(fd)
                self.assertFalse(fail)
            except OSError as e:
                self.assertTrue(fail and e.errno == errno.EIO)
            st, same = os.stat(path), os.fstat(fd)
            os.close(fd)
            with open(path, "rb") as f:
                text = f.read()
            self.assertEqual(st.st_size, same.st_size)
            self.assertEqual(len(text), st.st_size)
            self.assertEqual(json.loads(text)["state"], "failed" if fail else "done")
            if not fail:
                self.assertGreaterEqual(st.st_mtime_ns, before)
            self.assertEqual(os.path.exists(path + ".failed"), fail)
            self.assertFalse(os.path.exists(path + ".pending"))
        for loop in loops:
            loop.kill()

    def test_unmounted_from_outside(self):
        m = self.mount()
        self.assertEqual(subprocess.run(["umount", m.path], check=False).returncode, 0)
        self.assertEqual(m.process.wait(LIMIT), 0)

    def test_waiters_are_answered_at_the_end(self):
        m = self.mount()
        m.tell("hold requests")
        child = m.start("touch sessions/2024-01-01")
        m.wait_for_entry(child.pid)
        m.process.stdin.close()
        self.assertNotEqual(child.wait(LIMIT), 0)
        self.assertEqual(m.process.wait(LIMIT), 0)


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("no /dev/fuse that may be opened")
        sys.exit(1 if os.environ.get("BATCHFS_MUST_WORK") == "1" else 77)
    unittest.main(verbosity=2)
