"""`AppraisalStore` on SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from gateway.appraisals import CollateralSet, SealedSubmission, StoredAppraisal
from gateway.errors import GatewayError, GatewayReason
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import read_counter, set_counter
from gateway.store.database import Database
from gateway.store.migrations import APPRAISALS_PRUNED_TO

_INSERT = """
    INSERT INTO appraisal
        (jti, tenant, created, expires, releasable, verdict, evidence, runtime_data, record,
         submission, key_id, held_by, collateral)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SELECT = """
    SELECT a.jti, a.tenant, a.created, a.expires, a.releasable, a.verdict, a.record,
        a.submission, h.key_id, h.evidence, a.held_by, a.collateral, c.listing
    FROM appraisal AS a
    LEFT JOIN appraisal AS h
        ON h.jti = a.held_by AND h.tenant = a.tenant AND h.submission = a.submission AND h.key_id <> ''
    LEFT JOIN collateral_set AS c ON c.digest = a.collateral
"""
_GET = f"{_SELECT} WHERE a.tenant = ? AND a.jti = ?"
_RECENT = f"{_SELECT} WHERE a.tenant = ? ORDER BY a.created DESC, a.rowid DESC LIMIT ?"
_BEFORE = f"""{_SELECT} WHERE a.tenant = ?
    AND (a.created, a.rowid) < (SELECT created, rowid FROM appraisal WHERE tenant = ? AND jti = ?)
    ORDER BY a.created DESC, a.rowid DESC LIMIT ?"""  # noqa: S608
_RECORDS = """
    SELECT rowid, tenant, jti, created, record FROM appraisal
    WHERE rowid < ? AND collateral <> '' ORDER BY rowid DESC LIMIT ?
"""
_TENANTS = """
    WITH RECURSIVE known (tenant) AS (
        SELECT min(tenant) FROM appraisal
        UNION ALL
        SELECT (SELECT min(tenant) FROM appraisal WHERE tenant > known.tenant) FROM known
        WHERE known.tenant IS NOT NULL)
    SELECT tenant FROM known WHERE tenant IS NOT NULL
"""  # one look into the index for each tenant, however many rows there are
_SIZE = "length(evidence) + length(runtime_data) + length(record)"
_FORGET = f"""
    DELETE FROM appraisal WHERE rowid IN (
        SELECT rowid FROM appraisal WHERE tenant = ? AND created < ? ORDER BY created LIMIT ?)
    RETURNING rowid, {_SIZE}
"""  # noqa: S608
_NOTE_SET = """
    INSERT INTO collateral_set (digest, tenant, listing, noted) VALUES (?, '', ?, ?)
    ON CONFLICT (digest) DO UPDATE SET noted = excluded.noted WHERE excluded.noted > collateral_set.noted
"""
_FORGET_SETS = "DELETE FROM collateral_set WHERE noted < ?"
_MEASURE = f"SELECT max(rowid), CAST(coalesce(sum({_SIZE}), 0) AS BIGINT) FROM appraisal WHERE rowid > ?"  # noqa: S608
_OLDEST = f"SELECT rowid, created, {_SIZE} FROM appraisal ORDER BY rowid LIMIT ?"  # noqa: S608
_BATCH = 200
SET_NOTED_MICROS = 3_600_000_000
"""A set in use is noted anew after an hour, so that one which was not noted for longer is in no row since."""


def _appraisal(row: tuple[Any, ...]) -> StoredAppraisal:
    submission = collateral = None
    if row[7]:
        submission = SealedSubmission(
            digest=row[7], key_id=row[8] or "", sealed=row[9] or b"", held_by=row[10]
        )
    if row[11]:
        collateral = CollateralSet(digest=row[11], listing=row[12] or b"")
    return StoredAppraisal(
        jti=row[0],
        tenant=row[1],
        created=from_micros(row[2]),
        expires=from_micros(row[3]),
        releasable=row[4] == 1,
        verdict=row[5],
        record=row[6],
        submission=submission,
        collateral=collateral,
    )


def insert(connection: Connection, appraisal: StoredAppraisal) -> None:
    """Inside the caller's transaction. Raises GatewayError(STORE_CONFLICT) when the jti exists, in whatever
    tenant."""
    kept, collateral = appraisal.submission, appraisal.collateral
    row = (
        appraisal.jti,
        appraisal.tenant,
        to_micros(appraisal.created),
        to_micros(appraisal.expires),
        int(appraisal.releasable),
        appraisal.verdict,
        b"" if kept is None else kept.sealed,
        b"",
        appraisal.record,
        "" if kept is None else kept.digest,
        "" if kept is None or not kept.sealed else kept.key_id,
        "" if kept is None else kept.held_by,
        "" if collateral is None else collateral.digest,
    )
    if connection.execute(_INSERT, row).rowcount != 1:
        raise GatewayError(
            GatewayReason.STORE_CONFLICT,
            "this result exists already",
            where="appraisal",
            expected="a new jti",
            found="one that is in the store",
        )


