"""The tree has the known roots; proofs are the recursive definition's, and show one thing only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger import merkle
from gateway.ledger.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    consistency_path,
    grown_path,
    inclusion_path,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Of the first 1 to 8 leaves: the test data that implementations of RFC 6962 share."""


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path_of(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]), RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path_of(m, leaves[:k]), mth(leaves[k:])]
    return [*path_of(m - k, leaves[k:]), mth(leaves[:k])]


def proof_of(m: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b), RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*proof_of(m, leaves[:k], whole), mth(leaves[k:])]
    return [*proof_of(m - k, leaves[k:], False), mth(leaves[:k])]


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def nodes(leaves: Sequence[bytes]) -> merkle.Nodes:
    def read(level: int, number: int) -> bytes:
        found = leaves[number << level : (number + 1) << level]
        assert len(found) == 1 << level, "only perfect subtrees are asked for"
        return mth(found)

    return read


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_the_known_ones(size: int) -> None:
    leaves = [leaf_hash(data) for data in LEAVES[:size]]
    assert root_of(leaves).hex() == ROOTS[size - 1]
    assert merkle.root(size, nodes(leaves)).hex() == ROOTS[size - 1]


def test_a_tree_without_leaves_has_the_digest_of_nothing() -> None:
    assert Frontier().root() == root_of([]) == merkle.root(0, nodes([])) == EMPTY_ROOT
    assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize("size", range(1, 34))
def test_paths_are_as_the_rfc_defines_them(size: int) -> None:
    leaves = hashes(size)
    frontiers = [Frontier()]
    for leaf in leaves:
        frontiers.append(frontiers[-1].append(leaf))
    for index in range(size):
        path = inclusion_path(index, size, nodes(leaves))
        assert list(path) == path_of(index, leaves)
        assert grown_path(frontiers[index], leaves[index + 1 :]) == path
        assert verify_inclusion(leaves[index], index, size, path, mth(leaves))
    for old in range(1, size + 1):
        path = consistency_path(old, size, nodes(leaves))
        assert list(path) == proof_of(old, leaves)
        assert verify_consistency(old, size, path, mth(leaves[:old]), mth(leaves))


@given(st.integers(1, 2000), st.data())
def test_proofs_of_larger_trees_hold_and_show_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, before = root_of(leaves), root_of(leaves[:old])
    path = inclusion_path(index, size, nodes(leaves))
    assert verify_inclusion(leaves[index], index, size, path, root)
    elsewhere = data.draw(st.integers(0, size + 3).filter(lambda other: other != index))
    assert not verify_inclusion(leaves[index], elsewhere, size, path, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, size, path, root)
    assert not verify_inclusion(leaves[index], index, size, (*path, root), root)
    for at in range(len(path)):
        assert not verify_inclusion(leaves[index], index, size, (*path[:at], *path[at + 1 :]), root)
        flipped = bytes([path[at][0] ^ 1]) + path[at][1:]
        assert not verify_inclusion(leaves[index], index, size, (*path[:at], flipped, *path[at + 1 :]), root)
    proof = consistency_path(old, size, nodes(leaves))
    assert verify_consistency(old, size, proof, before, root)
    assert not verify_consistency(old, size, (*proof, root), before, root)
    assert not verify_consistency(old, size, proof, leaf_hash(b"other"), root)
    assert not verify_consistency(old, size, proof, before, leaf_hash(b"other"))
    for at in range(len(proof)):
        assert not verify_consistency(old, size, (*proof[:at], *proof[at + 1 :]), before, root)
        flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        assert not verify_consistency(old, size, (*proof[:at], flipped, *proof[at + 1 :]), before, root)


@given(st.integers(1, 300), st.data())
def test_another_history_is_not_consistent(size: int, data: st.DataObject) -> None:
    """Whatever proof there is of the true tree, it does not fit to a tree where an old leaf differs."""
    old = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, old - 1))
    leaves = hashes(size)
    forked = [*leaves[:changed], leaf_hash(b"forked"), *leaves[changed + 1 :]]
    for proof in (consistency_path(old, size, nodes(leaves)), consistency_path(old, size, nodes(forked))):
        assert not verify_consistency(old, size, proof, root_of(leaves[:old]), root_of(forked))


def test_everything_begins_with_a_tree_without_leaves() -> None:
    root = root_of(hashes(5))
    assert consistency_path(0, 5, nodes(hashes(5))) == ()
    assert verify_consistency(0, 5, (), EMPTY_ROOT, root)
    assert verify_consistency(0, 0, (), EMPTY_ROOT, EMPTY_ROOT)
    assert not verify_consistency(0, 5, (root,), EMPTY_ROOT, root)
    assert not verify_consistency(0, 5, (), root, root)


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5), (1, MAX_SIZE + 1)])
def test_sizes_out_of_order_prove_nothing(old: int, new: int) -> None:
    assert not verify_consistency(old, new, (EMPTY_ROOT,), EMPTY_ROOT, EMPTY_ROOT)
    with pytest.raises(ValueError, match="smaller"):
        consistency_path(old, new, nodes(hashes(5)))


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, 0), (0, MAX_SIZE + 1)])
def test_a_leaf_outside_of_the_tree_proves_nothing(index: int, size: int) -> None:
    assert not verify_inclusion(EMPTY_ROOT, index, size, (), EMPTY_ROOT)
    with pytest.raises(ValueError, match="leaf"):
        inclusion_path(index, size, nodes(hashes(5)))


@given(st.integers(0, 300))
def test_a_frontier_is_read_back(size: int) -> None:
    frontier = Frontier()
    for leaf in hashes(size):
        frontier = frontier.append(leaf)
    assert Frontier.decode(size, frontier.encode()) == frontier
    for wrong in (frontier.encode() + b"x", frontier.encode() + bytes(32)):
        with pytest.raises(ValueError, match="frontier"):
            Frontier.decode(size, wrong)


def test_a_full_tree_takes_no_leaf() -> None:
    full = Frontier(MAX_SIZE, tuple(hashes(63)))
    with pytest.raises(OverflowError):
        full.append(EMPTY_ROOT)
