"""SEV-SNP launch measurements, in families: every vCPU count, CPU model and feature set in one go.

The digest before the first VMSA is computed once; each vCPU then adds one page, so a measurement for n vCPUs
is one step from that for n - 1.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from policies.foundry import gctx, kernelhashes, sevmetadata, vmsa
from policies.foundry.errors import FoundryError, FoundryReason, malformed
from policies.foundry.gctx import PageType
from policies.foundry.guidtable import PAGE
from policies.foundry.kernelhashes import DirectBoot
from policies.foundry.sevmetadata import Section, SectionType, SevFirmware
from policies.foundry.vmsa import Vmm

MAX_VCPUS = 4096
MAX_ROWS = 100_000

_MODELS = (
    ("EPYC", 0x00800F12, ("", "-v1", "-v2", "-v3", "-v4")),
    ("EPYC-Rome", 0x00830F10, ("", "-v1", "-v2", "-v3", "-v4")),
    ("EPYC-Milan", 0x00A00F11, ("", "-v1", "-v2")),
    ("EPYC-Genoa", 0x00A10F10, ("", "-v1")),
    ("EPYC-Turin", 0x00B00F00, ("", "-v1")),
)
CPUS: Mapping[str, int] = MappingProxyType(
    {base + version: signature for base, signature, versions in _MODELS for version in versions}
)
"""CPUID signature (function 1, EAX) by QEMU's name of the model."""


class SevFeature(enum.IntFlag):
    """SEV_FEATURES in the VMSA (AMD 24593, table B-4)."""

    SNP_ACTIVE = 1 << 0
    VTOM = 1 << 1
    REFLECT_VC = 1 << 2
    RESTRICTED_INJECTION = 1 << 3
    ALTERNATE_INJECTION = 1 << 4
    DEBUG_SWAP = 1 << 5
    PREVENT_HOST_IBS = 1 << 6
    BTB_ISOLATION = 1 << 7
    VMPL_SSS = 1 << 8
    SECURE_TSC = 1 << 9
    VMSA_REG_PROT = 1 << 14
    SMT_PROTECTION = 1 << 16


