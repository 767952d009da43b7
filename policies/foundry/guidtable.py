"""The table of GUIDed entries near the end of an OVMF, SVSM or TDVF image.

It ends 32 bytes before the end of the image (the reset vector). Its last entry is {size u16, GUID} and gives
the size of the whole table; before it stand the entries, each {data, size u16, GUID}, read backwards. Sizes
include the trailer. GUIDs are mixed-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policies.foundry.errors import FoundryError, FoundryReason, malformed

MAX_IMAGE = 64 << 20
"""Bytes of a firmware image. OVMF builds have 2 to 16 MiB."""
PAGE = 4096

_RESET_VECTOR = 32
_TRAILER = 18


def guid(text: str) -> bytes:
    """The 16 bytes of a GUID as firmware stores them: the first three groups little-endian."""
    raw = bytes.fromhex(text.replace("-", ""))
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]


FOOTER = guid("96b582de-1fb2-45f7-baea-a366c55a082d")


def parse(image: bytes, what: str) -> Mapping[bytes, bytes]:
    """Entry data by GUID.

    Raises FoundryError: MISSING if there is no table, MALFORMED if an entry runs out of it, or stands twice.
    """
    if not 0 < len(image) <= MAX_IMAGE or len(image) % PAGE:
        raise malformed(
            what, expected=f"whole 4096-byte pages, at most {MAX_IMAGE} bytes", found=f"{len(image)} bytes"
        )
    end = len(image) - _RESET_VECTOR
    if image[end - 16 : end] != FOOTER:
        raise FoundryError(
            FoundryReason.MISSING,
            f"{what}: GUIDed table",
            expected=f"GUID {FOOTER.hex()} 48 bytes before the end",
            found=image[end - 16 : end].hex(),
        )
    size = int.from_bytes(image[end - _TRAILER : end - 16], "little")
    if not _TRAILER <= size <= end:
        raise malformed(f"{what}: GUIDed table size", expected=f"{_TRAILER} to {end}", found=size)
    start, at = end - size, end - _TRAILER
    entries: dict[bytes, bytes] = {}
    while at > start:
        left = at - start
        length = int.from_bytes(image[at - _TRAILER : at - 16], "little") if left >= _TRAILER else 0
        if not _TRAILER <= length <= left:
            raise malformed(f"{what}: GUIDed entry size", expected=f"{_TRAILER} to {left}", found=length)
        name = image[at - 16 : at]
        if name in entries:
            raise malformed(f"{what}: GUIDed entry", expected="each GUID once", found=f"{name.hex()} twice")
        entries[name] = image[at - length : at - _TRAILER]
        at -= length
    return MappingProxyType(entries)


def number(entries: Mapping[bytes, bytes], name: bytes, sizes: tuple[int, ...], where: str) -> int:
    """The u32 that an entry starts with; `sizes` are the lengths that its data may have.

    Raises FoundryError(MISSING, MALFORMED).
    """
    data = entries.get(name)
    if data is None:
        raise FoundryError(
            FoundryReason.MISSING, where, expected=f"an entry {name.hex()} in the GUIDed table", found="none"
        )
    if len(data) not in sizes:
        raise malformed(where, expected=f"{' or '.join(map(str, sizes))} bytes", found=f"{len(data)} bytes")
    return int.from_bytes(data[:4], "little")


def from_end(image: bytes, offset: int, size: int, where: str) -> bytes:
    """`size` bytes that start `offset` bytes before the end of the image. Raises FoundryError(MALFORMED)."""
    if not size <= offset <= len(image):
        raise malformed(where, expected=f"{size} to {len(image)} bytes before the end", found=offset)
    start = len(image) - offset
    return image[start : start + size]
