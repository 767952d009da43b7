"""What others need of the ledger, as Protocols whose docstrings state the guarantees.

As for all ports: times are aware and UTC, and methods may be called from several threads, processes and
replicas at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.ledger.tiles import Tile


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that is about to be written; its place in the ledger is not known yet."""

    tenant: str
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class EntryProof:
    """What shows an entry to somebody else: with a signed checkpoint of that size and root, a receipt."""

    entry: bytes
    salt: bytes
    size: int
    root: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LedgerReceipt:
    """Where an entry stands, and the root (hex) of the tree that ends with it. proof: of an entry that was
    just written, in the tree as its writer left it; None for others."""

    index: int
    head: str
    proof: EntryProof | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class LedgerRow:
    """One entry as it lies in the store. leaf: its leaf hash, which goes into the tree."""

    tenant: str
    kind: str
    leaf: bytes
    salt: bytes
    entry: bytes


class Ledger(Protocol):
    """Append-only record of every decision: an RFC 6962 Merkle tree. One order for all processes and
    replicas, and one tree: there are no two entries of one index, at no time and for nobody.

    `append` returns only when the entry is durable: what is about to happen is written first, and if it
    cannot be written it must not happen. Entries carry no secret and no personal data. Whoever asks for one
    tenant's entries gets no other's; hashes, and leaves, say nothing of entries to those without their salts.
    """

    def append(self, tenant: str, kind: str, body: Mapping[str, Any]) -> LedgerReceipt:
        """kind: "release.intent", "release.outcome", "attest.accepted", "attest.refused",
        "secret.put", "policy.activate" … Raises LedgerUnavailable when it could not be made durable."""
        ...

    def tail(self, tenant: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The last `limit` entries of one tenant, oldest first: index, at, tenant, kind, body, and for
        whoever wants to hold them against the tree, salt and leaf (the leaf hash) in hex."""
        ...

    def head(self) -> LedgerReceipt | None:
        """The last entry that is durable. None when there is none."""
        ...

    def root(self, size: int) -> bytes:
        """Of the tree of the first `size` entries. Raises ValueError when there are fewer."""
        ...

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The path of an entry in the tree of the first `size` ones. Raises ValueError for what is not in
        it."""
        ...

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Shows that the tree of `new` entries begins with that of `old`. Raises ValueError as `root`."""
        ...

    def tile(self, tile: Tile) -> bytes | None:
        """Hashes or, without a level, entries of a tile: of entries the leaves, which say nothing. None
        unless the tree has all of it."""
        ...

    def rows(self, start: int = 0, end: int | None = None) -> Iterator[LedgerRow]:
        """Entries of everybody from `start` on, in pages: a long ledger does not fill the memory."""
        ...


class LedgerUnavailable(Exception):
    """The entry is not durable. Nothing may be released on the strength of it."""
