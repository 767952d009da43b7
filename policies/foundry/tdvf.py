"""TDX firmware: the TDVF descriptor, and MRTD as the TDX module builds it from that."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from policies.foundry import guidtable
from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.guidtable import PAGE, guid

_DESCRIPTOR = guid("e47a6535-984a-4798-865e-4685a7bf8ec2")
_HEADER, _ROW = 16, 32
_CHUNK = 256
MAX_SECTIONS = 64
MAX_PAGES = 1 << 16
"""Pages that are added, of all sections together (256 MiB)."""


class SectionType(enum.IntEnum):
    """TDVF section types; the last two are those of td-shim."""

    BFV = 0
    CFV = 1
    TD_HOB = 2
    TEMP_MEM = 3
    PERM_MEM = 4
    PAYLOAD = 5
    PAYLOAD_PARAM = 6


class Attribute(enum.IntFlag):
    MR_EXTEND = 1
    PAGE_AUG = 2


class PageOrder(enum.StrEnum):
    """How the monitor adds the pages of a section. Values are words of the command line.

    SINGLE_PASS: each page is added, then measured (QEMU 9 and later). TWO_PASS: all pages are added, then
    all are measured (TDX forks of QEMU 8).
    """

    SINGLE_PASS = "single-pass"  # noqa: S105
    TWO_PASS = "two-pass"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """data: what the file holds of it; the rest of `memory_size` is zero. gpa, memory_size: whole pages."""

    data: bytes
    gpa: int
    memory_size: int
    type: SectionType
    attributes: Attribute


def parse(image: bytes) -> tuple[Section, ...]:
    """Sections in metadata order.

    Raises FoundryError: MISSING without a descriptor, MALFORMED, UNSUPPORTED for a version, type or attribute
    that we do not know, TOO_MUCH.
    """
    where = "firmware: TDVF descriptor"
    entries = guidtable.parse(image, "firmware")
    offset = guidtable.number(entries, _DESCRIPTOR, (4,), where)
    header = guidtable.from_end(image, offset, _HEADER, where)
    length, version, count = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
    if header[:4] != b"TDVF":
        raise malformed(where, expected="TDVF", found=header[:4].hex())
    if version != 1:
        raise FoundryError(FoundryReason.UNSUPPORTED, f"{where} version", expected=1, found=version)
    if not 0 < count <= MAX_SECTIONS or length != _HEADER + _ROW * count:
        raise malformed(
            where,
            expected=f"16 + 32 bytes for each of 1 to {MAX_SECTIONS} sections",
            found=f"{length} bytes for {count} sections",
        )
    table = guidtable.from_end(image, offset, length, where)
    sections = tuple(
        _section(image, table[at : at + _ROW], f"{where}: section {n}")
        for n, at in enumerate(range(_HEADER, length, _ROW))
    )
    check(sections)
    return sections


def _section(image: bytes, row: bytes, where: str) -> Section:
    offset, raw_size, kind, attributes = (int.from_bytes(row[at : at + 4], "little") for at in (0, 4, 24, 28))
    gpa, size = (int.from_bytes(row[at : at + 8], "little") for at in (8, 16))
    if kind not in SectionType._value2member_map_:
        raise FoundryError(FoundryReason.UNSUPPORTED, f"{where} type", expected="0 to 6", found=kind)
    if attributes & ~3:
        raise FoundryError(
            FoundryReason.UNSUPPORTED,
            f"{where} attributes",
            expected="bits 0 and 1",
            found=f"{attributes:#x}",
        )
    if offset + raw_size > len(image):
        raise malformed(
            where,
            expected=f"data within {len(image)} bytes (of the whole image, with its variable store)",
            found=f"{raw_size} bytes at {offset}",
        )
    return Section(
        data=image[offset : offset + raw_size],
        gpa=gpa,
        memory_size=size,
        type=SectionType(kind),
        attributes=Attribute(attributes),
    )


def check(sections: Sequence[Section]) -> None:
    """Addresses and sizes that a TD can have. Raises FoundryError(MALFORMED, TOO_MUCH)."""
    where = "TDVF sections"
    for section in sections:
        if section.gpa % PAGE or section.memory_size % PAGE or section.gpa + section.memory_size > 1 << 52:
            raise malformed(
                where, expected="whole pages", found=f"{section.memory_size:#x} bytes at {section.gpa:#x}"
            )
        if len(section.data) > section.memory_size:
            raise malformed(
                where, expected=f"at most {section.memory_size} bytes of data", found=len(section.data)
            )
        if section.attributes == Attribute.MR_EXTEND | Attribute.PAGE_AUG:
            raise malformed(where, expected="measured, or added later", found="both")
    ordered = sorted((s for s in sections if s.memory_size), key=lambda section: section.gpa)
    for low, high in pairwise(ordered):
        if low.gpa + low.memory_size > high.gpa:
            raise malformed(where, expected="no overlap", found=f"two at {high.gpa:#x}")
    pages = sum(s.memory_size for s in sections if not s.attributes & Attribute.PAGE_AUG) // PAGE
    if pages > MAX_PAGES:
        raise FoundryError(FoundryReason.TOO_MUCH, where, expected=f"at most {MAX_PAGES} pages", found=pages)


def mr_td(sections: Sequence[Section], order: PageOrder) -> bytes:
    """MRTD, 48 bytes. It depends on neither memory size nor vCPU count. Raises FoundryError as `check`."""
    check(sections)
    digest = hashlib.sha384()
    for section in sections:
        if section.attributes & Attribute.PAGE_AUG:
            continue
        measured = bool(section.attributes & Attribute.MR_EXTEND)
        data = section.data.ljust(section.memory_size, b"\0") if measured else b""
        pages = range(0, section.memory_size, PAGE)
        for at in pages:
            digest.update(_record(b"MEM.PAGE.ADD", section.gpa + at))
            if measured and order is PageOrder.SINGLE_PASS:
                digest.update(_extends(data, section.gpa, at))
        if measured and order is PageOrder.TWO_PASS:
            for at in pages:
                digest.update(_extends(data, section.gpa, at))
    return digest.digest()


def _record(name: bytes, gpa: int) -> bytes:
    return (name.ljust(16, b"\0") + gpa.to_bytes(8, "little")).ljust(128, b"\0")


def _extends(data: bytes, gpa: int, page: int) -> bytes:
    return b"".join(
        _record(b"MR.EXTEND", gpa + at) + data[at : at + _CHUNK] for at in range(page, page + PAGE, _CHUNK)
    )
