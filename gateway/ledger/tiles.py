"""Tiles: the tree cut into files that never change (c2sp.org/tlog-tiles).

    tile/<L>/<N>[.p/<W>]          hashes of level 8 L, 256 in a tile, or W < 256 at the tree's right edge
    tile/entries/<N>[.p/<W>]      the leaves themselves, each behind its length as two bytes

N is written in groups of three digits, all but the last behind an "x": 1234067 is x001/x234/067. A tile of a
tree that has only part of it is partial; it is no child of anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.merkle import HASH_BYTES, MAX_SIZE, Nodes, root_of

WIDTH, HEIGHT = 256, 8
MAX_LEVEL = 7
"""256**8 leaves are more than any tree has."""
MAX_LEAF = 2**16 - 1
_PATH = re.compile(
    r"(?P<level>0|[1-9][0-9]?|entries)/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """level: None for entries. width: hashes or entries in it, 1 to 256."""

    level: int | None
    number: int
    width: int

    @property
    def path(self) -> str:
        """As in a URL, without the prefix."""
        kind = "entries" if self.level is None else str(self.level)
        part = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{_number(self.number)}{part}"


def parse(path: str) -> Tile:
    """The tile of a path behind "tile/". Raises GatewayError(REQUEST_NOT_FOUND) for every other spelling."""
    found = _PATH.match(path)
    if found is None:
        raise _nowhere(path)
    digits = found["number"].replace("x", "").replace("/", "")
    level = None if found["level"] == "entries" else int(found["level"])
    width = WIDTH if found["width"] is None else int(found["width"])
    tile = Tile(level, int(digits), width)
    beyond = (level or 0) > MAX_LEVEL or tile.number > MAX_SIZE // WIDTH or width > WIDTH
    if beyond or tile.path != f"tile/{path}":
        raise _nowhere(path)
    return tile


def width_in(tile: Tile, size: int) -> int:
    """How many of the tile's hashes a tree of `size` leaves has, at most 256; 0 when it has none."""
    below = size >> (HEIGHT * (tile.level or 0))
    return max(0, min(WIDTH, below - tile.number * WIDTH))


def tiles_of(size: int) -> tuple[Tile, ...]:
    """Every hash tile of a tree, level by level."""
    out: list[Tile] = []
    level, below = 0, size
    while below:
        full, rest = divmod(below, WIDTH)
        out += [Tile(level, number, WIDTH) for number in range(full)]
        out += [Tile(level, full, rest)] if rest else []
        level, below = level + 1, full
    return tuple(out)


def entry_bundle(leaves: Sequence[bytes]) -> bytes:
    """Raises ValueError for a leaf of more than 65,535 bytes."""
    if any(len(leaf) > MAX_LEAF for leaf in leaves):
        raise ValueError("a leaf in a bundle has at most 65,535 bytes")
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def parse_bundle(raw: bytes, count: int) -> tuple[bytes, ...]:
    """The leaves of a bundle that has `count` of them. Raises GatewayError(LEDGER_MALFORMED)."""
    out: list[bytes] = []
    at = 0
    while at < len(raw) and len(out) < count:
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if len(raw) < max(end, at + 2):
            break
        out.append(raw[at + 2 : end])
        at = end
    if at != len(raw) or len(out) != count:
        raise GatewayError(
            GatewayReason.LEDGER_MALFORMED,
            "this is no bundle of entries",
            where=f"entry {len(out)}",
            expected=f"{count} entries behind their lengths, and nothing more",
            found=f"{len(raw)} bytes",
        )
    return tuple(out)


def nodes_of(size: int, read: Callable[[Tile], bytes]) -> Nodes:
    """What proofs about a tree of `size` leaves are made from, out of its tiles; each is read once.

    read: the bytes of a tile, of the width that is asked for.
    """
    held: dict[tuple[int, int], bytes] = {}

    def nodes(level: int, number: int) -> bytes:
        step, height = divmod(level, HEIGHT)
        first = number << height
        at = (step, first // WIDTH)
        if at not in held:
            wanted = Tile(step, at[1], WIDTH)
            held[at] = read(Tile(step, at[1], width_in(wanted, size)))
        start = (first % WIDTH) * HASH_BYTES
        end = start + (HASH_BYTES << height)
        hashes = held[at][start:end]
        if len(hashes) != end - start:
            raise _short(step, at[1])
        return root_of([hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)])

    return nodes


def _short(level: int, number: int) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_BROKEN,
        "a tile of the ledger is not there, or too short",
        where=f"tile {level}/{number}",
        expected="all the hashes that the tree has",
        found="fewer",
    )


def _number(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    return "/".join(groups)


def _nowhere(path: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REQUEST_NOT_FOUND,
        "there is no such tile",
        where="tile",
        expected="<level>/<number> or entries/<number>, as c2sp.org/tlog-tiles writes them",
        found=repr(path[:64]),
    )
