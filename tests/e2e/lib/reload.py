# SPDX-License-Identifier: Apache-2.0
"""A new manifest under a mount."""
import signal

from lib.wait import wait_until


def mount_of(m):
    return m.document(".status")["mount"]


def reloaded(m, since):
    wait_until(lambda: mount_of(m)["manifest_loaded_at"] != since and not mount_of(m)["manifest_error"],
               what="the new manifest is in force")


def rewrite(m, project, hup=False):
    """Writes the manifest, and waits until it is in force; hup: with the signal, although it may be the same."""
    since = mount_of(m)["manifest_loaded_at"]
    project.write()
    if hup:
        m.process.send_signal(signal.SIGHUP)
    reloaded(m, since)
