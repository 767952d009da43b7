"""A small writer of Linux kernels with an EFI stub: setup and PE headers, no code. And of variable stores."""

from __future__ import annotations

from tests.firmware import le

CHECKSUM_AT, CERTIFICATES_AT = 0x58 + 64, 0x58 + 144


def kernel(
    *,
    protocol: int = 0x20F,
    flags: int = 1,
    xloadflags: int = 0x7F,
    limit: int = 0x7FFFFFFF,
    body: bytes = b"k" * 1024,
    certificates: bytes = b"",
    gap: int = 0,
) -> bytes:
    """PE header at 0x40, optional header at 0x58, two sections behind 1024 bytes of headers."""
    raw = bytearray(0x400)
    raw[:2] = b"MZ"
    raw[0x3C:0x40] = le((0x40, 4))
    raw[0x40:0x58] = b"PE\0\0" + le((0x8664, 2), (2, 2), (0, 12), (160, 2), (0x206, 2))
    raw[0x58:0x5A] = le((0x20B, 2))
    raw[0x58 + 60 : 0x58 + 64] = le((0x400, 4))
    raw[CHECKSUM_AT : CHECKSUM_AT + 4] = b"CHEK"
    raw[0x58 + 108 : 0x58 + 112] = le((6, 4))
    end = 0x400 + gap + len(body)
    if certificates:
        raw[CERTIFICATES_AT : CERTIFICATES_AT + 8] = le((end, 4), (len(certificates), 4))
    half = len(body) // 2
    for at, (start, size) in (
        (0xF8, (0x400 + gap + half, len(body) - half)),  # out of order: hashed by offset
        (0x120, (0x400 + gap, half)),
    ):
        raw[at + 16 : at + 24] = le((size, 4), (start, 4))
    raw[0x202:0x208] = b"HdrS" + le((protocol, 2))
    raw[0x211] = flags
    raw[0x22C:0x230] = le((limit, 4))
    raw[0x236:0x238] = le((xloadflags, 2))
    return bytes(raw) + bytes(gap) + body + certificates


def variable_store(size: int = 4096, first: bytes = b"\xff\xff") -> bytes:
    """A firmware volume whose variable store begins with `first`."""
    raw = bytearray(b"\xff" * size)
    raw[:0x48] = bytes(0x28) + b"_FVH" + bytes(4) + le((0x48, 2)) + bytes(22)
    raw[0x48:0x64] = bytes(28)
    raw[0x64:0x66] = first
    return bytes(raw)
