"""JSON with one reading only: no duplicate keys, no NaN, bounded size and depth.

Every common parser lets the last duplicate win; two readers that disagree about which one counts is how
a signed document comes to say two things. RFC 8259 calls the behaviour unpredictable; we refuse it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from verifiers.errors import EvidenceFormatError, Reason

MAX_DEPTH = 32
# A string, closed or running to the end: it always matches from a quote on, so the scan stays linear.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_MAX_NUMBER = 40
"""Characters; longer integers are refused before conversion."""


def loads(raw: bytes, where: str, *, limit: int, max_depth: int = MAX_DEPTH) -> Any:
    """Parse UTF-8 JSON of at most `limit` bytes and `max_depth` levels.

    Raises EvidenceFormatError: EVIDENCE_EMPTY, EVIDENCE_TOO_LARGE, TOO_DEEP, DUPLICATE (a key twice in one
    object), BAD_ENCODING (not UTF-8, a byte-order mark, a lone surrogate) or BAD_VALUE (not JSON, NaN,
    Infinity, an absurd number).
    """
    if not raw.strip():
        raise EvidenceFormatError(Reason.EVIDENCE_EMPTY, where, expected="JSON", found="nothing")
    if len(raw) > limit:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE, where, expected=f"at most {limit} bytes", found=f"{len(raw)} bytes"
        )
    _check_depth(raw, where, max_depth)
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, where),
            parse_constant=lambda name: _refuse_constant(name, where),
            parse_int=lambda digits: _integer(digits, where),
            parse_float=lambda digits: _float(digits, where),
        )
    except UnicodeDecodeError as error:
        raise EvidenceFormatError(
            Reason.BAD_ENCODING,
            where,
            expected="UTF-8",
            found=f"byte {raw[error.start]:#04x} at {error.start}",
        ) from None
    except json.JSONDecodeError as error:
        raise EvidenceFormatError(
            Reason.BAD_VALUE, f"{where}:{error.lineno}:{error.colno}", expected="JSON", found=error.msg
        ) from None
    if "\\u" in text and not _encodable(value):
        raise EvidenceFormatError(
            Reason.BAD_ENCODING, where, expected="Unicode text", found="a lone surrogate escape"
        )
    return value


def member_bytes(raw: bytes, name: str, where: str) -> bytes:
    """The exact bytes of the value of top-level member `name`, for checking a signature over them.

    `raw` must be a JSON object that `loads` accepts. Raises EvidenceFormatError(BAD_VALUE) when there is no
    such member at the top level. Source: Intel PCS, "signature over the tcbInfo body as transmitted".
    """
    try:
        text = raw.decode("utf-8")
        decoder = json.JSONDecoder()
        at = _skip_space(text, text.index("{") + 1)
        while text[at] == '"':
            key, at = decoder.raw_decode(text, at)
            at = _skip_space(text, at)
            if text[at] != ":":
                break
            start = _skip_space(text, at + 1)
            _, at = decoder.raw_decode(text, start)
            if key == name:
                return text[start:at].encode("utf-8")
            at = _skip_space(text, at)
            if text[at] != ",":
                break
            at = _skip_space(text, at + 1)
    except (ValueError, IndexError, RecursionError):
        pass
    raise EvidenceFormatError(Reason.BAD_VALUE, where, expected=f'a member "{name}"', found="none")


def _skip_space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _check_depth(raw: bytes, where: str, max_depth: int) -> None:
    """Count brackets outside strings, so that a deep document never reaches the recursive parser."""
    if raw.count(b"{") + raw.count(b"[") <= max_depth:  # wherever they stand
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        if bracket in b"{[":
            depth += 1
            if depth > max_depth:
                raise EvidenceFormatError(
                    Reason.TOO_DEEP, where, expected=f"at most {max_depth} levels", found="more"
                )
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise EvidenceFormatError(
            Reason.DUPLICATE, where, expected="each key once", found=f"{_clip(twice)!r} twice"
        )
    return out


def _refuse_constant(name: str, where: str) -> Any:
    raise EvidenceFormatError(Reason.BAD_VALUE, where, expected="a finite number", found=name)


def _integer(digits: str, where: str) -> int:
    if len(digits) > _MAX_NUMBER:
        raise EvidenceFormatError(
            Reason.BAD_VALUE, where, expected=f"at most {_MAX_NUMBER} digits", found=f"{len(digits)} digits"
        )
    return int(digits)


def _float(digits: str, where: str) -> float:
    value = float(digits)
    if len(digits) > _MAX_NUMBER or value in (float("inf"), float("-inf")):
        raise EvidenceFormatError(Reason.BAD_VALUE, where, expected="a finite number", found=_clip(digits))
    return value


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _clip(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
