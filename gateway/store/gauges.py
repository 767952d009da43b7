"""`Gauges` on SQLite: in the table of counters, under a prefix of their own."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.store.connection import Connection
from gateway.store.counters import set_counter
from gateway.store.database import Database

_READ = "SELECT name, value FROM counter WHERE tenant = '' AND name >= ? AND name < ?"
_OWN = "gauge."


class SqliteGauges:
    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, prefix: str) -> Mapping[str, int]:
        first = _OWN + prefix
        rows = self._database.query(_READ, (first, first + "\U0010ffff"))
        return {name.removeprefix(_OWN): value for name, value in rows}

    def write(self, values: Mapping[str, int]) -> None:
        def replace(connection: Connection) -> None:
            for name, value in values.items():
                set_counter(connection, _OWN + name, value)

        self._database.write(replace)
