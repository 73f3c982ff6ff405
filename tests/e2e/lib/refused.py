# SPDX-License-Identifier: Apache-2.0
"""A model `sessions` whose batches cannot be prepared or built: what is said, and that it is built once the reason has gone."""
import errno
import os

from .command import errno_of
from .truth import stored
from .wait import wait_until

ALL = {"2024-09-01": 4, "2024-09-02": 4, "2024-09-03": 4, "2024-09-04": 4}


def queue_all(m):
    """Every batch is asked for, or refused with a reason; then nothing waits."""
    said = errno_of(os.utime, m / "sessions" / "2024-09")
    assert said in (0, errno.EOPNOTSUPP)
    if said == 0:
        assert errno_of(m.sync, "sessions", "2024-09") == errno.EIO
    assert not {"queued", "running"} & set(m.states("sessions").values())
    return said


def reason(m, said):
    if said == errno.EOPNOTSUPP:
        return m.document("sessions", ".model")["why_not"]
    failed = [batch for batch, state in m.states("sessions").items() if state == "failed"]
    return m.document("sessions", failed[0])["error"]["message"]


def fails(m, batch="2024-09-01"):
    """What is said of the batch, which is refused or fails."""
    try:
        os.utime(m / "sessions" / batch)
        m.sync("sessions", batch)
    except OSError as e:
        assert e.errno in (errno.EIO, errno.EOPNOTSUPP)
        document = m.document("sessions", batch)
        return (document["error"] or document["last_refusal"])["message"]
    raise AssertionError("it was built")


def builds_again(m, warehouse):
    """Without a remount."""
    def built():
        said = errno_of(os.utime, m / "sessions" / "2024-09")
        assert said in (0, errno.EOPNOTSUPP)
        return said == 0 and errno_of(m.sync, "sessions", "2024-09") == 0
    wait_until(built, what="it is built once the reason has gone")
    assert stored(warehouse, "sessions") == ALL
    assert m.document("sessions", ".model")["why_not"] is None
