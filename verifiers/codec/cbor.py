"""CBOR with one reading only (RFC 8949): definite lengths, shortest heads, no key twice, nothing behind it.

The bytes are walked without recursion before a decoder sees them, so depth, number of items and lengths
are bounded by what is really there. Integers, byte strings, text, arrays, maps, false, true and null
only: no floats, no other simple values, and no tag but those the caller names, because decoders
give many tags a meaning of their own.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import cbor2

from verifiers.errors import EvidenceFormatError, Reason

Tag = cbor2.CBORTag
"""What a tag that the caller allowed decodes to, unless the decoder knows it: `tag`, `value`."""

MAX_DEPTH = 16
MAX_ITEMS = 4096

_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE_TRUE_NULL = (20, 21, 22)
_FLOAT = "a float or another simple value"


class _Level:
    """One open array, map or tag: items still to come, and for a map the keys seen so far."""

    __slots__ = ("keys", "left", "major")

    def __init__(self, major: int, left: int) -> None:
        self.major, self.left = major, left
        self.keys: set[bytes] = set()

    @property
    def at_key(self) -> bool:
        return self.major == _MAP and self.left % 2 == 0


def loads(
    raw: bytes,
    where: str,
    *,
    limit: int,
    tags: Container[int] = frozenset(),
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
) -> Any:
    """Decode one CBOR item of at most `limit` bytes; `tags` are the tag numbers allowed to occur.

    Raises EvidenceFormatError: EVIDENCE_EMPTY, EVIDENCE_TOO_LARGE (bytes or items), TOO_DEEP, BAD_LENGTH
    (ends early), TRAILING_DATA, DUPLICATE (a map key twice), BAD_ENCODING (indefinite length, a head that
    could be shorter, text that is not UTF-8) or BAD_VALUE (floats, tags, other simple values, odd keys).
    """
    if not raw:
        raise EvidenceFormatError(Reason.EVIDENCE_EMPTY, where, expected="CBOR", found="nothing")
    if len(raw) > limit:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE, where, expected=f"at most {limit} bytes", found=f"{len(raw)} bytes"
        )
    _walk(raw, where, tags, max_depth, max_items)
    try:
        return cbor2.loads(raw, max_depth=max_depth + 1, allow_indefinite=False, allow_duplicate_keys=False)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise _bad(Reason.BAD_VALUE, where, "CBOR", str(error)[:120] or type(error).__name__) from None


def _walk(raw: bytes, where: str, tags: Container[int], max_depth: int, max_items: int) -> None:
    levels: list[_Level] = []
    at = items = 0
    while True:
        start = at
        major, value, at = _head(raw, at, where)
        items += 1
        if items > max_items:
            raise _bad(Reason.EVIDENCE_TOO_LARGE, where, f"at most {max_items} items", "more")
        parent = levels[-1] if levels else None
        if parent and parent.at_key and major not in (_UINT, _NINT, _TEXT):
            raise _bad(
                Reason.BAD_VALUE, f"{where}@{start}", "a map key that is an integer or text", "another type"
            )
        at = _content(raw, at, major, value, f"{where}@{start}", tags)
        if parent and parent.at_key:
            key = raw[start:at]
            if key in parent.keys:
                raise _bad(
                    Reason.DUPLICATE, f"{where}@{start}", "each key once", f"key {key[:24].hex()} twice"
                )
            parent.keys.add(key)
        if major in (_ARRAY, _MAP, _TAG):
            if len(levels) == max_depth:
                raise _bad(Reason.TOO_DEEP, where, f"at most {max_depth} levels", "more")
            levels.append(_Level(major, {_ARRAY: value, _MAP: 2 * value, _TAG: 1}[major]))
        elif levels:
            levels[-1].left -= 1
        while levels and levels[-1].left == 0:
            levels.pop()
            if levels:
                levels[-1].left -= 1
        if not levels:
            break
    if at != len(raw):
        raise _bad(Reason.TRAILING_DATA, where, f"end at offset {at}", f"{len(raw) - at} more bytes")


def _head(raw: bytes, at: int, where: str) -> tuple[int, int, int]:
    """Major type, argument and the offset behind the head (RFC 8949 section 3)."""
    if at >= len(raw):
        raise _bad(Reason.BAD_LENGTH, f"{where}@{at}", "one more item", "the end")
    major, info = raw[at] >> 5, raw[at] & 0x1F
    at += 1
    if info < 24:
        return major, info, at
    if info > 27:
        found = "an indefinite length" if info == 31 else "a reserved head"
        raise _bad(Reason.BAD_ENCODING, f"{where}@{at - 1}", "a definite length", found)
    if major == _SIMPLE:
        raise _bad(Reason.BAD_VALUE, f"{where}@{at - 1}", "false, true or null", _FLOAT)
    size: int = 1 << (info - 24)
    if len(raw) - at < size:
        raise _bad(Reason.BAD_LENGTH, f"{where}@{at}", f"{size} bytes", f"{len(raw) - at} bytes left")
    value = int.from_bytes(raw[at : at + size], "big")
    if value < (24 if size == 1 else 1 << (4 * size)):
        raise _bad(
            Reason.BAD_ENCODING, f"{where}@{at - 1}", "the shortest head", raw[at - 1 : at + size].hex()
        )
    return major, value, at + size


def _content(raw: bytes, at: int, major: int, value: int, where: str, tags: Container[int]) -> int:
    """Check what follows a head; the offset behind strings, unchanged for everything else."""
    if major in (_BYTES, _TEXT):
        if value > len(raw) - at:
            raise _bad(Reason.BAD_LENGTH, where, f"{value} bytes", f"{len(raw) - at} bytes left")
        if major == _TEXT:
            try:
                raw[at : at + value].decode("utf-8")
            except UnicodeDecodeError:
                raise _bad(Reason.BAD_ENCODING, where, "UTF-8", "other bytes") from None
        return at + value
    if major in (_ARRAY, _MAP) and value > len(raw) - at:
        # Each element takes a byte at least: refused here, before anything is counted or allocated.
        raise _bad(Reason.BAD_LENGTH, where, f"{value} elements", f"{len(raw) - at} bytes left")
    if major == _TAG and value not in tags:
        raise _bad(Reason.BAD_VALUE, where, "no tag of that number here", f"tag {value}")
    if major == _SIMPLE and value not in _FALSE_TRUE_NULL:
        raise _bad(Reason.BAD_VALUE, where, "false, true or null", _FLOAT)
    return at


def _bad(reason: Reason, where: str, expected: str, found: str) -> EvidenceFormatError:
    return EvidenceFormatError(reason, where, expected=expected, found=found)
