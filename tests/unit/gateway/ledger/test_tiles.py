"""Tiles are named as c2sp.org/tlog-tiles names them, and proofs from tiles are those of the tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger import tiles
from gateway.ledger.merkle import consistency_path, inclusion_path, root, root_of
from gateway.ledger.tiles import Tile, entry_bundle, nodes_of, parse, parse_bundle, tiles_of, width_in
from tests.unit.gateway.ledger.test_merkle import LEAVES, hashes, mth
from tests.unit.gateway.ledger.test_merkle import nodes as plain_nodes


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 0, 7), "tile/0/000.p/7"),
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(1, 1234067, 256), "tile/1/x001/x234/067"),
        (Tile(7, 1000, 1), "tile/7/x001/000.p/1"),
        (Tile(None, 0, 7), "tile/entries/000.p/7"),
        (Tile(None, 1234067, 255), "tile/entries/x001/x234/067.p/255"),
    ],
)
def test_a_tile_has_one_path(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse(path.removeprefix("tile/")) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "0", "0/", "0/0", "0/00", "0/0000", "0/x000/000", "0/001/234", "0/x001/x234/x067", "00/000",
        "8/000", "64/000", "-1/000", "0/000.p/0", "0/000.p/256", "0/000.p/07", "0/000.p/", "0/000/",
        "entries/000.p/256", "Entries/000", "0/000\n", "0/000.p/1\n", "0/\u0661\u0661\u0661",
        "0/x999/x999/x999/x999/x999/x999/999",
        "0/000.p/256", "0/000.p/257", "entries/x999/999.p/355",
    ],
)  # fmt: skip
def test_another_spelling_is_no_tile(path: str) -> None:
    with pytest.raises(GatewayError) as caught:
        parse(path)
    assert caught.value.reason is GatewayReason.REQUEST_NOT_FOUND


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    found = tiles_of(70_000)
    assert [sum(t.level == level and t.width == 256 for t in found) for level in range(4)] == [273, 1, 0, 0]
    assert [t for t in found if t.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_a_tree_of_256_has_a_full_tile_and_one_hash_above() -> None:
    assert tiles_of(256) == (Tile(0, 0, 256), Tile(1, 0, 1))
    assert tiles_of(0) == ()


@given(st.integers(0, 200_000))
def test_every_tile_of_a_tree_has_its_width_in_it(size: int) -> None:
    for tile in tiles_of(size):
        assert width_in(tile, size) == tile.width
        assert width_in(tile, size - 1) in (tile.width, tile.width - 1)
        assert width_in(Tile(tile.level, tile.number + 256, 1), size) <= width_in(tile, size)
    assert width_in(Tile(None, size // 256, 1), size) == size % 256


def made(leaves: list[bytes], tile: Tile) -> bytes:
    """A tile as its definition has it."""
    span = 256 ** (tile.level or 0)
    first = tile.number * 256
    return b"".join(mth(leaves[(first + i) * span : (first + i + 1) * span]) for i in range(tile.width))


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 511, 512, 600, 1030])
def test_proofs_from_tiles_are_those_of_the_tree(size: int) -> None:
    leaves = hashes(size)
    read = []

    def reader(tile: Tile) -> bytes:
        read.append(tile)
        return made(leaves, tile)

    known = nodes_of(size, reader)
    assert root(size, known) == root_of(leaves)
    for index in {0, 1, size // 2, size - 1} & set(range(size)):
        assert inclusion_path(index, size, known) == inclusion_path(index, size, plain_nodes(leaves))
    for old in {1, 2, size // 2, 256, size} & set(range(1, size + 1)):
        assert consistency_path(old, size, known) == consistency_path(old, size, plain_nodes(leaves))
    assert len(read) == len(set(read)), "no tile is read twice"
    assert set(read) <= set(tiles_of(size))


def test_a_tile_that_is_too_short_is_said() -> None:
    with pytest.raises(GatewayError) as caught:
        root(7, nodes_of(7, lambda tile: bytes(32)))
    assert (caught.value.reason, caught.value.where) == (GatewayReason.LEDGER_BROKEN, "tile 0/0")


def test_entries_stand_behind_their_lengths() -> None:
    raw = entry_bundle(LEAVES[:7])
    assert raw.hex() == "0000000100000110000220210002303100044041424300085051525354555657"
    assert parse_bundle(raw, 7) == tuple(LEAVES[:7])
    with pytest.raises(ValueError, match="65,535"):
        entry_bundle([bytes(65_536)])
    assert parse_bundle(entry_bundle([bytes(65_535)]), 1) == (bytes(65_535),)


@pytest.mark.parametrize(
    ("raw", "count"),
    [(b"\0", 1), (b"\0\1", 1), (b"\0\1a", 2), (b"\0\1a\0", 1), (b"\0\1a\0\0", 1), (b"", 1), (b"\xff\xff", 1)],
)
def test_a_bundle_holds_what_it_says(raw: bytes, count: int) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_bundle(raw, count)
    assert caught.value.reason is GatewayReason.LEDGER_MALFORMED


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_is_read_back(leaves: list[bytes]) -> None:
    assert parse_bundle(entry_bundle(leaves), len(leaves)) == tuple(leaves)
    assert tiles.WIDTH == 256
