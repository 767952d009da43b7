"""Which product line a chip belongs to, and what depends on it.

Sources: AMD 57230, "VCEK Certificate and KDS Interface Specification" (product names, hwID, TCB parameters);
AMD 56860, tables TCB_VERSION and ATTESTATION_REPORT (CPUID). Whoever needs a layout passes the product: a
TCB decoded with the wrong one compares the wrong components without complaint.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from verifiers.model import TcbVersion

TCB_SIZE = 8


class Product(enum.StrEnum):
    """Spelled as in certificates and KDS paths. Bergamo and Siena are "Genoa" there, dense Turin "Turin"."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"


_MODELS: tuple[tuple[int, int, int, Product], ...] = (
    (0x19, 0x00, 0x0F, Product.MILAN),
    (0x19, 0x10, 0x1F, Product.GENOA),
    (0x19, 0xA0, 0xAF, Product.GENOA),
    (0x1A, 0x00, 0x11, Product.TURIN),
)
"""Combined family, first and last combined model. What is not listed (Venice) has no root here."""

_UNTIL_GENOA = ("bootloader", "tee", None, None, None, None, "snp", "microcode")
_FROM_TURIN = ("fmc", "bootloader", "tee", "snp", None, None, None, "microcode")
TCB_BYTES: Mapping[Product, tuple[str | None, ...]] = MappingProxyType(
    {Product.MILAN: _UNTIL_GENOA, Product.GENOA: _UNTIL_GENOA, Product.TURIN: _FROM_TURIN}
)
"""Component in each byte of TCB_VERSION; None is reserved and zero."""

STRUCT_VERSION: Mapping[Product, int] = MappingProxyType(
    {Product.MILAN: 0, Product.GENOA: 0, Product.TURIN: 1}
)
"""structVersion of the product's leaf certificates: 1 has an FMC."""

HWID_SIZE: Mapping[Product, int] = MappingProxyType({Product.MILAN: 64, Product.GENOA: 64, Product.TURIN: 8})
"""Bytes of the hwID extension; CHIP_ID is the same, padded with zeros to 64."""


def from_cpuid(family: int, model: int) -> Product | None:
    """The product line by combined family and model, or None when that is none we know."""
    for known, first, last, product in _MODELS:
        if family == known and first <= model <= last:
            return product
    return None


def decode_tcb(raw: bytes, product: Product) -> TcbVersion:
    """TCB_VERSION (8 bytes) by component. Reserved bytes are `reserved_tcb_bytes`' business."""
    if product is Product.TURIN:
        return TcbVersion(fmc=raw[0], bootloader=raw[1], tee=raw[2], snp=raw[3], microcode=raw[7])
    return TcbVersion(bootloader=raw[0], tee=raw[1], snp=raw[6], microcode=raw[7])


def encode_tcb(tcb: TcbVersion, product: Product) -> bytes:
    """TCB_VERSION, 8 bytes. Raises ValueError when a component is not a byte, or when there is an FMC where
    the product has none, or none where it has one."""
    if (tcb.fmc is None) == (product is Product.TURIN):
        raise ValueError(f"{product} and fmc={tcb.fmc} do not go together")
    return bytes(0 if name is None else getattr(tcb, name) for name in TCB_BYTES[product])


def reserved_tcb_bytes(product: Product) -> tuple[int, ...]:
    """Offsets inside TCB_VERSION that must be zero."""
    return tuple(index for index, name in enumerate(TCB_BYTES[product]) if name is None)


def shortfalls(lower: TcbVersion, upper: TcbVersion) -> tuple[str, ...]:
    """The components in which `lower` <= `upper` does not hold; both are of one product."""
    out = []
    if lower.fmc is not None and (upper.fmc is None or lower.fmc > upper.fmc):
        out.append("fmc")
    if lower.bootloader > upper.bootloader:
        out.append("bootloader")
    if lower.tee > upper.tee:
        out.append("tee")
    if lower.snp > upper.snp:
        out.append("snp")
    if lower.microcode > upper.microcode:
        out.append("microcode")
    return tuple(out)


def show(tcb: TcbVersion) -> str:
    """ "4.0.24.219": bootloader, TEE, SNP, microcode; with an FMC in front where there is one."""
    text = f"{tcb.bootloader}.{tcb.tee}.{tcb.snp}.{tcb.microcode}"
    return text if tcb.fmc is None else f"{tcb.fmc}.{text}"


def kds_parameters(tcb: TcbVersion) -> tuple[tuple[str, str], ...]:
    """The TCB as KDS asks for it: names as in AMD 57230, decimal, sorted by name."""
    out = {
        "blSPL": tcb.bootloader,
        "teeSPL": tcb.tee,
        "snpSPL": tcb.snp,
        "ucodeSPL": tcb.microcode,
    }
    if tcb.fmc is not None:
        out["fmcSPL"] = tcb.fmc
    return tuple(sorted((name, str(value)) for name, value in out.items()))
