"""Writes the DER that certificates, CRLs and vendor extensions are made of (ITU-T X.690, section 10).

The counterpart of `verifiers/codec/der.py`, which only reads. Small on purpose: the builders of
`cryptography` refuse what AMD really issues (serial number 0, an explicit default in PSS parameters) and
could not be talked into minting the wrong shapes that tests want.
"""

from __future__ import annotations

from datetime import UTC, datetime

from verifiers.codec import der

NULL = b"\x05\x00"
_PRINTABLE_STRING, _UTC_TIME, _GENERALIZED_TIME = 0x13, 0x17, 0x18


def tlv(tag: int, content: bytes) -> bytes:
    """One element with a definite, minimal length; `tag` is the identifier octet."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*elements: bytes) -> bytes:
    return tlv(der.SEQUENCE, b"".join(elements))


def set_of(*elements: bytes) -> bytes:
    """SET OF; DER wants the encodings in ascending order."""
    return tlv(der.SET, b"".join(sorted(elements)))


def integer(value: int, *, tag: int = der.INTEGER) -> bytes:
    """A minimal two's complement INTEGER: 0x80 and above take a leading zero octet."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(tag, value.to_bytes(size, "big", signed=True))


def enumerated(value: int) -> bytes:
    return integer(value, tag=der.ENUMERATED)


def boolean(value: bool) -> bytes:
    return tlv(der.BOOLEAN, b"\xff" if value else b"\x00")


def octet_string(content: bytes) -> bytes:
    return tlv(der.OCTET_STRING, content)


def bit_string(content: bytes, *, unused: int = 0) -> bytes:
    """BIT STRING; `unused` counts the spare low bits of the last octet."""
    return tlv(der.BIT_STRING, bytes((unused,)) + content)


def oid(dotted: str) -> bytes:
    first, second, *others = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (40 * first + second, *others):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return tlv(der.OID, bytes(out))


def utf8_string(text: str) -> bytes:
    return tlv(der.UTF8_STRING, text.encode())


def printable_string(text: str) -> bytes:
    return tlv(_PRINTABLE_STRING, text.encode("ascii"))


def ia5_string(text: str) -> bytes:
    return tlv(der.IA5_STRING, text.encode("ascii"))


def context(number: int, content: bytes, *, constructed: bool = True) -> bytes:
    """A context-specific element: explicit tagging around a whole element, or implicit with its content."""
    return tlv(0xA0 | number if constructed else 0x80 | number, content)


def time(moment: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5). Whole seconds; aware only."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime is no moment")
    utc = moment.astimezone(UTC)
    if 1950 <= utc.year < 2050:
        return tlv(_UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(_GENERALIZED_TIME, utc.strftime("%Y%m%d%H%M%SZ").encode())
