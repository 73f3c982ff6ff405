# SPDX-License-Identifier: Apache-2.0
"""Servers that speak PostgreSQL's protocol, grant every advisory lock and hold none: by those locks mounts know that others live."""
import pytest

from lib.events import add_sessions, make_events
from lib.mount import is_mounted

WAREHOUSE = 4
# As such a server has it: the function is there, and does nothing.
GRANTS_ALL = ("SET allow_system_table_mods = on; ALTER FUNCTION pg_catalog.pg_advisory_lock_shared(bigint) RENAME TO real_lock_shared;"
              " CREATE FUNCTION pg_catalog.pg_advisory_lock_shared(bigint) RETURNS void LANGUAGE sql AS 'SELECT'")


@pytest.fixture
def engine():
    return "postgres"


def test_a_server_whose_locks_hold_nothing_is_refused(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql(GRANTS_ALL)
    m = mount(project, start=False)
    m.start(wait=False)
    assert m.wait_exit() == WAREHOUSE
    assert "advisory locks hold nothing" in m.log_text() and not is_mounted(m.path)
