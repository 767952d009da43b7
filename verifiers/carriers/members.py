"""Members of JSON and CBOR objects, read strictly: known names only, exact types and lengths."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from verifiers.codec import b64
from verifiers.crypto import x509
from verifiers.errors import EndorsementFormatError, EvidenceFormatError, Reason

MAX_CERTIFICATES = 8
"""Certificates that may come with one piece of evidence: leaf, intermediate, root and some spare."""


def members(
    obj: object, where: str, *, required: Collection[str], optional: Collection[str]
) -> dict[str, object]:
    """`obj` as a dict with every required member and none but those named.

    Raises EvidenceFormatError(BAD_VALUE).
    """
    if not isinstance(obj, Mapping):
        raise bad(where, "an object", type_name(obj))
    names = [name for name in obj if isinstance(name, str)]
    missing = sorted(set(required) - set(names))
    if missing:
        raise bad(where, f'a member "{missing[0]}"', f"members {_names(names)}")
    unknown = sorted(set(names) - set(required) - set(optional))
    if unknown or len(names) != len(obj):
        found = f'member "{_clip(unknown[0])}"' if unknown else "a key that is not text"
        raise bad(where, f"only {', '.join(sorted({*required, *optional}))}", found)
    return {name: obj[name] for name in names}


def integer(value: object, where: str, *, high: int) -> int:
    """0 <= value <= high; true and false are no integers."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise bad(where, f"an integer 0..{high}", type_name(value))
    return value


def text(value: object, where: str, *, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise bad(where, f"text of at most {limit} characters", type_name(value))
    return value


def octets(value: object, where: str, *, low: int, high: int) -> bytes:
    """Bytes written as a JSON array of integers, as serde writes them."""
    if not isinstance(value, list):
        raise bad(where, "an array of integers 0..255", type_name(value))
    if not low <= len(value) <= high:
        wanted = f"{low}" if low == high else f"{low} to {high}"
        raise EvidenceFormatError(
            Reason.BAD_LENGTH, where, expected=f"{wanted} bytes", found=f"{len(value)} elements"
        )
    if not all(type(item) is int and 0 <= item <= 255 for item in value):
        raise bad(where, "integers 0..255", "something else in the array")
    return bytes(value)


def base64url(value: object, where: str, *, limit: int) -> bytes:
    """base64url as guests send it: without padding, or with exactly the padding that belongs there."""
    if isinstance(value, str) and value.endswith("="):
        bare = value.rstrip("=")
        if len(value) % 4 or len(value) - len(bare) > 2:
            raise EvidenceFormatError(
                Reason.BAD_ENCODING, where, expected="base64url", found="padding of the wrong length"
            )
        return b64.decode_url(bare, where, limit=limit)
    return b64.decode_url(value, where, limit=limit)


def hexadecimal(value: object, where: str, *, low: int, high: int) -> bytes:
    if not isinstance(value, str) or len(value) % 2 or not all(c in "0123456789abcdefABCDEF" for c in value):
        raise EvidenceFormatError(
            Reason.BAD_ENCODING, where, expected="hexadecimal digits, two a byte", found=type_name(value)
        )
    if not low <= len(value) // 2 <= high:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH, where, expected=f"{low} to {high} bytes", found=f"{len(value) // 2} bytes"
        )
    return bytes.fromhex(value)


def certificates(raw: bytes, where: str) -> tuple[bytes, ...]:
    """DER of what may be one DER certificate or PEM text (host tools put either into the same place).

    Only the outer shape is looked at here. Raises EvidenceFormatError(BAD_VALUE): empty; PEM that is not.
    """
    if not raw:
        raise bad(where, "a certificate", "nothing")
    if raw.lstrip()[:10] != b"-----BEGIN":
        return (raw,)
    try:
        return x509.split_pem(raw, where, limit=MAX_CERTIFICATES)
    except EndorsementFormatError as error:
        raise bad(where, error.expected, error.found) from None


def type_name(value: object) -> str:
    """What a value is, in JSON's words, for error texts."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {_clip(str(value))}"
    for kind, name in ((str, "text"), (bytes, "bytes"), (list, "an array"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return type(value).__name__


def bad(where: str, expected: str, found: str) -> EvidenceFormatError:
    return EvidenceFormatError(Reason.BAD_VALUE, where, expected=expected, found=found)


def _names(names: list[str]) -> str:
    return ", ".join(_clip(name) for name in sorted(names)[:8]) or "none"


def _clip(name: str) -> str:
    shown = name if len(name) <= 24 else name[:24] + "…"
    return "".join(c if c.isprintable() else "?" for c in shown)
