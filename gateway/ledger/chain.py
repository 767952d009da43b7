"""The hash chain over entries: a change, a gap or a swap anywhere shows.

    head(-1) = SHA-256("sealgate/1 ledger genesis" ‖ 0x00 ‖ store id)
    head(n)  = SHA-256("sealgate/1 ledger entry" ‖ 0x00 ‖ head(n-1) ‖ entry bytes)

Heads have a fixed length, so the concatenation is unambiguous. What a chain cannot show by itself is a
missing tail: for that `verify` is told a head that was seen before.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.entry import Entry, decode
from gateway.ports import LedgerReceipt

_GENESIS = b"sealgate/1 ledger genesis\0"
_ENTRY = b"sealgate/1 ledger entry\0"


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the ledger. raw: the entry's canonical bytes. head: 32 bytes, of the chain up to here."""

    raw: bytes
    head: bytes


def genesis(store_id: str) -> bytes:
    """The head before the first entry; no two stores have the same."""
    return hashlib.sha256(_GENESIS + store_id.encode()).digest()


def extend(head: bytes, raw: bytes) -> bytes:
    """The head after `raw`. head: 32 bytes. Raises ValueError for another length."""
    if len(head) != 32:
        raise ValueError("a head has 32 bytes")
    return hashlib.sha256(_ENTRY + head + raw).digest()


def verify(
    links: Iterable[Link], *, store_id: str, seen: LedgerReceipt | None
) -> tuple[LedgerReceipt | None, int]:
    """Check a whole ledger from its first entry on; its last receipt and how many entries it has.

    seen: a receipt obtained earlier, which must be on the chain; None says that nobody has one, and then
    a tail that was cut off cannot be noticed. Raises GatewayError(LEDGER_BROKEN) naming the first entry
    that is changed, missing or out of place.
    """
    head, count = genesis(store_id), 0
    found_seen = seen is None
    for link in links:
        _read(link.raw, count)
        head = extend(head, link.raw)
        if not hmac.compare_digest(head, link.head):
            raise _broken(count, head.hex(), link.head.hex())
        if seen is not None and seen.index == count:
            if seen.head != head.hex():
                raise _broken(count, seen.head, head.hex())
            found_seen = True
        count += 1
    if not found_seen and seen is not None:
        raise _broken(count, f"entries up to {seen.index}", f"{count} entries")
    return (LedgerReceipt(count - 1, head.hex()) if count else None), count


def _read(raw: bytes, position: int) -> Entry:
    try:
        entry = decode(raw)
    except ValueError as error:
        raise _broken(position, "an entry", str(error)) from None
    if entry.index != position:
        raise _broken(position, f"index {position}", f"index {entry.index}")
    return entry


def _broken(position: int, expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_BROKEN,
        f"the ledger does not hold together at entry {position}",
        where=f"ledger[{position}]",
        expected=expected,
        found=found,
    )
