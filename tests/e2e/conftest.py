# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a private PostgreSQL, a warehouse per test, a project, mounts that are checked when they go."""
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lib.dbt import NoDbt, make_venv  # noqa: E402
from lib.events import add_sessions, make_events  # noqa: E402
from lib.fault import Fault  # noqa: E402
from lib.mount import Mount  # noqa: E402
from lib.pg import Postgres, find_binaries  # noqa: E402
from lib.project import Project  # noqa: E402
from lib.warehouse import PostgresWarehouse, SqliteWarehouse  # noqa: E402

# Where the tests were started in the background SIGINT is ignored, and every program started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("postgres", "sqlite")


def need(what):
    """Skips, loudly; where everything must work it fails."""
    if os.environ.get("BATCHFS_MUST_WORK") == "1":
        pytest.fail(f"BATCHFS_MUST_WORK=1, and there is no {what}")
    pytest.skip(f"no {what}")


def built(variable, default):
    path = Path(os.environ.get(variable) or ROOT / "build" / default).resolve()
    if not path.exists():
        need(f"{path} (say ninja -C build, or {variable}=...)")
    return path


@pytest.fixture(scope="session")
def binary():
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        need("/dev/fuse that may be opened")
    if not shutil.which("fusermount3"):
        need("fusermount3")
    return built("BATCHFS", "mountopts/batchfs")


@pytest.fixture(scope="session")
def fault_binary(binary):
    """The program whose engines inject delays and errors."""
    return built("BATCHFS_FAULT_BIN", "tests/fault/batchfs-fault")


@pytest.fixture
def fault(tmp_path):
    """Its rules, for a mount of fault_binary with env=fault.env()."""
    return Fault(tmp_path / "fault")


@pytest.fixture(scope="session")
def pg():
    binaries = find_binaries()
    if not binaries:
        need("PostgreSQL server")
    server = Postgres(binaries)
    yield server
    panics = server.close()
    assert not panics, "\n".join(panics)


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def venv(name):
    try:
        return make_venv(name)
    except NoDbt as e:
        need(str(e))


@pytest.fixture(scope="session")
def dbt_python():
    """The python of a virtual environment that holds dbt."""
    return venv("dbt")


@pytest.fixture(scope="session")
def old_dbt_python():
    """The same with dbt 1.9."""
    return venv("dbt-1.9")


@pytest.fixture(autouse=True)
def state_home(monkeypatch, tmp_path):
    """What a daemon in the background and dbt's engine keep by themselves is kept out of the user's home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def make_warehouse(request, tmp_path):
    """make_warehouse("postgres"): an empty one. The server is started only where it is asked for."""

    def make(name):
        if name == "postgres":
            return PostgresWarehouse(request.getfixturevalue("pg"))
        return SqliteWarehouse(tmp_path / "warehouse.db")

    return make


@pytest.fixture
def warehouse(make_warehouse, engine):
    return make_warehouse(engine)


@pytest.fixture
def project(tmp_path, warehouse):
    return Project(tmp_path / "target", warehouse)


@pytest.fixture
def public():
    """A mount point that every user can reach; pytest's own directories are private."""
    home = Path(tempfile.mkdtemp(prefix="batchfs-public-"))
    home.chmod(0o755)
    yield home / "mnt"
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def ready(project, warehouse):
    """The project with sessions, and four events a day for it to read."""
    make_events(warehouse)
    add_sessions(project)
    return project


@pytest.fixture
def mount(request, tmp_path, binary):
    """
    mount(project, "jobs=1", now="2024-09-04T12:00"): a Mount that answers. More options:
    at= (a path), binary=, env=, start=False. Each is unmounted and checked in the end.
    """
    mounts = request.node.batchfs_mounts = []

    def make(project, *options, now=None, at=None, binary=binary, env=None, start=True):
        options = [*project.warehouse.options(), *options]
        if now:
            options.append(f"now={now}")
        number = len(mounts)
        m = Mount(binary, project.write(), at or tmp_path / f"mnt{number or ''}", options,
                  {**project.warehouse.env(), **(env or {})}, tmp_path / f"batchfs{number or ''}.log")
        mounts.append(m)
        return m.start() if start else m

    yield make
    faults = [fault for m in reversed(mounts) for fault in m.finish()]
    if faults:
        logs = "\n".join(f"--- {m.log.name}\n{m.log_text()}" for m in mounts)
        pytest.fail("\n".join(faults) + "\n" + logs)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for m in getattr(item, "batchfs_mounts", []):
            report.sections.append((f"log of {m.path}", m.log_text()))
