# SPDX-License-Identifier: Apache-2.0
"""Conditions are waited for; nothing sleeps and hopes."""
import os
import time

# A sanitizer makes everything several times slower; a limit that is reached is a failure, never a pass.
SLOWER = int(os.environ.get("BATCHFS_SLOWER", "1"))
LIMIT = 30 * SLOWER


def wait_until(condition, timeout=LIMIT, what=None, alive=None):
    """The first true value of condition(). `alive` is asked too and raises when there is nothing to wait for."""
    end = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if alive:
            alive()
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s: {what or getattr(condition, '__name__', condition)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
