# SPDX-License-Identifier: Apache-2.0
"""The house rules that a grep can keep: arrows between the rooms, sizes, white space, documented options."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("fs", "backend", "mountopts", "tests")
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.[ch]"))
FILE_LINES = 400
FUNCTION_LINES = 80

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)

# What a room may include of the others.
ARROWS = {
    "mountopts": ("mountopts/", "fs/fs.h", "backend/backend.h", "backend/manifest.h", "backend/engine.h",
                  "backend/calendar.h", "backend/base/"),
    "fs": ("fs/", "backend/backend.h", "backend/batch_state.h", "backend/calendar.h", "backend/slot.h",
           "backend/base/"),
    "backend/base": ("backend/base/",),
    "backend": ("backend/",),
}
# Libraries that stay out of a room.
FOREIGN = {
    "mountopts": r"libpq|pg_|postgres_ext|sqlite3|jansson",
    "fs": r"libpq|pg_|postgres_ext|sqlite3|jansson",
    "backend/base": r"fuse|libpq|pg_|sqlite3|jansson",
    "backend": r"fuse",
}


def room_of(path):
    name = str(path.relative_to(ROOT))
    for room in ("backend/base", "backend", "fs", "mountopts"):
        if name.startswith(room + "/"):
            return room
    return "tests"


def arrow_faults(room, text):
    """The includes that the room may not have."""
    faults = []
    for bracket, name in INCLUDE.findall(text):
        if bracket == '"' and not name.startswith(ARROWS[room]):
            faults.append(name)
        if bracket == "<" and re.search(FOREIGN[room], name):
            faults.append(name)
    return faults


def long_functions(text):
    """(first line, lines) of every function over the limit; the brace stands alone in column one."""
    start, long = None, []
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start + 1 > FUNCTION_LINES:
                long.append((start, number - start + 1))
            start = None
    return long


def test_the_top_level_holds_what_it_should():
    """Of what is committed: the rooms, and what a repository needs."""
    known = {*ROOMS, "meson.build", "meson_options.txt", "README.md", "LICENSE", "CONTRIBUTING.md", "NEWS.md", "SECURITY.md",
             "check", "demo", "docs", "examples", "debian", "packaging", ".ci", ".clang-format", ".clang-tidy",
             ".dockerignore", ".editorconfig", ".gitignore"}
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no clone")
    assert {name.split("/")[0] for name in done.stdout.split("\0") if name} <= known


def test_there_is_something_to_check():
    rooms = {room_of(p) for p in SOURCES}
    assert {"backend/base", "backend", "fs", "mountopts", "tests"} <= rooms


def test_uthash_comes_by_one_header():
    """Whoever includes it otherwise calls exit() where memory runs out."""
    assert [str(p.relative_to(ROOT)) for p in SOURCES
            if ("<", "uthash.h") in INCLUDE.findall(p.read_text())] == ["backend/base/hash.h"]


def test_arrows():
    faults = [f"{p.relative_to(ROOT)} includes {name}" for p in SOURCES if room_of(p) != "tests"
              for name in arrow_faults(room_of(p), p.read_text())]
    assert not faults, "\n".join(faults)


def test_the_arrow_check_sees_a_wrong_arrow():
    assert arrow_faults("fs", '#include "backend/store.h"\n') == ["backend/store.h"]
    assert arrow_faults("fs", "# include <libpq-fe.h>\n") == ["libpq-fe.h"]
    assert arrow_faults("backend", "#include <fuse_lowlevel.h>\n") == ["fuse_lowlevel.h"]
    assert arrow_faults("backend", '#include "fs/fs.h"\n') == ["fs/fs.h"]
    assert arrow_faults("backend/base", '#include "backend/ledger.h"\n') == ["backend/ledger.h"]
    assert arrow_faults("mountopts", '#include "backend/store.h"\n#include <sqlite3.h>\n') == [
        "backend/store.h", "sqlite3.h"]
    assert arrow_faults("backend", "#include <stdio.h>\n") == []


def ops_of(table, header):
    """The members of an ops table."""
    body = (ROOT / header).read_text().split(f"struct {table} {{")[1].split("\n};")[0]
    return set(re.findall(r"\(\*(\w+)\)\(", body))


OPS = ops_of("store_ops", "backend/store.h") | ops_of("builder_ops", "backend/builder.h")
# A call of an op: through its table's pointer, which only the wrappers may follow.
OP_CALL = re.compile(r"\b(?:store|builder)\s*(?:\(\))?\s*->\s*(" + "|".join(sorted(OPS)) + r")\s*\(")
# An engine's name is looked up where it is given (mountopts' -o engine=), and compared nowhere.
NAME_COMPARED = re.compile(r'str(?:n|case|ncase)?cmp\([^;]*(?:engine->name|"(?:postgres|sqlite|dbt)")')


def test_ops_are_called_through_the_wrappers_only():
    faults = [str(p.relative_to(ROOT)) for p in SOURCES
              if room_of(p) != "tests" and not str(p.relative_to(ROOT)).startswith("backend/engine/")
              and OP_CALL.search(p.read_text())]
    assert not faults, "\n".join(faults)
    wrapped = {op for p in SOURCES if str(p.relative_to(ROOT)).startswith("backend/engine/")
               for op in OP_CALL.findall(p.read_text())}
    assert wrapped == OPS and {"open", "claim", "build"} <= OPS


def test_no_engine_is_compared_by_name():
    faults = [f"{p.relative_to(ROOT)}: {m.group()}" for p in SOURCES if room_of(p) != "tests"
              for m in NAME_COMPARED.finditer(p.read_text())]
    assert not faults, "\n".join(faults)
    assert NAME_COMPARED.search('if (!strcmp(b->config.engine->name, "x"))')
    assert NAME_COMPARED.search('strcmp(adapter, "sqlite") == 0')


# Of two rooms inside backend/, neither includes the other: what both know stands below them.
APART = (("backend/schedule", "backend/view"),)


def test_rooms_that_stand_apart():
    faults = [f"{p.relative_to(ROOT)} includes {name}" for one, other in APART
              for room, foreign in ((one, other), (other, one)) for p in sorted((ROOT / room).rglob("*.[ch]"))
              for _, name in INCLUDE.findall(p.read_text()) if name.startswith(foreign + "/")]
    assert not faults, "\n".join(faults)
    assert all((ROOT / room).is_dir() for pair in APART for room in pair)


def circles(uses):
    """Of {name: the names it uses}: those that come back to themselves by way of what they use."""
    def reached(name):
        seen, todo = set(), [name]
        while todo:
            new = uses[todo.pop()] - seen
            seen |= new
            todo += new
        return seen
    return sorted(name for name in uses if name in reached(name))


def test_files_of_a_room_do_not_include_each_other_in_circles():
    """A .c file uses another one where it includes the header of that name, which is the other's face."""
    folders = {p.parent for p in SOURCES if room_of(p).startswith(("backend", "fs")) and p.suffix == ".c"}
    faults = []
    for folder in sorted(folders):
        files = {p.stem: p for p in folder.glob("*.c")}
        uses = {name: {Path(i).stem for _, i in INCLUDE.findall(p.read_text())
                       if ROOT / i == folder / (Path(i).stem + ".h")} & files.keys() - {name}
                for name, p in files.items()}
        faults += [f"{folder.relative_to(ROOT)}: {', '.join(found)}" for found in [circles(uses)] if found]
    assert not faults, "\n".join(faults)
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_files_are_short():
    long = [f"{p.relative_to(ROOT)}: {n} lines" for p in SOURCES
            if (n := len(p.read_text().splitlines())) > FILE_LINES]
    assert not long, "\n".join(long)


