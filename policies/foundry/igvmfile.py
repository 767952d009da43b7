"""IGVM files, read strictly: fixed header, variable headers, and where each finds its data.

Version 1 of the format only. Whatever is not understood is refused, also what a loader may skip: another one
may not skip it, and then measures something else. Source: the published definitions of the IGVM format.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.guidtable import PAGE

MAX_FILE = 512 << 20
"""Bytes of a file: it may hold kernel and initrd."""
MAX_AREA = 1 << 24
"""Bytes of one parameter area."""
MAX_HEADERS = 1 << 18
LARGE_PAGE = 2 << 20

_FIXED = 24
_ADDRESS_LIMIT = 1 << 52


class Header(enum.IntEnum):
    """Types of variable headers."""

    SUPPORTED_PLATFORM = 0x001
    GUEST_POLICY = 0x101
    RELOCATABLE_REGION = 0x102
    PAGE_TABLE_RELOCATION = 0x103
    PARAMETER_AREA = 0x301
    PAGE_DATA = 0x302
    PARAMETER_INSERT = 0x303
    VP_CONTEXT = 0x304
    REQUIRED_MEMORY = 0x305
    VP_COUNT = 0x307
    SRAT = 0x308
    MADT = 0x309
    MMIO_RANGES = 0x30A
    SNP_ID_BLOCK = 0x30B
    MEMORY_MAP = 0x30C
    ERROR_RANGE = 0x30D
    COMMAND_LINE = 0x30E
    SLIT = 0x30F
    PPTT = 0x310
    VBS_MEASUREMENT = 0x311
    DEVICE_TREE = 0x312
    ENVIRONMENT_INFO = 0x313


_PARAMETERS = frozenset(
    {
        Header.VP_COUNT,
        Header.SRAT,
        Header.MADT,
        Header.MMIO_RANGES,
        Header.MEMORY_MAP,
        Header.COMMAND_LINE,
        Header.SLIT,
        Header.PPTT,
        Header.DEVICE_TREE,
        Header.ENVIRONMENT_INFO,
    }
)
_SIZES: Mapping[Header, int] = MappingProxyType(
    {
        Header.SUPPORTED_PLATFORM: 16,
        Header.GUEST_POLICY: 16,
        Header.RELOCATABLE_REGION: 48,
        Header.PAGE_TABLE_RELOCATION: 32,
        Header.PARAMETER_AREA: 16,
        Header.PAGE_DATA: 24,
        Header.PARAMETER_INSERT: 16,
        Header.VP_CONTEXT: 20,
        Header.REQUIRED_MEMORY: 24,
        Header.SNP_ID_BLOCK: 696,
        Header.ERROR_RANGE: 16,
        Header.VBS_MEASUREMENT: 864,
        **dict.fromkeys(_PARAMETERS, 8),
    }
)
_MASK_AT: Mapping[Header, int] = MappingProxyType(
    {
        Header.SUPPORTED_PLATFORM: 0,
        Header.GUEST_POLICY: 8,
        Header.RELOCATABLE_REGION: 0,
        Header.PAGE_TABLE_RELOCATION: 0,
        Header.PAGE_DATA: 8,
        Header.PARAMETER_INSERT: 8,
        Header.VP_CONTEXT: 8,
        Header.REQUIRED_MEMORY: 8,
        Header.SNP_ID_BLOCK: 0,
        Header.ERROR_RANGE: 8,
        Header.VBS_MEASUREMENT: 0,
    }
)
"""Offset of the compatibility mask. Headers that have none hold for every platform."""


class PlatformType(enum.IntEnum):
    NATIVE = 0
    VSM_ISOLATION = 1
    SEV_SNP = 2
    TDX = 3


class PageKind(enum.IntEnum):
    """Data type of PAGE_DATA."""

    NORMAL = 0
    SECRETS = 1
    CPUID_DATA = 2
    CPUID_XF = 3


@dataclass(frozen=True, slots=True)
class PageData:
    """data: 4096 bytes, or 2 MiB where `large`, of the file; None where it holds none, which means zeros."""

    gpa: int
    kind: PageKind
    large: bool
    unmeasured: bool
    data: memoryview | None


@dataclass(frozen=True, slots=True)
class Parameters:
    """A parameter area as it is inserted. size: bytes, whole pages."""

    gpa: int
    size: int


@dataclass(frozen=True, slots=True)
class VpContext:
    """vmsa: the 4096 bytes at its place in the file."""

    gpa: int
    vp_index: int
    vmsa: bytes


@dataclass(frozen=True, slots=True)
class Range:
    """REQUIRED_MEMORY or ERROR_RANGE: nothing is loaded."""

    header: Header
    gpa: int
    size: int


Directive = PageData | Parameters | VpContext | Range


@dataclass(frozen=True, slots=True, kw_only=True)
class IdBlock:
    """What the file's SNP_ID_BLOCK says of the launch. ld: the measurement that firmware insists on."""

    ld: bytes
    family_id: bytes
    image_id: bytes
    guest_svn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpImage:
    """What of a file concerns SEV-SNP. directives: in the order of the file."""

    directives: tuple[Directive, ...]
    policy: int | None
    id_block: IdBlock | None


