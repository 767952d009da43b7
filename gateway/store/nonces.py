"""`NonceStore` on SQLite."""

from __future__ import annotations

from datetime import datetime

from gateway.store.columns import to_micros
from gateway.store.connection import Connection
from gateway.store.counters import COUNTER, read_counter, set_counter
from gateway.store.database import Database

EPOCH = "nonce-epoch"
_PRUNED = "nonces-pruned-to"
_CONSUME = f"""
    INSERT INTO nonce SELECT ?, ?, ?
    WHERE ? > coalesce((SELECT value FROM counter WHERE tenant = '' AND name = '{_PRUNED}'), 0)
    AND (? = -1 OR ? = (SELECT value FROM counter WHERE tenant = '' AND name = '{EPOCH}'))
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant of ours


class SqliteNonces:
    """A record is forgotten only by `prune`, and what `prune` may have forgotten is not accepted again:
    the time it pruned to is kept, so that a clock set back cannot bring a nonce to life."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def consume(self, tenant: str, nonce_id: bytes, expires: datetime, *, epoch: int | None = None) -> bool:
        limit, wanted = to_micros(expires), -1 if epoch is None else epoch
        row = (tenant, nonce_id, limit, limit, wanted, wanted)
        return self._database.write(lambda connection: connection.execute(_CONSUME, row).rowcount == 1)

    def prune(self, now: datetime) -> int:
        limit = to_micros(now)

        def forget(connection: Connection) -> int:
            if limit > (read_counter(connection, _PRUNED) or 0):
                set_counter(connection, _PRUNED, limit)
            return connection.execute("DELETE FROM nonce WHERE expires <= ?", (limit,)).rowcount

        return self._database.write(forget)

    def epoch(self) -> int:
        rows = self._database.query(COUNTER, (EPOCH,))
        if not rows:
            raise LookupError("a store always has a nonce epoch")
        return int(rows[0][0])