def note_set(connection: Connection, collateral: CollateralSet, at: int) -> None:
    """Write a collateral set down, or that it is still in use. Inside the caller's transaction."""
    connection.execute(_NOTE_SET, (collateral.digest, collateral.listing, at))


class SqliteAppraisals:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._measured: tuple[int, int] = (0, 0)
        """Last row that was measured, and the bytes of all up to it, as `shrink` left them."""

    def get(self, tenant: str, jti: str) -> StoredAppraisal | None:
        rows = self._database.query(_GET, (tenant, jti))
        return _appraisal(rows[0]) if rows else None

    def recent(self, tenant: str, limit: int, before: str | None = None) -> Sequence[StoredAppraisal]:
        most = max(limit, 0)
        if before is None:
            return tuple(map(_appraisal, self._database.query(_RECENT, (tenant, most))))
        return tuple(map(_appraisal, self._database.query(_BEFORE, (tenant, tenant, before, most))))

    def records(self, since: datetime, most: int) -> Iterator[tuple[str, str, datetime, bytes]]:
        first, below, left = to_micros(since), 2**63 - 1, most
        while left > 0:
            rows = self._database.query(_RECORDS, (below, min(left, _BATCH)))
            for rowid, tenant, jti, created, record in rows:
                if created < first:
                    return
                yield tenant, jti, from_micros(created), record
                below = rowid
            left -= len(rows)
            if len(rows) < _BATCH:
                return

    def prune(self, before: datetime) -> int:
        limit, total = to_micros(before), 0
        for (tenant,) in self._database.query(_TENANTS):
            while True:
                gone = self._database.write(
                    lambda connection, tenant=tenant: _forget(connection, tenant, limit)  # type: ignore[misc]
                )
                total += len(gone)
                self._forgotten(gone)
                if len(gone) < _BATCH:
                    break
        self._forget_sets(limit)
        return total

    def shrink(self, most: int) -> int:
        """Only rows that are new since the last call are measured, so that requests pay nothing for it. Rows
        are forgotten as they were written, which is by age but for attempts that ran side by side."""
        last, size = self._measured
        newest, added = self._database.query(_MEASURE, (last,))[0]
        self._measured, count = (newest or last, size + added), 0
        while self._measured[1] > most:
            gone = self._database.write(
                lambda connection, excess=self._measured[1] - most: _forget_oldest(connection, excess)  # type: ignore[misc]
            )
            if not gone:
                break
            count += len(gone)
            self._forgotten(gone)
        return count

    def _forgotten(self, gone: Sequence[tuple[int, int]]) -> None:
        """gone: number and bytes of each row. An empty table numbers its next row from 1 again."""
        last, size = self._measured
        self._measured = (last, size - sum(length for rowid, length in gone if rowid <= last))
        if gone and not self._database.query("SELECT 1 FROM appraisal LIMIT 1"):
            self._measured = (0, 0)

    def _forget_sets(self, before: int) -> None:
        """Sets that no appraisal names: not noted since well before the oldest one that is kept."""
        (oldest,) = self._database.query("SELECT min(created) FROM appraisal")[0]
        unused = (before if oldest is None else min(before, oldest)) - 2 * SET_NOTED_MICROS
        self._database.write(lambda connection: connection.execute(_FORGET_SETS, (unused,)).rowcount)


def _forget(connection: Connection, tenant: str, limit: int) -> list[tuple[int, int]]:
    """Number and bytes of the rows that went."""
    _let_go(connection, limit)
    return connection.execute(_FORGET, (tenant, limit, _BATCH)).fetchall()


def _forget_oldest(connection: Connection, excess: int) -> list[tuple[int, int]]:
    """As `_forget`: as few of the oldest as make up for `excess`, at most one batch."""
    gone: list[tuple[int, int]] = []
    size = until = 0
    for rowid, created, length in connection.execute(_OLDEST, (_BATCH,)).fetchall():
        if size >= excess:
            break
        gone.append((rowid, length))
        size, until = size + length, max(until, created + 1)
    _let_go(connection, until)
    connection.executemany("DELETE FROM appraisal WHERE rowid = ?", [row[:1] for row in gone])
    return gone


def _let_go(connection: Connection, before: int) -> None:
    """A trigger lets rows go only from before the mark that is set here."""
    if before > (read_counter(connection, APPRAISALS_PRUNED_TO) or 0):
        set_counter(connection, APPRAISALS_PRUNED_TO, before)
