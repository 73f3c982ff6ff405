# SPDX-License-Identifier: Apache-2.0
"""What is installed around the program: completion and the unit."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASH = ROOT / "packaging" / "batchfs.bash"
ZSH = ROOT / "packaging" / "batchfs.zsh"


@pytest.fixture(scope="module")
def binary():
    binary = os.environ.get("BATCHFS", str(ROOT / "build" / "mountopts" / "batchfs"))
    if not os.path.exists(binary):
        pytest.skip(f"{binary} is not built")
    return binary


def complete(binary, line, cwd):
    """What bash offers behind the line, whose words it takes apart at blanks and '=', as it does."""
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line[-1] in " =" else [])
    quoted = " ".join("'" + w + "'" for w in [binary, *words[1:]])
    script = f"""source {BASH}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}
        _batchfs 2>/dev/null; printf '%s\\n' "${{COMPREPLY[@]}}\""""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=cwd, env={**os.environ, "HOME": str(cwd)})
    assert not done.stderr
    return done.stdout.split()


def test_bash_offers_what_the_program_takes(binary, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "manifest.json").touch()
    (tmp_path / "other.txt").touch()
    (tmp_path / ".pg_service.conf").write_text("[warehouse]\nhost=db\n[weather]\n")
    assert complete(binary, "batchfs ", tmp_path) == ["target", "manifest.json"]
    assert complete(binary, "batchfs target/ mnt --v", tmp_path) == ["--version"]
    assert complete(binary, "batchfs target/ mnt -o pro", tmp_path) == ["project=", "profiles=", "protect"]
    assert complete(binary, "batchfs target/ mnt -o ro,no", tmp_path)[:2] == ["ro,now=", "ro,nosuid"]
    assert complete(binary, "batchfs target/ mnt -o ro,engine=", tmp_path) == ["postgres", "sqlite", "dbt"]
    assert complete(binary, "batchfs target/ mnt -o engine=postgres,service=we", tmp_path) == ["weather"]
    assert complete(binary, "batchfs target/ mnt -o database=other", tmp_path) == ["other.txt"]


def test_zsh_reads_the_same_list(binary):
    """The lists are read from --help, by the same lines in both shells."""
    if not shutil.which("zsh"):
        pytest.skip("no zsh")
    assert subprocess.run(["zsh", "-n", str(ZSH)], capture_output=True, check=False).returncode == 0
    read = re.search(r"sed -n -e '(/\^Options.*?)' \\\s+-e '(.*?)'", ZSH.read_text(), re.S)
    same = re.search(r"sed -n -e '(/\^Options.*?)' \\\s+-e '(.*?)'", BASH.read_text(), re.S)
    assert read.groups() == same.groups()


def test_every_option_is_completed(binary):
    told = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    ours = re.findall(r"^  ([a-z_]+=?)", told.split("Options:\n")[1].split("\n\n")[0], re.M)
    theirs = told.split("mount(8):\n")[1].split("\n\n")[0].split()
    offered = subprocess.run(["bash", "-c", f"source {BASH}; _batchfs_options {binary}"], capture_output=True, text=True,
                             check=True).stdout.split()
    assert offered == ours + theirs and len(ours) > 20 and len(theirs) > 10


def test_the_unit_keeps_the_mount_in_sight():
    """A unit with a mount namespace of its own hides the mount from everybody else."""
    unit = (ROOT / "packaging" / "batchfs@.service.in").read_text()
    keys = set(re.findall(r"^(\w+)=", unit, re.M))
    assert {"Type", "WatchdogSec", "EnvironmentFile", "NoNewPrivileges", "CapabilityBoundingSet"} <= keys
    hiding = re.compile(r"Private(Tmp|Devices|Mounts|Users)|Protect(System|Home|Kernel\w+|ControlGroups|Proc|Clock|Hostname)|"
                        r"(Read\w+|Inaccessible|Bind|Temporary)\w*Paths?|TemporaryFileSystem|DynamicUser|RootDirectory|MountFlags|"
                        r"SystemCallLog|LoadCredential|RootImage")
    assert not [k for k in keys if hiding.fullmatch(k)]


def test_container_files_can_be_read_and_share_the_mount():
    yaml = pytest.importorskip("yaml")
    compose, pod = (yaml.safe_load((ROOT / "packaging" / "container" / name).read_text()) for name in ("compose.yaml", "kubernetes.yaml"))
    ways = {name: service["volumes"][-1]["bind"]["propagation"] for name, service in compose["services"].items()}
    assert ways == {"batchfs": "rshared", "scripts": "rslave"}
    ways = {c["name"]: c["volumeMounts"][-1]["mountPropagation"] for c in pod["spec"]["containers"]}
    assert ways == {"batchfs": "Bidirectional", "scripts": "HostToContainer"}
    assert not re.search(r"password=|PGPASSWORD", str(compose) + str(pod))


def test_the_packages_version_is_the_programs():
    version = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text())[1]
    assert (ROOT / "debian" / "changelog").read_text().startswith(f"batchfs ({version}) ")
