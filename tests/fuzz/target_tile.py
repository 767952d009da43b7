"""Any path names one tile in one spelling, or is refused by our errors; any bytes are one bundle, or none."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.ledger import tiles
from gateway.ledger.tiles import Tile


def seeds() -> list[bytes]:
    return [
        b"0/000",
        b"1/x001/x234/067.p/17",
        b"entries/x999/999.p/255",
        tiles.entry_bundle([b"", b"one", bytes(300)]),
    ]


def target(data: bytes) -> None:
    try:
        tile = tiles.parse(data.decode("latin-1"))
        assert tile.path == "tile/" + data.decode("latin-1")
        assert tile == Tile(tile.level, tile.number, tile.width) and 1 <= tile.width <= 256
    except GatewayError as error:
        assert error.reason == "request.not-found"
    for count in (1, 3):
        try:
            found = tiles.parse_bundle(data, count)
            assert len(found) == count and tiles.entry_bundle(found) == data
        except GatewayError as error:
            assert error.reason == "ledger.malformed"
