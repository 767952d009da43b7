"""A small writer of firmware images: GUIDed table, SEV metadata, TDVF descriptor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.foundry.guidtable import FOOTER, guid

SEV_METADATA = guid("dc886566-984a-4798-a75e-5585a7bf67cc")
AP_RESET = guid("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
HASH_TABLE = guid("7255371f-3a3b-4b04-927b-1da6efa8d454")
SVSM_INFO = guid("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd")
TDVF = guid("e47a6535-984a-4798-865e-4685a7bf8ec2")

SEC_MEM, SECRETS, CPUID, SVSM_CAA, KERNEL_HASHES = 1, 2, 3, 4, 0x10
SECTIONS = (
    (0x800000, 0x2000, SEC_MEM),
    (0x80D000, 0x1000, SECRETS),
    (0x80E000, 0x1000, CPUID),
    (0x80F000, 0x1000, SVSM_CAA),
    (0x810000, 0x1000, KERNEL_HASHES),
    (0x811000, 0x1000, SEC_MEM),
)
PLAIN = tuple(section for section in SECTIONS if section[2] != KERNEL_HASHES)
AT = 2048
"""Metadata stands this many bytes before the end."""


def le(*values: tuple[int, int]) -> bytes:
    """(value, size) pairs, little-endian, one after another."""
    return b"".join(value.to_bytes(size, "little") for value, size in values)


def image(entries: Mapping[bytes, bytes], metadata: bytes, size: int = 8192) -> bytes:
    """An image that ends in these entries; `metadata` stands AT bytes before the end, filler elsewhere."""
    table = b"".join(data + le((len(data) + 18, 2)) + name for name, data in reversed(list(entries.items())))
    table += le((len(table) + 18, 2)) + FOOTER
    raw = bytearray(i * 7 & 0xFF for i in range(size))
    raw[size - AT : size - AT + len(metadata)] = metadata
    raw[size - 32 - len(table) : size - 32] = table
    return bytes(raw)


def sev_metadata(sections: Sequence[tuple[int, int, int]]) -> bytes:
    rows = b"".join(le((gpa, 4), (size, 4), (kind, 4)) for gpa, size, kind in sections)
    return b"ASEV" + le((16 + len(rows), 4), (1, 4), (len(sections), 4)) + rows


def ovmf(sections: Sequence[tuple[int, int, int]] = SECTIONS, size: int = 8192) -> bytes:
    entries = {
        TDVF: le((AT, 4)),
        SEV_METADATA: le((AT, 4)),
        HASH_TABLE: le((0x810C00, 4), (0x400, 4)),
        AP_RESET: le((0x80B004, 4)),
    }
    return image(entries, sev_metadata(sections), size)


def svsm(size: int = 8192) -> bytes:
    entries = {SEV_METADATA: le((AT, 4)), SVSM_INFO: le((0x40, 4))}
    return image(entries, sev_metadata(((0, 0x3000, SEC_MEM), (0x3000, 0x1000, SECRETS))), size)


def tdvf(sections: Sequence[tuple[int, int, int, int, int, int]] | None = None, size: int = 8192) -> bytes:
    """sections: (data offset, raw size, GPA, memory size, type, attributes)."""
    rows = sections or (
        (0, size, (1 << 32) - size, size, 0, 1),
        (0, 0, 0x809000, 0x2000, 2, 0),
        (0, 0, 0x80B000, 0x1000, 4, 2),
    )
    body = b"".join(
        le((offset, 4), (raw, 4), (gpa, 8), (memory, 8), (kind, 4), (bits, 4))
        for offset, raw, gpa, memory, kind, bits in rows
    )
    descriptor = b"TDVF" + le((16 + len(body), 4), (1, 4), (len(rows), 4)) + body
    return image({TDVF: le((AT, 4))}, descriptor, size)
