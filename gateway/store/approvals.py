"""`ApprovalStore` on SQLite. Whatever decides who must approve raises the epoch of the documents too: an
approval that was judged meanwhile is judged again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway import roles
from gateway.changeports import ApprovalState, StoredApprovalKey
from gateway.ports import NewEntry, StoredChange
from gateway.roles import APPROVE
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import increment
from gateway.store.database import Database
from gateway.store.documents import EPOCH
from gateway.store.ledger import SqliteLedger, drafts_of

_KEYS = """
    SELECT k.tenant, k.thumbprint, k.jwk, k.administrator, k.created, coalesce(k.revoked, a.revoked),
        a.tenant, a.role
    FROM approval_key k LEFT JOIN administrator a ON a.id = k.administrator
    WHERE k.tenant = ? ORDER BY k.created, k.thumbprint
"""
_NEEDED = "SELECT approvals FROM tenant_approvals WHERE tenant = ?"
_LAST = "SELECT coalesce(max(sequence), 0) FROM policy_change WHERE tenant = ?"
_INSERT = "INSERT INTO approval_key VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"
_REVOKE = """
    UPDATE approval_key SET revoked = ? WHERE tenant = ? AND thumbprint = ? AND revoked IS NULL
"""
_SAY = "INSERT INTO tenant_approvals (approvals, tenant) VALUES (?, ?) ON CONFLICT DO NOTHING"
_SAY_ANEW = "UPDATE tenant_approvals SET approvals = ? WHERE tenant = ? AND approvals = ?"
_HISTORY = """
    SELECT tenant, sequence, action, made, record FROM policy_change
    WHERE tenant = ? ORDER BY sequence DESC LIMIT ?
"""


class SqliteApprovals:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def state(self, tenant: str) -> ApprovalState:
        def read(connection: Connection) -> ApprovalState:
            needed = connection.execute(_NEEDED, (tenant,)).fetchone()
            (last,) = connection.execute(_LAST, (tenant,)).fetchone()
            return ApprovalState(
                keys=tuple(map(_key, connection.execute(_KEYS, (tenant,)))),
                needed=None if needed is None else int(needed[0]),
                last=int(last),
            )

        return self._database.read(read)

    def add_key(self, key: StoredApprovalKey, entry: NewEntry) -> bool:
        row = (key.tenant, key.thumbprint, key.jwk, key.administrator, to_micros(key.created))
        return self._once(_INSERT, row, entry)

    def revoke_key(self, tenant: str, thumbprint: str, at: datetime, entry: NewEntry) -> bool:
        return self._once(_REVOKE, (to_micros(at), tenant, thumbprint), entry)

    def set_needed(self, tenant: str, needed: int, before: int | None, entry: NewEntry) -> bool:
        if before is None:
            return self._once(_SAY, (needed, tenant), entry)
        return self._once(_SAY_ANEW, (needed, tenant, before), entry)

    def history(self, tenant: str, limit: int) -> Sequence[StoredChange]:
        return tuple(map(_change, self._database.query(_HISTORY, (tenant, max(limit, 0)))))

    def _once(self, statement: str, row: tuple[Any, ...], entry: NewEntry) -> bool:
        drafts = drafts_of((entry,))

        def write(connection: Connection) -> bool:
            if connection.execute(statement, row).rowcount != 1:
                return False
            self._ledger.add(connection, drafts)
            increment(connection, EPOCH)
            return True

        return self._database.write(write)


def _key(row: tuple[Any, ...]) -> StoredApprovalKey:
    return StoredApprovalKey(
        tenant=row[0],
        thumbprint=row[1],
        jwk=row[2],
        administrator=row[3],
        created=from_micros(row[4]),
        revoked=None if row[5] is None else from_micros(row[5]),
        may=row[3] == "" or (row[6] in ("", row[0]) and bool(roles.read(row[7]) & APPROVE.roles)),
    )


def _change(row: tuple[Any, ...]) -> StoredChange:
    return StoredChange(
        tenant=row[0], sequence=row[1], action=row[2], made=from_micros(row[3]), record=json.loads(row[4])
    )
