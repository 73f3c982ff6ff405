#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Plays dbt in a project's directory, as fake.json there says: the table of `sessions` is table.json ({batch: how often it
was built}), of another model NAME table-NAME.json, and what was called is calls.jsonl. fake.json:
    batches   {batch: what it does instead of being built: "fail TEXT", "die" (by SIGKILL, in its middle),
              "die once" (the first time only), "exit N", "hang" (until a SIGINT, or the file `go` or `go-BATCH` is there), "silent" (is built, and says nothing),
              "late WHAT" (is built first, and then does that)}
    garbage   lines between the events
    flood     so many bytes without an end of line before the first event
    results   what run_results.json is: "missing", "cut", "foreign" (of another invocation)
    denied    batches that run_results.json calls failed, whatever the events have said
    status    the adapter's text of a batch that is built
    deaf      SIGINT is ignored
    relation  of the node, other than the manifest's
    look      "hang": a look waits until the file `go` is there
    shell     a command that builds a batch, too; {batch} is its name
    error     the whole run ends with it before its first batch
"""
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

INVOCATION = str(uuid.uuid4())
NAME = re.search(r"fqn:proj\.(\w+)|identifier='(\w+)'|$", " ".join(sys.argv))
NAME = NAME[1] or NAME[2] or "sessions"
TABLE = "table.json" if NAME == "sessions" else f"table-{NAME}.json"
NODE = {"unique_id": f"model.proj.{NAME}",
        "node_relation": {"relation_name": f'"warehouse"."an"."{NAME}"'}}
GARBAGE = ["", "{", "\x00\xff not a line", '{"data": {}, "info": {"code": "Q046"}}', '{"batchfs": {"ended": 0}}', "Q046 OK"]


def read(name, otherwise):
    try:
        return json.loads(Path(name).read_text())
    except OSError:
        return otherwise


def write(name, value):
    Path(name + ".new").write_text(json.dumps(value))
    os.replace(name + ".new", name)


def event(code, level="info", thread="Thread-1", **data):
    print(json.dumps({"data": data, "info": {"code": code, "level": level, "thread": thread, "msg": data.get("exc", ""),
                                             "invocation_id": INVOCATION}}), flush=True)


def batch_event(code, name, status, node_status, level="info"):
    event(code, level, description=f"batch {name} of an.{NAME}", status=status,
          node_info={**NODE, "node_status": node_status})


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def days():
    start, end = (datetime.datetime.fromisoformat(option(f"--event-time-{w}")) for w in ("start", "end"))
    while start < end:
        yield start.strftime("%Y-%m-%d")
        start += datetime.timedelta(days=1)


def play(what, name):
    """Whether the batch is built."""
    word, _, rest = what.partition(" ")
    if word == "die" and not (rest == "once" and Path(f"died-{name}").exists()):
        Path(f"died-{name}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "exit":
        print("these are my last words", file=sys.stderr, flush=True)
        os._exit(int(rest))
    if word == "hang":
        Path(f"hangs-{name}").touch()
        while not Path("go").exists() and not Path(f"go-{name}").exists():
            time.sleep(0.01)
    if word == "fail":
        event("W004", "error", exc=f"Exception on worker thread. Runtime Error\n  {rest}")
    return word != "fail"


def run(fake):
    done, failed = [], []
    if fake.get("error"):
        event("Z002", "error", exc=fake["error"])
        return 2
    for _ in range(fake.get("flood", 0) >> 20):
        sys.stdout.write("x" * (1 << 20))
    if fake.get("flood"):
        print(flush=True)
    event("Q027", node_count=1)
    for name in days():
        what = fake.get("batches", {}).get(name, "")
        if failed and len(failed) == 1 and not done:
            batch_event("Q046", name, "skipped", "started")
            continue
        for line in fake.get("garbage", []) and GARBAGE:
            os.write(1, (line + "\n").encode("latin-1"))
        if what != "silent":
            batch_event("Q045", name, None, "started")
        late = what.removeprefix("late ")
        if late != what or play(what, name):
            # As dbt does: with the first batch the table is made anew.
            anew = "--full-refresh" in sys.argv and not done
            table = {} if anew else read(TABLE, {})
            table[name] = table.get(name, 0) + 1
            write(TABLE, table)
            subprocess.run(fake.get("shell", "true").replace("{batch}", name), shell=True, check=True)
            if late != what:
                play(late, name)
            done.append(name)
            if what != "silent":
                batch_event("Q046", name, fake.get("status", "MERGE 4"), "success")
        else:
            failed.append(name)
            batch_event("Q046", name, "ERROR", "error", "error")
    denied = set(fake.get("denied", []))
    finish(fake, [d for d in done if d not in denied], [*failed, *denied])
    return 1 if failed else 0


def finish(fake, done, failed):
    how = fake.get("results")
    place = Path(option("--target-path"))
    place.mkdir(parents=True, exist_ok=True)
    windows = [[[f"{d}T00:00:00+00:00", f"{d}T23:00:00+00:00"] for d in some] for some in (done, failed)]
    text = json.dumps({"metadata": {"invocation_id": "another" if how == "foreign" else INVOCATION},
                       "results": [{**NODE, "status": "error" if failed else "success", "message": "SUCCESS",
                                    "batch_results": {"successful": windows[0], "failed": windows[1]}}]})
    if how == "missing":
        (place / "run_results.json").unlink(missing_ok=True)
    else:
        (place / "run_results.json").write_text(text[:len(text) // 2] if how == "cut" else text)


def show(fake):
    if fake.get("error"):
        event("Z002", "error", exc=fake["error"])
        return 2
    if fake.get("look") == "hang":
        play("hang", "look")
    table = read(TABLE, None)
    rows = [{"batchfs_hour": f"{d}T05:00:00"} for d in table] if table is not None else [{"batchfs_hour": "missing"}]
    event("Q041", preview=json.dumps(rows))
    return 0


def main():
    fake = read("fake.json", {})
    NODE["node_relation"]["relation_name"] = fake.get("relation", NODE["node_relation"]["relation_name"])
    with open("calls.jsonl", "a", encoding="utf-8") as calls:
        calls.write(json.dumps({"words": sys.argv[1:], "pid": os.getpid(), "group": os.getpgid(0),
                                "environment": list(os.environ)}) + "\n")
    if fake.get("deaf"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return run(fake) if "run" in sys.argv else show(fake)
    except KeyboardInterrupt:
        return 2


sys.exit(main())
