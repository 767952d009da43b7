"""Keys for notes, and a small log of real entries."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.ledger import checkpoint, receipt
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, encode
from gateway.ledger.merkle import leaf_hash, root_of
from gateway.ledger.note import COSIGNATURE, ED25519, Note, VerifierKey

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
ORIGIN = "audit.example/release"


class Signer:
    """An Ed25519 key under a name."""

    def __init__(self, seed: int, name: str, kind: int = ED25519) -> None:
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(seed, seed + 32)))
        self.public = self.private.public_key().public_bytes_raw()
        self.key = VerifierKey(name, kind, self.public)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


LOG = Signer(0, ORIGIN)
WITNESS = Signer(0x20, "witness.example/w1", COSIGNATURE)
ENTRIES = [
    encode(Entry(index=index, at=AT, tenant="acme", kind="release.outcome", body={"path": f"p{index}"}))
    for index in range(7)
]
SALTS = [bytes([index]) * 32 for index in range(7)]
LEAVES = [leaf_hash(receipt.leaf(*each)) for each in zip(SALTS, ENTRIES, strict=True)]
CHECKPOINT = Checkpoint(ORIGIN, 7, root_of(LEAVES))


def signed(found: Checkpoint = CHECKPOINT, *, at: int | None = None) -> Note:
    """By the log, and with a time by the witness too."""
    made = checkpoint.sign(found, LOG.public, LOG.sign)
    if at is None:
        return made
    added = checkpoint.cosign(found, WITNESS.key.name, WITNESS.public, at, WITNESS.sign)
    return Note(made.text, (*made.signatures, added))