def test_functions_are_short():
    long = [f"{p.relative_to(ROOT)}:{line}: {n} lines" for p in SOURCES
            for line, n in long_functions(p.read_text())]
    assert not long, "\n".join(long)
    assert long_functions("int f(void)\n{\n" + "\tg();\n" * 79 + "}\n") == [(2, 81)]
    assert long_functions("int f(void)\n{\n" + "\tg();\n" * 78 + "}\n") == []


def test_sources_say_their_license():
    bare = [str(p.relative_to(ROOT)) for p in SOURCES
            if not p.read_text().startswith("/* SPDX-License-Identifier: Apache-2.0 */\n")]
    assert not bare, "\n".join(bare)


def test_one_header_guard_a_header():
    wrong = []
    for p in SOURCES:
        if p.suffix == ".h":
            guards = re.findall(r"^#ifndef (BATCHFS_\w+_H)$", p.read_text(), re.M)
            if len(guards) != 1:
                wrong.append(str(p.relative_to(ROOT)))
    assert not wrong, "\n".join(wrong)


def text_files():
    skip = {".git", "__pycache__", ".pytest_cache", "mnt", "demo-warehouse", "samples", "fixtures", "corpus"}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in skip and not f.startswith("build")]
        for name in files:
            path = Path(folder) / name
            if path.suffix in {".c", ".h", ".py", ".md", ".build", ".sql", ".1", ".5", ""} and path.is_file():
                yield path


