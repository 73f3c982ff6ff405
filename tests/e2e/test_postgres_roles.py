# SPDX-License-Identifier: Apache-2.0
"""What the role that batchfs connects as may do, and what its defaults are."""
import errno
import os

import pytest

from lib.events import add_sessions, make_events
from lib.roles import BUILDER, login, make_role
from lib.truth import built, check_rows, stored
from lib.wait import wait_until

NOW = "2024-09-03T12:00:00"
WAREHOUSE = 4


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture(autouse=True)
def sessions(project, warehouse):
    make_events(warehouse)
    add_sessions(project)


@pytest.fixture
def mount_as(project, pg, mount, tmp_path):
    """mount_as(role, "ro"): a mount that logs in as the role."""

    def make(role, *options, start=True):
        return mount(project, *options, now=NOW, env=login(pg, tmp_path, role), start=start)

    return make


def make_target(warehouse, rows=True):
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events" + ("" if rows else " WITH NO DATA"))
    warehouse.sql("CREATE INDEX ON an.sessions (event_time)")


def refused_at_start(mount_as, role):
    m = mount_as(role, start=False)
    m.start(wait=False)
    assert m.wait_exit() == WAREHOUSE
    return m.log_text()


def build_fails(mount, batch):
    with pytest.raises(OSError) as failed:
        mount.build("sessions", batch)
    assert failed.value.errno == errno.EIO
    return mount.document("sessions", batch)["error"]


def touch_refused(path):
    with pytest.raises(OSError) as refused:
        os.utime(path)
    return refused.value.errno


def test_a_role_with_only_what_is_needed(warehouse, mount_as):
    m = mount_as(make_role(warehouse, "builder", *BUILDER))
    m.build("sessions", "2024-09-01--2024-09-03")
    assert check_rows(warehouse, "sessions") == {"2024-09-01": 4, "2024-09-02": 4}


def test_without_the_right_to_make_the_schema(warehouse, mount_as):
    role = make_role(warehouse, "guest", "GRANT USAGE ON SCHEMA an TO {role}")
    assert "GRANT CREATE ON DATABASE warehouse TO guest" in refused_at_start(mount_as, role)
    assert warehouse.sql("SELECT to_regnamespace('batchfs')") == [(None,)]


def test_without_a_right_on_our_schema(project, warehouse, mount, mount_as):
    mount(project, now=NOW).unmount()
    role = make_role(warehouse, "guest", *BUILDER)
    assert "GRANT USAGE ON SCHEMA batchfs TO guest" in refused_at_start(mount_as, role)
    warehouse.sql("GRANT USAGE ON SCHEMA batchfs TO guest")
    assert "ON ALL TABLES IN SCHEMA batchfs TO guest" in refused_at_start(mount_as, role)


def test_without_create_where_everything_is_there(project, warehouse, mount, mount_as):
    """The schema and the target were made by somebody: CREATE is not needed any more."""
    make_target(warehouse, rows=False)
    mount(project, now=NOW).unmount()
    m = mount_as(make_role(warehouse, "worker", "GRANT USAGE ON SCHEMA an, batchfs TO {role}",
                           "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA an, batchfs TO {role}"))
    m.build("sessions", "2024-09-02")
    assert check_rows(warehouse, "sessions") == {"2024-09-02": 4}


def test_without_create_the_missing_target_fails_with_the_grant(project, warehouse, mount, mount_as):
    mount(project, now=NOW).unmount()
    m = mount_as(make_role(warehouse, "worker", "GRANT USAGE ON SCHEMA an, batchfs TO {role}",
                           "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA an, batchfs TO {role}"))
    error = build_fails(m, "2024-09-02")
    assert error["sqlstate"] == "42501" and "CREATE ON SCHEMA" in error["message"] and "TO worker" in error["message"]
    warehouse.sql("GRANT CREATE ON SCHEMA an TO worker")
    m.build("sessions", "2024-09-02.failed")
    assert check_rows(warehouse, "sessions") == {"2024-09-02": 4}


