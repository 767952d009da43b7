"""Checkpoints (c2sp.org/tlog-checkpoint): a log's tree at a size, signed by the log and by witnesses.

    <origin>
    <size>
    <base64 of the root>

The log's key has the origin as its name. Ours never has lines behind the third: one with more is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ledger import note
from gateway.ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_PATH, MAX_SIZE
from gateway.ledger.note import COSIGNATURE, Note, Sign, Signature, VerifierKey, malformed
from verifiers.codec import b64
from verifiers.errors import AttestationError

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{note.standard(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that its log signed. note: as received. by: witnesses that the caller named and whose
    cosignature holds, with when they saw it, in seconds since 1970."""

    checkpoint: Checkpoint
    note: Note
    by: tuple[tuple[str, int], ...]


def sign(checkpoint: Checkpoint, public: bytes, signer: Sign) -> Note:
    return note.sign(checkpoint.text, checkpoint.origin, public, signer)


def parse_text(text: str) -> Checkpoint:
    """Raises GatewayError(LEDGER_MALFORMED)."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise malformed("checkpoint", "origin, size and root, a line each", f"{len(lines) - 1} lines")
    size = decimal(lines[1], "checkpoint size")
    root = hash_line(lines[2], "checkpoint root")
    if size == 0 and root != EMPTY_ROOT:
        raise malformed("checkpoint root", "SHA-256 of nothing for a tree without leaves", "another")
    return Checkpoint(lines[0], size, root)


def read(raw: bytes, key: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> Witnessed:
    """A checkpoint that counts: of the log with that key, and signed by it.

    Raises GatewayError: LEDGER_MALFORMED; LEDGER_SIGNATURE when the log did not sign it, or a witness of the
    caller's is named on it whose cosignature does not hold. How many witnesses there must be is the caller's.
    """
    parsed = note.parse(raw)
    found = parse_text(parsed.text)
    if found.origin != key.name:
        raise malformed("checkpoint origin", key.name, found.origin[:64])
    note.verified(parsed, [key])
    return Witnessed(found, parsed, cosigners(parsed, witnesses))


def cosigners(parsed: Note, witnesses: Sequence[VerifierKey]) -> tuple[tuple[str, int], ...]:
    """Which of these witnesses signed, and when. Raises GatewayError(LEDGER_SIGNATURE) for a cosignature of
    theirs that does not hold."""
    known = {(each.name, each.key_id) for each in witnesses}
    if not any((each.name, each.key_id) in known for each in parsed.signatures):
        return ()
    return tuple(
        (key.name, int.from_bytes(signature.raw[:8], "big"))
        for key, signature in note.verified(parsed, witnesses)
        if key.kind == COSIGNATURE
    )


def cosign(checkpoint: Checkpoint, name: str, public: bytes, seconds: int, signer: Sign) -> Signature:
    """What a witness adds (c2sp.org/tlog-cosignature): the time as eight bytes, then the signature."""
    raw = signer(note.cosigned(checkpoint.text, seconds))
    return Signature(name, note.key_id(name, COSIGNATURE, public), seconds.to_bytes(8, "big") + raw)


# --- what a witness is sent (c2sp.org/tlog-witness) ---


def add_checkpoint(old: int, path: Sequence[bytes], signed: Note) -> bytes:
    """The body of `POST <witness>/add-checkpoint`. old: the size that the witness saw last."""
    proof = "".join(f"{note.standard(each)}\n" for each in path)
    return f"old {old}\n{proof}\n{signed.encode()}".encode()


def parse_add_checkpoint(raw: bytes) -> tuple[int, tuple[bytes, ...], Note]:
    """As a witness reads it. Raises GatewayError(LEDGER_MALFORMED)."""
    head, blank, rest = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise malformed("old", "ASCII", "other bytes") from None
    if not blank or not lines[0].startswith("old ") or len(lines) > MAX_PATH + 1:
        raise malformed("old", f"old <size>, at most {MAX_PATH} hashes, an empty line", f"{len(lines)} lines")
    size = decimal(lines[0][4:], "old")
    return size, tuple(hash_line(line, "proof") for line in lines[1:]), note.parse(rest)


# --- shared ---


def decimal(text: str, where: str) -> int:
    """A count without leading zeros that fits into 63 bits. Raises GatewayError(LEDGER_MALFORMED)."""
    if not _SIZE.match(text) or int(text) > MAX_SIZE:
        raise malformed(where, "a decimal number below 2**63 without leading zeros", repr(text[:24]))
    return int(text)


def hash_line(text: str, where: str) -> bytes:
    """32 bytes in base64. Raises GatewayError(LEDGER_MALFORMED)."""
    try:
        raw = b64.decode_standard(text, where, limit=HASH_BYTES)
    except AttestationError as error:
        raise malformed(where, error.expected, error.found) from None
    if len(raw) != HASH_BYTES:
        raise malformed(where, f"{HASH_BYTES} bytes in base64", f"{len(raw)} bytes")
    return raw
