"""Claims of a TDX quote: the table, and the values from one TD report."""

from __future__ import annotations

from datetime import datetime

from verifiers.claimtypes import ClaimSpec, ClaimType, Provenance
from verifiers.dcap import claims as shared
from verifiers.dcap.document import ENCLAVE_STATUSES, Status
from verifiers.dcap.quote import Quote
from verifiers.dcap.verify import Examined
from verifiers.model import ClaimValue
from verifiers.tdx import attributes
from verifiers.tdx.abi import TdReport

_BODY = "Intel TDX DCAP Quoting Library API, A.3.2"
_BODY_1_5 = "Intel TDX DCAP Quoting Library API, A.3.3"
_ATTRIBUTES = "Intel TDX Module 1.5 ABI, ATTRIBUTES"

# json key, length, meaning, Trustee (under quote.body), Intel Trust Authority
_FIELDS: tuple[tuple[str, int, str, str, str | None], ...] = (
    ("tee_tcb_svn", 16, "module and microcode SVNs when the TD was launched", "tcb_svn", "tdx_tee_tcb_svn"),
    ("mr_seam", 48, "measurement of the TDX module", "mr_seam", "tdx_mrseam"),
    ("mr_signer_seam", 48, "signer of the TDX module; zero: Intel", "mrsigner_seam", "tdx_mrsignerseam"),
    ("seam_attributes", 8, "attributes of the TDX module", "seam_attributes", "tdx_seam_attributes"),
    ("td_attributes", 8, "TDATTRIBUTES, as bytes", "td_attributes", "tdx_td_attributes"),
    ("xfam", 8, "extended features that the TD may use, as bytes", "xfam", "tdx_xfam"),
    ("mr_td", 48, "initial memory and firmware of the TD", "mr_td", "tdx_mrtd"),
    ("mr_config_id", 48, "chosen by the host at launch", "mr_config_id", "tdx_mrconfigid"),
    ("mr_owner", 48, "label, chosen by the host at launch", "mr_owner", "tdx_mrowner"),
    ("mr_owner_config", 48, "label, chosen by the host at launch", "mr_owner_config", "tdx_mrownerconfig"),
    ("rtmr0", 48, "firmware and its configuration", "rtmr_0", "tdx_rtmr0"),
    ("rtmr1", 48, "boot loader and kernel", "rtmr_1", "tdx_rtmr1"),
    ("rtmr2", 48, "command line, initrd, operating system", "rtmr_2", "tdx_rtmr2"),
    ("rtmr3", 48, "extended by software inside the TD", "rtmr_3", "tdx_rtmr3"),
    ("report_data", 64, "bytes given by software inside the TD", "report_data", "tdx_report_data"),
)
_FIELDS_1_5: tuple[tuple[str, int, str, str, str | None], ...] = (
    ("tee_tcb_svn2", 16, "module and microcode SVNs as loaded now", "tee_tcb_svn2", None),
    ("mr_service_td", 48, "hash of the service TDs bound to this TD; zero: none", "mr_servicetd", None),
)
_FIELDS_EXTENDED: tuple[tuple[str, int, str], ...] = (
    ("td_id", 32, "identity of the TD"),
    ("dev_info", 48, "hash over attached devices"),
    ("init_servtd_hash", 48, "service TDs at launch"),
    ("init_servtd_attr", 8, "attributes of the service TDs at launch"),
    ("init_cpu_svn", 16, "CPUSVN of the platform where the TD was launched"),
    ("init_tee_tcb_svn", 16, "TEE_TCB_SVN of the platform where the TD was launched"),
    ("init_tee_fmspc", 12, "FMSPC of the platform where the TD was launched"),
    ("curr_servtd_hash", 48, "service TDs now"),
    ("curr_servtd_attr", 8, "attributes of the service TDs now"),
)
_FLAG_DOC = {
    "DEBUG": ("the host can read and change the TD", "debug"),
    "HGS_PLUS_PROF": ("the host may profile the TD (HGS+)", None),
    "PERF_PROF": ("the host may profile the TD (performance counters)", None),
    "PMT_PROF": ("the host may profile the TD (platform monitoring)", None),
    "ICSSD": ("bit 16", None),
    "SERVTD_EXT": ("extended service TD fields are in use", None),
    "LASS": ("linear address space separation", None),
    "SEPT_VE_DISABLE": ("the host cannot inject #VE by unmapping pages", "septve_disable"),
    "MIGRATABLE": ("the TD can be moved to another platform", None),
    "PKS": ("protection keys for supervisor pages", "protection_keys"),
    "KL": ("Key Locker", "key_locker"),
    "TPA": ("bit 62", None),
    "PERFMON": ("the TD can use performance counters", "perfmon"),
}
_DIGESTS = frozenset(
    {"mr_seam", "mr_signer_seam", "mr_td", "mr_config_id", "mr_owner", "mr_owner_config"}
) | {
    *(f"rtmr{n}" for n in range(4)),
    *("mr_service_td", "dev_info", "init_servtd_hash", "curr_servtd_hash"),
}


