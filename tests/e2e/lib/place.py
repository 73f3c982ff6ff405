# SPDX-License-Identifier: Apache-2.0
"""The directory of a project that a real dbt has compiled."""


class Place:
    """As a mount wants it."""

    def __init__(self, path, warehouse):
        self.path, self.warehouse = path, warehouse

    def write(self):
        return self.path / "target"
