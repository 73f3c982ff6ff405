# SPDX-License-Identifier: Apache-2.0
"""
Stands between libpq and PostgreSQL and cuts a connection at a COMMIT.

It follows the frontend messages of protocol 3 far enough to know which statements a
transaction consists of: simple queries, and Parse, Bind, Execute with or without names.
"""
import struct
import threading

from .between import Between, both

PROTOCOL_3 = 196608
# Where: the server never gets the COMMIT; it answers and nobody hears it; nobody waits for the answer.
BEFORE, ANSWERED, UNHEARD = "before", "answered", "unheard"


class Cut:
    """Cuts the transactions that send `mark`: of these the `after`-th and the ones behind it, `times` in all."""

    def __init__(self, mark, where, times=1, after=0):
        self.mark, self.where, self.times, self.after = mark, where, times, after
        self.done = 0

    def applies(self, statements):
        if self.done == self.times or not any(self.mark in s for s in statements):
            return False
        if self.after:
            self.after -= 1
            return False
        self.done += 1
        return True


class Session:
    """What the frontend has said so far."""

    def __init__(self):
        self.named, self.portals = {}, {}
        self.transaction = []
        self.commits = 0

    def executes(self, kind, body):
        """The SQL that this message executes, or None."""
        fields = body.split(b"\0")
        if kind == b"P":
            self.named[fields[0]] = fields[1].decode()
        elif kind == b"B":
            self.portals[fields[0]] = self.named.get(fields[1], "")
        elif kind == b"E":
            return self.portals.get(fields[0], "")
        elif kind == b"Q":
            return fields[0].decode()
        return None

    def is_commit(self, kind, body):
        """Follows one message; whether it executes a COMMIT."""
        sql = self.executes(kind, body)
        if sql is None:
            return False
        first = sql.split(None, 1)[0].lower().rstrip(";") if sql.split() else ""
        if first == "begin":
            self.transaction = []
        self.transaction.append(sql)
        return first == "commit"


async def read_message(reader):
    head = await reader.readexactly(5)
    body = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
    return head[:1], body, head + body


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy, streams, server_streams):
        self.proxy = proxy
        self.client_in, self.client_out = streams
        self.server_in, self.server_out = server_streams
        self.session = Session()
        self.commits_until_cut = None

    async def upwards(self):
        while True:
            kind, body, whole = await read_message(self.client_in)
            cut = None
            if self.session.is_commit(kind, body):
                cut = self.proxy.cut_for(self.session.transaction)
                self.session.commits += 1
            if cut == BEFORE:
                await self.server_out.drain()
                return
            if cut == ANSWERED:
                self.commits_until_cut = self.session.commits
            self.server_out.write(whole)
            if cut == UNHEARD:
                # Sync: without it the server would go on waiting for more.
                self.server_out.write(b"S\0\0\0\4")
                await self.server_out.drain()
                self.client_out.transport.abort()
                self.server_out.close()
                return
            await self.server_out.drain()

    async def downwards(self):
        commits = 0
        while True:
            kind, body, whole = await read_message(self.server_in)
            if kind == b"C" and body == b"COMMIT\0":
                commits += 1
                if commits == self.commits_until_cut:
                    return
            self.client_out.write(whole)
            await self.client_out.drain()


class Proxy(Between):
    """with Proxy(pg) as proxy: mount(project, env=proxy.env())"""

    def __init__(self, pg):
        super().__init__(pg)
        self.lock = threading.Lock()
        self.cuts = []

    def cut(self, *args, **keys):
        cut = Cut(*args, **keys)
        with self.lock:
            self.cuts.append(cut)
        return cut

    def cut_for(self, statements):
        with self.lock:
            return next((cut.where for cut in self.cuts if cut.applies(statements)), None)

    async def carry(self, code, start, client, server):
        if code == PROTOCOL_3:
            link = Link(self, client, server)
            await both(link.upwards(), link.downwards())
        else:
            # A cancel request: the server closes when it has taken it.
            await server[0].read()
