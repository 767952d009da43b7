"""A small writer of IGVM files: variable headers, their data, and the checksum."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tests.firmware import le

PLATFORM, POLICY, RELOCATABLE = 0x1, 0x101, 0x102
AREA, PAGE_DATA, INSERT, VP_CONTEXT, REQUIRED, VP_COUNT = 0x301, 0x302, 0x303, 0x304, 0x305, 0x307
ID_BLOCK, ERROR_RANGE = 0x30B, 0x30D
NORMAL, SECRETS, CPUID, CPUID_XF = 0, 1, 2, 3
KVM_VMSA = 0xFFFFFFFFF000


@dataclass(frozen=True)
class Item:
    """One variable header. data: what stands in the file for it; its offset is put at `offset_at`."""

    kind: int
    body: bytes
    data: bytes = b""
    offset_at: int = 12


def platform(mask: int = 1, kind: int = 2, version: int = 1) -> Item:
    return Item(PLATFORM, le((mask, 4), (0, 1), (kind, 1), (version, 2), (0, 8)))


def policy(value: int = 0x30000, mask: int = 1) -> Item:
    return Item(POLICY, le((value, 8), (mask, 4), (0, 4)))


def page(gpa: int, data: bytes = b"", kind: int = NORMAL, flags: int = 0, mask: int = 1) -> Item:
    return Item(PAGE_DATA, le((gpa, 8), (mask, 4), (0, 4), (flags, 4), (kind, 2), (0, 2)), data)


def area(index: int = 0, size: int = 4096) -> Item:
    return Item(AREA, le((size, 8), (index, 4), (0, 4)))


def vp_count(index: int = 0, offset: int = 0) -> Item:
    return Item(VP_COUNT, le((index, 4), (offset, 4)))


def insert(gpa: int, index: int = 0, mask: int = 1) -> Item:
    return Item(INSERT, le((gpa, 8), (mask, 4), (index, 4)))


def context(gpa: int, vmsa: bytes, vp_index: int = 0, mask: int = 1) -> Item:
    return Item(VP_CONTEXT, le((gpa, 8), (mask, 4), (0, 4), (vp_index, 2), (0, 2)), vmsa)


def required(gpa: int, size: int, kind: int = REQUIRED) -> Item:
    tail = le((0, 8)) if kind == REQUIRED else b""
    return Item(kind, le((gpa, 8), (1, 4), (size, 4)) + tail)


def id_block(ld: bytes, version: int = 1) -> Item:
    body = le((1, 4), (0, 4)) + ld + b"F" * 16 + b"I" * 16 + le((version, 4), (7, 4), (1, 4), (0, 4))
    return Item(ID_BLOCK, body.ljust(696, b"\0"))


def vmsa(features: int = 1) -> bytes:
    raw = bytearray(4096)
    raw[0x178:0x180] = le((0x1000, 8))
    raw[0x3B0:0x3B8] = le((features, 8))
    return bytes(raw)


def build(items: Sequence[Item], version: int = 1) -> bytes:
    size = sum(8 + -(-len(item.body) // 8) * 8 for item in items)
    headers, data = b"", b""
    for item in items:
        body = bytearray(item.body)
        if item.data:
            body[item.offset_at : item.offset_at + 4] = le((24 + size + len(data), 4))
            data += item.data
        headers += le((item.kind, 4), (len(body), 4)) + bytes(body) + bytes(-len(body) % 8)
    return sealed(
        b"IGVM" + le((version, 4), (24, 4), (size, 4), (24 + size + len(data), 4), (0, 4)) + headers + data
    )


def sealed(raw: bytes) -> bytes:
    """With the checksum that its headers ask for."""
    end = 24 + int.from_bytes(raw[12:16], "little")
    checked = raw[:20] + bytes(4) + raw[24:end]
    return raw[:20] + le((zlib.crc32(checked), 4)) + raw[24:]


def guest(*more: Item, gpa: int = KVM_VMSA) -> list[Item]:
    """What a loader needs, with pages by ascending address."""
    return [
        platform(),
        policy(),
        area(),
        vp_count(),
        page(0x1000, b"\1" * 4096),
        page(0x2000),
        page(0x3000, kind=SECRETS),
        page(0x4000, kind=CPUID, data=b"\2" * 4096),
        insert(0x5000),
        page(0x6000, b"\3" * 4096, flags=2),
        required(0x100000, 0x10000),
        *more,
        context(gpa, vmsa()),
    ]
