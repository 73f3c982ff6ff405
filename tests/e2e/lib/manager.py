# SPDX-License-Identifier: Apache-2.0
"""A service manager's end of sd_notify(3)."""
import os
import socket

from .wait import wait_until


class Manager:
    """`address` as systemd gives it: a path, or "@name" for an abstract socket."""

    def __init__(self, address, watchdog_us=None):
        self.address, self.watchdog_us = address, watchdog_us
        self.heard = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def env(self):
        watchdog = {"WATCHDOG_USEC": str(self.watchdog_us)} if self.watchdog_us else {}
        return {"NOTIFY_SOCKET": self.address, **watchdog}

    def hear(self):
        """All lines so far."""
        while True:
            try:
                self.heard += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def wait_for(self, line):
        wait_until(lambda: line in self.hear(), what=f"the service manager hears {line}: {self.heard}")

    def fed(self):
        """How often the watchdog has been fed."""
        return self.hear().count("WATCHDOG=1")

    def close(self):
        self.socket.close()
        if not self.address.startswith("@"):
            os.unlink(self.address)
