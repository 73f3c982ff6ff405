#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What batchfs costs, as ratios of two things measured side by side in one run.

    tests/bench/bench.py [--rounds N] [--build DIR] [NAME ...]

Medians of N rounds, the two sides taking turns. Names: {names}.
"""
import argparse
import tempfile
from pathlib import Path

import building
import crowds
import dbt_touch
import looking
import partitions
import refreshing
import scraping
import soaking
import sqlite_file
import validating
from kit import ROOT, Bench

BENCHES = {name.removeprefix("bench_"): function
           for room in (building, crowds, dbt_touch, looking, partitions, refreshing, scraping, soaking, sqlite_file, validating)
           for name, function in vars(room).items() if name.startswith("bench_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.format(names=" ".join(BENCHES)), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    unknown = set(args.names) - set(BENCHES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    with tempfile.TemporaryDirectory(prefix="batchfs-bench-") as home:
        bench = Bench(args.build.resolve(), args.rounds, Path(home))
        try:
            for name in args.names or BENCHES:
                print(f"{name}: {BENCHES[name].__doc__}", flush=True)
                BENCHES[name](bench)
        finally:
            if bench.pg:
                bench.pg.close()
    width = max(len(row[0]) for row in bench.table)
    print(f"\n{'':{width}}    ratio  at most")
    for what, _, _, ratio, limit in bench.table:
        verdict = "" if limit is None else f"{limit:8}" + ("" if ratio <= limit else "  MISSED")
        print(f"{what:{width}}  {ratio:7.2f} {verdict}")


if __name__ == "__main__":
    main()
