# SPDX-License-Identifier: Apache-2.0
"""Selections against a real dbt: the same models, expression by expression, on a project of forty nodes."""
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, built

# dbt is asked once for all of these tests, by one worker.
pytestmark = pytest.mark.xdist_group("dbt_selection")

# What dbt is asked: a --select, or (--select or None, --exclude).
EXPRESSIONS = """
sessions daily +daily daily+ +daily+ 1+daily daily+1 2+daily+1 0+daily daily+0 1+monthly+1 @daily
@stg_orders @kit_base
@sessions @users_snapshot +dim_users @dim_users.v1 stg_orders+ @rates + @ 3+yearly +yearly countries+
00002+monthly
users_snapshot+ +dashboard +exposure:dashboard exposure:shop.* exposure:kit.* @+daily @2+daily
shop kit shop.marts marts marts.finance shop.marts.finance.revenue finance.* shop.*.stg_* *.finance *user*
stg_* stg_?sers
shop.staging.[sx]tg_* stg_[!u]* stg_[^u]* report.café report.caf? report.* report café *caf?* ??? daily.x
kit.sessions
shop.sessions shop.marts.sessions marts.sessions [d]aily dail] *
dim_users dim_users.v2 dim_users_v2 dim_users.v1+ nonsense.dim_users.v3 shop.marts.dim_users.v1 dim_users.v9
dim_users.*
dim_users_v* marts.dim_users dim_users.v3+ dim_users_v1 v1 marts_dim_users_v1 marts.dim_users_v1
dim.users_v1
tag:nightly tag:night* tag:Nightly tag:night-owl tag:[nN]ightly tag:web tag:base tag:staging+ +tag:monthly
tag:nothing
tag:checks +tag:checks tag:board +tag:board tag:reference+ tag: tag:finance 1+tag:nightly+1 tag:night?y
tag:kit @tag:monthly
source:* source:raw+ source:raw.events+ source:raw.*+1 source:shop.raw.users+ source:kit.*.*+ source:raw*+
+source:raw
source:kit_raw+2 source:shop.*.pages+ source:raw
package:shop package:kit package:this package:* package:k?t @package:kit package:none
path:models path:models/staging path:models/staging/ path:models/staging/web models/marts/
models/marts/*.sql
models/marts/*.py models/**/revenue* models/*/web path:models/marts/_marts.yml path:seeds+
models/staging/_staging.yml
./models/staging path:models/*/*/forecast.py path:** models/** **/finance **/stg_*.sql
path:models/kit_clicks.sql
path:models/off path:snapshots+ path:snapshots/users_snapshot.yml+ path:model path:models* path:tests+
+path:tests
+path:analyses path:models/sessions.sql models/**/*u*.sql path:mod[a-p]ls/marts **/*
path:models/staging/kit_base.sql models//marts models/./marts models/../models models/marts/**/*.sql
daily.sql forecast.py rates.csv+ file:daily file:daily.sql file:stg_* file:*.py STG_USERS.SQL file:_staging+
revenue.SQL
file:*.yml+ dim_users_v2.sql file:dim_users_v? file:rates+ file:report.café
config.batch_size:hour config.batch_size:day config.incremental_strategy:microbatch config.materialized:view
config.materialized:Table config.tags:nightly config.tags:night* config.meta.owner:data
config.meta.owner:web
config.meta.owner:sales+ config.meta.pii:true config.meta.Pii:true config.meta.Pii:TRUE
config.meta.Pii:false
config.meta.levels:gold config.meta.levels:silver config.meta.levels:true config.meta.levels:false
config.full_refresh:false config.full_refresh:FALSE
config.concurrent_batches:false config.concurrent_batches:true config.unique_key:user_id
config.unique_key:day
config.lookback:3 config.begin:2024-01-01 config.begin:2024-01-01T00:00:00 config.event_time:at
config.enabled:true
config.group:finance config.access:private config.contract.enforced:false config.docs.show:true
config.meta:owner
config:x config.none:none config.schema:kit config.severity:WARN +config.severity:warn
config.on_schema_change:ignore
config.meta.owner.x:data config..owner:data config.tags.nightly:true config.strategy:check+
config.materialized:
config.persist_docs:x config.freshness:none config.unique_key: config.check_cols:all+ config.alias:
config.schema:
config.meta.owner:d?ta config.grants:x config.packages:x
group:finance group:fin* group: group:nobody @group:finance access:private access:public access:protected
access:p* access:
resource_type:model resource_type:source+ resource_type:seed+1 resource_type:snapshot+ +resource_type:test
+resource_type:unit_test +resource_type:analysis +resource_type:exposure resource_type:metric
resource_type:doc
version:latest version:old version:prerelease version:none version:latest+
+test_name:relationships test_name:unique @test_name:not_null +test_type:singular +test_type:generic
+test_type:unit
+test_type:data +test_type:schema +unit_test:daily_adds_up unit_test:* +unit_test:shop.* 1+assert_revenue
+compare
+relationships_daily_user_id__id__ref_dim_users_v_1_ metric:* saved_query:* semantic_model:*
tag:nightly,package:this tag:nightly,config.batch_size:day @daily,tag:nightly +monthly,daily+ a,b sessions,
,sessions
+revenue,+monthly,tag:staging tag:nightly,tag:finance stg_users,tag:staging
tag:nightly,+report_yearly,config.begin:2024-01-01
a++ ++daily ++ +daily++ 2daily 2daily+2 fqn:daily fqn:*daily fqn:shop.marts fqn:sessions+ fqn:source fqn:
:daily
""".split() + [
    "sessions daily", "tag:nightly +revenue", "a b", "daily  monthly", " daily", "daily ", " ", "",
    "tag:web,tag:staging kit_base", "@daily,package:kit +revenue,package:this config.batch_size:month",
    "dim_users.v1 dim_users_v3", "none,daily sessions", "sessions+1 1+monthly stg_orders+",
    ("tag:nightly", "daily"), ("tag:nightly", "daily+"), ("shop", "tag:nightly config.materialized:view"),
    ("marts", "finance.* dim_users"), ("+yearly", "+daily"), ("daily", "daily"), ("daily monthly", "none"),
    ("@stg_orders", "tag:nightly,package:this"), (None, "tag:nightly"), (None, "package:kit @revenue"),
    ("*", "config.incremental_strategy:microbatch"), ("sessions", "shop.sessions"),
    ("path:models", "path:models/marts"),
]

