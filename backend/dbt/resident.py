# SPDX-License-Identifier: Apache-2.0
"""
The resident dbt: run by the interpreter of the `dbt` command, it has dbt loaded and forks a child for each line of
stdin, a JSON list of dbt's words. The child runs them through dbtRunner, whose events go to stdout as lines of JSON,
as those of the command do, and ends: so nothing grows, nothing is kept open, no global state of dbt's is used twice.
What a child had to load before it could run, the next ones have from the start: the parsed project, as long as its
files are what they were, modules and macros. Lines of its own have the key "batchfs". The end of stdin is its end.
argv: a JSON list of the words that parse the project.
"""
import ctypes
import gc
import importlib
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
# What a project is read from. Everything else in its directory, a DuckDB file among it, changes as it likes.
IGNORE = ".dbtignore"
READ = (".sql", ".yml", ".yaml", ".py", ".md", ".csv", IGNORE)
FILES_MOST = 50000
# A process that has grown by so many bytes begins anew.
GROWN = 512 << 20


def die_with(parent):
    """The kernel ends us with the one that has started us."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def tell(**what):
    # A line of its own, whatever was written before it.
    os.write(1, ("\n" + json.dumps({"batchfs": what}) + "\n").encode())


def invoke(words, manifest=None):
    from dbt.cli.main import dbtRunner

    return dbtRunner(manifest=manifest).invoke(words)


def run(words, manifest):
    """The exit code of `dbt WORDS`."""
    result = invoke(words, manifest)
    if result.exception:
        print(f"{type(result.exception).__name__}: {result.exception}", file=sys.stderr, flush=True)
        return 2
    return 0 if result.success else 1


def memory():
    with open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def value_of(words, option):
    return words[words.index(option) + 1] if option in words else None


def templates():
    """The macros that are compiled, by their text. Not part of dbt's interface: elsewhere it costs time, no more."""
    try:
        from dbt_common.clients.jinja import template_cache

        return template_cache.file_cache, template_cache
    except (ImportError, AttributeError):
        return {}, None


def mark(status):
    """What tells that a file has changed."""
    return status.st_mtime_ns, status.st_size, status.st_ino


class Project:
    """The project as it was parsed, and by which files."""

    def __init__(self, words):
        self.words, self.manifest, self.files, self.new = words, None, None, False
        self.too_many = False
        self.places = {os.path.realpath(value_of(words, "--project-dir") or ".")}
        # dbt looks for the profile there, and in the project.
        profiles = (value_of(words, "--profiles-dir"), os.environ.get("DBT_PROFILES_DIR"), os.path.expanduser("~/.dbt"))
        self.profiles = [os.path.join(p, "profiles.yml") for p in profiles if p]

    def read_files(self):
        """{path: its mark}; None: too many to look at each time."""
        found, places, seen = {}, list(self.places), set()
        for path in self.profiles:
            try:
                found[path] = mark(os.stat(path))
            except OSError:
                found[path] = None
        while places:
            place = places.pop()
            try:
                with os.scandir(place) as entries:
                    inside = [e for e in entries if not e.name.startswith(".") or e.name == IGNORE]
            except OSError:
                continue
            # target/ is dbt's own, and a virtual environment is nobody's project.
            if place not in self.places and any(e.name in ("pyvenv.cfg", "partial_parse.msgpack") for e in inside):
                continue
            for e in inside:
                try:
                    if e.name.endswith(READ):
                        found[e.path] = mark(e.stat())
                    elif e.is_dir() and (at := os.path.realpath(e.path)) not in seen:
                        seen.add(at)
                        places.append(e.path)
                except OSError:
                    found[e.path] = None
            if len(found) + len(seen) > FILES_MOST:
                return None
        return found

    def places_of(self, manifest):
        """Its files may lie outside of its directory; dbt's own change with dbt."""
        for file in getattr(manifest, "files", {}).values():
            path = getattr(file, "path", None)
            place = os.path.realpath(os.path.join(path.project_root, path.searched_path)) if path else sys.prefix
            if not place.startswith(os.path.realpath(sys.prefix) + os.sep) and not any(
                    place == p or place.startswith(p + os.sep) for p in self.places):
                yield place

    def parse(self):
        """What cannot be parsed the child parses again, and tells why. Without dbt's static parser, whose pool of
        threads would stay here: a child that has to parse would wait for them for ever."""
        files = self.read_files()
        result = invoke([*self.words, "--no-static-parser"])
        self.manifest, self.new = result.result if result.success else None, True
        # What was written while it was read is read again, and so are places that nobody knew of.
        self.files = files if files == self.read_files() else None
        # Each child parses for itself then: nothing says whether what is parsed here is still true.
        self.too_many = files is None
        for place in list(self.places_of(self.manifest)):
            self.places.add(place)
            self.files = None

    def current(self):
        """The manifest; None: the child has to parse."""
        if not self.too_many and (self.files is None or self.read_files() != self.files):
            self.parse()
        return self.manifest if self.files is not None else None


def no_manifest_file():
    """Nobody reads a manifest.json in our target/, and writing it takes as long as a batch."""
    try:
        import dbt.task.runnable

        dbt.task.runnable.write_manifest = lambda *args, **kwargs: None
    except (ImportError, AttributeError):
        pass


def child(parent, words, manifest, lessons):
    code = 2
    try:
        die_with(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        modules, compiled = set(sys.modules), set(templates()[0])
        no_manifest_file()
        code = run(words, manifest)
        sys.stdout.flush()
        macros = manifest.macros if manifest else {}
        new = templates()[0].keys() - compiled
        lesson = {"modules": [m for m in sys.modules if m not in modules],
                  "macros": [name for name, m in macros.items() if m.macro_sql in new]}
        os.write(lessons, json.dumps(lesson).encode())
    except BaseException as e:
        os.write(2, f"{type(e).__name__}: {e}\n".encode(errors="replace"))
    finally:
        os._exit(code)


def learn(lessons, manifest):
    """Loads what the child had to load; whether that was anything. It is a help and no more: whatever fails in it
    the next child does itself."""
    try:
        lesson = json.loads(os.read(lessons, 1 << 20))
    except (BlockingIOError, ValueError):
        return False
    for name in lesson["modules"]:
        try:
            importlib.import_module(name)
        except Exception:
            pass
    for name in lesson["macros"]:
        try:
            templates()[1].get_node_template(manifest.macros[name])
        except Exception:
            pass
    return bool(lesson["modules"] or lesson["macros"])


def share():
    """Pages that no collection of garbage touches stay shared with the children."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def once(project, line):
    words, me = json.loads(line), os.getpid()
    manifest = project.current()
    there, here = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        child(me, words, manifest, here)
    _, status = os.waitpid(pid, 0)
    tell(ended=os.waitstatus_to_exitcode(status))
    os.close(here)
    if learn(there, manifest) or project.new:
        share()
    project.new = False
    os.close(there)


def main():
    # A SIGINT goes to the group and is meant for the child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = [p for p in sys.path if p]
    project = Project(json.loads(sys.argv[1]))
    # What dbt loads at its first command takes as long as several batches. How that went the children tell.
    project.parse()
    share()
    began = memory()
    tell(ready=True)
    for line in sys.stdin:
        once(project, line)
        if memory() > began + GROWN:
            with open("/proc/self/cmdline", "rb") as f:
                os.execv(sys.executable, f.read().split(b"\0")[:-1])


main()
