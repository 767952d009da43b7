"""The migration from a hash chain to the tree: every entry of the chain becomes a leaf, at the place it had.

The chain is checked first: what does not hold together is not made to look as if it did.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator

from gateway.ledger import audit, chain
from gateway.ledger.entry import decode, draft, place
from gateway.ledger.receipt import SALT_BYTES
from gateway.store import tree
from gateway.store.columns import from_micros
from gateway.store.connection import Connection

REBUILT = "ledger.rebuilt"
_PAGE = 1000
_OLD = """
    SELECT tenant, kind, entry, head FROM ledger WHERE position >= ? AND position < ? ORDER BY position
"""


def rebuild(connection: Connection, applied: int) -> None:
    """Raises GatewayError(LEDGER_BROKEN) when the chain does not hold; then nothing was changed."""
    (count,) = connection.execute("SELECT count(*) FROM ledger").fetchone()
    if not count:
        return
    (store_id,) = connection.execute("SELECT store_id FROM store").fetchone()
    head = chain.genesis(store_id)
    for first in range(0, count, _PAGE):
        new = []
        for index, (tenant, kind, raw, found) in enumerate(_page(connection, first), first):
            head = chain.extend(head, raw)
            _require(index, raw, head, found)
            new.append(tree.NewLeaf(tenant, kind, os.urandom(SALT_BYTES), raw))
        tree.append(connection, tree.take(connection, len(new)), new, proving=False)
    body = {"entries": count, "head": head.hex()}
    raw = place(draft("", REBUILT, body), count, from_micros(applied))
    last = tree.NewLeaf("", REBUILT, os.urandom(SALT_BYTES), raw)
    tree.append(connection, tree.take(connection, 1), [last])


def _page(connection: Connection, first: int) -> Iterator[tuple[str, str, bytes, bytes]]:
    yield from connection.execute(_OLD, (first, first + _PAGE)).fetchall()


def _require(index: int, raw: bytes, head: bytes, found: bytes) -> None:
    if not hmac.compare_digest(head, found):
        raise audit.broken(index, head.hex(), found.hex())
    try:
        entry = decode(raw)
    except ValueError as error:
        raise audit.broken(index, "an entry", str(error)) from None
    if entry.index != index:
        raise audit.broken(index, f"index {index}", f"index {entry.index}")
