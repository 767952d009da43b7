"""The claims of an SEV-SNP report: one row each, and how they are read.

Claims are filled from the report's bytes also when its signature fails, since a person wants to see what it
says; nothing may decide on them unless the result is authentic. TCBs need the product for their layout and
are missing when nobody knows it.

Sources: AMD 56860 (table and field per row), AMD 57230; Trustee's names from its SNP verifier.
"""

from __future__ import annotations

from datetime import datetime

from verifiers.claimtypes import ClaimSpec, ClaimType, Provenance
from verifiers.crypto.crl import Crl
from verifiers.model import ClaimValue, TcbVersion, TeeKind
from verifiers.sevsnp import product
from verifiers.sevsnp.abi import GuestPolicy, PlatformInfo, SnpReport
from verifiers.sevsnp.chain import Leaf
from verifiers.sevsnp.product import Product

_REPORT = "AMD 56860, ATTESTATION_REPORT."


def _row(
    name: str,
    kind: ClaimType,
    doc: str,
    source: str,
    json: str | None,
    *,
    length: int | None = None,
    unit: str = "",
    trustee: str | None = None,
    trust_authority: str | None = None,
    values: tuple[str, ...] = (),
    pattern: str = "",
) -> ClaimSpec:
    return ClaimSpec(
        name=name,
        type=kind,
        doc=doc,
        source=source,
        json=json,
        length=length,
        unit=unit or ("bytes" if length is not None else "bits" if kind is ClaimType.MASK else ""),
        trustee=trustee,
        trust_authority=trust_authority,
        values=values,
        pattern=pattern,
        provenance=Provenance.HARDWARE if source.startswith(_REPORT) else Provenance.ENDORSED,
    )


def _field(
    name: str, kind: ClaimType, doc: str, field: str, length: int | None = None, trustee: str | None = None
) -> ClaimSpec:
    """A claim that is one field of the report: JSON key and policy name are the field's."""
    return _row(f"snp.{name}", kind, doc, _REPORT + field, name, length=length, trustee=trustee)


POLICY_BITS: tuple[tuple[str, GuestPolicy, str, str | None], ...] = (
    ("smt", GuestPolicy.SMT, "the guest may run with SMT on", "policy_smt_allowed"),
    ("migrate_ma", GuestPolicy.MIGRATE_MA, "a migration agent may be associated", "policy_migrate_ma"),
    ("debug", GuestPolicy.DEBUG, "the host may decrypt the guest's memory", "policy_debug_allowed"),
    ("single_socket", GuestPolicy.SINGLE_SOCKET, "one socket only", "policy_single_socket"),
    ("cxl_allow", GuestPolicy.CXL_ALLOW, "CXL devices or memory may be there", None),
    ("mem_aes_256_xts", GuestPolicy.MEM_AES_256_XTS, "AES-256-XTS is required for memory", None),
    ("rapl_dis", GuestPolicy.RAPL_DIS, "RAPL must be off", None),
    ("ciphertext_hiding_dram", GuestPolicy.CIPHERTEXT_HIDING_DRAM, "ciphertext hiding is required", None),
    ("page_swap_disable", GuestPolicy.PAGE_SWAP_DISABLE, "no page move, swap-out or swap-in", None),
)
"""Claim under snp.policy, bit, meaning when set, Trustee's name."""

PLATFORM_BITS: tuple[tuple[str, PlatformInfo, str, str | None], ...] = (
    ("smt_en", PlatformInfo.SMT_EN, "SMT is on", "platform_smt_enabled"),
    ("tsme_en", PlatformInfo.TSME_EN, "transparent SME is on", "platform_tsme_enabled"),
    ("ecc_en", PlatformInfo.ECC_EN, "memory has ECC", None),
    ("rapl_dis", PlatformInfo.RAPL_DIS, "RAPL is off", None),
    ("ciphertext_hiding_dram_en", PlatformInfo.CIPHERTEXT_HIDING_DRAM_EN, "ciphertext hiding is on", None),
    ("alias_check_complete", PlatformInfo.ALIAS_CHECK_COMPLETE, "no aliasing memory since reset", None),
    ("iommu_write_safe", PlatformInfo.IOMMU_WRITE_SAFE, "mitigation of AMD-SB-3016 is on", None),
    ("tio_en", PlatformInfo.TIO_EN, "trusted I/O is on", None),
)
"""Claim under snp.platform_info, bit, meaning when set, Trustee's name."""

_F, _D, _B, _M, _I = ClaimType.FLAG, ClaimType.DIGEST, ClaimType.BYTES, ClaimType.MASK, ClaimType.INTEGER