@pytest.mark.parametrize("missing", ["INSERT", "DELETE", "SELECT"])
def test_a_missing_right_on_the_target_is_named(warehouse, mount_as, missing):
    make_target(warehouse, rows=False)
    role = make_role(warehouse, "worker", *BUILDER, "GRANT SELECT, INSERT, DELETE ON an.sessions TO {role}",
                     f"REVOKE {missing} ON an.sessions FROM {{role}}")
    m = mount_as(role)
    grant = f'GRANT {missing} ON "an"."sessions" TO worker'
    if missing == "SELECT":
        # Nobody knows what the table holds: what is to be built cannot be decided.
        wait_until(lambda: grant in (m.document("sessions", ".model")["why_not"] or ""), what="the look has failed")
        assert touch_refused(m / "sessions" / "2024-09-02") == errno.EOPNOTSUPP
    else:
        error = build_fails(m, "2024-09-02")
        assert error["sqlstate"] == "42501" and grant in error["message"]
    warehouse.sql(f"GRANT {missing} ON an.sessions TO worker")
    wait_until(lambda: m.document("sessions", ".model")["runnable"], what="the model can run")
    m.build("sessions", "2024-09-02")
    assert check_rows(warehouse, "sessions") == {"2024-09-02": 4}


def test_a_right_that_a_look_finds_missing_refuses_the_model(warehouse, mount_as):
    """Each batch would fail for it, too."""
    make_target(warehouse)
    role = make_role(warehouse, "worker", *BUILDER, "GRANT SELECT, INSERT, DELETE ON an.sessions TO {role}")
    m = mount_as(role)
    wait_until(lambda: m.document("sessions", ".model")["looked_at"], what="the first look")
    warehouse.sql("REVOKE SELECT ON an.sessions FROM worker")
    os.utime(m / "sessions" / ".adopt")
    wait_until(lambda: m.document("sessions", ".adopt")["why_not"], what="the look has failed")
    model = m.document("sessions", ".model")
    assert not model["runnable"] and 'GRANT SELECT ON "an"."sessions" TO worker' in model["why_not"]
    warehouse.sql("GRANT SELECT ON an.sessions TO worker")
    wait_until(lambda: m.document("sessions", ".model")["runnable"], what="the model can run")


def test_an_input_that_may_not_be_read(warehouse, mount_as):
    m = mount_as(make_role(warehouse, "worker", *BUILDER, "REVOKE SELECT ON an.events FROM {role}"))
    error = build_fails(m, "2024-09-02")
    assert error["sqlstate"] == "42501" and "events" in error["message"]


def test_a_role_that_may_only_read(project, warehouse, mount, mount_as):
    """It may look, with -o ro; without it it is told what is missing."""
    mount(project, now=NOW).build("sessions", "2024-09-01")
    role = make_role(warehouse, "reader", "GRANT USAGE ON SCHEMA an, batchfs TO {role}",
                     "GRANT SELECT ON ALL TABLES IN SCHEMA an, batchfs TO {role}")
    assert "TO reader" in refused_at_start(mount_as, role)
    m = mount_as(role, "ro")
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "pending", "2024-09-03": "pending"}
    assert touch_refused(m / "sessions" / "2024-09-02") == errno.EROFS


def test_read_only_before_anything_is_there(warehouse, mount_as):
    """Nothing was ever built through batchfs: nothing is made, and what dbt has built is seen."""
    make_target(warehouse)
    warehouse.sql("DELETE FROM an.sessions WHERE event_time < '2024-09-02'")
    m = mount_as(make_role(warehouse, "reader", "GRANT USAGE ON SCHEMA an TO {role}",
                           "GRANT SELECT ON ALL TABLES IN SCHEMA an TO {role}"), "ro")
    wait_until(lambda: m.states("sessions")["2024-09-02"] == "done", what="what is there is seen")
    assert m.states("sessions")["2024-09-01"] == "pending"
    assert warehouse.sql("SELECT to_regnamespace('batchfs')") == [(None,)]


def test_a_role_whose_transactions_are_read_only(warehouse, mount_as):
    m = mount_as(make_role(warehouse, "careful", *BUILDER, "ALTER ROLE {role} SET default_transaction_read_only = on"))
    m.build("sessions", "2024-09-01--2024-09-03")
    assert check_rows(warehouse, "sessions") == {"2024-09-01": 4, "2024-09-02": 4}