# dbt fails, and so must we.
WRONG = ["@daily+", "@daily+2", "bad:x", "Tag:x", "source:a.b.c.d", "exposure:a.b.c", "resource_type:thing",
         "version:newest", "test_type:odd", "path:/models", "state:modified", "metric:a.b.c", "+nope.x:y",
         "/models/marts", "result:error", "source_status:fresher", "selector:x", "daily bad:x", "resource_type:",
         "path:"]


def ours(expression):
    """The whole as one name, as a mount is asked."""
    if isinstance(expression, str):
        return expression
    select, exclude = expression
    return f"{select} --exclude {exclude}" if select is not None else f"--exclude {exclude}"


def dbt_answers(python, place, questions):
    """
    What dbt says, and its target/manifest.json in the project. Three hundred questions take a minute and more, so the answers are
    kept beside dbt, under a digest of all that they depend on: dbt itself, the questions and the project.
    """
    helper = Path(__file__).parent / "lib" / "dbt_ls.py"
    digest = hashlib.sha256(json.dumps(questions).encode() + helper.read_bytes())
    digest.update("\n".join(sorted(p.name for p in python.parent.parent.glob("lib/*/site-packages/*.dist-info"))).encode())
    for path in sorted(p for p in place.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(place)).encode() + path.read_bytes())
    kept, manifest = python.parent.parent / f"answers-{digest.hexdigest()}.json", place / "shop" / "target" / "manifest.json"
    if kept.exists():
        answers, text = json.loads(kept.read_text())
        manifest.parent.mkdir()
        manifest.write_text(text)
        return answers
    # -I: the modules beside the helper must not stand in for dbt's.
    dbt = subprocess.run([python, "-I", helper], cwd=place / "shop", input=json.dumps(questions),
                         capture_output=True, text=True, check=False)
    assert dbt.returncode == 0, dbt.stderr[-2000:]
    new = kept.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps([json.loads(dbt.stdout), manifest.read_text()]))
    new.rename(kept)
    return json.loads(dbt.stdout)


@pytest.fixture(scope="module")
def answers(dbt_python, tmp_path_factory):
    """expression -> (dbt's answer, the fields of ours), over one manifest."""
    tool = built("BATCHFS_SELECT", "tests/tools/select")
    place = tmp_path_factory.mktemp("selection")
    shutil.copytree(ROOT / "tests" / "fixtures" / "selection", place, dirs_exist_ok=True)
    # What `dbt deps` does with a local package, without asking the hub.
    (place / "shop" / "dbt_packages").mkdir()
    (place / "shop" / "dbt_packages" / "kit").symlink_to(place / "kit")
    asked = EXPRESSIONS + WRONG
    questions = [e if isinstance(e, tuple) else (e, None) for e in asked]
    answered = dbt_answers(dbt_python, place, questions)
    said = subprocess.run([tool, place / "shop" / "target"], input="".join(f"{ours(e)}\n" for e in asked),
                          capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.split("\n")[:-1]
    assert len(lines) == len(asked)
    return {e: (a, line.split("\t")) for e, a, line in zip(asked, answered, lines)}


def test_the_same_models_as_dbt(answers):
    assert len(set(EXPRESSIONS)) == len(EXPRESSIONS) >= 50
    different = []
    for expression in EXPRESSIONS:
        dbt, we = answers[expression]
        if we[0] != "ok" or dbt.get("ids") != we[1].split():
            different.append(f"{ours(expression)!r}: dbt {dbt}, we {we}")
    assert not different, f"{len(different)} of {len(EXPRESSIONS)}:\n" + "\n".join(different)


def test_the_comparison_says_something(answers):
    sizes = [len(answers[e][0]["ids"]) for e in EXPRESSIONS]
    assert sum(n > 0 for n in sizes) > len(sizes) * 2 / 3
    assert len(set(sizes)) > 10


def test_what_dbt_refuses_is_refused(answers):
    for expression in WRONG:
        dbt, we = answers[expression]
        assert "failed" in dbt, f"{expression!r}: dbt {dbt}"
        assert we[0] == "EINVAL" and expression.split()[-1] in we[1], f"{expression!r}: we {we}"


def test_order_and_what_is_not_rebuilt(answers):
    _, (_, _, order, rest) = answers["*"]
    place = order.split().index
    assert set(order.split()) == {"sessions", "daily", "monthly", "revenue", "yearly", "dim_users.v3", "kit_clicks"}
    assert place("sessions") < place("daily") < place("monthly") < place("yearly") > place("revenue")
    assert {"kit.sessions", "dim_users.v1", "stg_orders", "report.café", "forecast"} <= set(rest.split())
    assert rest.split() == sorted(rest.split())
