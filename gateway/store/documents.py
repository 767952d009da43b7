"""`DocumentStore` on SQLite. Every version ever activated stays; one table says which counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.entry import canonical
from gateway.ports import NewEntry, StoredChange, StoredDocument
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import COUNTER, increment, read_counter
from gateway.store.database import Database
from gateway.store.ledger import SqliteLedger, drafts_of

EPOCH = "document-epoch"
"""Counter: grows with everything that decides about what counts."""
_EVERYTHING = """
    SELECT d.tenant, d.kind, d.name, d.version, d.digest, d.source, coalesce(a.since, d.activated)
    FROM active_document AS a JOIN document AS d USING (tenant, kind, name, version)
"""
_ACTIVE = f"{_EVERYTHING} WHERE a.tenant = '' OR a.tenant = ? ORDER BY d.kind, d.name"
_ALL = f"{_EVERYTHING} ORDER BY d.tenant, d.kind, d.name"
_VERSIONS = """
    SELECT tenant, kind, name, version, digest, source, activated FROM document
    WHERE tenant IN ('', ?) AND name = ? ORDER BY kind, version
"""
_TENANTS = "SELECT DISTINCT tenant FROM active_document WHERE tenant <> ''"
_LAST = "SELECT coalesce(max(version), 0) FROM document WHERE tenant = ? AND kind = ? AND name = ?"
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


_LAST_CHANGE = "SELECT coalesce(max(sequence), 0) FROM policy_change WHERE tenant = ?"
_KNOWN = "SELECT 1 FROM document WHERE tenant = ? AND kind = ? AND name = ? AND version = ? AND digest = ?"
_POINT = """
    INSERT INTO active_document (tenant, kind, name, version, since) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version, since = excluded.since
"""


class SqliteDocuments:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def active(self, tenant: str) -> tuple[int, Sequence[StoredDocument]]:
        return self._documents(_ACTIVE, (tenant,))

    def everything(self) -> tuple[int, Sequence[StoredDocument]]:
        return self._documents(_ALL, ())

    def _documents(self, statement: str, values: tuple[str, ...]) -> tuple[int, Sequence[StoredDocument]]:
        def read(connection: Connection) -> tuple[int, Sequence[StoredDocument]]:
            rows = connection.execute(statement, values).fetchall()
            return read_counter(connection, EPOCH) or 0, tuple(map(_document, rows))

        return self._database.read(read)

    def tenants(self) -> tuple[int, frozenset[str]]:
        def read(connection: Connection) -> tuple[int, frozenset[str]]:
            found = frozenset(row[0] for row in connection.execute(_TENANTS))
            return read_counter(connection, EPOCH) or 0, found

        return self._database.read(read)

    def epoch(self) -> int:
        rows = self._database.query(COUNTER, (EPOCH,))
        return int(rows[0][0]) if rows else 0

    def ever(self, tenant: str, name: str) -> Sequence[StoredDocument]:
        return tuple(map(_document, self._database.query(_VERSIONS, (tenant, name))))

    def versions(self, tenant: str, names: Sequence[tuple[str, str, int]]) -> Sequence[StoredDocument]:
        out: list[StoredDocument] = []
        for kind, name, version in names:
            owner = "" if kind == "baseline" else tenant
            out += map(_document, self._database.query(_VERSION, (owner, kind, name, version)))
        return tuple(out)

    def change(
        self,
        epoch: int,
        entries: Sequence[NewEntry],
        *,
        activate: Sequence[StoredDocument] = (),
        restore: Sequence[StoredDocument] = (),
        retire: Sequence[tuple[str, str, str]] = (),
        changes: Sequence[StoredChange] = (),
    ) -> bool:
        """Raises ValueError for a baseline of one tenant, and for another kind without a tenant."""
        for document in activate:
            if (document.kind == "baseline") != (document.tenant == ""):
                raise ValueError('a baseline belongs to tenant "", everything else to one tenant')
        drafts = drafts_of(entries)

        def write(connection: Connection) -> bool:
            if (read_counter(connection, EPOCH) or 0) != epoch:
                return False
            for name in retire:
                _retire(connection, name)
            for document in activate:
                _activate(connection, document)
            for document in restore:
                _restore(connection, document)
            for change in changes:
                _enter(connection, change)
            self._ledger.add(connection, drafts)
            increment(connection, EPOCH)
            return True

        return self._database.write(write)


def _activate(connection: Connection, document: StoredDocument) -> None:
    name = (document.tenant, document.kind, document.name)
    (last,) = connection.execute(_LAST, name).fetchone()
    if document.version <= last:
        raise _conflict(
            f"{document.name} version {document.version}: a version is activated once, and only upwards",
            document.name,
            expected=f"version {last + 1} or later",
            found=f"version {document.version}; version {last} was active already",
        )
    connection.execute(
        "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*name, document.version, document.digest, document.source, to_micros(document.activated)),
    )
    connection.execute(_POINT, (*name, document.version, to_micros(document.activated)))


def _restore(connection: Connection, document: StoredDocument) -> None:
    name = (document.tenant, document.kind, document.name, document.version)
    if connection.execute(_KNOWN, (*name, document.digest)).fetchone() is None:
        raise _conflict(
            f"{document.name} version {document.version} was never active",
            document.name,
            expected="a version that was active",
            found=f"version {document.version}",
        )
    connection.execute(_POINT, (*name, to_micros(document.activated)))


def _enter(connection: Connection, change: StoredChange) -> None:
    (last,) = connection.execute(_LAST_CHANGE, (change.tenant,)).fetchone()
    if change.sequence != last + 1:
        raise _conflict(
            f"change {change.sequence} is not the next one",
            "sequence",
            expected=f"change {last + 1}",
            found=f"change {change.sequence}",
        )
    connection.execute(
        "INSERT INTO policy_change VALUES (?, ?, ?, ?, ?)",
        (
            change.tenant,
            change.sequence,
            change.action,
            to_micros(change.made),
            canonical(change.record).decode(),
        ),
    )


def _retire(connection: Connection, name: tuple[str, str, str]) -> None:
    done = connection.execute("DELETE FROM active_document WHERE tenant = ? AND kind = ? AND name = ?", name)
    if not done.rowcount:
        raise _conflict(
            f"{name[2]} is not active", name[2], expected=f"an active {name[1]}", found="none of that name"
        )


def _conflict(detail: str, where: str, *, expected: str, found: str) -> GatewayError:
    return GatewayError(GatewayReason.STORE_CONFLICT, detail, where=where, expected=expected, found=found)
