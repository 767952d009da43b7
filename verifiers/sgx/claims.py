"""Claims of an SGX quote: the table, and the values from one enclave report."""

from __future__ import annotations

from datetime import datetime

from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.dcap import claims as shared
from verifiers.dcap.quote import Quote
from verifiers.dcap.report import EnclaveFlags, EnclaveReport
from verifiers.dcap.verify import Examined
from verifiers.model import ClaimValue

_REPORT = 'Intel SDM volume 3D, "REPORT"'

# json key, length, meaning, Trustee (under quote.body), Intel Trust Authority
_FIELDS: tuple[tuple[str, int, str, str | None, str | None], ...] = (
    ("cpu_svn", 16, "CPUSVN in its raw form", "cpu_svn", None),
    ("misc_select", 4, "MISCSELECT, as bytes", "misc_select", None),
    ("cet_attributes", 1, "CET_ATTRIBUTES", None, None),
    ("isv_ext_prod_id", 16, "extended product id (KSS)", "isv_ext_prod_id", None),
    ("attributes", 16, "ATTRIBUTES: flags and XFRM, as bytes", "attributes", None),
    ("mr_enclave", 32, "measurement of the enclave", "mr_enclave", "sgx_mrenclave"),
    ("mr_signer", 32, "signer of the enclave", "mr_signer", "sgx_mrsigner"),
    ("config_id", 64, "CONFIGID (KSS), chosen by whoever launches the enclave", "config_id", "sgx_config_id"),
    ("isv_prod_id", 2, "product id, as bytes, little-endian", "isv_prod_id", None),
    ("isv_svn", 2, "SVN, as bytes, little-endian", "isv_svn", None),
    ("config_svn", 2, "CONFIGSVN (KSS), as bytes, little-endian", "config_svn", None),
    ("isv_family_id", 16, "family id (KSS)", "isv_family_id", None),
    ("report_data", 64, "bytes given by software inside the enclave", "report_data", "sgx_report_data"),
)
_RAW = {"isv_prod_id", "isv_svn", "config_svn"}
"""Numbers that the JSON form spells as bytes: policies compare the numbers, under the plain name."""
_FLAGS = tuple((flag.name or "", flag.value) for flag in EnclaveFlags)


def _name(field: str) -> str:
    return f"sgx.{field}.bytes" if field in _RAW else f"sgx.{field}"


def _number_row(field: str, doc: str, trust_authority: str | None) -> ClaimSpec:
    return ClaimSpec(
        name=f"sgx.{field}",
        type=ClaimType.INTEGER,
        doc=doc,
        source=_REPORT,
        json=f"{field}_number",
        trust_authority=trust_authority,
    )


TABLE: tuple[ClaimSpec, ...] = (
    *(
        ClaimSpec(
            name=_name(field),
            type=ClaimType.DIGEST if field in ("mr_enclave", "mr_signer") else ClaimType.BYTES,
            doc=doc,
            source=_REPORT,
            json=field,
            length=length,
            unit="bytes",
            trustee=f"quote.body.{trustee}" if trustee else None,
            trust_authority=trust_authority,
        )
        for field, length, doc, trustee, trust_authority in _FIELDS
    ),
    _number_row("isv_prod_id", "product id", "sgx_isvprodid"),
    _number_row("isv_svn", "security version of the enclave", "sgx_isvsvn"),
    _number_row("config_svn", "security version of the configuration (KSS)", None),
    *(
        ClaimSpec(
            name=f"sgx.attributes.{name.lower()}",
            type=ClaimType.FLAG,
            doc=f"ATTRIBUTES.{name}",
            source='Intel SDM volume 3D, "ATTRIBUTES"',
            json=f"attributes_{name.lower()}",
            trust_authority="sgx_is_debuggable" if name == "DEBUG" else None,
        )
        for name, _ in _FLAGS
    ),
    *shared.rows("sgx"),
)

_NAMES = tuple((field, _name(field)) for field, *_ in _FIELDS)
_FLAG_NAMES = tuple((f"sgx.attributes.{name.lower()}", bit) for name, bit in _FLAGS)


def claims(quote: Quote, report: EnclaveReport, found: Examined, now: datetime) -> dict[str, ClaimValue]:
    """Values for TABLE; what nobody vouches for is absent."""
    out = shared.claims("sgx", quote, found, now)
    out |= {name: getattr(report, attribute) for attribute, name in _NAMES}
    out["sgx.isv_prod_id"], out["sgx.isv_svn"] = report.prod_id, report.svn
    out["sgx.config_svn"] = int.from_bytes(report.config_svn, "little")
    out |= {name: bool(report.flags & bit) for name, bit in _FLAG_NAMES}
    return out
