# SPDX-License-Identifier: Apache-2.0
"""
A link to PostgreSQL that is `delay` seconds long each way, and counts round trips: how often a connection's client has
sent something after an answer had come.
"""
import asyncio
import shutil
import struct
import tempfile
import threading
from pathlib import Path

import psycopg2

PORT = ".s.PGSQL.5432"


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


class SlowLink:
    """with SlowLink(pg, 0.01) as link: mount(project, env=link.env())"""

    def __init__(self, pg, delay):
        self.pg, self.delay = pg, delay
        self.links = []
        self.home = Path(tempfile.mkdtemp(prefix="batchfs-link-"))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        serve = asyncio.start_unix_server(self._connected, str(self.home / PORT))
        self.server = asyncio.run_coroutine_threadsafe(serve, self.loop).result()
        (self.home / "pg_service.conf").write_text(f"[warehouse]\nhost={self.home}\nuser=postgres\ndbname=warehouse\n")
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        shutil.rmtree(self.home)

    def env(self):
        return {"PGSERVICEFILE": str(self.home / "pg_service.conf"), "PGHOST": str(self.home)}

    def connect(self):
        """A plain connection over the link."""
        made = psycopg2.connect(host=str(self.home), user="postgres", dbname="warehouse")
        made.autocommit = True
        return made

    def trips(self, purpose=None):
        return sum(link.trips for link in self.links if purpose in (None, link.purpose))

    async def _close(self):
        self.server.close()
        links = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _way(self, reader, writer, seen):
        while data := await reader.read(1 << 16):
            seen(data)
            self.loop.call_later(self.delay, writer.write, data)
        # What is on its way arrives before the end does.
        await asyncio.sleep(2 * self.delay)

    async def _connected(self, reader, writer):
        server_in, server_out = await asyncio.open_unix_connection(str(self.pg.home / PORT))
        try:
            head = await reader.readexactly(8)
            start = await reader.readexactly(struct.unpack("!I", head[:4])[0] - 8)
            name = start.partition(b"application_name\0")[2].partition(b"\0")[0].decode()
            link = Link(name.rpartition(":")[2])
            self.links.append(link)
            server_out.write(head + start)
            ways = [asyncio.ensure_future(self._way(reader, server_out, link.said)),
                    asyncio.ensure_future(self._way(server_in, writer, link.heard))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            server_out.transport.abort()
