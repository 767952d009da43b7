"""`Ledger` on SQLite: a hash chain in an append-only table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.ledger import chain
from gateway.ledger.entry import Entry, decode, encode
from gateway.ports import Clock, LedgerReceipt, LedgerUnavailable
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
        """Raises LedgerUnavailable, and ValueError for what an entry cannot hold (`entry.encode`)."""

        def add(connection: Connection) -> LedgerReceipt:
            last = connection.execute(_LAST).fetchone()
            index, before = (0, self._genesis) if last is None else (last[0] + 1, last[1])
            raw = encode(Entry(index=index, at=self._clock.now(), tenant=tenant, kind=kind, body=body))
            head = chain.extend(before, raw)
            connection.execute(_INSERT, (index, tenant, kind, raw, head))
            return LedgerReceipt(index, head.hex())

        try:
            return self._database.write(add)
        except GatewayError as error:
            raise LedgerUnavailable(error.found) from None

    def tail(self, tenant: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The last `limit` entries of one tenant, oldest first: index, at, tenant, kind, body, head."""
        rows = self._database.read(
            lambda connection: connection.execute(_TAIL, (tenant, max(limit, 0))).fetchall()
        )
        return tuple(_shown(raw, head) for raw, head in reversed(rows))

    def head(self) -> LedgerReceipt | None:
        row = self._database.read(lambda connection: connection.execute(_LAST).fetchone())
        return None if row is None else LedgerReceipt(row[0], row[1].hex())

    def links(self, start: int = 0) -> Iterator[chain.Link]:
        """Every entry from `start` on, in pages: a long ledger does not fill the memory."""
        while True:
            wanted = (start, _PAGE)
            rows = self._database.read(
                lambda connection, wanted=wanted: connection.execute(_PAGE_FROM, wanted).fetchall()  # type: ignore[misc]
            )
            for raw, head in rows:
                yield chain.Link(raw, head)
            if len(rows) < _PAGE:
                return
            start += _PAGE

    def verify(self, seen: LedgerReceipt | None) -> LedgerReceipt | None:
        """Check the whole chain (`chain.verify`). Raises GatewayError(LEDGER_BROKEN)."""
        receipt, _ = chain.verify(self.links(), store_id=self._store_id, seen=seen)
        return receipt


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
