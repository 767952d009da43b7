"""The Merkle tree of RFC 6962 section 2.1 (the same in RFC 9162 section 2.1), over SHA-256.

    MTH({})      = SHA-256("")
    MTH({d})     = SHA-256(0x00 ‖ d)
    MTH(D[0:n])  = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n])),  k the largest power of two below n

Trees are built by appending to a `Frontier`. Proofs are made from `Nodes`: a function that gives the hash of
the perfect subtree of 2**level leaves that begins at leaf number * 2**level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
"""Leaves of the largest tree: what a signed 64-bit column holds."""
MAX_PATH = 63
"""Hashes of the longest proof about such a tree."""
EMPTY_ROOT = hashlib.sha256(b"").digest()

Nodes = Callable[[int, int], bytes]
"""(level, number) to the hash of a perfect subtree."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that must be known of a tree to append to it: the hashes of the perfect subtrees it falls into, the
    largest first. There are as many as `size` has one bits. Immutable."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The tree with one more leaf, given as its leaf hash. Raises OverflowError at MAX_SIZE."""
        if self.size >= MAX_SIZE:
            raise OverflowError("the tree is full")
        hashes, joined, size = list(self.hashes), leaf, self.size
        while size & 1:
            joined = node_hash(hashes.pop(), joined)
            size >>= 1
        hashes.append(joined)
        return Frontier(self.size + 1, tuple(hashes))

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def encode(self) -> bytes:
        return b"".join(self.hashes)

    @classmethod
    def decode(cls, size: int, raw: bytes) -> Frontier:
        """Raises ValueError when the hashes are not as many as a tree of that size has."""
        if not 0 <= size <= MAX_SIZE or len(raw) != HASH_BYTES * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has another frontier")
        return cls(size, tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    return frontier.root()


# --- proofs --------------------------------------------------------------------------------------------


def root(size: int, nodes: Nodes) -> bytes:
    """The root of the tree's first `size` leaves."""
    return _hash_range(0, size, nodes) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """PATH(index, D[0:size]): the siblings from the leaf up. Raises ValueError unless 0 <= index < size."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ValueError("a proof is about a leaf of the tree")
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_hash_range(middle, end, nodes))
            end = middle
        else:
            path.append(_hash_range(begin, middle, nodes))
            begin = middle
    return tuple(reversed(path))


def consistency_path(old: int, new: int, nodes: Nodes) -> tuple[bytes, ...]:
    """PROOF(old, D[0:new]), RFC 6962 section 2.1.2; empty when the trees are one, and for an old tree without
    leaves, with which everything is consistent. Raises ValueError unless 0 <= old <= new."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError("a tree is consistent with a smaller one")
    if old == 0:
        return ()
    begin, end, path, whole = 0, new, [], True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_hash_range(middle, end, nodes))
            end = middle
        else:
            path.append(_hash_range(begin, middle, nodes))
            begin, whole = middle, False
    if not whole:
        path.append(_hash_range(begin, end, nodes))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` shows that `leaf` (a leaf hash) stands at `index` of the tree with that root.

    RFC 9162 section 2.1.3.2, with its names.
    """
    if not 0 <= index < size <= MAX_SIZE:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `path` shows that the new tree begins with all leaves of the old one, in their order.

    RFC 9162 section 2.1.4.2, with its names. A tree without leaves is the beginning of every other.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        return False
    if old == new or old == 0:
        return not path and old_root == (new_root if old == new else EMPTY_ROOT)
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for c in hashes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


def grown_path(before: Frontier, after: Sequence[bytes]) -> tuple[bytes, ...]:
    """The inclusion path of the leaf that was appended to `before`, in the tree that ends with the leaves
    `after` it (leaf hashes, in order).

    For entries that were just written: nothing is read to prove them. Left of a leaf stands the frontier
    that it was appended to.
    """
    index, size = before.size, before.size + 1 + len(after)
    left, path = list(before.hashes), []
    for level in range((size - 1).bit_length()):
        if index >> level & 1:
            path.append(left.pop())
            continue
        begin = ((index >> level) + 1) << level
        if begin < size:
            end = min(begin + (1 << level), size)
            path.append(root_of(after[begin - index - 1 : end - index - 1]))
    return tuple(path)


def _split(count: int) -> int:
    """The largest power of two below `count`, which is 2 or more."""
    return 1 << ((count - 1).bit_length() - 1)


def _hash_range(begin: int, end: int, nodes: Nodes) -> bytes:
    """MTH(D[begin:end]) where `begin` is a multiple of the largest power of two within the range."""
    level = (end - begin).bit_length() - 1
    joined = []
    while begin < end:
        while begin + (1 << level) > end:
            level -= 1
        joined.append(nodes(level, begin >> level))
        begin += 1 << level
    out = joined[-1]
    for left in reversed(joined[:-1]):
        out = node_hash(left, out)
    return out