@dataclass(frozen=True, slots=True)
class _Row:
    header: Header
    body: bytes
    where: str

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.body[at : at + size], "little")

    def zero(self, at: int, size: int) -> None:
        if any(self.body[at : at + size]):
            raise malformed(
                f"{self.where}: reserved", expected="zeros", found=self.body[at : at + size].hex()
            )

    def mask(self) -> int | None:
        at = _MASK_AT.get(self.header)
        return None if at is None else self.number(at, 4)


def parse(raw: bytes) -> SnpImage:
    """The part of a file that is for SEV-SNP.

    Raises FoundryError: MALFORMED; MISSING without an SNP platform; UNSUPPORTED for a version, header or
    value that we do not know, or for relocation; TOO_MUCH.
    """
    start = _fixed_header(raw)
    rows = _rows(raw[_FIXED:start])
    mask = _snp_mask(rows)
    reader = _Reader(raw, start, mask)
    for row in rows:
        reader.take(row)
    return SnpImage(directives=tuple(reader.directives), policy=reader.policy, id_block=reader.id_block)


def _fixed_header(raw: bytes) -> int:
    """Checks it; gives where the file's data may begin."""
    where = "IGVM file"
    if len(raw) > MAX_FILE:
        raise FoundryError(
            FoundryReason.TOO_MUCH, where, expected=f"at most {MAX_FILE} bytes", found=f"{len(raw)} bytes"
        )
    if len(raw) < _FIXED or raw[:4] != b"IGVM":
        raise malformed(
            where, expected="IGVM and 20 more bytes of header", found=f"{len(raw)} bytes, {raw[:4].hex()}"
        )
    version, offset, size, total, checksum = (
        int.from_bytes(raw[at : at + 4], "little") for at in range(4, _FIXED, 4)
    )
    if version != 1:
        raise FoundryError(FoundryReason.UNSUPPORTED, f"{where}: version", expected=1, found=version)
    if offset != _FIXED:
        raise FoundryError(
            FoundryReason.UNSUPPORTED, f"{where}: variable headers", expected=f"at {_FIXED}", found=offset
        )
    if total != len(raw):
        raise malformed(f"{where}: size", expected=f"{total} bytes", found=f"{len(raw)} bytes")
    if size % 8 or not 0 < size <= total - _FIXED:
        raise malformed(
            f"{where}: variable headers", expected=f"1 to {total - _FIXED} bytes, in eights", found=size
        )
    start = _FIXED + size
    computed = zlib.crc32(raw[:20] + bytes(4) + raw[_FIXED:start])
    if computed != checksum:
        raise malformed(
            f"{where}: CRC-32 of the headers", expected=f"{checksum:#010x}", found=f"{computed:#010x}"
        )
    return start


