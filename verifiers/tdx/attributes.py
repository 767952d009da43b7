"""TDATTRIBUTES and XFAM: names for the bits that somebody has thought about; every other bit is refused.

Sources: Intel TDX Module 1.5 ABI, ATTRIBUTES and XFAM; Linux arch/x86/include/asm/shared/tdx.h. Whether a
named attribute is acceptable is the platform baseline's to say.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType


class TdAttributes(enum.IntFlag):
    """TDATTRIBUTES, 64 bits. Bits 0 to 7 put the TD "under debug": any of them and it is not production."""

    DEBUG = 1 << 0
    HGS_PLUS_PROF = 1 << 4
    PERF_PROF = 1 << 5
    PMT_PROF = 1 << 6
    ICSSD = 1 << 16
    SERVTD_EXT = 1 << 17
    LASS = 1 << 27
    SEPT_VE_DISABLE = 1 << 28
    MIGRATABLE = 1 << 29
    PKS = 1 << 30
    KL = 1 << 31
    TPA = 1 << 62
    PERFMON = 1 << 63


FLAGS: Mapping[str, int] = MappingProxyType({flag.name or "": flag.value for flag in TdAttributes})
KNOWN_ATTRIBUTES = sum(TdAttributes)
_UNKNOWN = ~KNOWN_ATTRIBUTES & 0xFFFFFFFFFFFFFFFF
_SERVTD_EXT = int(TdAttributes.SERVTD_EXT)

XFAM_FIXED1 = 0x3
"""x87 and SSE: always set."""
XFAM_KNOWN = 0x6DBE7
"""XCR0 and IA32_XSS layout: x87, SSE, AVX (2), AVX-512 (5 to 7), PT (8), PKRU (9), CET (11, 12), UINTR (14),
LBR (15), AMX (17, 18). Real TDs have 0x207, 0x600E7, 0x602E7, 0x618E7, 0x61AE7, 0x642E7."""


ALL_NAMES: tuple[str, ...] = (*FLAGS, *(f"BIT_{n}" for n in range(64) if not KNOWN_ATTRIBUTES >> n & 1))
"""Everything that `names` can say."""


def names(bits: int) -> frozenset[str]:
    """Names of all bits that are set; those that have none are "BIT_n"."""
    if not bits:
        return frozenset()
    out = [name for name, value in FLAGS.items() if bits & value]
    unknown = bits & _UNKNOWN
    if unknown:
        out += [f"BIT_{n}" for n in range(64) if unknown >> n & 1]
    return frozenset(out)


def attribute_problem(bits: int, *, has_extension: bool) -> str | None:
    """Why TDATTRIBUTES cannot be judged, or None.

    has_extension: the report is 1.5 extended. SERVTD_EXT promises fields that only that one has.
    """
    unknown = bits & _UNKNOWN
    if unknown:
        return f"reserved or unknown bits {unknown:#x}"
    if bits & _SERVTD_EXT and not has_extension:
        return "SERVTD_EXT without the extended report"
    return None


def xfam_problem(bits: int) -> str | None:
    """Why XFAM cannot be judged, or None."""
    if bits & XFAM_FIXED1 != XFAM_FIXED1:
        return f"{bits:#x}: bits 0 and 1 must be set"
    if bits & ~XFAM_KNOWN:
        return f"{bits:#x}: unknown bits {bits & ~XFAM_KNOWN:#x}"
    return None
