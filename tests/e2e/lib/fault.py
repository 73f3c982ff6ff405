# SPDX-License-Identifier: Apache-2.0
"""The rules of the fault layer (tests/fault/fault.h), changed while a mount runs."""
import contextlib
import os
from pathlib import Path


class Fault:
    def __init__(self, path):
        self.path = Path(path)

    def env(self):
        return {"BATCHFS_FAULT_FILE": str(self.path)}

    def set(self, *rules):
        """In one step: the layer may look at any moment."""
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(rules))
        os.rename(new, self.path)

    def clear(self):
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def holding(self, *ops):
        """What comes to one of these ops waits there until the end of the block."""
        self.set(*(f"{op}:hold" for op in ops))
        try:
            yield
        finally:
            self.clear()
