# SPDX-License-Identifier: Apache-2.0
"""A real dbt project: the rows of every batch against those of the SQL that dbt itself sent for it."""
import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from lib.wait import wait_until

SAMPLES = ROOT / "tests" / "fixtures" / "samples"
NOW = "2020-01-06T12:00:00"
# In the order of what they read.
RUNNABLE = ["events_day", "totals_day", "totals_month", "totals_year", "kept_day", "free_day", "aliased", "comma_join",
            "cte_same_name", "on_dates", "strings", "two_inputs", "fct_hour", "fct_month_eph"]
WHY_NOT = {"fct_day": ["Jinja"],
           "reads_itself": ["is_incremental()"]}
EVENT_TIME = {"totals_day": "day", "totals_month": "month", "totals_year": "year", "on_dates": "event_date"}


class Sample:
    """One of the manifests, as `Project` is one that is made up."""

    def __init__(self, warehouse, target, manifest):
        self.warehouse, self.target = warehouse, target
        target.mkdir(exist_ok=True)
        (target / "manifest.json").write_bytes((SAMPLES / manifest).read_bytes())

    def write(self):
        return self.target


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def inputs(warehouse):
    """What `dbt seed` and `dbt run` of the other models make."""
    for name, kind in (("stg_events", "TABLE"), ("stg_dates", "VIEW")):
        sql = (SAMPLES / "models" / f"{name}.sql").read_text()
        sql = re.sub(r"\{\{ config\(.*?\) \}\}", "", sql, flags=re.S)
        sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r'"warehouse"."an"."\1"', sql)
        warehouse.sql(f"CREATE {kind} an.{name} AS {sql}")
    warehouse.sql("CREATE TABLE an.cats (id integer, label text)")
    for line in (SAMPLES / "seeds" / "cats.csv").read_text().splitlines()[1:]:
        warehouse.sql("INSERT INTO an.cats VALUES (%s, %s)", *line.split(","))


def references(model):
    """{batch: dbt's SQL}, oldest first."""
    files = sorted((SAMPLES / "compiled" / model).glob("*.sql"))
    return {f.stem.removeprefix(f"{model}_"): f.read_text() for f in files}


def accepted(model, sql):
    """dbt puts an alias of its own before the user's, which PostgreSQL refuses in two of the models."""
    without = re.sub(r" _dbt_et_filter_subq_\w+( as e\b| a,)", r"\1", sql)
    assert (without != sql) == (model in ("aliased", "comma_join"))
    return without


def rows_of(pg, query):
    """A SELECT's rows as texts, in no order, with what the columns are called."""
    connection = pg.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'")
            cursor.execute(query)
            return [c.name for c in cursor.description], sorted(map(repr, cursor.fetchall()))
    finally:
        connection.close()


def window(mount, model, batch):
    document = mount.document(model, batch)
    start, end = (document[key].replace("T", " ").replace("Z", "") for key in ("start", "end"))
    column = EVENT_TIME.get(model, "event_time")
    zone = "+00" if model not in EVENT_TIME else ""
    return f"{column} >= '{start}{zone}' AND {column} < '{end}{zone}'"


def compare(pg, mount, model):
    compared = 0
    for batch, sql in references(model).items():
        path = mount / model / batch
        if not path.exists():
            # dbt was asked for it by --event-time-start; it lies before the model's begin.
            assert (model, batch) == ("fct_hour", "2020-01-01T00")
            continue
        mount.build(model, batch)
        ours = rows_of(pg, f"SELECT * FROM an.{model} WHERE {window(mount, model, batch)}")
        assert ours == rows_of(pg, accepted(model, sql).replace("%", "%%")), batch
        document = mount.document(model, batch)
        assert (document["rows_inserted"], document["rows_outside"]) == (len(ours[1]), 0)
        compared += len(ours[1])
    assert compared