TABLE: tuple[ClaimSpec, ...] = (
    _row(
        "snp.product",
        ClaimType.TEXT,
        "product line, once certificates say so, else what CPUID suggests",
        "AMD 57230, issuer and productName",
        "product",
        values=tuple(line.value for line in Product),
    ),
    _row(
        "snp.signing_key",
        ClaimType.TEXT,
        "kind of key that signed: a chip's (VCEK) or a provider's (VLEK)",
        _REPORT + "KEY_INFO.SIGNING_KEY",
        "signing_key",
        values=("VCEK", "VLEK"),
    ),
    _field("vmpl", _I, "privilege level that asked for the report: 0 is the highest", "VMPL"),
    _field("guest_svn", _I, "security version of the guest, from its ID block", "GUEST_SVN"),
    _field("policy", _M, "guest policy, as launched", "POLICY"),
    _row(
        "snp.policy.abi",
        ClaimType.VERSION,
        "lowest firmware ABI (major, minor) that the guest allows",
        _REPORT + "POLICY[15:0]",
        None,
        trustee="policy_abi_major",
    ),
    *(
        _row(f"snp.policy.{name}", _F, doc, _REPORT + f"POLICY.{bit.name}", None, trustee=trustee)
        for name, bit, doc, trustee in POLICY_BITS
    ),
    _row(
        "snp.policy_flags",
        ClaimType.SET,
        "names of the policy bits that are set",
        _REPORT + "POLICY",
        "policy_flags",
        pattern="|".join(name for name, *_ in POLICY_BITS),
    ),
    _field("platform_info", _M, "state of the platform", "PLATFORM_INFO"),
    *(
        _row(
            f"snp.platform_info.{name}", _F, doc, _REPORT + f"PLATFORM_INFO.{bit.name}", None, trustee=trustee
        )
        for name, bit, doc, trustee in PLATFORM_BITS
    ),
    _row(
        "snp.platform_info_flags",
        ClaimType.SET,
        "names of the platform bits that are set",
        _REPORT + "PLATFORM_INFO",
        "platform_info_flags",
        pattern="|".join(name for name, *_ in PLATFORM_BITS),
    ),
    _field("key_info", _M, "kind of signing key, masking of the chip key, author key", "KEY_INFO"),
    _row(
        "snp.author_key_en",
        _F,
        "the ID key was certified by an author key",
        _REPORT + "KEY_INFO.AUTHOR_KEY_EN",
        "author_key_en",
    ),
    _row(
        "snp.cpuid_fms",
        ClaimType.TEXT,
        "combined family, combined model, stepping, two lower-case hex digits each; from version 3",
        _REPORT + "CPUID_FAM_ID, CPUID_MOD_ID, CPUID_STEP",
        "cpuid_fms",
        pattern="[0-9a-f]{6}",
    ),
    _field("family_id", _B, "family of the guest, from its ID block", "FAMILY_ID", 16),
    _field("image_id", _B, "image of the guest, from its ID block", "IMAGE_ID", 16),
    _field("measurement", _D, "launch digest, SHA-384", "MEASUREMENT", 48, "measurement"),
    _field("host_data", _B, "data that the host gave at launch", "HOST_DATA", 32),
    _field("id_key_digest", _D, "SHA-384 of the ID key; zero without an ID block", "ID_KEY_DIGEST", 48),
    _field("author_key_digest", _D, "SHA-384 of the author key, or zero", "AUTHOR_KEY_DIGEST", 48),
    _field("report_id", _B, "identifies one guest for its lifetime", "REPORT_ID", 32),
    _field("report_id_ma", _B, "of the migration agent; all ones without one", "REPORT_ID_MA", 32),
    _field("report_data", _B, "data that the guest gave", "REPORT_DATA", 64, "report_data"),
    _field("chip_id", _B, "identifies the chip; zero when masked", "CHIP_ID", 64, "chip_id"),
    _field("current_tcb", ClaimType.TCB, "TCB that runs now", "CURRENT_TCB"),
    _field(
        "reported_tcb",
        ClaimType.TCB,
        "TCB that the signing key stands for",
        "REPORTED_TCB",
        None,
        "reported_tcb",
    ),
    _field("committed_tcb", ClaimType.TCB, "TCB below which the platform cannot go back", "COMMITTED_TCB"),
    _field("launch_tcb", ClaimType.TCB, "TCB when the guest was launched", "LAUNCH_TCB"),
    _field(
        "current_version", ClaimType.VERSION, "running firmware: major.minor.build", "CURRENT_MAJOR and after"
    ),
    _field(
        "committed_version",
        ClaimType.VERSION,
        "committed firmware: major.minor.build",
        "COMMITTED_MAJOR and after",
    ),
    _row(
        "snp.current_version_raw",
        _B,
        "running firmware as it stands in the report: build, minor, major",
        _REPORT + "CURRENT_BUILD and after",
        "current_version_build_minor_major",
        length=3,
    ),
    _row(
        "snp.committed_version_raw",
        _B,
        "committed firmware as it stands in the report: build, minor, major",
        _REPORT + "COMMITTED_BUILD and after",
        "committed_version_build_minor_major",
        length=3,
    ),
    _row(
        "snp.provisional_firmware",
        _F,
        "what runs differs from what is committed, TCB or version: it can still be rolled back",
        _REPORT + "CURRENT_TCB, COMMITTED_TCB, CURRENT_BUILD and after, COMMITTED_BUILD and after",
        None,
    ),
    _field("launch_mit_vector", _M, "mitigations at launch; zero before version 5", "LAUNCH_MIT_VECTOR"),
    _field("current_mit_vector", _M, "mitigations now; zero before version 5", "CURRENT_MIT_VECTOR"),
    _row("snp.csp_id", ClaimType.TEXT, "provider that the VLEK was made for", "AMD 57230, cspID", "csp_id"),
    _row(
        "snp.hwid",
        _B,
        "chip that the VCEK was made for; 8 bytes on Turin, else 64",
        "AMD 57230, hwID",
        "hwid",
    ),
    _row(
        "collateral.amd_crl",
        ClaimType.TEXT,
        "present when a current CRL of the ARK was checked",
        "RFC 5280, 6.3",
        "collateral_amd_crl",
        values=("checked",),
    ),
    _row(
        "collateral.amd_crl.age",
        ClaimType.DURATION,
        "time since thisUpdate of the CRL that was used",
        "RFC 5280, 5.1.2.4",
        "collateral_amd_crl_age",
        unit="seconds",
    ),
)
"""evidence.* rows are in `verifiers/claims.py`: every kind of evidence has them."""

