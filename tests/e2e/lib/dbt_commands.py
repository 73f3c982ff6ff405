# SPDX-License-Identifier: Apache-2.0
"""
Run by the python of a virtual environment that holds dbt, in a project's directory: reads a command of dbt from
each line of stdin, a JSON list of words, runs it, and answers each with a line of JSON.
"""
import contextlib
import json
import sys

from dbt.cli.main import dbtRunner

COMMON = ["--quiet", "--log-level", "none", "--log-level-file", "debug", "--no-send-anonymous-usage-stats"]
PROFILES = ["--profiles-dir", "."]


def run(words):
    result = dbtRunner().invoke([*COMMON, *words, *PROFILES])
    if result.exception:
        return {"failed": str(result.exception)}
    if isinstance(result.result, list):
        return result.result
    results = getattr(result.result, "results", None) or []
    wrong = [f"{r.node.name}: {r.message}" for r in results if str(r.status) not in ("success", "pass")]
    if wrong or not result.success:
        return {"failed": "; ".join(wrong) or "no reason"}
    return {r.node.name: str(r.status) for r in results}


def main():
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            answer = run(json.loads(line))
        print(json.dumps(answer), flush=True)


main()
