# SPDX-License-Identifier: Apache-2.0
"""
A link to PostgreSQL that is `delay` seconds long each way, and counts round trips: how often a connection's client has
sent something after an answer had come.
"""
import asyncio

import psycopg2

from .between import Between, both


class Link:
    """One connection."""

    def __init__(self, purpose):
        self.purpose = purpose  # of application_name: control, worker ...
        self.trips = 0
        self.answered = True

    def said(self, data):
        self.trips += self.answered
        self.answered = False

    def heard(self, data):
        self.answered = True


class SlowLink(Between):
    """with SlowLink(pg, 0.01) as link: mount(project, env=link.env())"""

    def __init__(self, pg, delay):
        super().__init__(pg)
        self.delay = delay
        self.links = []

    def connect(self):
        """A plain connection over the link."""
        made = psycopg2.connect(host=str(self.home), user="postgres", dbname="warehouse")
        made.autocommit = True
        return made

    def trips(self, purpose=None):
        return sum(link.trips for link in self.links if purpose in (None, link.purpose))

    async def _way(self, reader, writer, seen):
        while data := await reader.read(1 << 16):
            seen(data)
            self.loop.call_later(self.delay, writer.write, data)
        # What is on its way arrives before the end does.
        await asyncio.sleep(2 * self.delay)

    async def carry(self, code, start, client, server):
        name = start.partition(b"application_name\0")[2].partition(b"\0")[0].decode()
        link = Link(name.rpartition(":")[2])
        self.links.append(link)
        await both(self._way(client[0], server[1], link.said), self._way(server[0], client[1], link.heard))