_POLICY = tuple((f"snp.policy.{name}", name, bit.value) for name, bit, _, _ in POLICY_BITS)
_PLATFORM = tuple((f"snp.platform_info.{name}", name, bit.value) for name, bit, _, _ in PLATFORM_BITS)


def read(
    report: SnpReport, leaf: Leaf | None, line: Product | None, crl: Crl | None, now: datetime
) -> dict[str, ClaimValue]:
    """Every claim that this report has. leaf: the certificate that was selected, trusted or not; what it
    says counts only in an authentic result, like everything here. crl: one that was current, or None."""
    claims: dict[str, ClaimValue] = {
        "evidence.type": TeeKind.SEV_SNP.value,
        "evidence.version": report.version,
        "evidence.simulated": leaf is not None and leaf.simulated,
        "snp.vmpl": report.vmpl,
        "snp.guest_svn": report.guest_svn,
        "snp.policy": report.policy,
        "snp.policy.abi": (report.policy >> 8 & 0xFF, report.policy & 0xFF),
        "snp.platform_info": report.platform_info,
        "snp.key_info": report.key_info,
        "snp.author_key_en": report.author_key_en,
        "snp.family_id": report.family_id,
        "snp.image_id": report.image_id,
        "snp.measurement": report.measurement,
        "snp.host_data": report.host_data,
        "snp.id_key_digest": report.id_key_digest,
        "snp.author_key_digest": report.author_key_digest,
        "snp.report_id": report.report_id,
        "snp.report_id_ma": report.report_id_ma,
        "snp.report_data": report.report_data,
        "snp.chip_id": report.chip_id,
        "snp.current_version": report.current_version,
        "snp.committed_version": report.committed_version,
        "snp.current_version_raw": bytes(report.current_version[::-1]),
        "snp.committed_version_raw": bytes(report.committed_version[::-1]),
    }
    claims["snp.provisional_firmware"] = (report.current_tcb, report.current_version) != (
        report.committed_tcb,
        report.committed_version,
    )
    _flags(claims, report)
    if report.cpuid is not None:
        claims["snp.cpuid_fms"] = report.cpuid_fms.hex()
    if report.version != 4:
        # Sources disagree whether version 4 has them at all.
        claims["snp.launch_mit_vector"] = report.launch_mit_vector
        claims["snp.current_mit_vector"] = report.current_mit_vector
    key = report.signing_key
    if key is not None and key.name != "NONE":
        claims["snp.signing_key"] = key.name
    if line is not None:
        claims["snp.product"] = line.value
        _tcbs(claims, report, line)
    if leaf is not None and leaf.extensions is not None:
        if leaf.extensions.hwid is not None:
            claims["snp.hwid"] = leaf.extensions.hwid
        if leaf.extensions.csp_id is not None:
            claims["snp.csp_id"] = leaf.extensions.csp_id
    if crl is not None:
        claims["collateral.amd_crl"] = "checked"
        claims["collateral.amd_crl.age"] = now - crl.this_update
    return claims


def _tcbs(claims: dict[str, ClaimValue], report: SnpReport, line: Product) -> None:
    # On a platform at rest all four are the same bytes: decoded once.
    decoded: dict[bytes, TcbVersion] = {}
    for claim, raw in (
        ("snp.current_tcb", report.current_tcb),
        ("snp.reported_tcb", report.reported_tcb),
        ("snp.committed_tcb", report.committed_tcb),
        ("snp.launch_tcb", report.launch_tcb),
    ):
        if raw not in decoded:
            decoded[raw] = product.decode_tcb(raw, line)
        claims[claim] = decoded[raw]


def _flags(claims: dict[str, ClaimValue], report: SnpReport) -> None:
    """Each known bit as a flag, and the names of those that are set."""
    for into, bits, value in (
        ("snp.policy_flags", _POLICY, report.policy),
        ("snp.platform_info_flags", _PLATFORM, report.platform_info),
    ):
        names = []
        for claim, name, bit in bits:
            on = value & bit != 0
            claims[claim] = on
            if on:
                names.append(name)
        claims[into] = frozenset(names)
