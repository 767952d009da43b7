"""How ledgers held together before there was a tree: each head is a digest over the one before and the entry.

    head(-1) = SHA-256("sealgate/1 ledger genesis" ‖ 0x00 ‖ store id)
    head(n)  = SHA-256("sealgate/1 ledger entry" ‖ 0x00 ‖ head(n-1) ‖ entry bytes)

Read once, when such a store is brought up to date: its last head goes into the tree, in an entry
`ledger.rebuilt`, so that whoever kept an old head can still hold the old entries against it.
"""

from __future__ import annotations

import hashlib

_GENESIS = b"sealgate/1 ledger genesis\0"
_ENTRY = b"sealgate/1 ledger entry\0"


def genesis(store_id: str) -> bytes:
    """The head before the first entry; no two stores have the same."""
    return hashlib.sha256(_GENESIS + store_id.encode()).digest()


def extend(head: bytes, raw: bytes) -> bytes:
    """The head after `raw`. head: 32 bytes. Raises ValueError for another length."""
    if len(head) != 32:
        raise ValueError("a head has 32 bytes")
    return hashlib.sha256(_ENTRY + head + raw).digest()
