"""`Journal` on SQLite: one operation of `Database.write`, so one transaction and one wait for the disk."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.appraisals import CollateralSet, StoredAppraisal
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import LedgerReceipt, LedgerUnavailable, NewEntry, PolicyChanged
from gateway.store import appraisals
from gateway.store.columns import to_micros
from gateway.store.connection import Connection
from gateway.store.counters import read_counter
from gateway.store.database import Database
from gateway.store.documents import EPOCH
from gateway.store.ledger import SqliteLedger, drafts_of

_MAX_NOTED = 8192


class SqliteJournal:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger
        self._noted: dict[str, int] = {}
        """Collateral sets that this process knows to be in the store, and when they were noted: most
        appraisals name one of these, and then nothing is written but its digest."""

    def commit(
        self,
        entries: Sequence[NewEntry],
        appraisal: StoredAppraisal | None = None,
        *,
        epoch: int | None = None,
    ) -> Sequence[LedgerReceipt]:
        drafts = drafts_of(entries)
        new = self._new_set(appraisal)

        def write(connection: Connection) -> Sequence[LedgerReceipt]:
            if epoch is not None and (read_counter(connection, EPOCH) or 0) != epoch:
                raise PolicyChanged
            if appraisal is not None:
                appraisals.insert(connection, appraisal)
            if new is not None:
                appraisals.note_set(connection, *new)
            return self._ledger.add(connection, drafts)

        try:
            receipts = self._database.write(write)
        except GatewayError as error:
            if error.reason is GatewayReason.STORE_CONFLICT:
                raise
            raise LedgerUnavailable(error.found) from None
        if new is not None:
            if len(self._noted) >= _MAX_NOTED:
                self._noted.clear()
            self._noted[new[0].digest] = new[1]
        return receipts

    def _new_set(self, appraisal: StoredAppraisal | None) -> tuple[CollateralSet, int] | None:
        """The appraisal's collateral set and its time, unless the store has it for the next hour anyway."""
        if appraisal is None or appraisal.collateral is None:
            return None
        at, noted = to_micros(appraisal.created), self._noted.get(appraisal.collateral.digest)
        if noted is not None and noted <= at < noted + appraisals.SET_NOTED_MICROS:
            return None
        return appraisal.collateral, at
