"""What must be fetched to verify a report, named by what it is; fetching is the shell's.

Source: AMD 57230, chapter 4 (KDS): a VCEK is asked for by product, hwID and REPORTED_TCB; VLEKs come with
the evidence or from their provider; the ARK publishes one CRL per kind of leaf.
"""

from __future__ import annotations

from verifiers.model import Need
from verifiers.sevsnp import product as products
from verifiers.sevsnp.abi import SigningKey, SnpReport
from verifiers.sevsnp.product import Product


def needs(report: SnpReport) -> tuple[Need, ...]:
    """The leaf and the CRL for this report.

    amd.vcek: chip_id (lower-case hex of what KDS wants, 8 bytes on Turin, else 64), product, and the SPLs
    by their KDS names, decimal. amd.vlek: product and SPLs. amd.crl: product, kind ("vcek" or "vlek").
    Version 2 does not say its product: then `product` is absent from the leaf's key, and there is one
    amd.crl for each product that it may be. A masked chip id, or a report that nothing signed, needs no leaf:
    no certificate can help it.
    """
    line = product_of(report)
    if report.version >= 3 and line is None:
        return ()
    leaf = leaf_need(report, line)
    kind = "vlek" if report.signing_key is SigningKey.VLEK else "vcek"
    if leaf is None:
        return ()
    lines = (line,) if line else (Product.MILAN, Product.GENOA)
    return (leaf, *(crl_need(each, kind) for each in lines))


def product_of(report: SnpReport) -> Product | None:
    """The product by CPUID; None before version 3, or when we know no such chip."""
    if report.cpuid is None:
        return None
    family, model, _ = report.cpuid
    return products.from_cpuid(family, model)


def leaf_need(report: SnpReport, line: Product | None) -> Need | None:
    """The VCEK or VLEK that this report asks for; None when there can be none.

    line: None when nobody knows yet; the TCB then has the layout that Milan and Genoa share, which
    are the products of version 2.
    """
    tcb = products.decode_tcb(report.reported_tcb, line or Product.GENOA)
    key = list(products.kds_parameters(tcb))
    if line is not None:
        key.append(("product", str(line)))
    if report.mask_chip_key:
        return None
    if report.signing_key is SigningKey.VLEK:
        return Need("amd.vlek", tuple(sorted(key)))
    if report.signing_key is not SigningKey.VCEK or not any(report.chip_id):
        return None
    size = products.HWID_SIZE[line or Product.GENOA]
    key.append(("chip_id", report.chip_id[:size].hex()))
    return Need("amd.vcek", tuple(sorted(key)))


def crl_need(line: Product, kind: str) -> Need:
    """kind: "vcek" or "vlek", the two places where KDS serves the CRL of one ARK."""
    return Need("amd.crl", (("kind", kind), ("product", str(line))))
