# SPDX-License-Identifier: Apache-2.0
"""SQLite: what a row that was damaged below the mount keeps from being built."""
import errno
import os

import pytest

from lib.command import errno_of
from lib.refused import ALL
from lib.truth import stored

NOW = "2024-09-04T12:00:00"


@pytest.fixture
def engine():
    return "sqlite"


def test_one_damaged_row_fails_its_own_batch(ready, warehouse, mount):
    """Built, then damaged below the mount: the others go on, and so does the mount."""
    m = mount(ready, now=NOW)
    m.build("sessions", "2024-09")
    warehouse.sql("UPDATE batchfs_state SET attempt = 2147483647 WHERE start = 1725235200000000")
    assert errno_of(m.build, "sessions", "2024-09") == errno.EIO
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "failed", "2024-09-03": "done",
                                    "2024-09-04": "partial"}
    error = m.document("sessions", "2024-09-02")["error"]
    assert error["sqlstate"] == "XX001" and "DELETE FROM batchfs_state WHERE model = " in error["message"]
    status = m.document(".status")
    assert status.get("mount", status)["warehouse"] == "connected"
    m.unmount()
    m.start()
    assert m.states("sessions")["2024-09-02"] == "failed"
    warehouse.sql(error["message"][error["message"].index("DELETE"):].split(" it is")[0])
    m.build("sessions", "2024-09")
    assert stored(warehouse, "sessions") == ALL