def _field_row(
    name: str, length: int, doc: str, source: str, trustee: str | None, trust_authority: str | None
) -> ClaimSpec:
    return ClaimSpec(
        name=f"tdx.{name}",
        type=ClaimType.DIGEST if name in _DIGESTS else ClaimType.BYTES,
        doc=doc,
        source=source,
        json=name,
        length=length,
        unit="bytes",
        trustee=f"quote.body.{trustee}" if trustee else None,
        trust_authority=trust_authority,
    )


def _flag_row(flag: str) -> ClaimSpec:
    doc, elsewhere = _FLAG_DOC[flag]
    return ClaimSpec(
        name=f"tdx.td_attributes.{flag.lower()}",
        type=ClaimType.FLAG,
        doc=doc,
        source=_ATTRIBUTES,
        json=f"td_attributes_{flag.lower()}",
        trustee=f"td_attributes.{elsewhere}" if elsewhere else None,
        trust_authority=f"tdx_td_attributes_{elsewhere}" if elsewhere else None,
    )


TABLE: tuple[ClaimSpec, ...] = (
    *(_field_row(n, size, doc, _BODY, t, ta) for n, size, doc, t, ta in _FIELDS),
    *(_field_row(n, size, doc, _BODY_1_5, t, ta) for n, size, doc, t, ta in _FIELDS_1_5),
    *(_field_row(n, size, doc, _BODY_1_5, None, None) for n, size, doc in _FIELDS_EXTENDED),
    ClaimSpec(
        name="tdx.vm_id",
        type=ClaimType.INTEGER,
        doc="number of the virtual machine inside a partitioned TD",
        source=_BODY_1_5,
        json="vm_id",
    ),
    ClaimSpec(
        name="tdx.td_attribute_flags",
        type=ClaimType.SET,
        doc="names of the attributes that are set",
        source=_ATTRIBUTES,
        json="td_attribute_flags",
        pattern="|".join(attributes.ALL_NAMES),
    ),
    *map(_flag_row, attributes.FLAGS),
    ClaimSpec(
        name="tdx.module.id",
        type=ClaimType.TEXT,
        doc="series of the TDX module; absent for the 1.0 series",
        source="Intel PCS API v4, TCB Info",
        json="tdx_module_id",
        pattern="TDX_[0-9A-F]{2}",
        provenance=Provenance.ENDORSED,
    ),
    ClaimSpec(
        name="tdx.module.status",
        type=ClaimType.TEXT,
        doc="TCB status of the TDX module",
        source="Intel PCS API v4, TCB Info",
        json="tdx_module_status",
        values=tuple(status.value for status in Status if status in ENCLAVE_STATUSES),
        provenance=Provenance.ENDORSED,
    ),
    *shared.rows("tdx"),
)

_NAMES = tuple((name, f"tdx.{name}") for name, *_ in _FIELDS)
_EXTENDED_NAMES = tuple((name, f"tdx.{name}") for name, *_ in _FIELDS_EXTENDED)
_FLAG_NAMES = tuple((f"tdx.td_attributes.{flag.lower()}", bit) for flag, bit in attributes.FLAGS.items())


def claims(quote: Quote, report: TdReport, found: Examined, now: datetime) -> dict[str, ClaimValue]:
    """Values for TABLE; what the report does not have, or nobody vouches for, is absent."""
    out = shared.claims("tdx", quote, found, now)
    for attribute, name in _NAMES:
        out[name] = getattr(report, attribute)
    bits = report.attribute_bits
    out["tdx.td_attribute_flags"] = attributes.names(bits)
    for name, bit in _FLAG_NAMES:
        out[name] = bits & bit != 0
    if report.tee_tcb_svn2 is not None and report.mr_service_td is not None:
        out["tdx.tee_tcb_svn2"], out["tdx.mr_service_td"] = report.tee_tcb_svn2, report.mr_service_td
    if report.extension is not None:
        out["tdx.vm_id"] = report.extension.vm_id
        out |= {name: getattr(report.extension, attribute) for attribute, name in _EXTENDED_NAMES}
    evaluation = found.evaluation
    if evaluation is not None and evaluation.module_status is not None:
        out["tdx.module.status"] = evaluation.module_status.value
        if evaluation.module_id is not None:
            out["tdx.module.id"] = evaluation.module_id
    return out
