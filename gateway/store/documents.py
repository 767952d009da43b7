"""`DocumentStore` on SQLite. Every version ever activated stays; one table says which counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.ports import StoredDocument
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import COUNTER, increment, read_counter
from gateway.store.database import Database

_EPOCH = "document-epoch"
_ACTIVE = """
    SELECT d.tenant, d.kind, d.name, d.version, d.digest, d.source, d.activated
    FROM active_document AS a JOIN document AS d USING (tenant, kind, name, version)
    WHERE a.tenant = '' OR a.tenant = ?
    ORDER BY d.kind, d.name
"""
_VERSION = """
    SELECT tenant, kind, name, version, digest, source, activated FROM document
    WHERE tenant = ? AND kind = ? AND name = ? AND version = ?
"""


def _document(row: tuple[Any, ...]) -> StoredDocument:
    return StoredDocument(
        tenant=row[0],
        kind=row[1],
        name=row[2],
        version=row[3],
        digest=row[4],
        source=row[5],
        activated=from_micros(row[6]),
    )


class SqliteDocuments:
    def __init__(self, database: Database) -> None:
        self._database = database

    def active(self, tenant: str) -> tuple[int, Sequence[StoredDocument]]:
        def read(connection: Connection) -> tuple[int, Sequence[StoredDocument]]:
            rows = connection.execute(_ACTIVE, (tenant,)).fetchall()
            return read_counter(connection, _EPOCH) or 0, tuple(map(_document, rows))

        return self._database.read(read)

    def epoch(self) -> int:
        rows = self._database.query(COUNTER, (_EPOCH,))
        return int(rows[0][0]) if rows else 0

    def versions(self, tenant: str, names: Sequence[tuple[str, str, int]]) -> Sequence[StoredDocument]:
        out: list[StoredDocument] = []
        for kind, name, version in names:
            owner = "" if kind == "baseline" else tenant
            out += map(_document, self._database.query(_VERSION, (owner, kind, name, version)))
        return tuple(out)

    def activate(self, document: StoredDocument) -> bool:
        """Raises ValueError for a baseline of one tenant, and for another kind without a tenant."""
        if (document.kind == "baseline") != (document.tenant == ""):
            raise ValueError('a baseline belongs to tenant "", everything else to one tenant')
        activated = to_micros(document.activated)
        name = (document.tenant, document.kind, document.name)

        def replace(connection: Connection) -> bool:
            (last,) = connection.execute(
                "SELECT coalesce(max(version), 0) FROM document WHERE tenant = ? AND kind = ? AND name = ?",
                name,
            ).fetchone()
            if document.version <= last:
                return False
            connection.execute(
                "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*name, document.version, document.digest, document.source, activated),
            )
            connection.execute(
                "INSERT INTO active_document VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET version = excluded.version",
                (*name, document.version),
            )
            increment(connection, _EPOCH)
            return True

        return self._database.write(replace)

    def retire(self, tenant: str, kind: str, name: str) -> bool:
        def remove(connection: Connection) -> bool:
            done = connection.execute(
                "DELETE FROM active_document WHERE tenant = ? AND kind = ? AND name = ?", (tenant, kind, name)
            )
            if done.rowcount:
                increment(connection, _EPOCH)
            return done.rowcount > 0

        return self._database.write(remove)
