"""Checks of the report itself and of the report against its leaf certificate, one function each.

Sources: AMD 56860, "SEV-SNP Firmware ABI Specification", tables ATTESTATION_REPORT, Guest Policy,
PLATFORM_INFO, TCB_VERSION; AMD 57230 for what the certificate says. Each answers whatever the others found,
so that one result shows everything. Checks without variable parts are made once.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from verifiers.crypto.ecdsa import P384_ORDER
from verifiers.errors import Reason
from verifiers.model import Binding, Check, Outcome, ReportData, TcbVersion
from verifiers.sevsnp import chain, needs, product
from verifiers.sevsnp.abi import (
    LAYOUT,
    POLICY_KNOWN,
    SIZE,
    VMPL_HOST,
    GuestPolicy,
    SigningKey,
    SnpReport,
)
from verifiers.sevsnp.chain import Leaf
from verifiers.sevsnp.product import Product
from verifiers.sevsnp.roots import Role

PASSED, FAILED, UNKNOWN, NOT_CHECKED = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.NOT_CHECKED,
)
ABI = "AMD 56860, table ATTESTATION_REPORT"
KDS = "AMD 57230 (VCEK certificates and KDS)"

_SIGNATURE = "ECDSA P-384 with SHA-384 over bytes 0x000..0x29f, by the leaf's key"
_RESERVED = "reserved bytes zero; POLICY and PLATFORM_INFO with known bits only, POLICY bit 17 set"
_VMPL = "requested by the guest, at VMPL 0 to 3"
_KEY = "KEY_INFO, leaf and intermediate name one kind of key"
_TCB_CERTIFICATE = "REPORTED_TCB equal to the TCB of the certificate"
_TCB_ORDER = "REPORTED_TCB <= COMMITTED_TCB <= CURRENT_TCB and LAUNCH_TCB <= CURRENT_TCB"
_CHIP_ID = "CHIP_ID equal to the hwID of the VCEK certificate"

_SIGNATURE_OK = Check("snp.signature", PASSED, _SIGNATURE, "it holds", ABI)
_RESERVED_OK = Check("snp.reserved", PASSED, _RESERVED, "as expected", ABI)
_CHIP_ID_OK = Check("snp.chip-id", PASSED, _CHIP_ID, "equal", KDS)
_BINDING = "binding.report-data"
_BINDING_SOURCE = "RFC 9334, section 10"

# --- signature -------------------------------------------------------------------------------------


def signature(report: SnpReport, leaf: Leaf | None, holds: bool, lacking: tuple[str, str]) -> Check:
    """holds: what `chain.signature_holds` said. lacking: found and reason when there is no leaf."""
    if holds:
        return _SIGNATURE_OK
    found, fix = "", None
    if report.signature_algo != 1:
        found = f"SIGNATURE_ALGO {report.signature_algo}, only 1 is defined"
    elif report.mask_chip_key or report.signing_key is SigningKey.NONE:
        found = "the firmware was told not to sign (KEY_INFO)"
        fix = "the host must leave MASK_CHIP_KEY off"
    elif not (0 < report.r < P384_ORDER and 0 < report.s < P384_ORDER):
        found = "R or S is zero, or not below the order of P-384 (72 bytes each, the last 24 zero)"
    elif leaf is None:
        return Check("snp.signature", UNKNOWN, _SIGNATURE, lacking[0], ABI, lacking[1])
    elif leaf.key is None:
        found = "the certificate's key is not on P-384"
    else:
        found = "it does not hold: the report was changed, or another key signed it"
    return Check("snp.signature", FAILED, _SIGNATURE, found, ABI, Reason.SNP_SIGNATURE, fix)


# --- the report alone ------------------------------------------------------------------------------

_VERSION = "version 2, 3 or 5"
_VERSION_SOURCE = "AMD 56860, 1.51 to 1.58"
_VERSION_OK: Mapping[int, Check] = MappingProxyType(
    {number: Check("snp.version", PASSED, _VERSION, str(number), _VERSION_SOURCE) for number in (2, 3, 5)}
)
_VERSION_4 = Check(
    "snp.version",
    UNKNOWN,
    "version 2, 3 or 5; 4 where the platform baseline admits it",
    "4: sources disagree about its layout, and no real report of it has been seen",
    _VERSION_SOURCE,
    Reason.SNP_VERSION,
)


def version(report: SnpReport) -> Check:
    """Version 4 is left open for the platform baseline to decide, and stays open where none is asked."""
    if report.version == 4:
        return _VERSION_4
    known = _VERSION_OK.get(report.version)
    if known is not None:
        return known
    found = str(report.version)
    return Check("snp.version", FAILED, _VERSION, found, _VERSION_SOURCE, Reason.SNP_VERSION)


def _mask(version: int, line: Product | None) -> int:
    """An integer over the whole report, little-endian, whose set bits must be zero in it."""
    bits = bytearray(SIZE)
    for field in LAYOUT:
        place = slice(field.offset, field.offset + field.size)
        reserved = field.name.startswith("RESERVED")
        reserved |= version < 3 and field.name.startswith("CPUID")
        # Version 4 may or may not have the vectors: not required to be zero, and never read.
        reserved |= version < 4 and field.name.endswith("MIT_VECTOR")
        if reserved:
            bits[place] = b"\xff" * field.size
        elif field.name == "POLICY":
            bits[place] = (~POLICY_KNOWN & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        elif field.name == "PLATFORM_INFO":
            bits[place] = b"\x00" + b"\xff" * 7
        elif field.name == "KEY_INFO":
            bits[place] = b"\xe0\xff\xff\xff"
        elif field.name.endswith("_TCB") and line is not None:
            for index in product.reserved_tcb_bytes(line):
                bits[field.offset + index] = 0xFF
    return int.from_bytes(bits, "little")


_MASKS: Mapping[tuple[int, Product | None], int] = MappingProxyType(
    {(version, line): _mask(version, line) for version in (2, 3, 4, 5) for line in (None, *Product)}
)


_MB1 = GuestPolicy.RESERVED_MB1.value


def reserved(report: SnpReport, line: Product | None) -> Check:
    """line: whose TCB layout to use; None checks no TCB byte. Unknown versions are read like 5."""
    mask = _MASKS.get((report.version, line)) or _MASKS[5, line]
    wrong = int.from_bytes(report.raw, "little") & mask
    if not wrong and report.policy & _MB1:
        return _RESERVED_OK
    found = []
    for field in LAYOUT:
        part = wrong >> 8 * field.offset & (1 << 8 * field.size) - 1
        if not part:
            continue
        if field.name in ("POLICY", "PLATFORM_INFO", "KEY_INFO"):
            found.append(f"{field.name} has unknown bits {part:#x}")
        else:
            first = field.offset + next(i for i in range(field.size) if part >> 8 * i & 0xFF)
            found.append(f"{field.name}: byte {first:#05x} is {report.raw[first]:#04x}")
    if not report.policy & _MB1:
        found.append("POLICY bit 17 is 0")
    return Check("snp.reserved", FAILED, _RESERVED, "; ".join(found), ABI, Reason.SNP_RESERVED)


_VMPL_OK = tuple(Check("snp.host-requested", PASSED, _VMPL, f"VMPL {n}", ABI) for n in range(4))


def host_requested(report: SnpReport) -> Check:
    if report.vmpl < 4:
        return _VMPL_OK[report.vmpl]
    found = "the host asked for it" if report.vmpl == VMPL_HOST else f"VMPL {report.vmpl}"
    return Check("snp.host-requested", FAILED, _VMPL, found, ABI, Reason.SNP_HOST_REQUESTED)


def tcb_order(report: SnpReport, line: Product | None) -> Check:
    name = "snp.tcb-order"
    if line is None:
        return Check(
            name, UNKNOWN, _TCB_ORDER, "the product, and so the layout, is unknown", ABI, Reason.SNP_PRODUCT
        )
    if report.current_tcb == report.committed_tcb == report.reported_tcb == report.launch_tcb:
        return _TCB_ORDER_OK
    current, committed = (
        product.decode_tcb(report.current_tcb, line),
        product.decode_tcb(report.committed_tcb, line),
    )
    pairs = (
        ("REPORTED", "COMMITTED", product.decode_tcb(report.reported_tcb, line), committed),
        ("COMMITTED", "CURRENT", committed, current),
        ("LAUNCH", "CURRENT", product.decode_tcb(report.launch_tcb, line), current),
    )
    wrong = [
        f"{low_name} {product.show(low)} > {high_name} {product.show(high)} in {', '.join(parts)}"
        for low_name, high_name, low, high in pairs
        if (parts := product.shortfalls(low, high))
    ]
    if wrong:
        return Check(name, FAILED, _TCB_ORDER, "; ".join(wrong), ABI, Reason.SNP_TCB_ORDER)
    return _TCB_ORDER_OK


_TCB_ORDER_OK = Check("snp.tcb-order", PASSED, _TCB_ORDER, "it holds", ABI)

# --- the report against the certificate ------------------------------------------------------------

_ISSUER_ROLE = {SigningKey.VCEK: Role.ASK, SigningKey.VLEK: Role.ASVK}
_KEY_OK = {
    key: Check("snp.signing-key", PASSED, _KEY, key.name, KDS) for key in (SigningKey.VCEK, SigningKey.VLEK)
}


def signing_key(report: SnpReport, leaf: Leaf | None, lacking: tuple[str, str]) -> Check:
    """KEY_INFO, leaf CN, intermediate, hwID or cspID: all of one kind. Otherwise a VLEK could stand in
    for a VCEK, and nobody would ask for the chip."""
    wrong = []
    key = report.signing_key
    if report.mask_chip_key:
        wrong.append("MASK_CHIP_KEY is set")
    if key is None or key is SigningKey.NONE:
        wrong.append(f"SIGNING_KEY {report.key_info >> 2 & 7}")
    if leaf is None:
        if not wrong:
            return Check("snp.signing-key", UNKNOWN, _KEY, lacking[0], KDS, lacking[1])
    else:
        if key in _ISSUER_ROLE and leaf.kind is not key:
            wrong.append(f"KEY_INFO says {key.name}, the certificate is a {leaf.kind.name}")
        if leaf.named is not None and leaf.named.role is not _ISSUER_ROLE[leaf.kind]:
            wrong.append(f"a {leaf.kind.name} issued by {leaf.named.cn}")
        wrong += _identity_extensions(leaf)
    if not wrong and key is not None:
        return _KEY_OK[key]
    return Check("snp.signing-key", FAILED, _KEY, "; ".join(wrong), KDS, Reason.SNP_SIGNING_KEY)


def _identity_extensions(leaf: Leaf) -> Iterator[str]:
    if leaf.extensions is None:
        yield leaf.problem or "AMD's extensions cannot be read"
        return
    vcek = leaf.kind is SigningKey.VCEK
    if vcek == (leaf.extensions.hwid is None):
        yield f"a {leaf.kind.name} {'without' if vcek else 'with'} hwID"
    if vcek != (leaf.extensions.csp_id is None):
        yield f"a {leaf.kind.name} {'with' if vcek else 'without'} cspID"


_PRODUCT = "issuer, productName and CPUID name one product"


def product_line(report: SnpReport, leaf: Leaf | None, lacking: tuple[str, str]) -> Check:
    name = "snp.product"
    family_model = report.cpuid
    by_cpuid = needs.product_of(report)
    wrong = []
    if family_model is not None and by_cpuid is None:
        wrong.append(f"CPUID family {family_model[0]:#x} model {family_model[1]:#x} is no product known here")
    if leaf is None:
        if not wrong:
            return Check(name, UNKNOWN, _PRODUCT, lacking[0], KDS, lacking[1])
    else:
        by_issuer = leaf.named.product if leaf.named else None
        by_name = leaf.extensions.product if leaf.extensions else None
        if by_issuer is None or by_name is not by_issuer or by_cpuid not in (None, by_issuer):
            named = repr(leaf.extensions.product_name[:64]) if leaf.extensions else "unreadable"
            wrong.append(
                f"issuer {leaf.certificate.issuer_cn[:64]!r}, productName {named}, CPUID {by_cpuid or 'none'}"
            )
        elif family_model is None and by_issuer is Product.TURIN:
            # Turin's TCB_VERSION has another layout than Milan's and Genoa's, and the report must say that it
            # is to be read so: a certificate alone may not choose what its own SPLs are compared with.
            wrong.append("a report without CPUID (before version 3) under a certificate for Turin")
        elif not wrong:
            return _PRODUCT_OK[by_issuer, by_cpuid is not None]
    return Check(name, FAILED, _PRODUCT, "; ".join(wrong), KDS, Reason.SNP_PRODUCT)


_PRODUCT_OK = {
    (line, with_cpuid): Check(
        "snp.product",
        PASSED,
        _PRODUCT,
        str(line) if with_cpuid else f"{line} by certificate; version 2 has no CPUID",
        KDS,
    )
    for line in Product
    for with_cpuid in (True, False)
    if with_cpuid or line is not Product.TURIN
}


def tcb_certificate(report: SnpReport, leaf: Leaf | None, lacking: tuple[str, str]) -> Check:
    """Every SPL equals its component, exactly: the key is derived from that TCB and no other."""
    name = "snp.tcb-certificate"
    if leaf is None:
        return Check(name, UNKNOWN, _TCB_CERTIFICATE, lacking[0], KDS, lacking[1])
    if leaf.extensions is None:
        found = leaf.problem or "AMD's extensions cannot be read"
        return Check(name, FAILED, _TCB_CERTIFICATE, found, KDS, Reason.CERTIFICATE_MALFORMED)
    if leaf.named is None:
        found = f"no TCB layout without a product: issuer {leaf.certificate.issuer_cn[:64]!r}"
        return Check(name, FAILED, _TCB_CERTIFICATE, found, KDS, Reason.SNP_TCB_CERTIFICATE)
    line, certified = leaf.named.product, leaf.extensions.tcb
    if chain.fits_tcb(report, leaf):
        return Check(name, PASSED, _TCB_CERTIFICATE, product.show(certified), KDS)
    reported = product.decode_tcb(report.reported_tcb, line)
    found = f"reported {product.show(reported)}, certificate {product.show(certified)}"
    if leaf.extensions.struct_version != product.STRUCT_VERSION[line]:
        found += f", structVersion {leaf.extensions.struct_version} is not {line}'s"
    return Check(
        name,
        FAILED,
        _TCB_CERTIFICATE,
        found,
        KDS,
        Reason.SNP_TCB_CERTIFICATE,
        f"give the {leaf.kind.name} certificate for {_kds(reported)}",
    )


def _kds(tcb: TcbVersion) -> str:
    return " ".join(f"{key}={value}" for key, value in product.kds_parameters(tcb))


def identity(report: SnpReport, leaf: Leaf | None, lacking: tuple[str, str]) -> Check:
    """VCEK: which chip (snp.chip-id). VLEK: which provider (snp.csp-id), whose list is a policy's."""
    kind = leaf.kind if leaf else report.signing_key
    if kind is SigningKey.VLEK:
        expected = "a provider that the policy lists"
        if leaf is None:
            return Check("snp.csp-id", UNKNOWN, expected, lacking[0], KDS, lacking[1])
        csp_id = leaf.extensions.csp_id if leaf.extensions else None
        if csp_id is None:
            return Check("snp.csp-id", FAILED, expected, "no cspID", KDS, Reason.SNP_CSP_ID)
        return Check("snp.csp-id", NOT_CHECKED, expected, csp_id, KDS, Reason.SNP_CSP_ID)
    if not any(report.chip_id):
        found, fix = "CHIP_ID is all zero: masked", "the host must leave MASK_CHIP_ID off"
        return Check("snp.chip-id", FAILED, _CHIP_ID, found, KDS, Reason.SNP_CHIP_ID, fix)
    if leaf is None:
        return Check("snp.chip-id", UNKNOWN, _CHIP_ID, lacking[0], KDS, lacking[1])
    if chain.fits_chip(report, leaf):
        return _CHIP_ID_OK
    hwid = leaf.extensions.hwid if leaf.extensions else None
    found = f"CHIP_ID {_short(report.chip_id)}, hwID {_short(hwid) if hwid else 'none'}"
    fix = "give the VCEK certificate of the chip that made this report"
    return Check("snp.chip-id", FAILED, _CHIP_ID, found, KDS, Reason.SNP_CHIP_ID, fix)


def _short(value: bytes) -> str:
    return f"{value[:8].hex()}… ({len(value)} bytes)" if len(value) > 8 else value.hex()


# --- the report against our challenge --------------------------------------------------------------


def report_data(report: SnpReport, binding: Binding) -> Check:
    """All 64 bytes, in constant time."""
    if not isinstance(binding, ReportData):
        expected, found = "REPORT_DATA that we computed", f"not compared: {binding.why}"
        reason = Reason.REPORT_DATA_NOT_COMPARED
        return Check(_BINDING, NOT_CHECKED, expected, found, _BINDING_SOURCE, reason)
    expected = f"REPORT_DATA {binding.expected.hex()}"
    if hmac.compare_digest(report.report_data, binding.expected):
        return Check(_BINDING, PASSED, expected, "equal", _BINDING_SOURCE)
    found = report.report_data.hex()
    return Check(_BINDING, FAILED, expected, found, _BINDING_SOURCE, Reason.REPORT_DATA_MISMATCH)
