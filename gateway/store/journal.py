"""`Journal` on SQLite: one operation of `Database.write`, so one transaction and one wait for the disk."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import GatewayError, GatewayReason
from gateway.ports import LedgerReceipt, LedgerUnavailable, NewEntry, PolicyChanged, StoredAppraisal
from gateway.store import appraisals
from gateway.store.connection import Connection
from gateway.store.counters import read_counter
from gateway.store.database import Database
from gateway.store.documents import EPOCH
from gateway.store.ledger import SqliteLedger, drafts_of


class SqliteJournal:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def commit(
        self,
        entries: Sequence[NewEntry],
        appraisal: StoredAppraisal | None = None,
        *,
        epoch: int | None = None,
    ) -> Sequence[LedgerReceipt]:
        drafts = drafts_of(entries)

        def write(connection: Connection) -> Sequence[LedgerReceipt]:
            if epoch is not None and (read_counter(connection, EPOCH) or 0) != epoch:
                raise PolicyChanged
            if appraisal is not None:
                appraisals.insert(connection, appraisal)
            return self._ledger.add(connection, drafts)

        try:
            return self._database.write(write)
        except GatewayError as error:
            if error.reason is GatewayReason.STORE_CONFLICT:
                raise
            raise LedgerUnavailable(error.found) from None