def test_white_space():
    faults = []
    for path in text_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{path.relative_to(ROOT)}:{number}"
            if line != line.rstrip():
                faults.append(f"{where}: blanks at the end")
            if path.suffix in {".c", ".h"} and re.match(r" +(?!\*)", line):
                faults.append(f"{where}: indented with blanks")
            if path.suffix in {".py", ".build"} and "\t" in line:
                faults.append(f"{where}: a tab")
        if text and not text.endswith("\n"):
            faults.append(f"{path.relative_to(ROOT)}: no newline at the end")
    assert not faults, "\n".join(faults)


# A string literal that goes on in the next one, also after a macro between the two.
GOES_ON = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:[\s\\]+(?:[A-Z_]+[\s\\]+)?"(?:[^"\\\n]|\\.)*")+')
SQL = re.compile(r'\bselect\b.* from |\binsert (?:or \w+ )?into |\bupdate [\w.]+ set |\bdelete from |\bwith \w+ as |'
                 r'^"\s*create |\bset_config\(', re.I)

def staircases(text):
    """The lines on which SQL begins that goes on in further string literals."""
    return [text.count("\n", 0, found.start()) + 1 for found in GOES_ON.finditer(text)
            if SQL.search(re.sub(r'"[\s\\]+(?:[A-Z_]+[\s\\]+)?"', "", found[0]))]


def test_sql_stands_in_sql_files():
    faults = [f"{p.relative_to(ROOT)}:{line}" for p in SOURCES if str(p).startswith(str(ROOT / "backend"))
              for line in staircases(p.read_text())]
    assert not faults, "SQL that belongs into a .sql file (backend/sql_header.py): " + " ".join(faults)


def test_the_sql_check_sees_a_staircase():
    assert staircases('x\n#define A \\\n\t"insert into t" \\\n\t" values ($1)"\n') == [3]
    assert staircases('f("select a"\n " from t where " B " and c");\n') == [1]
    assert staircases('f("select a from t");\ng("one " "two");\n') == []


def sql_header(tmp_path, *files):
    for number, text in enumerate(files):
        (tmp_path / f"{number}.sql").write_text(text)
    out = tmp_path / "sql.h"
    run = subprocess.run([ROOT / "backend/sql_header.py", out, *(tmp_path / f"{n}.sql" for n in range(len(files)))],
                         capture_output=True, text=True)
    return run.stderr if run.returncode else out.read_text()


def test_statements_become_names(tmp_path):
    made = sql_header(tmp_path, "-- A licence.\n\n-- name: a_b\n-- Why.\nselect {part}\n\n\tfrom \"t\"\n",
                      "-- name: part\nx, 'y'\n")
    assert made.splitlines()[2:] == ['#define SQL_A_B "select x, \'y\' from \\"t\\""', '#define SQL_PART "x, \'y\'"']


@pytest.mark.parametrize("text, why", [
    ("select 1\n", "0.sql:1: SQL before"),
    ("-- name: a\nselect 1 -- one\n", "0.sql:2: a comment takes"),
    ("-- name: a\nselect 'x\n", "0.sql:2: a string ends"),
    ("-- name: a\nx\n-- name: a\n", "0.sql:3: a stands in"),
    ("-- name: a\n{b}\n", "names b, which no file has"),
    ("-- name: a\n{b}\n-- name: b\n{a}\n", "contains itself"),
    ("-- name: a\n", "a is empty"),
])
def test_sql_that_cannot_be_meant_stops_the_build(tmp_path, text, why):
    assert why in sql_header(tmp_path, text)


