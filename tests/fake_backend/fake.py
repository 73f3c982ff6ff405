# SPDX-License-Identifier: Apache-2.0
"""A mount of fs/ over a backend whose requests and builds are held and released at will."""
import os
import subprocess
import sys
import tempfile
import time

BINARY = os.environ["FAKE_MOUNT"]
LIMIT = 60  # seconds until a test counts as hanging


def wait_until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.002)


def wchan(pid):
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as f:
            return f.read()
    except FileNotFoundError:
        return ""


class Mount:
    def __init__(self, *options):
        self.path = tempfile.mkdtemp(prefix="fake_mount.")
        self.process = subprocess.Popen([BINARY, self.path, *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line == "serving\n", line
        self.children = []

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        assert answer != "what?", command
        return answer

    def counts(self):
        """Builds, requests."""
        return tuple(int(x) for x in self.tell("count").split()[:2])

    def run(self, command):
        return subprocess.run(command, shell=True, cwd=self.path, capture_output=True, text=True, timeout=LIMIT,
                              check=False)

    def start(self, command):
        child = subprocess.Popen("exec " + command, shell=True, cwd=self.path, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        self.children.append(child)
        return child

    def start_python(self, text, *args, stdin):
        child = subprocess.Popen([sys.executable, "-c", text, *args], cwd=self.path, stdin=stdin,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.children.append(child)
        return child

    def wait_for_entry(self, command_pid):
        """Until the process sleeps in a request that can be interrupted."""
        wait_until(lambda: wchan(command_pid) == "request_wait_answer")

    def wait_until_parked(self, n):
        """Until n requests are, and all have been for 50 ms: nothing is due but the deadlines of timeout=."""
        wait_until(lambda: int(self.tell("count").split()[2]) >= n)
        self.tell("next")  # the answer is older than the question
        wait_until(lambda: not 0 <= int(self.tell("next")) <= 1000)

    def close(self):
        for child in self.children:
            child.kill()
        try:
            self.process.stdin.close()
            rest = self.process.stdout.read()
            self.process.stdout.close()
            code = self.process.wait(LIMIT)
        except BaseException:
            self.process.kill()
            raise
        for child in self.children:
            child.wait(LIMIT)
            child.stdout.close()
        os.rmdir(self.path)
        assert code == 0 and rest.strip().endswith("ended 0"), (code, rest)
