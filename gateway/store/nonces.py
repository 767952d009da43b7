"""`NonceStore` on SQLite."""

from __future__ import annotations

from datetime import datetime

from gateway.store.columns import to_micros
from gateway.store.connection import Connection
from gateway.store.counters import read_counter, set_counter
from gateway.store.database import Database

EPOCH = "nonce-epoch"
_PRUNED = "nonces-pruned-to"


class SqliteNonces:
    """A record is forgotten only by `prune`, and what `prune` may have forgotten is not accepted again:
    the time it pruned to is kept, so that a clock set back cannot bring a nonce to life."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def consume(self, tenant: str, nonce_id: bytes, expires: datetime) -> bool:
        row = (tenant, nonce_id, to_micros(expires))

        def insert(connection: Connection) -> bool:
            if row[2] <= (read_counter(connection, _PRUNED) or 0):
                return False
            done = connection.execute("INSERT INTO nonce VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
            return done.rowcount == 1

        return self._database.write(insert)

    def prune(self, now: datetime) -> int:
        limit = to_micros(now)

        def forget(connection: Connection) -> int:
            if limit > (read_counter(connection, _PRUNED) or 0):
                set_counter(connection, _PRUNED, limit)
            return connection.execute("DELETE FROM nonce WHERE expires <= ?", (limit,)).rowcount

        return self._database.write(forget)

    def epoch(self) -> int:
        value = self._database.read(lambda connection: read_counter(connection, EPOCH))
        if value is None:
            raise LookupError("a store always has a nonce epoch")
        return value