def _rows(headers: bytes) -> list[_Row]:
    """Every variable header, in the order of the file, platforms before initialization before directives."""
    rows: list[_Row] = []
    at = 0
    while at < len(headers):
        where = f"IGVM header {len(rows)}"
        if len(rows) == MAX_HEADERS:
            raise FoundryError(
                FoundryReason.TOO_MUCH, where, expected=f"at most {MAX_HEADERS} headers", found="more"
            )
        kind, length = (int.from_bytes(headers[at + n : at + n + 4], "little") for n in (0, 4))
        if kind not in Header._value2member_map_:
            raise FoundryError(
                FoundryReason.UNSUPPORTED, f"{where}: type", expected="one of version 1", found=f"{kind:#x}"
            )
        header = Header(kind)
        where = f"{where} ({header.name})"
        if length != _SIZES[header]:
            raise malformed(f"{where}: length", expected=_SIZES[header], found=length)
        end = at + 8 + length
        # Padding ought to be zero; it is never loaded, and a tool in use writes other bytes there.
        if end > len(headers):
            raise malformed(
                where, expected=f"{length} bytes", found=f"{len(headers) - at - 8} before the end"
            )
        if rows and header >> 8 < rows[-1].header >> 8:
            raise malformed(where, expected="platforms, initialization, directives", found="another order")
        rows.append(_Row(header, headers[at + 8 : end], where))
        at = -(-end // 8) * 8
    return rows


def _snp_mask(rows: list[_Row]) -> int:
    """The compatibility mask of SEV-SNP. Every other mask must be made of declared ones."""
    declared, snp = 0, 0
    for row in rows:
        mask = row.mask()
        if row.header is Header.SUPPORTED_PLATFORM:
            assert mask is not None
            if mask.bit_count() != 1 or mask & declared:
                raise malformed(f"{row.where}: mask", expected="one bit of its own", found=f"{mask:#x}")
            declared |= mask
            if row.number(5, 1) == PlatformType.SEV_SNP:
                if snp:
                    raise _unsupported(f"{row.where}: platform", "one for SEV-SNP", "a second")
                if row.number(6, 2) != 1:
                    raise _unsupported(f"{row.where}: platform version", 1, row.number(6, 2))
                snp = mask
        elif mask is not None and (not mask or mask & ~declared):
            raise malformed(f"{row.where}: mask", expected=f"bits of {declared:#x}", found=f"{mask:#x}")
    if not snp:
        raise FoundryError(
            FoundryReason.MISSING, "IGVM file: platforms", expected="one for SEV-SNP", found="none"
        )
    return snp


class _Reader:
    """Goes through the headers once; keeps what SEV-SNP is launched with."""

    def __init__(self, raw: bytes, start: int, mask: int) -> None:
        self.raw, self.start, self.snp = memoryview(raw), start, mask
        self.directives: list[Directive] = []
        self.policy: int | None = None
        self.id_block: IdBlock | None = None
        self.areas: dict[int, int] = {}
        self.inserted: set[int] = set()

    def take(self, row: _Row) -> None:
        mask = row.mask()
        if mask is not None and not mask & self.snp:
            return
        match row.header:
            case Header.SUPPORTED_PLATFORM:
                pass
            case Header.GUEST_POLICY:
                row.zero(12, 4)
                if self.policy is not None:
                    raise malformed(row.where, expected="one policy", found="a second")
                self.policy = row.number(0, 8)
            case Header.PARAMETER_AREA:
                self._area(row)
            case Header.PAGE_DATA:
                self.directives.append(self._page(row))
            case Header.PARAMETER_INSERT:
                self.directives.append(self._insert(row))
            case Header.VP_CONTEXT:
                row.zero(18, 2)
                gpa = _address(row, PAGE)
                vmsa = bytes(self._data(row, row.number(12, 4), PAGE))
                self.directives.append(VpContext(gpa, row.number(16, 2), vmsa))
            case Header.REQUIRED_MEMORY | Header.ERROR_RANGE:
                self.directives.append(Range(row.header, _address(row, PAGE), row.number(12, 4)))
            case Header.SNP_ID_BLOCK:
                self._id_block(row)
            case header if header in _PARAMETERS:
                self._parameter(row)
            case _:
                raise _unsupported(row.where, "nothing of this kind for SEV-SNP", "one")

    def _page(self, row: _Row) -> PageData:
        flags, kind = row.number(16, 4), row.number(20, 2)
        row.zero(22, 2)
        if flags & ~3:
            raise _unsupported(f"{row.where}: flags", "bits 0 and 1", f"{flags:#x}")
        if kind not in PageKind._value2member_map_:
            raise _unsupported(f"{row.where}: data type", "0 to 3", kind)
        size = LARGE_PAGE if flags & 1 else PAGE
        offset = row.number(12, 4)
        data = self._data(row, offset, size) if offset else None
        return PageData(_address(row, size), PageKind(kind), bool(flags & 1), bool(flags & 2), data)

    def _area(self, row: _Row) -> None:
        size, index, offset = row.number(0, 8), row.number(8, 4), row.number(12, 4)
        if size > MAX_AREA:
            raise FoundryError(
                FoundryReason.TOO_MUCH, f"{row.where}: size", expected=f"at most {MAX_AREA}", found=size
            )
        if not size or size % PAGE:
            raise malformed(f"{row.where}: size", expected="whole pages", found=size)
        if index in self.areas:
            raise malformed(f"{row.where}: index", expected="each once", found=f"{index} again")
        if offset:
            self._data(row, offset, size)
        self.areas[index] = size

    def _insert(self, row: _Row) -> Parameters:
        index = row.number(12, 4)
        size = self._open_area(row, index)
        self.inserted.add(index)
        return Parameters(_address(row, PAGE), size)

    def _parameter(self, row: _Row) -> None:
        size = self._open_area(row, row.number(0, 4))
        if row.number(4, 4) >= size:
            raise malformed(f"{row.where}: offset", expected=f"below {size}", found=row.number(4, 4))

    def _open_area(self, row: _Row, index: int) -> int:
        if index not in self.areas or index in self.inserted:
            raise malformed(
                f"{row.where}: area", expected="one declared before and not yet inserted", found=index
            )
        return self.areas[index]

    def _id_block(self, row: _Row) -> None:
        if self.id_block is not None:
            raise malformed(row.where, expected="one ID block", found="a second")
        row.zero(5, 3)
        if row.number(88, 4) != 1:
            raise _unsupported(f"{row.where}: version", 1, row.number(88, 4))
        self.id_block = IdBlock(
            ld=row.body[8:56],
            family_id=row.body[56:72],
            image_id=row.body[72:88],
            guest_svn=row.number(92, 4),
        )

    def _data(self, row: _Row, offset: int, size: int) -> memoryview:
        if offset < self.start or offset + size > len(self.raw):
            raise malformed(
                f"{row.where}: data",
                expected=f"{size} bytes between {self.start} and {len(self.raw)}",
                found=f"at {offset}",
            )
        return self.raw[offset : offset + size]


def _address(row: _Row, unit: int) -> int:
    gpa = row.number(0, 8)
    if gpa % unit or gpa + unit > _ADDRESS_LIMIT:
        raise malformed(
            f"{row.where}: address", expected=f"a multiple of {unit}, of 52 bits", found=f"{gpa:#x}"
        )
    return gpa


def _unsupported(where: str, expected: object, found: object) -> FoundryError:
    return FoundryError(FoundryReason.UNSUPPORTED, where, expected=expected, found=found)
