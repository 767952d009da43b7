"""The save area (VMSA) with which a monitor starts a vCPU: it is measured (AMD 24593, table B-4).

A monitor is a row of `MONITORS`; everything that no row states is zero.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.foundry.guidtable import PAGE

RESET = 0xFFFFFFF0
"""Where the boot processor starts."""


class Vmm(enum.StrEnum):
    """Values are words of the command line. EC2_RDX0: as older tools compute EC2's, with RDX 0 at reset."""

    QEMU = "qemu"
    EC2 = "ec2"
    EC2_RDX0 = "ec2-rdx0"
    GCE = "gce"
    SVSM = "svsm"


@dataclass(frozen=True, slots=True)
class Segment:
    selector: int
    attributes: int
    limit: int
    base: int = 0

    def to_bytes(self) -> bytes:
        parts = ((self.selector, 2), (self.attributes, 2), (self.limit, 4), (self.base, 8))
        return b"".join(value.to_bytes(size, "little") for value, size in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """rdx: None where it is the CPUID signature of the model. bsp_cs, ap_cs, ss, tr: attributes."""

    rdx: int | None
    mxcsr: int = 0
    fcw: int = 0
    bsp_cs: int = 0x9B
    ap_cs: int = 0x9B
    ss: int = 0x93
    tr: int = 0x8B
    g_pat: int = 0x7040600070406


MONITORS: Mapping[Vmm, Monitor] = MappingProxyType(
    {
        Vmm.QEMU: Monitor(rdx=None, mxcsr=0x1F80, fcw=0x37F),
        Vmm.EC2: Monitor(rdx=0x600, bsp_cs=0x9A, ss=0x92, tr=0x83),
        Vmm.EC2_RDX0: Monitor(rdx=0, bsp_cs=0x9A, ss=0x92, tr=0x83),
        Vmm.GCE: Monitor(rdx=0x600, g_pat=0x70106),
        Vmm.SVSM: Monitor(rdx=None, mxcsr=0x1F80),
    }
)

_DATA = ("es", "ds", "fs", "gs")
_OFFSETS = {"es": 0x00, "cs": 0x10, "ss": 0x20, "ds": 0x30, "fs": 0x40, "gs": 0x50}
_GDTR, _LDTR, _IDTR, _TR = 0x60, 0x70, 0x80, 0x90


def real_mode(vmm: Vmm, eip: int, signature: int, features: int) -> bytes:
    """The page of a vCPU that starts at `eip` as from reset: QEMU, EC2 and GCE; 4096 bytes."""
    monitor = MONITORS[vmm]
    code = monitor.bsp_cs if eip == RESET else monitor.ap_cs
    segments = {name: Segment(0, 0x93, 0xFFFF) for name in _DATA}
    segments["cs"] = Segment(0xF000, code, 0xFFFF, eip & 0xFFFF0000)
    segments["ss"] = Segment(0, monitor.ss, 0xFFFF)
    return _page(monitor, segments, eip & 0xFFFF, 0x10, signature, features)


def flat(entry: int, signature: int) -> bytes:
    """The page of a vCPU that starts in an SVSM at `entry`, in flat protected mode; 4096 bytes."""
    data = Segment(0x10, 0xC93, 0xFFFFFFFF)
    segments = dict.fromkeys(("es", "ss", "ds", "fs"), data)
    segments["cs"] = Segment(8, 0xC9B, 0xFFFFFFFF)
    segments["gs"] = Segment(0, 0x93, 0xFFFF)
    return _page(MONITORS[Vmm.SVSM], segments, entry, 0x11, signature, 1)


def _page(
    monitor: Monitor, segments: Mapping[str, Segment], rip: int, cr0: int, signature: int, features: int
) -> bytes:
    page = bytearray(PAGE)
    tables = {
        _GDTR: Segment(0, 0, 0xFFFF),
        _LDTR: Segment(0, 0x82, 0xFFFF),
        _IDTR: Segment(0, 0, 0xFFFF),
        _TR: Segment(0, monitor.tr, 0xFFFF),
    }
    for at, segment in [*((_OFFSETS[name], s) for name, s in segments.items()), *tables.items()]:
        page[at : at + 16] = segment.to_bytes()
    for at, size, value in (
        (0x0D0, 8, 0x1000),  # EFER: SVME
        (0x148, 8, 0x40),  # CR4: MCE
        (0x158, 8, cr0),
        (0x160, 8, 0x400),  # DR7
        (0x168, 8, 0xFFFF0FF0),  # DR6
        (0x170, 8, 2),  # RFLAGS
        (0x178, 8, rip),
        (0x268, 8, monitor.g_pat),
        (0x310, 8, signature if monitor.rdx is None else monitor.rdx),
        (0x3B0, 8, features),  # SEV_FEATURES
        (0x3E8, 8, 1),  # XCR0
        (0x408, 4, monitor.mxcsr),
        (0x410, 2, monitor.fcw),
    ):
        page[at : at + size] = value.to_bytes(size, "little")
    return bytes(page)
