"""`AdministratorStore` on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import NewEntry, StoredAdministrator
from gateway.roles import Role
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import increment
from gateway.store.database import Database
from gateway.store.documents import EPOCH
from gateway.store.ledger import SqliteLedger, drafts_of

_INSERT = """
    INSERT INTO administrator (id, tenant, role, token_sha256, created, revoked, login, key, jwk)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_ALL = "SELECT id, tenant, role, token_sha256, created, revoked, login, key, jwk FROM administrator"
_GET, _BY_KEY, _LIST = f"{_ALL} WHERE id = ?", f"{_ALL} WHERE key = ?", f"{_ALL} ORDER BY created, id"
_ASSIGN = """
    UPDATE administrator SET tenant = ?, role = ? WHERE id = ? AND login = 'oidc' AND revoked IS NULL
"""
_OTHERS = f"""
    SELECT count(*) FROM administrator
    WHERE tenant = '' AND role = '{Role.OWNER}' AND revoked IS NULL AND login <> 'oidc' AND id <> ?
"""  # noqa: S608 - a constant of ours
_REVOKE = "UPDATE administrator SET revoked = ? WHERE id = ? AND revoked IS NULL"


def _administrator(row: tuple[Any, ...]) -> StoredAdministrator:
    return StoredAdministrator(
        id=row[0],
        tenant=row[1],
        role=row[2],
        token_sha256=row[3],
        created=from_micros(row[4]),
        revoked=None if row[5] is None else from_micros(row[5]),
        login=row[6],
        key=row[7],
        jwk=row[8],
    )


class SqliteAdministrators:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def add(self, administrator: StoredAdministrator, entry: NewEntry) -> bool:
        row = (
            administrator.id,
            administrator.tenant,
            administrator.role,
            administrator.token_sha256,
            to_micros(administrator.created),
            None if administrator.revoked is None else to_micros(administrator.revoked),
            administrator.login,
            administrator.key,
            administrator.jwk,
        )
        drafts = drafts_of((entry,))

        def insert(connection: Connection) -> bool:
            if connection.execute(_INSERT, row).rowcount != 1:
                return False
            self._ledger.add(connection, drafts)
            return True

        return self._database.write(insert)

    def get(self, administrator_id: str) -> StoredAdministrator | None:
        rows = self._database.query(_GET, (administrator_id,))
        return _administrator(rows[0]) if rows else None

    def by_key(self, thumbprint: str) -> StoredAdministrator | None:
        rows = self._database.query(_BY_KEY, (thumbprint,)) if thumbprint else []
        return _administrator(rows[0]) if rows else None

    def assign(self, administrator_id: str, tenant: str, role: str, entries: Sequence[NewEntry]) -> bool:
        drafts = drafts_of(entries)

        def change(connection: Connection) -> bool:
            if connection.execute(_ASSIGN, (tenant, role, administrator_id)).rowcount != 1:
                return False
            self._ledger.add(connection, drafts)
            increment(connection, EPOCH)
            return True

        return self._database.write(change)

    def list(self) -> Sequence[StoredAdministrator]:
        return tuple(map(_administrator, self._database.query(_LIST)))

    def revoke(self, administrator_id: str, at: datetime, entry: NewEntry) -> bool:
        moment, drafts = to_micros(at), drafts_of((entry,))

        def end(connection: Connection) -> bool:
            row = connection.execute(_GET, (administrator_id,)).fetchone()
            found = None if row is None else _administrator(row)
            if found is None or found.revoked is not None:
                return False
            owner = found.tenant == "" and found.role == Role.OWNER and found.login != "oidc"
            if owner and connection.execute(_OTHERS, (administrator_id,)).fetchone() == (0,):
                raise _last(administrator_id)
            connection.execute(_REVOKE, (moment, administrator_id))
            self._ledger.add(connection, drafts)
            increment(connection, EPOCH)
            return True

        return self._database.write(end)


def _last(administrator_id: str) -> GatewayError:
    return GatewayError(
        GatewayReason.STORE_CONFLICT,
        "this is the last owner of the whole gateway; add a successor first",
        where=f"administrator {administrator_id}",
        expected="another owner of the whole gateway",
        found="none",
    )
