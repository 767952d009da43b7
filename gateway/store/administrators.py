"""`AdministratorStore` on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.ports import StoredAdministrator
from gateway.store.columns import from_micros, to_micros
from gateway.store.database import Database

_INSERT = """
    INSERT INTO administrator (id, tenant, role, token_sha256, created, revoked)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_GET = "SELECT id, tenant, role, token_sha256, created, revoked FROM administrator WHERE id = ?"
_LIST = "SELECT id, tenant, role, token_sha256, created, revoked FROM administrator ORDER BY created, id"
_REVOKE = "UPDATE administrator SET revoked = ? WHERE id = ? AND revoked IS NULL"


def _administrator(row: tuple[Any, ...]) -> StoredAdministrator:
    return StoredAdministrator(
        id=row[0],
        tenant=row[1],
        role=row[2],
        token_sha256=row[3],
        created=from_micros(row[4]),
        revoked=None if row[5] is None else from_micros(row[5]),
    )


class SqliteAdministrators:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, administrator: StoredAdministrator) -> bool:
        row = (
            administrator.id,
            administrator.tenant,
            administrator.role,
            administrator.token_sha256,
            to_micros(administrator.created),
            None if administrator.revoked is None else to_micros(administrator.revoked),
        )
        return self._database.write(lambda connection: connection.execute(_INSERT, row).rowcount == 1)

    def get(self, administrator_id: str) -> StoredAdministrator | None:
        rows = self._database.query(_GET, (administrator_id,))
        return _administrator(rows[0]) if rows else None

    def list(self) -> Sequence[StoredAdministrator]:
        return tuple(map(_administrator, self._database.query(_LIST)))

    def revoke(self, administrator_id: str, at: datetime) -> bool:
        row = (to_micros(at), administrator_id)
        return self._database.write(lambda connection: connection.execute(_REVOKE, row).rowcount == 1)
