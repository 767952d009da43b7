"""Strict base64: one spelling for each value (RFC 4648 sections 3.5, 4 and 5)."""

from __future__ import annotations

import binascii
import re

from verifiers.errors import EvidenceFormatError, Reason

_URL = re.compile(r"[A-Za-z0-9_-]*\Z")
_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
"""The standard alphabet's own characters become one that neither has."""


def decode_url(text: object, where: str, *, limit: int) -> bytes:
    """Decode base64url without padding, at most `limit` bytes of output.

    Raises EvidenceFormatError: BAD_VALUE (not a string), TOO_LARGE, or BAD_ENCODING for another alphabet,
    padding, white space, an impossible length or non-zero spare bits.
    """
    text = _text(text, where, limit)
    if text.isascii():
        raw = _decode(text.encode().translate(_FROM_URL) + b"==="[: -len(text) % 4])
        if raw is not None:
            return raw
    if not _URL.match(text):
        raise _bad(where, "base64url without padding", text, _URL_HINT if _STANDARD.match(text) else "")
    raise _bad(where, "base64url without padding, spare bits zero", text, "")


def decode_standard(text: object, where: str, *, limit: int) -> bytes:
    """Decode base64 with the `+/` alphabet and its padding; errors as `decode_url`."""
    text = _text(text, where, limit)
    raw = _decode(text.encode()) if text.isascii() else None
    if raw is None:
        raise _bad(where, "canonical base64 with padding", text, "")
    return raw


def encode_url(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()


_URL_HINT = " (this is the + / = alphabet: use - and _ and no padding)"


def _text(text: object, where: str, limit: int) -> str:
    if not isinstance(text, str):
        raise EvidenceFormatError(
            Reason.BAD_VALUE, where, expected="a base64 string", found=type(text).__name__
        )
    if len(text) > limit * 4 // 3 + 4:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE,
            where,
            expected=f"at most {limit} bytes",
            found=f"{len(text)} characters",
        )
    return text


def _decode(given: bytes) -> bytes | None:
    """None for everything that is not the one spelling of some bytes in the standard alphabet, padded."""
    try:
        raw = binascii.a2b_base64(given, strict_mode=True)
    except binascii.Error:
        return None
    return raw if binascii.b2a_base64(raw, newline=False) == given else None


def _bad(where: str, expected: str, text: str, hint: str) -> EvidenceFormatError:
    shown = text if len(text) <= 24 else text[:24] + "…"
    return EvidenceFormatError(Reason.BAD_ENCODING, where, expected=expected, found=f"{shown!r}{hint}")
