# SPDX-License-Identifier: Apache-2.0
"""What a container is, without an engine: a root directory, namespaces of its own for mounts and processes, a shared directory."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from .wait import LIMIT, wait_until

# $1: the root directory, $2: the shared one, $3: how mounts in it go around; then the command, which is process 1.
# Nothing that is mounted here is to be seen outside but what is mounted below the shared directory.
ENTER = """
root=$1 shared=$2 propagation=$3; shift 3
mount --make-private "$(findmnt -n -o TARGET --target "$root")" &&
mount --rbind "$shared" "$root/shared" && mount "--make-$propagation" "$root/shared" &&
mount -t proc proc "$root/proc" &&
for device in null fuse; do mount --bind "/dev/$device" "$root/dev/$device" || exit 99; done &&
exec chroot "$root" "$@"
"""


def libraries(program):
    """The shared libraries that the program needs, its loader too."""
    told = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", told)


class Root:
    """A root directory with these programs in /bin, and the libraries that they need."""

    def __init__(self, path, programs):
        self.path = Path(path)
        for name in ("bin", "dev", "proc", "tmp", "shared", "etc"):
            (self.path / name).mkdir(parents=True)
        for device in ("null", "fuse"):
            (self.path / "dev" / device).touch()
        for name, program in programs.items():
            shutil.copy(program, self.path / "bin" / name)
            for library in libraries(program):
                inside = self.path / library.lstrip("/")
                inside.parent.mkdir(parents=True, exist_ok=True)
                if not inside.exists():
                    shutil.copy(library, inside)

    def start(self, shared, propagation, *command, **keys):
        """The command as process 1. The process that is returned is its parent, which ends as it ends."""
        return subprocess.Popen(["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child", "sh", "-c",
                                 ENTER, "sh", str(self.path), str(shared), propagation, *command], **keys)


def first_process(parent):
    """The pid, seen from here, of the container's process 1."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    return int(wait_until(lambda: children.read_text().split(), what="the container has a process")[0])


class Shell:
    """A busybox shell in a container, which lives while commands are given to it."""

    def __init__(self, root, shared):
        self.process = root.start(shared, "rslave", "/bin/busybox", "sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)

    def run(self, script):
        """What the script prints; it must end with 0."""
        self.process.stdin.write(f"( {script}\n); echo \"end $?\"\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith("end "):
                assert line == "end 0\n", "".join(lines)
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"the shell has ended: {''.join(lines)}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)


def can_be_made():
    """Whether this user may make namespaces and mounts."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "busybox", "findmnt", "chroot"))):
        return False
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0
