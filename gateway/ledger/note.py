"""Signed notes (c2sp.org/signed-note): a text, and lines that say who signed it.

    <text, ends with a newline>
                                            an empty line, the last one in the note
    — <key name> <base64(key id ‖ signature)>

What must stay true: a text counts only when a key that the caller named signed it; a signature under a named
key that does not hold spoils the whole note; what unknown keys say is ignored. One spelling for everything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.errors import GatewayError, GatewayReason
from verifiers.codec import b64
from verifiers.errors import AttestationError

ED25519, COSIGNATURE = 0x01, 0x04
"""Signature types: plain Ed25519, and Ed25519 over a text with a time (c2sp.org/tlog-cosignature)."""
MAX_NOTE = 64 * 1024
MAX_SIGNATURES = 64
MAX_NAME = 256
_KEY_ID = 4
_MAX_SIGNATURE = 8 * 1024
_HEX = re.compile(r"[0-9a-f]{8}\Z")
_DASH = "\u2014 "

Sign = Callable[[bytes], bytes]
"""A message to its Ed25519 signature, 64 bytes: of a key that stays where it is."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whose signatures count. kind: ED25519 or COSIGNATURE. public: 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.kind, self.public)

    @property
    def text(self) -> str:
        """One line, to be kept and handed on: name+id+base64(kind ‖ key)."""
        return f"{self.name}+{self.key_id.hex()}+{standard(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line of a note. raw: behind the key id."""

    name: str
    key_id: bytes
    raw: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {standard(self.key_id + self.raw)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """text: with its last newline. Nothing is said yet of whether a signature holds."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        return self.text + "\n" + "".join(each.line for each in self.signatures)


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Four bytes: a hint, which anybody may collide with."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_KEY_ID]


def parse_key(text: str) -> VerifierKey:
    """The key of a verifier-key string. Raises GatewayError(LEDGER_KEY) for another text, a wrong key id,
    another type than the two Ed25519 ones."""
    parts = text.split("+", 2)
    if len(text) > MAX_NAME + 128 or len(parts) != 3 or not _HEX.match(parts[1]) or not _name(parts[0]):
        raise _key("name+id+key, as `sealgate ledger key` prints it", text)
    try:
        raw = b64.decode_standard(parts[2], "key", limit=64)
    except AttestationError:
        raise _key("base64 behind the second +", text) from None
    if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
        raise _key("an Ed25519 key (type 1 or 4) of 32 bytes", f"{len(raw)} bytes")
    key = VerifierKey(parts[0], raw[0], raw[1:])
    if key.key_id.hex() != parts[1]:
        raise _key(f"key id {key.key_id.hex()}, which the name and key give", parts[1])
    return key


def parse(raw: bytes) -> Note:
    """Raises GatewayError(LEDGER_MALFORMED) for what is no note. Every note has one spelling: what is read,
    encodes to `raw` again."""
    if len(raw) > MAX_NOTE:
        raise malformed("note", f"at most {MAX_NOTE} bytes", f"{len(raw)} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise malformed("note", "UTF-8", "other bytes") from None
    if any(character < " " and character != "\n" for character in text):
        raise malformed("note", "no control characters but newlines", "one")
    at = text.rfind("\n\n")
    if at < 0 or not text.endswith("\n"):
        raise malformed("note", "a text, an empty line, and lines of signatures", "no such parts")
    lines = text[at + 2 : -1].split("\n")
    if at + 2 >= len(text) or len(lines) > MAX_SIGNATURES:
        found = 0 if at + 2 >= len(text) else len(lines)
        raise malformed("note", f"1 to {MAX_SIGNATURES} signatures", f"{found}")
    return Note(text[: at + 1], tuple(parse_line(line) for line in lines))


def parse_line(line: str) -> Signature:
    """A signature line without its newline. Raises GatewayError(LEDGER_MALFORMED)."""
    name, _, written = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _name(name):
        raise malformed("signature", "an em dash, a key name, a signature", line[:40])
    try:
        raw = b64.decode_standard(written, "signature", limit=_MAX_SIGNATURE)
    except AttestationError as error:
        raise malformed("signature", error.expected, error.found) from None
    if len(raw) <= _KEY_ID:
        raise malformed("signature", "a key id and a signature", f"{len(raw)} bytes")
    return Signature(name, raw[:_KEY_ID], raw[_KEY_ID:])


def verified(note: Note, keys: Sequence[VerifierKey]) -> tuple[tuple[VerifierKey, Signature], ...]:
    """The signatures of `keys`, each of which holds; at least one.

    Raises GatewayError(LEDGER_SIGNATURE) when one of them does not hold, and when there is none.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = [(known[at], each) for each in note.signatures if (at := (each.name, each.key_id)) in known]
    for key, signature in found:
        if not holds(key, note.text, signature.raw):
            raise _signature(f"a signature of {key.name} that holds", "one that does not")
    if not found:
        raise _signature(
            " or ".join(f"a signature of {key.name} ({key.key_id.hex()})" for key in keys)
            or "a key to check",
            ", ".join(f"{each.name} ({each.key_id.hex()})" for each in note.signatures[:4]),
        )
    return tuple(found)


def holds(key: VerifierKey, text: str, raw: bytes) -> bool:
    """Whether the bytes behind the key id are that key's signature over `text`, of the key's own type."""
    message = text.encode()
    if key.kind == COSIGNATURE:
        if len(raw) != 72:
            return False
        message, raw = cosigned(text, int.from_bytes(raw[:8], "big")), raw[8:]
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key.public).verify(raw, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def cosigned(text: str, seconds: int) -> bytes:
    """What a witness signs of a checkpoint's text. seconds: since 1970."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def sign(text: str, name: str, public: bytes, signer: Sign) -> Note:
    """A note with one Ed25519 signature. Raises ValueError for a text or name that no note can have."""
    if not text.endswith("\n") or not _name(name):
        raise ValueError("a note's text ends with a newline, and a key has a name without spaces or plus")
    signature = Signature(name, key_id(name, ED25519, public), signer(text.encode()))
    return Note(text, (signature,))


def standard(raw: bytes) -> str:
    """Base64 as notes have it: RFC 4648 section 4, padded."""
    url = b64.encode_url(raw)
    return url.replace("-", "+").replace("_", "/") + "=" * (-len(url) % 4)


def malformed(where: str, expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_MALFORMED,
        "this is not what the ledger's formats allow",
        where=where,
        expected=expected,
        found=found,
    )


def _name(name: str) -> bool:
    """Not empty, no Unicode space, no plus, no control character."""
    bad = any(character.isspace() or character < " " or character == "+" for character in name)
    return 0 < len(name) <= MAX_NAME and not bad


def _key(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_KEY,
        "this is no key that verifies a ledger",
        where="key",
        expected=expected,
        found=repr(found[:64]),
    )


def _signature(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_SIGNATURE,
        "the note is not signed as it must be",
        where="signature",
        expected=expected,
        found=found or "none",
    )
