"""A Linux kernel as firmware measures it: changed by QEMU's loader, then hashed as a PE image.

Sources: Linux boot protocol; Microsoft's description of the Authenticode hash. The loader's changes were not
checked against a real launch.
"""

from __future__ import annotations

import hashlib

from policies.foundry.errors import FoundryError, FoundryReason, malformed

_MAGIC_AT, _VERSION_AT, _FLAGS_AT = 0x202, 0x206, 0x211
_HEADER_END = 0x268
_PROTOCOL = 0x20C
"""The first boot protocol with `xloadflags`; kernels with an EFI stub have it."""
_REAL_ADDRESS, _LINE_ADDRESS = 0x10000, 0x20000
_ACPI_SIZE = 0x28000
_PE32_PLUS = 0x20B
_MAX_SECTIONS = 96


def patched(kernel: bytes, initrd_size: int, low_memory: int) -> bytes:
    """The kernel with the setup header that QEMU's loader writes.

    initrd_size: 0 without one. low_memory: bytes of guest memory below 4 GiB. Raises FoundryError:
    MALFORMED, UNSUPPORTED for kernels of old protocols or loaded low, UNCERTAIN.
    """
    where = "kernel: setup header"
    if len(kernel) < _HEADER_END or kernel[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        raise malformed(
            where, expected="HdrS at 0x202", found=kernel[_MAGIC_AT : _MAGIC_AT + 4].hex() or "the end"
        )
    version = _number(kernel, _VERSION_AT, 2)
    if version < _PROTOCOL or not kernel[_FLAGS_AT] & 1:
        raise FoundryError(
            FoundryReason.UNSUPPORTED,
            where,
            expected=f"boot protocol {_PROTOCOL:#x} or later, loaded high",
            found=f"{version:#x}, flags {kernel[_FLAGS_AT]:#x}",
        )
    out = bytearray(kernel)
    out[0x210] = 0xB0
    out[_FLAGS_AT] |= 0x80
    if any(kernel[0x226:0x228]):
        raise FoundryError(
            FoundryReason.UNCERTAIN, where, expected="zeros at 0x226", found=kernel[0x226:0x228].hex()
        )
    out[0x224:0x228] = (_LINE_ADDRESS - _REAL_ADDRESS - 0x200).to_bytes(4, "little")
    out[0x228:0x22C] = _LINE_ADDRESS.to_bytes(4, "little")
    if initrd_size:
        address = _initrd_address(kernel, initrd_size, low_memory)
        out[0x218:0x220] = address.to_bytes(4, "little") + initrd_size.to_bytes(4, "little")
    return bytes(out)


def _initrd_address(kernel: bytes, size: int, low_memory: int) -> int:
    limits = {_number(kernel, 0x22C, 4)}
    # Sources differ in which bit of xloadflags lifts the limit: they must not matter.
    flags = _number(kernel, 0x236, 2)
    for bit in (1 << 1, 1 << 6):
        if flags & bit:
            limits.add(0xFFFFFFFF)
    if flags & (1 << 1) and flags & (1 << 6):
        limits = {0xFFFFFFFF}
    top = low_memory - _ACPI_SIZE - 1
    found = {(min(limit, top) - size) & ~0xFFF for limit in limits}
    if len(found) != 1:
        raise FoundryError(
            FoundryReason.UNCERTAIN,
            "kernel: place of the initrd",
            expected="one",
            found=", ".join(f"{value:#x}" for value in sorted(found)),
        )
    (address,) = found
    if address < 0x100000 or size >= 1 << 32:
        raise malformed("initrd", expected=f"room below {top:#x}", found=f"{size} bytes")
    return address


def authenticode(image: bytes) -> bytes:
    """SHA-384 of a PE32+ image, as for Authenticode, 48 bytes.

    Left out: checksum, the directory entry of certificates, certificates. Raises FoundryError: MALFORMED,
    UNSUPPORTED, UNCERTAIN for a size that would have to be padded (firmware pads, or does not).
    """
    where = "kernel: PE image"
    size = len(image)
    pe = _number(image, 0x3C, 4)
    if image[:2] != b"MZ" or pe + 24 > size or image[pe : pe + 4] != b"PE\0\0":
        raise malformed(
            where, expected="MZ, and PE at the offset at 0x3c", found=image[:2].hex() or "nothing"
        )
    count, optional_size = _number(image, pe + 6, 2), _number(image, pe + 20, 2)
    optional = pe + 24
    table = optional + optional_size
    if (
        _number(image, optional, 2) != _PE32_PLUS
        or optional_size < 152
        or _number(image, optional + 108, 4) < 5
    ):
        raise FoundryError(
            FoundryReason.UNSUPPORTED, where, expected="PE32+ with a certificate directory", found="another"
        )
    headers = _number(image, optional + 60, 4)
    if not 0 < count <= _MAX_SECTIONS or table + 40 * count > headers or headers > size:
        raise malformed(where, expected=f"headers within {size} bytes", found=f"{headers}, {count} sections")
    if size % 8:
        raise FoundryError(FoundryReason.UNCERTAIN, where, expected="a size in eights", found=size)
    directory = optional + 144
    certificates = _number(image, directory, 4), _number(image, directory + 4, 4)
    end = size - certificates[1]
    if certificates[1] and (certificates[0] != end or end < headers):
        raise malformed(f"{where}: certificates", expected="at the end", found=f"at {certificates[0]}")
    digest = hashlib.sha384(image[: optional + 64])
    digest.update(image[optional + 68 : directory])
    digest.update(image[directory + 8 : headers])
    at = headers
    for start, length in _sections(image, table, count):
        if start < at or start + length > end:
            raise malformed(
                f"{where}: sections",
                expected=f"one after another, between {at} and {end}",
                found=f"at {start}",
            )
        if start > at:
            # Firmware counts what it hashed, and takes the rest from that count: gaps make another digest.
            raise FoundryError(
                FoundryReason.UNCERTAIN, f"{where}: sections", expected=f"no gap at {at}", found=start
            )
        digest.update(image[start : start + length])
        at = start + length
    digest.update(image[at:end])
    return digest.digest()


def _sections(image: bytes, table: int, count: int) -> list[tuple[int, int]]:
    """(offset, bytes) of those that have bytes in the file, by offset."""
    rows = [
        (_number(image, at + 20, 4), _number(image, at + 16, 4))
        for at in range(table, table + 40 * count, 40)
    ]
    return sorted(row for row in rows if row[1])


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
