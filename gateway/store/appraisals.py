"""`AppraisalStore` on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import StoredAppraisal
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import read_counter, set_counter
from gateway.store.database import Database
from gateway.store.migrations import APPRAISALS_PRUNED_TO

_INSERT = """
    INSERT INTO appraisal
        (jti, tenant, created, expires, releasable, verdict, evidence, runtime_data, record)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_GET = """
    SELECT jti, tenant, created, expires, releasable, verdict, evidence, runtime_data, record
    FROM appraisal WHERE tenant = ? AND jti = ?
"""
_RECENT = """
    SELECT jti, tenant, created, expires, releasable, verdict, evidence, runtime_data, record
    FROM appraisal WHERE tenant = ? ORDER BY created DESC, rowid DESC LIMIT ?
"""
_TENANTS = """
    WITH RECURSIVE known (tenant) AS (
        SELECT min(tenant) FROM appraisal
        UNION ALL
        SELECT (SELECT min(tenant) FROM appraisal WHERE tenant > known.tenant) FROM known
        WHERE known.tenant IS NOT NULL)
    SELECT tenant FROM known WHERE tenant IS NOT NULL
"""  # one look into the index for each tenant, however many rows there are
_FORGET = """
    DELETE FROM appraisal WHERE rowid IN (
        SELECT rowid FROM appraisal WHERE tenant = ? AND created < ? ORDER BY created LIMIT ?)
"""
_BATCH = 200


def _appraisal(row: tuple[Any, ...]) -> StoredAppraisal:
    return StoredAppraisal(
        jti=row[0],
        tenant=row[1],
        created=from_micros(row[2]),
        expires=from_micros(row[3]),
        releasable=row[4] == 1,
        verdict=row[5],
        evidence=row[6],
        runtime_data=row[7],
        record=row[8],
    )


def insert(connection: Connection, appraisal: StoredAppraisal) -> None:
    """Inside the caller's transaction. Raises GatewayError(STORE_CONFLICT) when the jti exists, in whatever
    tenant."""
    row = (
        appraisal.jti,
        appraisal.tenant,
        to_micros(appraisal.created),
        to_micros(appraisal.expires),
        int(appraisal.releasable),
        appraisal.verdict,
        appraisal.evidence,
        appraisal.runtime_data,
        appraisal.record,
    )
    if connection.execute(_INSERT, row).rowcount != 1:
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            "this result exists already",
            where="appraisal",
            expected="a new jti",
            found="one that is in the store",
        )


class SqliteAppraisals:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, jti: str) -> StoredAppraisal | None:
        rows = self._database.query(_GET, (tenant, jti))
        return _appraisal(rows[0]) if rows else None

    def recent(self, tenant: str, limit: int) -> Sequence[StoredAppraisal]:
        """Newest first."""
        return tuple(map(_appraisal, self._database.query(_RECENT, (tenant, max(limit, 0)))))

    def prune(self, before: datetime) -> int:
        limit, total = to_micros(before), 0
        for (tenant,) in self._database.query(_TENANTS):
            while True:
                done = self._database.write(
                    lambda connection, tenant=tenant: _forget(connection, tenant, limit)  # type: ignore[misc]
                )
                total += done
                if done < _BATCH:
                    break
        return total


def _forget(connection: Connection, tenant: str, limit: int) -> int:
    """A trigger lets rows go only from before the mark that is set here."""
    if limit > (read_counter(connection, APPRAISALS_PRUNED_TO) or 0):
        set_counter(connection, APPRAISALS_PRUNED_TO, limit)
    return connection.execute(_FORGET, (tenant, limit, _BATCH)).rowcount
