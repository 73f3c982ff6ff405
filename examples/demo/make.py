#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make.py DIRECTORY: a warehouse.db with three months of events, and a target/manifest.json as `dbt compile` writes it.

Two events arrived broken (their payload is no JSON), so two days of the model `sessions` cannot be built as they are.
"""
import hashlib
import json
import random
import sqlite3
import sys
from datetime import datetime, timedelta
from pathlib import Path

FIRST, END = datetime(2024, 6, 1), datetime(2024, 9, 4, 9)
BROKEN = ("2024-08-17", "2024-09-03")

SESSIONS = """
select session_id, user_id, min(event_time) as started_at, count(*) as events,
       sum(json_extract(payload, '$.amount')) as amount
from {events}
group by session_id, user_id
"""
MONTHLY = """
select strftime('%Y-%m-01', started_at) as month, count(*) as sessions, sum(amount) as amount
from {sessions}
group by 1
"""


def events():
    dice = random.Random(2024)
    number, day = 0, FIRST
    while day < END:
        for session in range(dice.randint(20, 40)):
            at = day + timedelta(seconds=dice.randint(0, 20 * 3600))
            for _ in range(dice.randint(1, 8)):
                at += timedelta(seconds=dice.randint(5, 900))
                number += 1
                if at < END:
                    yield (number, f"{day:%y%m%d}-{session}", dice.randint(1, 500), f"{at:%Y-%m-%d %H:%M:%S}",
                           json.dumps({"page": dice.choice("abcdef"), "amount": dice.randint(0, 90)}))
        day += timedelta(days=1)


def make_warehouse(path):
    db = sqlite3.connect(path)
    db.execute("create table events (id integer primary key, session_id text, user_id integer, event_time text, "
               "payload text)")
    db.executemany("insert into events values (?, ?, ?, ?, ?)", events())
    db.execute("create index events_event_time on events (event_time)")
    for day in BROKEN:
        db.execute("update events set payload = '{\"page\": \"a\", \"amount' where id = "
                   "(select min(id) from events where event_time >= ?)", (day,))
    db.commit()
    db.close()


def node(name, sql, batch_size, event_time, inputs, **config):
    relations = {"events": '"main"."events"', "sessions": '"main"."sessions"'}
    jinja = {"events": "{{ source('raw', 'events') }}", "sessions": "{{ ref('sessions') }}"}
    raw = sql.format(**jinja)
    return {
        "database": "database", "schema": "main", "name": name, "resource_type": "model", "package_name": "demo",
        "path": f"{name}.sql", "original_file_path": f"models/{name}.sql", "unique_id": f"model.demo.{name}",
        "fqn": ["demo", name], "alias": name, "language": "sql", "raw_code": raw,
        "checksum": {"name": "sha256", "checksum": hashlib.sha256(raw.encode()).hexdigest()},
        "config": {"enabled": True, "materialized": "incremental", "incremental_strategy": "microbatch",
                   "batch_size": batch_size, "begin": f"{FIRST:%Y-%m-%d}", "event_time": event_time, "lookback": 1,
                   "unique_key": None, "full_refresh": None, "concurrent_batches": None, "tags": [], "meta": {},
                   "on_schema_change": "ignore", "pre-hook": [], "post-hook": [], "grants": {},
                   "contract": {"enforced": False}, **config},
        "tags": [], "relation_name": f'"main"."{name}"', "depends_on": {"macros": [], "nodes": inputs},
        "refs": [{"name": i.split(".")[-1], "package": None, "version": None} for i in inputs if i[0] == "m"],
        "sources": [["raw", i.split(".")[-1]] for i in inputs if i[0] == "s"],
        "compiled": True, "compiled_code": sql.format(**relations), "extra_ctes_injected": True, "extra_ctes": [],
        "version": None,
    }


def make_manifest(path):
    nodes = [node("sessions", SESSIONS, "day", "started_at", ["source.demo.raw.events"]),
             node("monthly", MONTHLY, "month", "month", ["model.demo.sessions"], full_refresh=False)]
    source = {
        "database": "database", "schema": "main", "name": "events", "resource_type": "source",
        "package_name": "demo", "path": "models/sources.yml", "original_file_path": "models/sources.yml",
        "unique_id": "source.demo.raw.events", "fqn": ["demo", "raw", "events"], "source_name": "raw",
        "identifier": "events", "tags": [], "config": {"enabled": True, "event_time": "event_time"},
        "relation_name": '"main"."events"',
    }
    manifest = {
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
                     "dbt_version": "1.11.16", "generated_at": "2024-09-04T09:00:00Z", "project_name": "demo",
                     "adapter_type": "sqlite"},
        "nodes": {n["unique_id"]: n for n in nodes}, "sources": {source["unique_id"]: source},
        "parent_map": {n["unique_id"]: n["depends_on"]["nodes"] for n in nodes}, "child_map": {}, "disabled": {},
        "macros": {}, "docs": {}, "exposures": {}, "metrics": {}, "groups": {}, "selectors": {},
    }
    path.write_text(json.dumps(manifest, indent=1) + "\n")


def main():
    home = Path(sys.argv[1])
    (home / "target").mkdir(parents=True)
    make_warehouse(home / "warehouse.db")
    make_manifest(home / "target" / "manifest.json")


main()
