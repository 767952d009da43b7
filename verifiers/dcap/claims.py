"""Claims that TDX and SGX share: platform, quoting enclave, TCB status, and the age of collateral.

Claims of a quote that failed say what the quote says; only an accepted one makes them facts. Claims that come
from collateral exist only when that collateral was verified and valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from verifiers.claimtypes import ClaimSpec, ClaimType, Provenance
from verifiers.dcap.chain import CA_OF
from verifiers.dcap.document import ENCLAVE_STATUSES, Status
from verifiers.dcap.quote import Quote
from verifiers.dcap.verify import Examined
from verifiers.model import ClaimValue

_PCK = "Intel PCK Certificate and CRL Profile, 1.3.5"
_PCS = "Intel PCS API v4"
_QUOTE = "Intel TDX DCAP Quoting Library API, A.3.11"
_STATUSES = tuple(status.value for status in Status)
_ENCLAVE = tuple(s.value for s in Status if s in ENCLAVE_STATUSES or s is Status.NOT_SUPPORTED)


def _row(
    name: str,
    kind: ClaimType,
    doc: str,
    source: str,
    json: str,
    *,
    length: int | None = None,
    trustee: str | None = None,
    trust_authority: str | None = None,
    values: tuple[str, ...] = (),
    pattern: str = "",
) -> ClaimSpec:
    unit = "bytes" if length is not None else "seconds" if kind is ClaimType.DURATION else ""
    return ClaimSpec(
        name=name,
        type=kind,
        doc=doc,
        source=source,
        json=json,
        length=length,
        unit=unit,
        trustee=trustee,
        trust_authority=trust_authority,
        values=values,
        pattern=pattern,
        provenance=Provenance.HARDWARE if source is _QUOTE else Provenance.ENDORSED,
    )


COLLATERAL: tuple[ClaimSpec, ...] = tuple(
    _row(
        f"collateral.{name}.age",
        ClaimType.DURATION,
        f"time since {since} of the {what} that was used",
        source,
        f"collateral_{name}_age",
    )
    for name, what, since, source in (
        ("tcb_info", "TCB info", "issueDate", _PCS),
        ("qe_identity", "QE identity", "issueDate", _PCS),
        ("pck_crl", "PCK CRL", "thisUpdate", "RFC 5280, 5.1.2.4"),
        ("root_crl", "root CRL", "thisUpdate", "RFC 5280, 5.1.2.4"),
    )
) + tuple(
    _row(
        f"collateral.{name}",
        ClaimType.TEXT,
        f"present when a current {what} was checked",
        "RFC 5280, 6.3",
        f"collateral_{name}",
        values=("checked",),
    )
    for name, what in (("pck_crl", "PCK CRL"), ("root_crl", "root CRL"))
)


# name below the TEE, type, length in bytes, JSON key, meaning
_PLATFORM: tuple[tuple[str, ClaimType, int | None, str, str], ...] = (
    ("fmspc", ClaimType.BYTES, 6, "fmspc", "platform family"),
    ("pceid", ClaimType.BYTES, 2, "pck_pceid", "identifier of the PCE"),
    ("pck.ca", ClaimType.TEXT, None, "pck_ca", "CA that issued the PCK certificate"),
    ("pck.ppid", ClaimType.BYTES, 16, "pck_ppid", "identity of the processor package set"),
    ("pck.cpu_svn", ClaimType.BYTES, 16, "pck_cpusvn", "CPUSVN as certified"),
    ("pck.components", ClaimType.LIST, None, "pck_comp_svns", "16 SGX TCB component SVNs"),
    ("pck.pce_svn", ClaimType.INTEGER, None, "pck_pcesvn", "SVN of the PCE"),
    ("pck.sgx_type", ClaimType.INTEGER, None, "pck_sgx_type", "0 standard, 1 scalable, 2 with integrity"),
    (
        "pck.platform_instance_id",
        ClaimType.BYTES,
        16,
        "pck_platform_instance_id",
        "changes when the platform is provisioned anew; Platform CA only",
    ),
    ("pck.dynamic_platform", ClaimType.FLAG, None, "pck_dynamic_platform", "packages can be added"),
    ("pck.cached_keys", ClaimType.FLAG, None, "pck_cached_keys", "Intel keeps the platform root keys"),
    ("pck.smt_enabled", ClaimType.FLAG, None, "pck_smt_enabled", "simultaneous multithreading is on"),
    ("pck.key_sha256", ClaimType.DIGEST, 32, "pck_key_sha256", "SHA-256 of the PCK SubjectPublicKeyInfo"),
)
_QE: tuple[tuple[str, ClaimType, int | None, str, str], ...] = (
    ("qe.mr_signer", ClaimType.DIGEST, 32, "qe_mr_signer", "signer of the quoting enclave"),
    ("qe.isv_prod_id", ClaimType.INTEGER, None, "qe_isv_prod_id", "product of the quoting enclave"),
    ("qe.isv_svn", ClaimType.INTEGER, None, "qe_isv_svn", "SVN of the quoting enclave, from its report"),
)
_VALUES = {"pck.ca": tuple(CA_OF.values())}


def rows(tee: str) -> tuple[ClaimSpec, ...]:
    """The shared rows under the name of one TEE ("tdx", "sgx")."""
    fixed = (*((_PCK, row) for row in _PLATFORM), *((_QUOTE, row) for row in _QE))
    return (
        *(
            _row(f"{tee}.{name}", kind, doc, source, json, length=length, values=_VALUES.get(name, ()))
            for source, (name, kind, length, json, doc) in fixed
        ),
        *_tcb_rows(tee),
    )


def _tcb_rows(tee: str) -> tuple[ClaimSpec, ...]:
    return (
        _row(
            f"{tee}.qe.status",
            ClaimType.TEXT,
            "TCB status of the quoting enclave",
            _PCS,
            "qe_status",
            values=_ENCLAVE,
        ),
        _row(f"{tee}.qe.date", ClaimType.TIME, "date of the quoting enclave's level", _PCS, "qe_date"),
        _row(
            f"{tee}.qe.evaluation_number",
            ClaimType.INTEGER,
            "tcbEvaluationDataNumber of the QE identity",
            _PCS,
            "qe_evaluation_number",
        ),
        _row(
            f"{tee}.tcb.status",
            ClaimType.TEXT,
            "converged status of platform, module and quoting enclave",
            _PCS,
            "tcb_status",
            trustee="tcb_status",
            trust_authority="attester_tcb_status",
            values=_STATUSES,
        ),
        _row(
            f"{tee}.tcb.advisory_ids",
            ClaimType.SET,
            "advisories of all levels that contribute",
            _PCS,
            "advisory_ids",
            trustee="advisory_ids",
            trust_authority="attester_advisory_ids",
            pattern="INTEL-[A-Z]+-[0-9]{5}",
        ),
        _row(
            f"{tee}.tcb.date",
            ClaimType.TIME,
            "older date of the platform's level and the module's",
            _PCS,
            "tcb_date",
            trustee="tcb_date",
            trust_authority="attester_tcb_date",
        ),
        _row(
            f"{tee}.tcb.evaluation_number",
            ClaimType.INTEGER,
            "tcbEvaluationDataNumber of the TCB info",
            _PCS,
            "tcb_evaluation_number",
        ),
    )


TABLE: tuple[ClaimSpec, ...] = COLLATERAL


@dataclass(frozen=True, slots=True)
class _Names:
    """Full names under one TEE, put together once."""

    qe_mr_signer: str
    qe_isv_prod_id: str
    qe_isv_svn: str
    qe_status: str
    qe_date: str
    qe_evaluation: str
    status: str
    advisories: str
    date: str
    evaluation: str
    platform: tuple[tuple[str, str], ...]
    optional: tuple[tuple[str, str], ...]


def _names(tee: str) -> _Names:
    below = {
        "fmspc": "fmspc",
        "pce_id": "pceid",
        "ppid": "pck.ppid",
        "cpu_svn": "pck.cpu_svn",
        "components": "pck.components",
        "pce_svn": "pck.pce_svn",
        "sgx_type": "pck.sgx_type",
    }
    optional = ("platform_instance_id", "dynamic_platform", "cached_keys", "smt_enabled")
    return _Names(
        qe_mr_signer=f"{tee}.qe.mr_signer",
        qe_isv_prod_id=f"{tee}.qe.isv_prod_id",
        qe_isv_svn=f"{tee}.qe.isv_svn",
        qe_status=f"{tee}.qe.status",
        qe_date=f"{tee}.qe.date",
        qe_evaluation=f"{tee}.qe.evaluation_number",
        status=f"{tee}.tcb.status",
        advisories=f"{tee}.tcb.advisory_ids",
        date=f"{tee}.tcb.date",
        evaluation=f"{tee}.tcb.evaluation_number",
        platform=tuple((attribute, f"{tee}.{name}") for attribute, name in below.items()),
        optional=tuple((attribute, f"{tee}.pck.{attribute}") for attribute in optional),
    )


_NAMES = {"tdx": _names("tdx"), "sgx": _names("sgx")}


def claims(tee: str, quote: Quote, found: Examined, now: datetime) -> dict[str, ClaimValue]:
    """Values for `rows(tee)`, COLLATERAL and evidence.*; what is not known is absent."""
    qe, names = quote.signature_data.qe_report, _NAMES[tee]
    out: dict[str, ClaimValue] = {
        "evidence.type": quote.kind.value,
        "evidence.version": quote.header.version,
        "evidence.simulated": found.simulated,
        names.qe_mr_signer: qe.mr_signer,
        names.qe_isv_prod_id: qe.prod_id,
        names.qe_isv_svn: qe.svn,
    }
    chain = found.chain
    if chain is not None and chain.pck is not None:
        for attribute, name in names.platform:
            out[name] = getattr(chain.pck, attribute)
        for attribute, name in names.optional:
            if (value := getattr(chain.pck, attribute)) is not None:
                out[name] = value
        out[f"{tee}.pck.key_sha256"] = chain.key_sha256
        if (ca := CA_OF.get(chain.leaf.issuer_cn)) is not None:
            out[f"{tee}.pck.ca"] = ca
    _tcb(out, names, found)
    if found.tcb_info is not None:
        info = found.tcb_info.value
        out[names.evaluation] = info.evaluation_number
        out["collateral.tcb_info.age"] = now - info.window.issued
    if found.identity is not None:
        identity = found.identity.value
        out[names.qe_evaluation] = identity.evaluation_number
        out["collateral.qe_identity.age"] = now - identity.window.issued
    if found.pck_crl is not None:
        out["collateral.pck_crl"] = "checked"
        out["collateral.pck_crl.age"] = now - found.pck_crl.this_update
    if found.root_crl is not None:
        out["collateral.root_crl"] = "checked"
        out["collateral.root_crl.age"] = now - found.root_crl.this_update
    return out


def _tcb(out: dict[str, ClaimValue], names: _Names, found: Examined) -> None:
    evaluation = found.evaluation
    if evaluation is None:
        return
    out[names.status] = evaluation.status.value
    out[names.advisories] = frozenset(evaluation.advisory_ids)
    out[names.qe_status] = evaluation.qe_status.value
    if evaluation.date is not None:
        out[names.date] = evaluation.date
    if evaluation.qe_date is not None:
        out[names.qe_date] = evaluation.qe_date
