"""Any bytes are a signed note with one spelling, or refused by one of our errors; so is any verifier key.

Only what the log's key signed is believed.
"""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.ledger import checkpoint, note
from tests.unit.gateway.ledger.keys import CHECKPOINT, LOG, WITNESS, signed

_GOOD = signed(at=1_790_000_000).encode().encode()


def seeds() -> list[bytes]:
    return [
        _GOOD,
        signed().encode().encode(),
        "text\n\nmore\n\n— name AAAAAAA=\n".encode(),
        LOG.key.text.encode(),
        WITNESS.key.text.encode(),
        checkpoint.add_checkpoint(4, [bytes(32)], signed()),
    ]


def target(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        assert note.parse_key(text).text == text
    except GatewayError as error:
        assert error.reason == "ledger.key"
    try:
        found = note.parse(data)
        assert found.encode().encode() == data
        assert checkpoint.read(data, LOG.key, [WITNESS.key]).checkpoint == CHECKPOINT
    except GatewayError as error:
        assert error.reason in ("ledger.malformed", "ledger.signature")
    try:
        old, path, sent = checkpoint.parse_add_checkpoint(data)
        assert checkpoint.add_checkpoint(old, path, sent) == data
    except GatewayError as error:
        assert error.reason == "ledger.malformed"
