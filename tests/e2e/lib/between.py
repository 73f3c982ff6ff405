# SPDX-License-Identifier: Apache-2.0
"""What stands between libpq and PostgreSQL, on a socket of its own: subclasses say what becomes of a connection."""
import asyncio
import shutil
import struct
import tempfile
import threading
from pathlib import Path

PORT = ".s.PGSQL.5432"


async def both(*ways):
    """Runs them until one has ended, and ends the others."""
    running = [asyncio.ensure_future(way) for way in ways]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for way in running:
        way.cancel()
    await asyncio.gather(*running, return_exceptions=True)


class Between:
    """with Between(pg) as b: mount(project, env=b.env())"""

    def __init__(self, pg):
        self.pg = pg
        self.home = Path(tempfile.mkdtemp(prefix="batchfs-between-"))
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

    async def carry(self, code, start, client, server):
        """
        One connection whose first message (its code, and what follows that) has gone to the server; each side is a pair
        of streams, to read and to write.
        """
        raise NotImplementedError

    async def _close(self):
        self.server.close()
        links = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _connected(self, reader, writer):
        try:
            server_in, server_out = await asyncio.open_unix_connection(str(self.pg.home / PORT))
        except OSError:
            writer.transport.abort()
            return
        try:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            start = await reader.readexactly(length - 8)
            server_out.write(head + start)
            await self.carry(code, start, (reader, writer), (server_in, server_out))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for end in (writer, server_out):
                end.transport.abort()