@pytest.mark.parametrize("manifest", ["manifest_after_compile.json", "manifest_after_compile_1_9.json"])
def test_every_batch_has_the_rows_of_dbt(warehouse, pg, inputs, mount, tmp_path, manifest):
    m = mount(Sample(warehouse, tmp_path / "target", manifest), now=NOW)
    assert m.ls() == sorted(RUNNABLE + list(WHY_NOT))
    assert {d.name for d in (SAMPLES / "compiled").iterdir()} == set(RUNNABLE) | set(WHY_NOT)
    for model in RUNNABLE:
        assert m.document(model, ".model")["runnable"], m.document(model, ".model")["why_not"]
        compare(pg, m, model)


def test_those_that_do_not_run_say_why(warehouse, inputs, mount, tmp_path):
    m = mount(Sample(warehouse, tmp_path / "target", "manifest_after_compile.json"), now=NOW)
    for model, words in WHY_NOT.items():
        document = m.document(model, ".model")
        assert document["runnable"] is False
        assert all(word in document["why_not"] for word in words), document["why_not"]
        with pytest.raises(OSError) as refused:
            os.utime(m / model / "2020-01-01")
        assert refused.value.errno in (errno.EOPNOTSUPP, errno.EACCES)
        assert warehouse.sql("SELECT to_regclass(%s)", f"an.{model}") == [(None,)]


def test_after_dbt_run_the_compiled_sql_is_asked_for(warehouse, inputs, mount, tmp_path):
    """`dbt run` leaves the microbatch models without their SQL."""
    m = mount(Sample(warehouse, tmp_path / "target", "manifest_after_run.json"), now=NOW)
    assert m.ls() == sorted(RUNNABLE + list(WHY_NOT))
    for model in m.ls():
        document = m.document(model, ".model")
        assert document["runnable"] is False and "dbt compile" in document["why_not"]
        with pytest.raises(OSError) as refused:
            os.utime(m / model / m.ls(model)[-1])
        assert refused.value.errno == errno.EOPNOTSUPP
    assert warehouse.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'an'") == [(2,)]


def psql(pg, script):
    """As a user does who wants to see it before it is kept: inside of a transaction of theirs, rolled back or not."""
    done = subprocess.run([str(pg.binaries / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-q"], input=script, text=True,
                          capture_output=True, check=False, env={**os.environ, **pg.env()})
    assert done.returncode == 0, done.stderr


def test_the_shown_statements_make_the_same_rows(warehouse, pg, inputs, mount, tmp_path):
    m = mount(Sample(warehouse, tmp_path / "target", "manifest_after_compile.json"), now=NOW)
    for model in RUNNABLE:
        batch = [b for b in references(model) if (m / model / b).exists()][-1]
        m.build(model, batch)
        built = rows_of(pg, f"SELECT * FROM an.{model}")
        # Other rows in the same window, and an empty one: both must become what was built.
        for tamper in (f"DELETE FROM an.{model}", f"INSERT INTO an.{model} SELECT * FROM an.{model}"):
            warehouse.sql(tamper)
            assert rows_of(pg, f"SELECT * FROM an.{model}") != built
            psql(pg, (m / model / f"{batch}.sql").read_text())
            assert rows_of(pg, f"SELECT * FROM an.{model}") == built, model


def test_the_chain_through_periods(warehouse, pg, inputs, mount, tmp_path):
    m = mount(Sample(warehouse, tmp_path / "target", "manifest_after_compile.json"), now=NOW)
    for model in ("events_day", "totals_day", "totals_month", "totals_year"):
        m.build(model, "2020")
    assert warehouse.sql("SELECT events, total FROM an.totals_year") == [(20, 2100)]
    assert m.ls("totals_year") == ["2020.partial"]
    assert m.states("totals_day") == {**{f"2020-01-0{day}": "done" for day in range(1, 6)}, "2020-01-06": "partial"}


def test_models_of_the_folder_are_protected(warehouse, inputs, mount, tmp_path):
    m = mount(Sample(warehouse, tmp_path / "target", "manifest_after_compile.json"), now=NOW)
    assert m.document("kept_day", ".model")["protected"] == "config"
    assert m.document("free_day", ".model")["protected"] is False
    with pytest.raises(OSError) as refused:
        os.utime(m / "kept_day" / ".full-refresh")
    assert refused.value.errno in (errno.EPERM, errno.EACCES)
    m.build("kept_day", "2020-01-01")
    assert warehouse.count("kept_day") == 4
