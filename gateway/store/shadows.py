"""`ShadowStore` on SQLite: what runs beside what counts, and how its answers differed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.changeports import ShadowDifference, StoredShadow
from gateway.ports import NewEntry
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import increment, read_counter
from gateway.store.database import Database
from gateway.store.documents import EPOCH
from gateway.store.ledger import SqliteLedger, drafts_of

KEPT = 500
"""Differences of one shadow, the newest ones."""
_RUNNING = "SELECT tenant, number, proposal, started, by, stopped FROM shadow WHERE stopped IS NULL"
_FIND = """
    SELECT tenant, number, proposal, started, by, stopped FROM shadow
    WHERE tenant = ? AND (? = '' OR proposal = ?) ORDER BY number DESC LIMIT ?
"""
_NEXT = "SELECT coalesce(max(number), 0) + 1 FROM shadow WHERE tenant = ?"
_START = """
    INSERT INTO shadow (tenant, number, proposal, started, by, stopped, differences)
    VALUES (?, ?, ?, ?, ?, NULL, 0) ON CONFLICT DO NOTHING
"""
_STOP = "UPDATE shadow SET stopped = ? WHERE tenant = ? AND number = ? AND stopped IS NULL"
_TALLIES = "SELECT result, count FROM shadow_tally WHERE tenant = ? AND number = ?"
_TALLY = """
    INSERT INTO shadow_tally (tenant, number, result, count) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant, number, result) DO UPDATE SET count = shadow_tally.count + excluded.count
"""
_LAST = (
    "UPDATE shadow SET differences = differences + ? WHERE tenant = ? AND number = ? RETURNING differences"
)
_DIFFERENCE = "INSERT INTO shadow_difference VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM shadow_difference WHERE tenant = ? AND number = ? AND position <= ?"
_DIFFERENCES = """
    SELECT at, attempt, path, result, verdict, reason, shadow_verdict, shadow_reason FROM shadow_difference
    WHERE tenant = ? AND number = ? ORDER BY position DESC LIMIT ?
"""


class SqliteShadows:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def running(self) -> tuple[int, Mapping[str, StoredShadow]]:
        def read(connection: Connection) -> tuple[int, Mapping[str, StoredShadow]]:
            found = [_shadow(row, {}) for row in connection.execute(_RUNNING).fetchall()]
            return read_counter(connection, EPOCH) or 0, {each.tenant: each for each in found}

        return self._database.read(read)

    def start(self, tenant: str, proposal: str, at: datetime, by: str, entry: NewEntry) -> bool:
        drafts = drafts_of((entry,))

        def write(connection: Connection) -> bool:
            (number,) = connection.execute(_NEXT, (tenant,)).fetchone()
            row = (tenant, number, proposal, to_micros(at), by)
            if connection.execute(_START, row).rowcount != 1:
                return False
            self._ledger.add(connection, drafts)
            increment(connection, EPOCH)
            return True

        return self._database.write(write)

    def stop(self, tenant: str, number: int, at: datetime, entry: NewEntry) -> bool:
        drafts = drafts_of((entry,))

        def write(connection: Connection) -> bool:
            if connection.execute(_STOP, (to_micros(at), tenant, number)).rowcount != 1:
                return False
            self._ledger.add(connection, drafts)
            increment(connection, EPOCH)
            return True

        return self._database.write(write)

    def find(self, tenant: str, proposal: str, limit: int) -> Sequence[StoredShadow]:
        def read(connection: Connection) -> Sequence[StoredShadow]:
            rows = connection.execute(_FIND, (tenant, proposal, proposal, max(limit, 0))).fetchall()
            return tuple(
                _shadow(row, dict(connection.execute(_TALLIES, (row[0], row[1])).fetchall())) for row in rows
            )

        return self._database.read(read)

    def count(
        self, tenant: str, number: int, counts: Mapping[str, int], differences: Sequence[ShadowDifference]
    ) -> None:
        def write(connection: Connection) -> None:
            for result, more in counts.items():
                connection.execute(_TALLY, (tenant, number, result, more))
            if not differences:
                return
            (last,) = connection.execute(_LAST, (len(differences), tenant, number)).fetchone()
            for position, each in enumerate(differences, last - len(differences) + 1):
                connection.execute(_DIFFERENCE, (tenant, number, position, *_row(each)))
            connection.execute(_FORGET, (tenant, number, last - KEPT))

        self._database.write(write)

    def differences(self, tenant: str, number: int, limit: int) -> Sequence[ShadowDifference]:
        rows = self._database.query(_DIFFERENCES, (tenant, number, max(limit, 0)))
        return tuple(map(_difference, rows))


def _shadow(row: tuple[Any, ...], counts: Mapping[str, int]) -> StoredShadow:
    return StoredShadow(
        tenant=row[0],
        number=row[1],
        proposal=row[2],
        started=from_micros(row[3]),
        by=row[4],
        stopped=None if row[5] is None else from_micros(row[5]),
        counts=counts,
    )


def _row(each: ShadowDifference) -> tuple[Any, ...]:
    return (
        to_micros(each.at),
        each.attempt,
        each.path,
        each.result,
        each.verdict,
        each.reason,
        each.shadow_verdict,
        each.shadow_reason,
    )


def _difference(row: tuple[Any, ...]) -> ShadowDifference:
    return ShadowDifference(
        at=from_micros(row[0]),
        attempt=row[1],
        path=row[2],
        result=row[3],
        verdict=row[4],
        reason=row[5],
        shadow_verdict=row[6],
        shadow_reason=row[7],
    )
