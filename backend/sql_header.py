#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one C header of the .sql files of a room: sql_header.py HEADER FILE.sql ...

    -- name: fence
    -- A comment takes lines of its own, and stays here.
    select {columns} from batchfs.state s where s.model = $1::int

becomes `#define SQL_FENCE "select ..."`, one line of SQL. {columns} stands for the statement of that name, of whichever
file of the room: for what several statements share. A name is given once in a room. What a run fills in is a parameter;
a name that no parameter can be (a table's) is a %s of strbuf_printf(), and then a per cent sign is %%.
"""
import re
import sys
from pathlib import Path

NAME = re.compile(r"-- name: ([a-z][a-z0-9_]*)$")
PART = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Fault(Exception):
    """Why no header can be made; says where."""


def read(path, statements):
    """Adds the statements of one file, name -> (where, text)."""
    lines = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where, text = f"{path}:{number}", line.strip()
        named = NAME.match(text)
        if named:
            name, lines = named[1], []
            if name in statements:
                raise Fault(f"{where}: {name} stands in {statements[name][0]} already")
            statements[name] = (where, lines)
        elif not text or text.startswith("--"):
            continue
        elif lines is None:
            raise Fault(f"{where}: SQL before the first `-- name: ...`")
        elif "--" in text:
            raise Fault(f"{where}: a comment takes a line of its own")
        elif text.count("'") % 2:
            raise Fault(f"{where}: a string ends on the line on which it begins")
        else:
            lines.append(text)


def compose(statements, name, inside=()):
    where, lines = statements[name]
    if name in inside:
        raise Fault(f"{where}: {name} contains itself")
    if not lines:
        raise Fault(f"{where}: {name} is empty")

    def part(found):
        if found[1] not in statements:
            raise Fault(f"{where}: {name} names {found[1]}, which no file has")
        return compose(statements, found[1], inside + (name,))
    return PART.sub(part, " ".join(lines))


def header(paths):
    statements = {}
    for path in paths:
        read(Path(path), statements)
    made = ["/* Made of the .sql files by backend/sql_header.py. */", "#pragma once"]
    for name in statements:
        text = compose(statements, name).replace("\\", "\\\\").replace('"', '\\"')
        made.append(f'#define SQL_{name.upper()} "{text}"')
    return "\n".join(made) + "\n"


if __name__ == "__main__":
    try:
        Path(sys.argv[1]).write_text(header(sys.argv[2:]))
    except Fault as fault:
        sys.exit(str(fault))
