"""What an OVMF or SVSM image says about its SEV-SNP launch: sections, and where vCPUs start."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from policies.foundry import guidtable
from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.guidtable import PAGE, guid

_METADATA = guid("dc886566-984a-4798-a75e-5585a7bf67cc")
_AP_RESET = guid("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
_HASH_TABLE = guid("7255371f-3a3b-4b04-927b-1da6efa8d454")
_SVSM_INFO = guid("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd")

_HEADER, _ROW = 16, 12
MAX_SECTIONS = 64
MAX_PAGES = 1 << 16
"""Pages of all sections together (256 MiB): each costs one hash."""


class SectionType(enum.IntEnum):
    """OvmfSevMetadata, section types."""

    SEC_MEM = 1
    SECRETS = 2
    CPUID = 3
    SVSM_CAA = 4
    KERNEL_HASHES = 0x10


@dataclass(frozen=True, slots=True)
class Section:
    """Guest addresses and bytes, both multiples of 4096. An SVSM's sections too are at these addresses."""

    gpa: int
    size: int
    type: SectionType


@dataclass(frozen=True, slots=True)
class SevFirmware:
    """One image, read strictly. entries: the GUIDed table, of which other parts may be asked for."""

    image: bytes
    sections: tuple[Section, ...]
    entries: Mapping[bytes, bytes]
    what: str

    def ap_reset(self) -> int:
        """Address at which APs start. Raises FoundryError(MISSING)."""
        return guidtable.number(self.entries, _AP_RESET, (4,), f"{self.what}: AP reset address")

    def hash_table(self) -> int:
        """GPA of the kernel hash table. Raises FoundryError(MISSING)."""
        return guidtable.number(self.entries, _HASH_TABLE, (4, 8), f"{self.what}: kernel hash table")

    def svsm_entry(self) -> int:
        """Offset in the loaded SVSM at which it starts. Raises FoundryError(MISSING)."""
        return guidtable.number(self.entries, _SVSM_INFO, (4,), f"{self.what}: SVSM information")

    def has(self, kind: SectionType) -> bool:
        return any(section.type is kind for section in self.sections)


def parse(image: bytes, what: str) -> SevFirmware:
    """Raises FoundryError: MISSING without metadata, MALFORMED, UNSUPPORTED for a version or section type."""
    entries = guidtable.parse(image, what)
    where = f"{what}: SEV metadata"
    offset = guidtable.number(entries, _METADATA, (4,), where)
    header = guidtable.from_end(image, offset, _HEADER, where)
    size, version, count = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
    if header[:4] != b"ASEV":
        raise malformed(where, expected="ASEV", found=header[:4].hex())
    if version != 1:
        raise FoundryError(FoundryReason.UNSUPPORTED, f"{where} version", expected=1, found=version)
    if not 0 < count <= MAX_SECTIONS or size != _HEADER + _ROW * count:
        raise malformed(
            where,
            expected=f"16 + 12 bytes for each of 1 to {MAX_SECTIONS} sections",
            found=f"{size} bytes for {count} sections",
        )
    table = guidtable.from_end(image, offset, size, where)
    sections = tuple(
        _section(table[at : at + _ROW], f"{where}: section {n}")
        for n, at in enumerate(range(_HEADER, size, _ROW))
    )
    _no_overlap(sections, where)
    return SevFirmware(image, sections, entries, what)


def _section(row: bytes, where: str) -> Section:
    gpa, size, kind = (int.from_bytes(row[at : at + 4], "little") for at in (0, 4, 8))
    if kind not in SectionType._value2member_map_:
        raise FoundryError(
            FoundryReason.UNSUPPORTED, f"{where} type", expected="1 to 4 or 0x10", found=f"{kind:#x}"
        )
    if gpa % PAGE or size % PAGE or not size or gpa + size > 1 << 32:
        raise malformed(where, expected="whole pages below 4 GiB", found=f"{size:#x} bytes at {gpa:#x}")
    return Section(gpa, size, SectionType(kind))


def _no_overlap(sections: tuple[Section, ...], where: str) -> None:
    ordered = sorted(sections, key=lambda section: section.gpa)
    for low, high in pairwise(ordered):
        if low.gpa + low.size > high.gpa:
            raise malformed(where, expected="sections that do not overlap", found=f"two at {high.gpa:#x}")
    pages = sum(section.size for section in sections) // PAGE
    if pages > MAX_PAGES:
        raise FoundryError(FoundryReason.TOO_MUCH, where, expected=f"at most {MAX_PAGES} pages", found=pages)
