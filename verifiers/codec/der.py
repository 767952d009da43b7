"""The few DER shapes that vendors use inside certificate extensions (ITU-T X.690, section 10).

Strict: definite minimal lengths, minimal integers, no trailing data, low tag numbers only. Whole
certificates are parsed by `cryptography`; this reads what it hands over as opaque bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifiers.errors import EndorsementFormatError, Reason

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0A
UTF8_STRING, IA5_STRING, SEQUENCE, SET = 0x0C, 0x16, 0x30, 0x31
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


@dataclass(frozen=True, slots=True)
class Tlv:
    """One element: tag octet, content octets, and the whole encoding."""

    tag: int
    value: bytes
    raw: bytes


def read(raw: bytes, where: str, at: int = 0) -> tuple[Tlv, int]:
    """The element that starts at `at`, and the offset behind it."""
    if len(raw) - at < 2:
        raise _bad(where, "tag and length", f"{len(raw) - at} bytes")
    tag, first, start = raw[at], raw[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise _bad(where, "a low tag number", f"{tag:#04x}")
    length = first
    if first >= 0x80:
        count = first & 0x7F
        if not 1 <= count <= 4 or len(raw) - start < count:
            raise _bad(where, "a definite length of at most 4 octets", f"{first:#04x}")
        length = int.from_bytes(raw[start : start + count], "big")
        if length < 0x80 or raw[start] == 0:
            raise _bad(where, "a minimal length", raw[at : start + count].hex())
        start += count
    end = start + length
    if end > len(raw):
        raise _bad(where, f"{length} bytes of content", f"{len(raw) - start} bytes left")
    return Tlv(tag, raw[start:end], raw[at:end]), end


def only(raw: bytes, tag: int, where: str) -> Tlv:
    """The single element that `raw` consists of, which must have tag `tag`."""
    tlv, end = read(raw, where)
    if tlv.tag != tag:
        raise _bad(where, f"tag {tag:#04x}", f"tag {tlv.tag:#04x}")
    if end != len(raw):
        raise _bad(where, "end of data", f"{len(raw) - end} more bytes")
    return tlv


def children(value: bytes, where: str, *, limit: int = 64) -> tuple[Tlv, ...]:
    """The elements of a constructed value, at most `limit`."""
    out: list[Tlv] = []
    at = 0
    while at < len(value):
        if len(out) == limit:
            raise _bad(where, f"at most {limit} elements", "more")
        tlv, at = read(value, f"{where}[{len(out)}]", at)
        out.append(tlv)
    return tuple(out)


def integer(tlv: Tlv, where: str, *, low: int, high: int, tag: int = INTEGER) -> int:
    """A minimal INTEGER (or ENUMERATED, by `tag`) with low <= value <= high."""
    if tlv.tag != tag or not tlv.value:
        raise _bad(where, f"tag {tag:#04x} with content", f"tag {tlv.tag:#04x}, {len(tlv.value)} bytes")
    raw = tlv.value
    if len(raw) > 1 and ((raw[0] == 0 and raw[1] < 0x80) or (raw[0] == 0xFF and raw[1] >= 0x80)):
        raise _bad(where, "a minimal integer", raw[:16].hex())
    value = int.from_bytes(raw, "big", signed=True)
    if not low <= value <= high:
        raise _bad(where, f"{low}..{high}", raw[:16].hex())
    return value


def octets(tlv: Tlv, where: str, *, size: int) -> bytes:
    if tlv.tag != OCTET_STRING or len(tlv.value) != size:
        raise _bad(where, f"OCTET STRING of {size} bytes", f"tag {tlv.tag:#04x}, {len(tlv.value)} bytes")
    return tlv.value


def boolean(tlv: Tlv, where: str) -> bool:
    if tlv.tag != BOOLEAN or tlv.value not in (b"\x00", b"\xff"):
        raise _bad(where, "BOOLEAN 00 or ff", f"tag {tlv.tag:#04x}, {tlv.value[:8].hex()}")
    return tlv.value == b"\xff"


def ia5_string(tlv: Tlv, where: str) -> str:
    if tlv.tag != IA5_STRING or not all(0x20 <= byte < 0x7F for byte in tlv.value):
        raise _bad(where, "printable IA5String", f"tag {tlv.tag:#04x}")
    return tlv.value.decode("ascii")


def oid(tlv: Tlv, where: str) -> str:
    """Dotted form of an OBJECT IDENTIFIER."""
    raw = tlv.value
    if tlv.tag != OID or not raw or raw[-1] & 0x80 or len(raw) > 64:
        raise _bad(where, "OBJECT IDENTIFIER", f"tag {tlv.tag:#04x}, {len(raw)} bytes")
    arcs: list[int] = []
    value = 0
    for index, byte in enumerate(raw):
        if value == 0 and byte == 0x80:
            raise _bad(where, "minimal OID arcs", raw.hex())
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
        elif index == len(raw) - 1:
            raise _bad(where, "a complete OID", raw.hex())
    top = min(arcs[0] // 40, 2)
    return ".".join(map(str, (top, arcs[0] - 40 * top, *arcs[1:])))


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.CERTIFICATE_MALFORMED, where, expected=expected, found=found)
