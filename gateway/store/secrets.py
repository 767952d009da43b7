"""`SecretStore` on SQLite: sealed bytes only; keys are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.ports import NewEntry, SealedSecret
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.database import Database
from gateway.store.ledger import SqliteLedger, drafts_of

_RAISE_VERSION = """
    INSERT INTO secret_path (tenant, path, last_version) VALUES (?, ?, ?)
    ON CONFLICT (tenant, path) DO UPDATE SET last_version = excluded.last_version
"""
_INSERT = "INSERT INTO secret (tenant, path, version, key_id, sealed, created) VALUES (?, ?, ?, ?, ?, ?)"
_LATEST = """
    SELECT tenant, path, version, key_id, sealed, created FROM secret
    WHERE tenant = ? AND path = ? ORDER BY version DESC LIMIT 1
"""
_LIST = """
    SELECT tenant, path, version, key_id, sealed, created FROM secret AS s
    WHERE tenant = ? AND version = (SELECT max(version) FROM secret WHERE tenant = s.tenant AND path = s.path)
    ORDER BY path
"""


def _secret(row: tuple[Any, ...]) -> SealedSecret:
    return SealedSecret(
        tenant=row[0],
        path=row[1],
        version=row[2],
        key_id=row[3],
        sealed=row[4],
        created=from_micros(row[5]),
    )


def _last_version(connection: Connection, tenant: str, path: str) -> int:
    row = connection.execute(
        "SELECT last_version FROM secret_path WHERE tenant = ? AND path = ?", (tenant, path)
    ).fetchone()
    return 0 if row is None else int(row[0])


class SqliteSecrets:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def next_version(self, tenant: str, path: str) -> int:
        return self._database.read(lambda connection: _last_version(connection, tenant, path)) + 1

    def put(self, secret: SealedSecret, entry: NewEntry) -> bool:
        """Versions follow each other without a gap: any but the next one is refused."""
        created, drafts = to_micros(secret.created), drafts_of((entry,))

        def insert(connection: Connection) -> bool:
            if secret.version != _last_version(connection, secret.tenant, secret.path) + 1:
                return False
            name = (secret.tenant, secret.path, secret.version)
            connection.execute(_RAISE_VERSION, name)
            connection.execute(_INSERT, (*name, secret.key_id, secret.sealed, created))
            self._ledger.add(connection, drafts)
            return True

        return self._database.write(insert)

    def latest(self, tenant: str, path: str) -> SealedSecret | None:
        rows = self._database.query(_LATEST, (tenant, path))
        return _secret(rows[0]) if rows else None

    def list(self, tenant: str) -> Sequence[SealedSecret]:
        return tuple(map(_secret, self._database.query(_LIST, (tenant,))))

    def remove(self, tenant: str, path: str, version: int, entry: NewEntry) -> bool:
        drafts = drafts_of((entry,))

        def forget(connection: Connection) -> bool:
            row = connection.execute(_LATEST, (tenant, path)).fetchone()
            if row is None or _secret(row).version != version:
                return False
            connection.execute("DELETE FROM secret WHERE tenant = ? AND path = ?", (tenant, path))
            self._ledger.add(connection, drafts)
            return True

        return self._database.write(forget)