_KNOWN_FEATURES = sum(SevFeature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a family shares. boot: None without kernel hashes. svsm, vars_size (bytes): with an SVSM only."""

    vmm: Vmm
    firmware: bytes
    boot: DirectBoot | None = None
    svsm: bytes | None = None
    vars_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One predicted MEASUREMENT, 48 bytes, and what it is for."""

    measurement: bytes
    vcpus: int
    cpu: str
    guest_features: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """The launch digest before the first VMSA, and where vCPUs start. ap: equal to bsp in an SVSM."""

    vmm: Vmm
    digest: bytes
    bsp: int
    ap: int

    def save_area(self, eip: int, signature: int, features: int) -> bytes:
        if self.vmm is Vmm.SVSM:
            return vmsa.flat(eip, signature)
        return vmsa.real_mode(self.vmm, eip, signature, features)


def prefix(launch: Launch) -> Prefix:
    """Everything that is measured before the first vCPU.

    Raises FoundryError: what `sevmetadata.parse` raises; MISSING for a kernel without a place for its hashes,
    or an SVSM without its image; UNSUPPORTED for inputs that this monitor does not take.
    """
    firmware = sevmetadata.parse(launch.firmware, "firmware")
    base = (1 << 32) - len(launch.firmware)
    if launch.vmm is Vmm.SVSM:
        return _svsm_prefix(launch, base)
    if launch.svsm is not None or launch.vars_size is not None:
        raise _unsupported("SVSM image", f"none with {launch.vmm.value}", "one")
    digest = gctx.pages(gctx.START, launch.firmware, base)
    page = _hash_page(firmware, launch.boot)
    for section in _in_order(firmware.sections, launch.vmm):
        digest = _add(digest, section, launch.vmm, page)
    return Prefix(launch.vmm, digest, vmsa.RESET, firmware.ap_reset())


def family(
    launch: Launch, vcpus: range, cpus: Sequence[str], features: Sequence[int]
) -> Iterator[Measurement]:
    """Measurements for each feature set, model and vCPU count, in this order.

    vcpus: ascending, from 1 to MAX_VCPUS. Raises FoundryError before the first is given: as `prefix`, and
    UNSUPPORTED for a model or feature, TOO_MUCH for too many rows.
    """
    if not vcpus or vcpus.step != 1 or vcpus[0] < 1 or vcpus[-1] > MAX_VCPUS:
        raise FoundryError(
            FoundryReason.TOO_MUCH,
            "vCPUs",
            expected=f"1 to {MAX_VCPUS}",
            found=f"{vcpus.start}-{vcpus.stop - 1}",
        )
    for cpu in cpus:
        if cpu not in CPUS:
            raise _unsupported("CPU model", f"one of {', '.join(CPUS)}", cpu)
    for value in features:
        check_features(launch.vmm, value)
    rows = len(vcpus) * len(cpus) * len(features)
    if rows > MAX_ROWS:
        raise FoundryError(
            FoundryReason.TOO_MUCH, "family", expected=f"at most {MAX_ROWS} measurements", found=rows
        )
    start = prefix(launch)
    return (found for value in features for cpu in cpus for found in _count(start, vcpus, cpu, value))


def _count(start: Prefix, vcpus: range, cpu: str, features: int) -> Iterator[Measurement]:
    bsp = start.save_area(start.bsp, CPUS[cpu], features)
    ap = start.save_area(start.ap, CPUS[cpu], features)
    digest = start.digest
    for number in range(1, vcpus[-1] + 1):
        digest = gctx.vmsa(digest, bsp if number == 1 else ap)
        if number in vcpus:
            yield Measurement(measurement=digest, vcpus=number, cpu=cpu, guest_features=features)


def check_features(vmm: Vmm, value: int) -> None:
    """Raises FoundryError: UNSUPPORTED for unknown bits, or none of SNP; UNCERTAIN for vTOM."""
    where = "guest features"
    if value < 0 or value & ~_KNOWN_FEATURES:
        raise _unsupported(where, f"bits of {_KNOWN_FEATURES:#x} only", f"{value:#x}")
    if not value & SevFeature.SNP_ACTIVE:
        raise _unsupported(where, "bit 0 (SNP active)", f"{value:#x}")
    if value & SevFeature.VTOM:
        raise FoundryError(
            FoundryReason.UNCERTAIN,
            where,
            expected="no vTOM (its address is measured too)",
            found=f"{value:#x}",
        )
    if vmm is Vmm.SVSM and value != SevFeature.SNP_ACTIVE:
        raise FoundryError(
            FoundryReason.UNCERTAIN, where, expected="1, the only one known with an SVSM", found=f"{value:#x}"
        )


def _svsm_prefix(launch: Launch, base: int) -> Prefix:
    if launch.svsm is None or launch.vars_size is None:
        raise FoundryError(
            FoundryReason.MISSING,
            "SVSM",
            expected="its image and the size of the variable store",
            found="neither or one",
        )
    if launch.boot is not None:
        raise FoundryError(
            FoundryReason.UNCERTAIN, "kernel", expected="none with an SVSM", found="a kernel to hash"
        )
    image = sevmetadata.parse(launch.svsm, "SVSM image")
    start = base - launch.vars_size - len(launch.svsm)
    if launch.vars_size < 0 or launch.vars_size % PAGE or start < 0:
        raise malformed(
            "size of the variable store",
            expected=f"whole pages, at most {base - len(launch.svsm)}",
            found=launch.vars_size,
        )
    digest = gctx.pages(gctx.START, launch.firmware, base)
    digest = gctx.pages(digest, launch.svsm, start)
    for section in image.sections:
        digest = _add(digest, section, Vmm.SVSM, None)
    entry = start + image.svsm_entry()
    return Prefix(Vmm.SVSM, digest, entry, entry)


def _in_order(sections: tuple[Section, ...], vmm: Vmm) -> tuple[Section, ...]:
    """EC2 adds CPUID pages after everything else."""
    if vmm not in (Vmm.EC2, Vmm.EC2_RDX0):
        return sections
    return tuple(sorted(sections, key=lambda section: section.type is SectionType.CPUID))


def _hash_page(firmware: SevFirmware, boot: DirectBoot | None) -> bytes | None:
    """The page with the kernel's hashes, which must be the one that the metadata sets aside."""
    if boot is None:
        return None
    places = [s for s in firmware.sections if s.type is SectionType.KERNEL_HASHES]
    if not places:
        raise FoundryError(
            FoundryReason.MISSING,
            "firmware",
            expected="a section for kernel hashes (type 0x10), as builds for direct boot have",
            found="none: this firmware does not check the kernel",
        )
    gpa = firmware.hash_table()
    if len(places) > 1 or places[0].size != PAGE or places[0].gpa != gpa - gpa % PAGE:
        found = ", ".join(f"{s.size:#x} bytes at {s.gpa:#x}" for s in places)
        raise malformed("firmware: kernel hashes", expected=f"one page that holds {gpa:#x}", found=found)
    return kernelhashes.page(boot, gpa)


def _add(digest: bytes, section: Section, vmm: Vmm, hashes: bytes | None) -> bytes:
    match section.type:
        case SectionType.SEC_MEM:
            kind = PageType.UNMEASURED if vmm is Vmm.GCE else PageType.ZERO
        case SectionType.SECRETS:
            kind = PageType.SECRETS
        case SectionType.CPUID:
            kind = PageType.CPUID
        case SectionType.SVSM_CAA:
            kind = PageType.ZERO
        case SectionType.KERNEL_HASHES:
            if hashes is not None:
                return gctx.pages(digest, hashes, section.gpa)
            kind = PageType.ZERO
    return gctx.empty(digest, kind, section.gpa, section.size)


def _unsupported(where: str, expected: str, found: object) -> FoundryError:
    return FoundryError(FoundryReason.UNSUPPORTED, where, expected=expected, found=found)
