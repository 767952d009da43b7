"""Any bytes are a receipt with one spelling, or refused by our errors; only the log's entries are proven."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.ledger import receipt
from gateway.ledger.entry import decode
from gateway.ledger.merkle import inclusion_path
from tests.unit.gateway.ledger.keys import ENTRIES, LEAVES, LOG, SALTS, WITNESS, signed
from tests.unit.gateway.ledger.test_merkle import nodes


def seeds() -> list[bytes]:
    return [
        receipt.encode(
            SALTS[index],
            ENTRIES[index],
            index,
            inclusion_path(index, 7, nodes(LEAVES)),
            signed(at=9).encode(),
        ).encode()
        for index in (0, 6)
    ]


def target(data: bytes) -> None:
    try:
        found = receipt.parse(data)
        again = receipt.encode(found.salt, found.entry, found.index, found.path, "").encode() + found.note
        assert again == data
        proven = receipt.verify(data, LOG.key, [WITNESS.key])
        assert proven.entry == decode(ENTRIES[proven.entry.index])
    except GatewayError as error:
        assert error.reason in ("ledger.malformed", "ledger.signature", "ledger.proof")
