"""Product lines by CPUID, and the two TCB layouts."""

from __future__ import annotations

import pytest

from verifiers.model import TcbVersion
from verifiers.sevsnp import product
from verifiers.sevsnp.product import Product

RAW = bytes(range(1, 9))


@pytest.mark.parametrize(
    ("family", "model", "line"),
    [
        (0x18, 0x01, None),
        (0x19, 0x00, Product.MILAN),
        (0x19, 0x0F, Product.MILAN),
        (0x19, 0x10, Product.GENOA),
        (0x19, 0x1F, Product.GENOA),
        (0x19, 0x20, None),
        (0x19, 0x9F, None),
        (0x19, 0xA0, Product.GENOA),
        (0x19, 0xAF, Product.GENOA),
        (0x19, 0xB0, None),
        (0x1A, 0x00, Product.TURIN),
        (0x1A, 0x11, Product.TURIN),
        (0x1A, 0x12, None),
        (0x1A, 0x50, None),
        (0x1B, 0x00, None),
    ],
)
def test_lines_by_cpuid(family: int, model: int, line: Product | None) -> None:
    assert product.from_cpuid(family, model) is line


@pytest.mark.parametrize("line", [Product.MILAN, Product.GENOA])
def test_layout_until_genoa(line: Product) -> None:
    assert product.decode_tcb(RAW, line) == TcbVersion(bootloader=1, tee=2, snp=7, microcode=8)
    assert product.reserved_tcb_bytes(line) == (2, 3, 4, 5)


def test_layout_from_turin() -> None:
    expected = TcbVersion(fmc=1, bootloader=2, tee=3, snp=4, microcode=8)
    assert product.decode_tcb(RAW, Product.TURIN) == expected
    assert product.reserved_tcb_bytes(Product.TURIN) == (4, 5, 6)


@pytest.mark.parametrize("line", Product)
def test_every_table_knows_every_product(line: Product) -> None:
    assert len(product.TCB_BYTES[line]) == product.TCB_SIZE
    assert product.HWID_SIZE[line] in (8, 64)
    assert ("fmc" in product.TCB_BYTES[line]) == (product.STRUCT_VERSION[line] == 1)


@pytest.mark.parametrize(("line", "fmc"), [(Product.TURIN, None), (Product.MILAN, 0), (Product.GENOA, 1)])
def test_an_fmc_belongs_to_turin(line: Product, fmc: int | None) -> None:
    with pytest.raises(ValueError, match="fmc"):
        product.encode_tcb(TcbVersion(bootloader=1, tee=0, snp=1, microcode=1, fmc=fmc), line)


def test_show_and_kds_parameters() -> None:
    tcb = TcbVersion(bootloader=4, tee=0, snp=24, microcode=219)
    assert product.show(tcb) == "4.0.24.219"
    assert product.kds_parameters(tcb) == (
        ("blSPL", "4"),
        ("snpSPL", "24"),
        ("teeSPL", "0"),
        ("ucodeSPL", "219"),
    )
    turin = TcbVersion(fmc=1, bootloader=3, tee=2, snp=5, microcode=97)
    assert product.show(turin) == "1.3.2.5.97"
    assert ("fmcSPL", "1") in product.kds_parameters(turin)


def test_shortfalls_name_the_components() -> None:
    low = TcbVersion(fmc=1, bootloader=2, tee=3, snp=4, microcode=5)
    assert product.shortfalls(low, low) == ()
    high = TcbVersion(fmc=0, bootloader=1, tee=2, snp=3, microcode=4)
    assert product.shortfalls(low, high) == ("fmc", "bootloader", "tee", "snp", "microcode")
    assert product.shortfalls(high, low) == ()
