"""Leaves, and receipts that prove one of them to whoever has the log's public key (c2sp.org/tlog-proof).

    leaf = SHA-256("sealgate/1 ledger leaf" ‖ 0x00 ‖ salt ‖ entry)        salt: 32 random bytes of its own

A leaf says nothing of its entry to anybody without the salt, however short or guessable the entry is. Leaves
and hashes may be public, therefore; salts and entries belong to the tenant.

A receipt is a tlog-proof whose `extra` line holds salt ‖ entry. That line is not authenticated by itself: it
counts because the leaf is made from it here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger import checkpoint as checkpoints
from gateway.ledger.checkpoint import Witnessed, decimal, hash_line
from gateway.ledger.entry import MAX_ENTRY, Entry, decode
from gateway.ledger.merkle import MAX_PATH, leaf_hash, verify_inclusion
from gateway.ledger.note import MAX_NOTE, VerifierKey, malformed, standard
from verifiers.codec import b64
from verifiers.errors import AttestationError

SALT_BYTES = 32
MAX_RECEIPT = MAX_NOTE + 2 * MAX_ENTRY
_LABEL = b"sealgate/1 ledger leaf\0"
_FORMAT = "c2sp.org/tlog-proof@v1"


def leaf(salt: bytes, entry: bytes) -> bytes:
    """The 32 bytes that stand in the log for an entry. Raises ValueError for a salt of another length."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt has 32 bytes")
    return hashlib.sha256(_LABEL + salt + entry).digest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A tlog-proof as it is read; nothing of it is checked. note: the checkpoint with its signatures."""

    extra: bytes
    index: int
    path: tuple[bytes, ...]
    note: bytes

    @property
    def salt(self) -> bytes:
        return self.extra[:SALT_BYTES]

    @property
    def entry(self) -> bytes:
        return self.extra[SALT_BYTES:]


@dataclass(frozen=True, slots=True)
class Proven:
    """What a receipt shows: this entry stands at its index in the log at that checkpoint."""

    entry: Entry
    witnessed: Witnessed


def encode(salt: bytes, entry: bytes, index: int, path: Sequence[bytes], note: str) -> str:
    """The receipt as text. note: the signed checkpoint."""
    proof = "".join(f"{standard(each)}\n" for each in path)
    return f"{_FORMAT}\nextra {standard(salt + entry)}\nindex {index}\n{proof}\n{note}"


def parse(raw: bytes) -> Receipt:
    """Raises GatewayError(LEDGER_MALFORMED)."""
    if len(raw) > MAX_RECEIPT:
        raise malformed("receipt", f"at most {MAX_RECEIPT} bytes", f"{len(raw)} bytes")
    head, blank, note = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise malformed("receipt", "ASCII in front of the checkpoint", "other bytes") from None
    if not blank or lines[0] != _FORMAT:
        raise malformed("receipt", f"{_FORMAT} in the first line", repr(lines[0][:40]))
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise malformed("receipt", "a line `extra`, with salt and entry, and a line `index`", "other lines")
    if len(lines) > 3 + MAX_PATH:
        raise malformed("receipt", f"at most {MAX_PATH} hashes", f"{len(lines) - 3}")
    try:
        extra = b64.decode_standard(lines[1][6:], "extra", limit=SALT_BYTES + MAX_ENTRY)
    except AttestationError as error:
        raise malformed("extra", error.expected, error.found) from None
    index = decimal(lines[2][6:], "index")
    return Receipt(extra, index, tuple(hash_line(line, "path") for line in lines[3:]), note)


def verify(raw: bytes, key: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> Proven:
    """Check a receipt with nothing but the log's public key, and those of witnesses if there are any.

    Raises GatewayError: LEDGER_MALFORMED; LEDGER_SIGNATURE, as `checkpoint.read`; LEDGER_PROOF when the entry
    does not stand where the receipt says, in the tree that was signed.
    """
    found = parse(raw)
    witnessed = checkpoints.read(found.note, key, witnesses)
    if len(found.extra) < SALT_BYTES:
        raise malformed("extra", "a salt of 32 bytes and an entry", f"{len(found.extra)} bytes")
    at = witnessed.checkpoint
    own = leaf_hash(leaf(found.salt, found.entry))
    if not verify_inclusion(own, found.index, at.size, found.path, at.root):
        raise _unproven(f"an entry that stands at {found.index} of {at.size}", "another")
    try:
        entry = decode(found.entry)
    except ValueError as error:
        raise _unproven("an entry", str(error)) from None
    if entry.index != found.index:
        raise _unproven(f"index {found.index} in the entry", f"index {entry.index}")
    return Proven(entry, witnessed)


def _unproven(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_PROOF,
        "the receipt does not prove its entry",
        where="receipt",
        expected=expected,
        found=found,
    )
