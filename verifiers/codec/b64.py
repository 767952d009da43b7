"""Strict base64: one spelling for each value (RFC 4648 sections 3.5, 4 and 5)."""

from __future__ import annotations

import base64
import binascii
import re

from verifiers.errors import EvidenceFormatError, Reason

_URL = re.compile(r"[A-Za-z0-9_-]*\Z")
_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")


def decode_url(text: object, where: str, *, limit: int) -> bytes:
    """Decode base64url without padding, at most `limit` bytes of output.

    Raises EvidenceFormatError: BAD_VALUE (not a string), TOO_LARGE, or BAD_ENCODING for another alphabet,
    padding, white space, an impossible length or non-zero spare bits.
    """
    text = _text(text, where, limit)
    if not _URL.match(text):
        raise _bad(where, "base64url without padding", text, _URL_HINT if _STANDARD.match(text) else "")
    raw = _decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), where)
    if encode_url(raw) != text:
        raise _bad(where, "base64url without padding, spare bits zero", text, "")
    return raw


def decode_standard(text: object, where: str, *, limit: int) -> bytes:
    """Decode base64 with the `+/` alphabet and its padding; errors as `decode_url`."""
    text = _text(text, where, limit)
    if not _STANDARD.match(text):
        raise _bad(where, "base64 with padding", text, "")
    raw = _decode(text, where)
    if base64.b64encode(raw).decode() != text:
        raise _bad(where, "canonical base64 with padding", text, "")
    return raw


def encode_url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


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


def _decode(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(where, "base64", text, "") from None


def _bad(where: str, expected: str, text: str, hint: str) -> EvidenceFormatError:
    shown = text if len(text) <= 24 else text[:24] + "…"
    return EvidenceFormatError(Reason.BAD_ENCODING, where, expected=expected, found=f"{shown!r}{hint}")
