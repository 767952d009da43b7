"""The Merkle tree in tables: leaves, full tiles, and the frontier, which is all that appending needs.

What must stay true: whoever appends takes the one row of `ledger_head` first, in the same transaction, so
that the next one sees the tree that this one leaves behind: writers in whatever process or replica make one
tree. Appending costs the same in a small tree as in a large one: two updates of that row, a row for each
entry, and a tile at every 256th.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ledger.merkle import HASH_BYTES, Frontier, grown_path, leaf_hash, root_of
from gateway.ledger.ports import EntryProof, LedgerReceipt
from gateway.ledger.receipt import leaf
from gateway.ledger.tiles import WIDTH, Tile
from gateway.store.connection import Connection
from gateway.store.database import Database

_TAKE = "UPDATE ledger_head SET size = size + ? WHERE tenant = '' RETURNING size, frontier"
_LEAVE = "UPDATE ledger_head SET frontier = ? WHERE tenant = ''"
_HEAD = "SELECT size, frontier FROM ledger_head WHERE tenant = ''"
_INSERT = """
    INSERT INTO ledger_entry (position, tenant, kind, leaf, salt, entry) VALUES (?, ?, ?, ?, ?, ?)
"""
_LEAVES = "SELECT leaf FROM ledger_entry WHERE position >= ? AND position < ? ORDER BY position"
_ROOTS = """
    SELECT root FROM ledger_tile WHERE level = ? AND number >= ? AND number < ? ORDER BY number
"""
_HASHES = "SELECT hashes FROM ledger_tile WHERE level = ? AND number = ?"
_ADD_TILE = "INSERT INTO ledger_tile (tenant, level, number, root, hashes) VALUES ('', ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class NewLeaf:
    """entry: its canonical bytes, at its place. salt: 32 bytes that nobody else has."""

    tenant: str
    kind: str
    salt: bytes
    entry: bytes


def take(connection: Connection, count: int) -> Frontier:
    """The tree as it is, which is from now on the caller's to append exactly `count` leaves to."""
    size, frontier = connection.execute(_TAKE, (count,)).fetchone()
    return Frontier.decode(size - count, frontier)


def append(
    connection: Connection, before: Frontier, new: Sequence[NewLeaf], *, proving: bool = True
) -> tuple[LedgerReceipt, ...]:
    """Write the leaves behind `before`, which `take` gave. A receipt for each, with its proof.

    proving: False for very many at once, whose receipts nobody wants: there are none then.
    """
    frontiers, leaves, rows = [before], [], []
    for each in new:
        hashed = leaf_hash(leaf(each.salt, each.entry))
        rows.append((frontiers[-1].size, each.tenant, each.kind, hashed, each.salt, each.entry))
        leaves.append(hashed)
        frontiers.append(frontiers[-1].append(hashed))
    connection.executemany(_INSERT, rows)
    connection.execute(_LEAVE, (frontiers[-1].encode(),))
    for number in range(before.size // WIDTH, frontiers[-1].size // WIDTH):
        _close_tile(connection, number)
    return _receipts(frontiers, new, leaves) if proving else ()


def _receipts(
    frontiers: Sequence[Frontier], new: Sequence[NewLeaf], leaves: Sequence[bytes]
) -> tuple[LedgerReceipt, ...]:
    """frontiers: before the first leaf, and after each."""
    roots = [frontier.root() for frontier in frontiers[1:]]
    return tuple(
        LedgerReceipt(
            frontiers[at].size,
            roots[at].hex(),
            EntryProof(
                entry=each.entry,
                salt=each.salt,
                size=frontiers[-1].size,
                root=roots[-1],
                path=grown_path(frontiers[at], leaves[at + 1 :]),
            ),
        )
        for at, each in enumerate(new)
    )


def head(database: Database) -> Frontier:
    size, frontier = database.query(_HEAD)[0]
    return Frontier.decode(size, frontier)


def read_tile(database: Database, tile: Tile) -> bytes:
    """The hashes of a tile, as wide as asked for; fewer when the tree does not have them. level: not None."""
    level, first = tile.level or 0, tile.number * WIDTH
    if tile.width == WIDTH:
        rows = database.query(_HASHES, (level, tile.number))
        return bytes(rows[0][0]) if rows else b""
    if level == 0:
        rows = database.query(_LEAVES, (first, first + tile.width))
    else:
        rows = database.query(_ROOTS, (level - 1, first, first + tile.width))
    return b"".join(row[0] for row in rows)


def sound(database: Database, tile: Tile) -> bool:
    """Whether a full tile is made of what lies below it, and its root of its hashes."""
    level, first = tile.level or 0, tile.number * WIDTH
    if level == 0:
        below = database.query(_LEAVES, (first, first + WIDTH))
    else:
        below = database.query(_ROOTS, (level - 1, first, first + WIDTH))
    hashes = [row[0] for row in below]
    roots = database.query(_ROOTS, (level, tile.number, tile.number + 1))
    return b"".join(hashes) == read_tile(database, tile) and roots == [(root_of(hashes),)]


def _close_tile(connection: Connection, number: int) -> None:
    """The tile of level 0 that has become full, and those above that became full with it."""
    level, statement = 0, _LEAVES
    of: tuple[int, ...] = ()
    while True:
        first = number * WIDTH
        hashes = [row[0] for row in connection.execute(statement, (*of, first, first + WIDTH))]
        if len(hashes) != WIDTH or any(len(each) != HASH_BYTES for each in hashes):
            raise AssertionError(f"tile {level}/{number} is not full")
        connection.execute(_ADD_TILE, (level, number, root_of(hashes), b"".join(hashes)))
        if (number + 1) % WIDTH:
            return
        statement, of = _ROOTS, (level,)
        level, number = level + 1, number // WIDTH
