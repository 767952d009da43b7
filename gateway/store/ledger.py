"""`Ledger` on SQLite: a hash chain in an append-only table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.ledger import chain
from gateway.ledger.entry import Draft, decode, draft, place
from gateway.ports import Clock, LedgerReceipt, LedgerUnavailable, NewEntry
from gateway.store.connection import Connection
from gateway.store.database import Database

_PAGE = 1000
_LAST = "SELECT position, head FROM ledger ORDER BY position DESC LIMIT 1"
_INSERT = "INSERT INTO ledger (position, tenant, kind, entry, head) VALUES (?, ?, ?, ?, ?)"
_TAIL = "SELECT entry, head FROM ledger WHERE tenant = ? ORDER BY position DESC LIMIT ?"
_PAGE_FROM = "SELECT entry, head FROM ledger WHERE position >= ? ORDER BY position LIMIT ?"


class SqliteLedger:
    def __init__(self, database: Database, store_id: str, clock: Clock) -> None:
        self._database, self._clock, self._store_id = database, clock, store_id
        self._genesis = chain.genesis(store_id)

    def append(self, tenant: str, kind: str, body: Mapping[str, Any]) -> LedgerReceipt:
        """Raises LedgerUnavailable, and ValueError for what an entry cannot hold (`entry.draft`)."""
        drafted = draft(tenant, kind, body)
        try:
            return self._database.write(lambda connection: self.add(connection, (drafted,))[0])
        except GatewayError as error:
            raise LedgerUnavailable(error.found) from None

    def add(self, connection: Connection, drafts: Sequence[Draft]) -> tuple[LedgerReceipt, ...]:
        """Write entries at the end of the chain, inside the caller's transaction."""
        last = connection.execute(_LAST).fetchone()
        start, head = (0, self._genesis) if last is None else (last[0] + 1, last[1])
        rows, receipts, now = [], [], self._clock.now()
        for index, drafted in enumerate(drafts, start):
            raw = place(drafted, index, now)
            head = chain.extend(head, raw)
            rows.append((index, drafted.tenant, drafted.kind, raw, head))
            receipts.append(LedgerReceipt(index, head.hex()))
        connection.executemany(_INSERT, rows)
        return tuple(receipts)

    def tail(self, tenant: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The last `limit` entries of one tenant, oldest first: index, at, tenant, kind, body, head."""
        rows = self._database.query(_TAIL, (tenant, max(limit, 0)))
        return tuple(_shown(raw, head) for raw, head in reversed(rows))

    def head(self) -> LedgerReceipt | None:
        rows = self._database.query(_LAST)
        return LedgerReceipt(rows[0][0], rows[0][1].hex()) if rows else None

    def links(self, start: int = 0) -> Iterator[chain.Link]:
        """Every entry from `start` on, in pages: a long ledger does not fill the memory."""
        while True:
            rows = self._database.query(_PAGE_FROM, (start, _PAGE))
            for raw, head in rows:
                yield chain.Link(raw, head)
            if len(rows) < _PAGE:
                return
            start += _PAGE

    def verify(self, seen: LedgerReceipt | None) -> LedgerReceipt | None:
        """Check the whole chain (`chain.verify`). Raises GatewayError(LEDGER_BROKEN)."""
        receipt, _ = chain.verify(self.links(), store_id=self._store_id, seen=seen)
        return receipt


def drafts_of(entries: Sequence[NewEntry]) -> tuple[Draft, ...]:
    """What `SqliteLedger.add` writes, to be made before a transaction. Raises ValueError as `draft`."""
    return tuple(draft(entry.tenant, entry.kind, entry.body) for entry in entries)


def _shown(raw: bytes, head: bytes) -> Mapping[str, Any]:
    entry = decode(raw)
    return {
        "index": entry.index,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "tenant": entry.tenant,
        "kind": entry.kind,
        "body": entry.body,
        "head": head.hex(),
    }
