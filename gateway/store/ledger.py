"""`Ledger` on SQLite: entries and salts in an append-only table, and the tree over them (`tree.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.ledger import audit, merkle, tiles
from gateway.ledger.audit import Item
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Draft, decode, draft, place
from gateway.ledger.merkle import EMPTY_ROOT, Nodes
from gateway.ledger.receipt import SALT_BYTES, leaf
from gateway.ledger.tiles import Tile
from gateway.ports import Clock, LedgerReceipt, LedgerRow, LedgerUnavailable, NewEntry, Random
from gateway.store import tree
from gateway.store.connection import Connection
from gateway.store.database import Database

_PAGE = 1000
_COLUMNS = "tenant, kind, leaf, salt, entry"
_TAIL = f"SELECT {_COLUMNS} FROM ledger_entry WHERE tenant = ? ORDER BY position DESC LIMIT ?"  # noqa: S608
_PAGE_FROM = f"""
    SELECT {_COLUMNS} FROM ledger_entry WHERE position >= ? AND position < ? ORDER BY position
"""  # noqa: S608 - a constant of ours
_SIZE = "SELECT size FROM ledger_head WHERE tenant = ''"


class SqliteLedger:
    def __init__(self, database: Database, clock: Clock, random: Random) -> None:
        """random: makes the salts."""
        self._database, self._clock, self._random = database, clock, random

    def append(self, tenant: str, kind: str, body: Mapping[str, Any]) -> LedgerReceipt:
        """Raises LedgerUnavailable, and ValueError for what an entry cannot hold (`entry.draft`)."""
        drafted = draft(tenant, kind, body)
        try:
            return self._database.write(lambda connection: self.add(connection, (drafted,))[0])
        except GatewayError as error:
            raise LedgerUnavailable(error.found) from None

    def add(self, connection: Connection, drafts: Sequence[Draft]) -> tuple[LedgerReceipt, ...]:
        """Write entries at the end of the tree, inside the caller's transaction."""
        if not drafts:
            return ()
        before, now = tree.take(connection, len(drafts)), self._clock.now()
        new = [
            tree.NewLeaf(each.tenant, each.kind, self._random.bytes(SALT_BYTES), place(each, index, now))
            for index, each in enumerate(drafts, before.size)
        ]
        return tree.append(connection, before, new)

    # --- reading ---

    def tail(self, tenant: str, limit: int) -> Sequence[Mapping[str, Any]]:
        rows = self._database.query(_TAIL, (tenant, max(limit, 0)))
        return tuple(_shown(LedgerRow(*row)) for row in reversed(rows))

    def rows(self, start: int = 0, end: int | None = None) -> Iterator[LedgerRow]:
        last = self._size() if end is None else end
        for first in range(start, last, _PAGE):
            for row in self._database.query(_PAGE_FROM, (first, min(first + _PAGE, last))):
                yield LedgerRow(*row)

    def head(self) -> LedgerReceipt | None:
        frontier = tree.head(self._database)
        return LedgerReceipt(frontier.size - 1, frontier.root().hex()) if frontier.size else None

    # --- the tree ---

    def root(self, size: int) -> bytes:
        return merkle.root(size, self._nodes(size)) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        return merkle.inclusion_path(index, size, self._nodes(size))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        return merkle.consistency_path(old, new, self._nodes(new))

    def tile(self, tile: Tile) -> bytes | None:
        if tiles.width_in(tile, self._size()) < tile.width:
            return None
        if tile.level is not None:
            return tree.read_tile(self._database, tile)
        first = tile.number * tiles.WIDTH
        rows = self.rows(first, first + tile.width)
        return tiles.entry_bundle([leaf(row.salt, row.entry) for row in rows])

    def _nodes(self, size: int) -> Nodes:
        if not 0 <= size <= self._size():
            raise ValueError("the ledger has fewer entries")
        return tiles.nodes_of(size, lambda tile: tree.read_tile(self._database, tile))

    def _size(self) -> int:
        return int(self._database.query(_SIZE)[0][0])

    # --- checking ---

    def verify(
        self, seen: LedgerReceipt | None = None, checkpoints: Sequence[Checkpoint] = ()
    ) -> LedgerReceipt | None:
        """Read everything again: entries, tiles and frontier must be one tree, which `seen` and `checkpoints`
        are of. Its last receipt. Raises GatewayError(LEDGER_BROKEN)."""
        known = list(checkpoints)
        if seen is not None:
            known.append(Checkpoint("", seen.index + 1, bytes.fromhex(seen.head)))
        kept = tree.head(self._database)
        size = kept.size
        items = (Item(row.leaf, (row.salt, row.entry), (row.tenant, row.kind)) for row in self.rows(0, size))
        found = audit.audit(items, known).frontier
        if found.size != size:
            raise audit.broken(found.size, f"{size} entries", f"{found.size}")
        if not size:
            return None
        if kept.root() != found.root():
            raise audit.broken(size, f"a frontier with root {found.root().hex()}", kept.root().hex())
        if self.root(size) != found.root():
            raise audit.broken(size, f"tiles with root {found.root().hex()}", self.root(size).hex())
        for tile in tiles.tiles_of(size):
            if tile.width == tiles.WIDTH and not tree.sound(self._database, tile):
                raise audit.broken(tile.number, f"{tile.path} made of what lies below it", "other hashes")
        return LedgerReceipt(size - 1, found.root().hex())


def drafts_of(entries: Sequence[NewEntry]) -> tuple[Draft, ...]:
    """What `SqliteLedger.add` writes, to be made before a transaction. Raises ValueError as `draft`."""
    return tuple(draft(entry.tenant, entry.kind, entry.body) for entry in entries)


def _shown(row: LedgerRow) -> Mapping[str, Any]:
    entry = decode(row.entry)
    return {
        "index": entry.index,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "tenant": entry.tenant,
        "kind": entry.kind,
        "body": entry.body,
        "salt": row.salt.hex(),
        "leaf": row.leaf.hex(),
    }
