# SPDX-License-Identifier: Apache-2.0
"""
Run by the python of a virtual environment that holds dbt, in a project's directory:
reads a JSON list of [select or null, exclude or null] from stdin; parses the project once, leaves
its target/manifest.json, and writes for each what `dbt ls --resource-type model` lists: unique ids,
or the text of the failure.
"""
import contextlib
import json
import sys

from dbt.cli.main import dbtRunner

COMMON = ["--quiet", "--log-level", "none", "--log-level-file", "none", "--profiles-dir", ".",
          "--no-send-anonymous-usage-stats"]


def ask(manifest, select, exclude):
    words = ["ls", "--resource-type", "model", "--output", "json", "--output-keys", "unique_id", *COMMON]
    words += ["--select", select] if select is not None else []
    words += ["--exclude", exclude] if exclude is not None else []
    result = dbtRunner(manifest=manifest).invoke(words)
    if not result.success:
        return {"failed": str(result.exception)}
    return {"ids": sorted(json.loads(line)["unique_id"] for line in result.result)}


def main():
    questions = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        parsed = dbtRunner().invoke(["parse", *COMMON])
        if not parsed.success:
            raise SystemExit(f"dbt parse: {parsed.exception}")
        answers = [ask(parsed.result, *question) for question in questions]
    json.dump(answers, sys.stdout)


main()