@pytest.mark.parametrize("setting", ["search_path = ''", "search_path = nowhere", "timezone = 'America/New_York'",
                                     "datestyle = 'SQL, DMY'", "standard_conforming_strings = off",
                                     "default_transaction_isolation = serializable", "synchronous_commit = off",
                                     "transform_null_equals = on", "enable_indexscan = off", "quote_all_identifiers = on"])
def test_defaults_of_the_role(warehouse, mount_as, setting):
    m = mount_as(make_role(warehouse, "strange", *BUILDER, "ALTER ROLE {role} SET " + setting))
    m.build("sessions", "2024-09-01--2024-09-03")
    m.build("sessions", "2024-09-01")
    assert check_rows(warehouse, "sessions") == {"2024-09-01": 4, "2024-09-02": 4}
    assert built(warehouse, "sessions") == {"2024-09-01": 2, "2024-09-02": 1}


def test_the_model_sees_the_roles_search_path(project, warehouse, mount_as):
    project.model("sessions", "select id, event_time, doubled(val) as val from {events}", inputs=["events"])
    warehouse.sql("CREATE FUNCTION an.doubled(integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * $1'")
    m = mount_as(make_role(warehouse, "homely", *BUILDER, "ALTER ROLE {role} SET search_path = an"))
    m.build("sessions", "2024-09-01")
    assert warehouse.sql("SELECT DISTINCT val FROM an.sessions") == [(4,)]


@pytest.mark.parametrize("known", [False, True], ids=["adopted", "built"])
def test_row_level_security(project, warehouse, mount, mount_as, known):
    """A role that sees only some of the rows would leave the others behind, and duplicate them."""
    if known:
        first = mount(project, now=NOW)
        first.build("sessions", "2024-09-01")
        first.unmount()
    else:
        make_target(warehouse)
    warehouse.sql("CREATE POLICY half ON an.sessions USING (id % 2 = 0)")
    if not known:
        warehouse.sql("ALTER TABLE an.sessions ENABLE ROW LEVEL SECURITY")
    before = stored(warehouse, "sessions")
    role = make_role(warehouse, "half_blind", *BUILDER, "GRANT INSERT, DELETE ON an.sessions TO {role}")
    if known:
        warehouse.sql("GRANT USAGE ON SCHEMA batchfs TO half_blind")
        warehouse.sql("GRANT ALL ON ALL TABLES IN SCHEMA batchfs TO half_blind")
    m = mount_as(role)
    if known:
        # The look that comes with the mount would refuse the model before anything is built.
        os.utime(m / "sessions" / ".adopt")
        m.sync("sessions", ".adopt")
        warehouse.sql("ALTER TABLE an.sessions ENABLE ROW LEVEL SECURITY")
        error = build_fails(m, "2024-09-01")
        assert error["sqlstate"] == "42501" and "row level security" in error["message"]
    else:
        # What is there cannot be seen, so it cannot even be adopted.
        wait_until(lambda: not m.document("sessions", ".model")["runnable"], what="somebody has looked")
        assert touch_refused(m / "sessions" / "2024-09-01") == errno.EOPNOTSUPP
        document = m.document("sessions", ".model")
        assert document["runnable"] is False and "row level security" in document["why_not"]
    assert stored(warehouse, "sessions") == before
    warehouse.sql("ALTER ROLE half_blind BYPASSRLS")
    wait_until(lambda: m.document("sessions", ".model")["runnable"], what="the model can run")
    m.build("sessions", "2024-09-01")
    assert stored(warehouse, "sessions") == before


def test_set_role(project, warehouse, mount):
    make_role(warehouse, "owner_of_it", *BUILDER)
    m = mount(project, "role=owner_of_it", now=NOW)
    m.build("sessions", "2024-09-01")
    assert warehouse.sql("SELECT tableowner FROM pg_tables WHERE schemaname = 'an' AND tablename = 'sessions'") == [
        ("owner_of_it",)]
    m.unmount()
    nobody = mount(project, "role=no_such_role", now=NOW, start=False)
    nobody.start(wait=False)
    assert nobody.wait_exit() == WAREHOUSE and "no_such_role" in nobody.log_text()
