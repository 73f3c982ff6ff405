# SPDX-License-Identifier: Apache-2.0
"""Random changes of the events, in the warehouse and in the oracle's table alike."""
from datetime import timedelta

from .graph import BAD, FIRST, NOW, text

FINE = 5
# Ten equal errors in a row would end a request: another test's matter.
BAD_ROWS = 6


class Inputs:
    def __init__(self, warehouse, dice):
        self.warehouse, self.dice = warehouse, dice
        self.rows = {}  # id: (time, value)
        self.last_id = 0

    def table(self):
        return [(i, at, val) for i, (at, val) in self.rows.items()]

    def first(self):
        """Some on each day, and one an hour at the end."""
        days = [FIRST + timedelta(days=d, hours=h) for d in range(-1, 22) for h in (0, 9, 23)]
        self.insert([text(at) for at in days + [NOW - timedelta(hours=h) for h in range(30)]])

    def insert(self, times):
        rows = [(self.last_id + n, at, self.dice.randint(1, 9)) for n, at in enumerate(times, 1)]
        self.last_id += len(rows)
        self.rows.update({i: (at, val) for i, at, val in rows})
        self.sql("INSERT INTO {events} VALUES " + ", ".join(f"({i}, '{at}', {val})" for i, at, val in rows))

    def sql(self, statement):
        self.warehouse.sql(statement.format(events=self.warehouse.relation("events")))

    def moment(self):
        return FIRST + (NOW + timedelta(days=1) - FIRST) * self.dice.random()

    def add(self):
        self.insert([text(self.moment()) for _ in range(self.dice.randint(1, 3))])

    def remove(self):
        start = self.moment()
        first, end = text(start), text(start + timedelta(hours=self.dice.randint(1, 30)))
        self.rows = {i: row for i, row in self.rows.items() if not first <= row[0] < end}
        self.sql(f"DELETE FROM {{events}} WHERE event_time >= '{first}' AND event_time < '{end}'")

    def change(self, i, at, val):
        self.rows[i] = (at, val)
        self.sql(f"UPDATE {{events}} SET event_time = '{at}', val = {val} WHERE id = {i}")

    def some(self):
        return self.dice.choice(list(self.rows))

    def move(self):
        i = self.some()
        self.change(i, text(self.moment()), self.rows[i][1])

    def spoil(self):
        if sum(val in BAD.values() for _, val in self.rows.values()) < BAD_ROWS:
            i = self.some()
            self.change(i, self.rows[i][0], self.dice.choice(list(BAD.values())))

    def repair(self):
        for i, (at, val) in self.rows.items():
            if val in BAD.values():
                self.rows[i] = (at, FINE)
        bad = ", ".join(map(str, BAD.values()))
        self.sql(f"UPDATE {{events}} SET val = {FINE} WHERE val IN ({bad})")

    def any_change(self):
        change = self.dice.choices((self.add, self.remove, self.move, self.spoil, self.repair), (3, 1, 2, 4, 1))[0]
        change()
        return change.__name__
