# SPDX-License-Identifier: Apache-2.0
"""
The resident dbt: run by the interpreter of the `dbt` command, it has dbt loaded and forks a child for each line of
stdin, a JSON list of dbt's words. The child runs them through dbtRunner, whose events go to stdout as lines of JSON,
as those of the command do, and ends: so nothing grows, nothing is kept open, no global state of dbt's is used twice,
and a project that has changed is read anew. Lines of its own have the key "batchfs". The end of stdin is its end.
argv: a JSON list of the words that warm it up.
"""
import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent):
    """The kernel ends us with the one that has started us."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def tell(**what):
    # A line of its own, whatever was written before it.
    os.write(1, ("\n" + json.dumps({"batchfs": what}) + "\n").encode())


def run(words):
    """The exit code of `dbt WORDS`."""
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke(words)
    if result.exception:
        print(f"{type(result.exception).__name__}: {result.exception}", file=sys.stderr, flush=True)
        return 2
    return 0 if result.success else 1


def child(parent, words):
    code = 2
    try:
        die_with(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(words)
        sys.stdout.flush()
    except BaseException as e:
        os.write(2, f"{type(e).__name__}: {e}\n".encode(errors="replace"))
    finally:
        os._exit(code)


def main():
    # A SIGINT goes to the group and is meant for the child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = [p for p in sys.path if p]
    # What dbt loads at its first command takes as long as several batches. How that went the children tell.
    run(json.loads(sys.argv[1]))
    me = os.getpid()
    tell(ready=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            child(me, json.loads(line))
        _, status = os.waitpid(pid, 0)
        tell(ended=os.waitstatus_to_exitcode(status))


main()