@pytest.fixture(scope="module")
def binary():
    binary = os.environ.get("BATCHFS", str(ROOT / "build" / "mountopts" / "batchfs"))
    if not os.path.exists(binary):
        if os.environ.get("BATCHFS_MUST_WORK") == "1":
            pytest.fail(f"{binary} is not built")
        pytest.skip(f"{binary} is not built")
    return binary


@pytest.fixture(scope="module")
def help_options(binary):
    text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    ours = re.findall(r"^  ([a-z_]+)[= ]", text.split("Options:\n")[1].split("\n\n")[0], re.M)
    theirs = re.findall(r"[a-z_]+", text.split("mount(8):\n")[1].split("\n\n")[0])
    assert {"engine", "jobs", "ro", "now"} <= set(ours) and {"nosuid", "auto_unmount"} <= set(theirs)
    return ours, theirs


def test_options_stand_in_man_page_and_readme(help_options):
    ours, theirs = help_options
    man = (ROOT / "docs/man/batchfs.1").read_text().replace("\\-", "-")
    readme = (ROOT / "README.md").read_text()
    missing = [f"batchfs.1: {o}" for o in ours + theirs if not re.search(rf"\b{o}\b", man)]
    missing += [f"README.md: {o}" for o in ours if not re.search(rf"`{o}\b", readme)]
    assert not missing, "\n".join(missing)


def test_nothing_is_documented_that_is_not_there(help_options):
    ours, _ = help_options
    man = (ROOT / "docs/man/batchfs.1").read_text().replace("\\-", "-")
    section = man.split(".SH MOUNT OPTIONS")[1].split(".SS Of libfuse")[0]
    named = re.findall(r"^\.TP\n\.BI? ([a-z_]+)", section, re.M)
    assert set(named) == set(ours)


def test_what_is_loaded_late_is_linked_by_name(binary):
    needed = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
    assert re.search(r"NEEDED.*\[libgcc_s\.so", needed), needed


# A number directly before a plural: "1 batches" for one. count_of() says "1 batch".
PLURAL = re.compile(r"%(?:[lhzju]|ll)?[du] (?:frozen |queued |running )?(?:batches|models|rows|times|attempts|requests|outcomes)\b")


def test_counted_nouns_agree_with_their_number():
    faults = [f"{p.relative_to(ROOT)}: {m.group()}" for p in SOURCES if room_of(p) != "tests"
              for m in PLURAL.finditer(p.read_text())]
    # Numbers that are never one: constants of the program.
    allowed = {"backend/schedule/skip.c: %d times"}
    assert not set(faults) - allowed, "\n".join(faults)
    assert PLURAL.search('"%zu frozen batches"') and PLURAL.search('"%llu rows"')


@pytest.mark.parametrize("script", ["check", "demo"])
def test_scripts_explain_themselves(script):
    told = subprocess.run([str(ROOT / script), "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 0 and not told.stderr and f"./{script}" in told.stdout


NAMED = re.compile(r"`((?:fs|backend|mountopts|tests|docs|packaging|debian|examples)/[\w./@-]*)`")


def test_files_that_the_guides_name_are_there():
    faults = [f"{page}: {name}" for page in ("CONTRIBUTING.md", "README.md", "SECURITY.md", "NEWS.md", "docs/containers.md")
              for name in NAMED.findall((ROOT / page).read_text()) if not (ROOT / name).exists()]
    assert not faults, "\n".join(faults)
    assert len(NAMED.findall((ROOT / "CONTRIBUTING.md").read_text())) > 40


def test_functions_that_the_guides_name_are_there():
    told = set(re.findall(r"\b([a-z]+_[a-z_]+)\(\)", (ROOT / "CONTRIBUTING.md").read_text()))
    there = "\n".join(p.read_text() for p in SOURCES if p.suffix in (".c", ".h"))
    assert "backend_request" in told
    assert not {name for name in told if f"{name}(" not in there and f"{name} (" not in there}
