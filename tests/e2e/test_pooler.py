# SPDX-License-Identifier: Apache-2.0
"""A pooler between a mount and its server hands out one session to several clients: it is refused, and kept clean."""
import pytest

from conftest import need
from lib.events import add_sessions, make_events
from lib.mount import is_mounted
from lib.pooler import Pooler, find_pgbouncer

WAREHOUSE = 4
# application_name and client_encoding the pooler itself sets to what the last client has said that it wants.
SESSION = ("SELECT pg_backend_pid(), current_setting('search_path'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
           " (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings"
           "  WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding'))")


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture(params=["transaction", "session", "statement"])
def pooler(request, pg, warehouse):
    if not find_pgbouncer():
        need("pgbouncer")
    with Pooler(pg, request.param) as pooler:
        yield pooler


def test_a_mount_through_a_pooler_is_refused_and_leaves_nothing_in_it(project, warehouse, pooler, mount):
    make_events(warehouse)
    add_sessions(project)
    before = pooler.sql(SESSION)
    m = mount(project, start=False, env=pooler.env())
    m.start(wait=False)
    assert m.wait_exit() == WAREHOUSE
    assert "goes through a pooler" in m.log_text() and "name the server itself" in m.log_text()
    assert not is_mounted(m.path)
    # The one session of the pool, as the next client gets it.
    assert pooler.sql(SESSION) == before
    assert warehouse.sql("SELECT to_regnamespace('batchfs')") == [(None,)]
