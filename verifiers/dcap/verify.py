"""The verification procedure that TDX and SGX quotes share, in the order of the vendor's own.

Every question is asked whatever the earlier answers were, so that one result shows all findings; only what
cannot be asked for want of an input is UNKNOWN. Nothing raises for evidence or collateral that is wrong.

Sources: Intel SGX/TDX DCAP Quote Verification Library (order of checks); Intel PCS API v4 (documents).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from verifiers.crypto import ecdsa
from verifiers.crypto.crl import Crl
from verifiers.crypto.x509 import Certificate
from verifiers.dcap import chain as chains
from verifiers.dcap import collateral as shelves
from verifiers.dcap import identity as identities
from verifiers.dcap import levels, needs, roots
from verifiers.dcap.chain import PckChain, Problem
from verifiers.dcap.collateral import Collateral, Document, Lack
from verifiers.dcap.document import Status
from verifiers.dcap.identity import EnclaveIdentity
from verifiers.dcap.levels import Evaluation, Platform, TdxTcb
from verifiers.dcap.quote import Quote
from verifiers.dcap.tcbinfo import TcbInfo
from verifiers.errors import Reason
from verifiers.model import (
    AnchorSet,
    Binding,
    Check,
    ClaimValue,
    Endorsements,
    EvidenceSummary,
    Need,
    Outcome,
    ReportData,
    Tcb,
    Verification,
)
from verifiers.verdict import conclude

INTEL_QE_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")

_HEADER = "Intel TDX DCAP Quoting Library API, A.3.1"
_PCK_PROFILE = "Intel PCK Certificate and CRL Profile, 1.3"
_SIGNATURES = "Intel TDX DCAP Quoting Library API, A.3.8"
_TCB_INFO = "Intel PCS API v4, TCB Info"
_IDENTITY = "Intel PCS API v4, Enclave Identity"
_ALGORITHM = "Intel PCS API v4, TCB evaluation"


@dataclass(slots=True, kw_only=True)
class Examined:
    """What the common steps found. Filled step by step by `examine`, then read by the TEE's verifier."""

    checks: list[Check] = field(default_factory=list)
    chain: PckChain | None = None
    signature_valid: bool = False
    tcb_info: Document[TcbInfo] | None = None
    identity: Document[EnclaveIdentity] | None = None
    root_crl: Crl | None = None
    pck_crl: Crl | None = None
    evaluation: Evaluation | None = None
    missing: list[Need] = field(default_factory=list)
    used: dict[str, str] = field(default_factory=dict)
    ends: list[datetime] = field(default_factory=list)

    @property
    def chain_valid(self) -> bool:
        return self.chain is not None and self.chain.problem is None

    @property
    def simulated(self) -> bool:
        return self.chain is not None and self.chain.simulated


def examine(quote: Quote, tdx: TdxTcb | None, endorsements: Endorsements, now: datetime) -> Examined:
    """Steps 1 to 12. tdx: what the TD report says about its TCB; None for SGX."""
    out = Examined()
    out.checks.append(_header(quote))
    found = chains.find(quote, endorsements)
    chain = found if isinstance(found, PckChain) else None
    out.chain = chain
    out.checks += _chain(found)
    collateral = _collateral(quote, chain, endorsements)
    dates_at = len(out.checks)
    out.checks.append(_revocation(out, chain, collateral, now))
    out.checks += _signatures(out, quote, chain)
    _tcb_info(out, quote, chain, collateral, now)
    _identity(out, quote, collateral, now)
    _tcb(out, quote, tdx)
    # Dates come before revocation in the vendor's order; which TCB signing certificate counts, only now.
    out.checks.insert(dates_at, _dates(out, found, now))
    return out


def finish(
    quote: Quote,
    examined: Examined,
    claims: Mapping[str, ClaimValue],
    report_data: bytes,
    endorsements: Endorsements,
    binding: Binding,
    now: datetime,
) -> Verification:
    """The last steps, binding and simulation, and the result. `examined.checks` has the TEE's own by now."""
    checks = [*examined.checks, _binding(report_data, binding)]
    if examined.simulated:
        checks.append(_simulated(endorsements.anchors))
    evaluation = examined.evaluation
    pck = examined.chain.pck if examined.chain else None
    return conclude(
        evidence=EvidenceSummary(
            kind=quote.kind,
            version=quote.header.version,
            signing_key="PCK",
            digest=hashlib.sha256(quote.signed).digest(),
            fmspc=pck.fmspc.hex().upper() if pck else None,
        ),
        signature_valid=examined.signature_valid,
        chain_valid=examined.chain_valid,
        simulated=examined.simulated,
        tcb=Tcb(
            status=evaluation.status.value,
            advisory_ids=evaluation.advisory_ids,
            date=evaluation.date,
            short=evaluation.short,
        )
        if evaluation
        else Tcb(),
        claims=claims,
        checks=checks,
        used=examined.used,
        missing=examined.missing,
        ends=examined.ends,
        now=now,
    )


def check(name: str, ok: bool, expected: str, found: str, source: str, reason: Reason | None = None) -> Check:
    """PASSED or FAILED."""
    if ok:
        return Check(name, Outcome.PASSED, expected, found, source)
    return Check(name, Outcome.FAILED, expected, found, source, reason)


def _header(quote: Quote) -> Check:
    head = quote.header
    found = "as expected"
    if head.qe_vendor_id != INTEL_QE_VENDOR_ID:
        found = f"QE vendor id {head.qe_vendor_id.hex()}"
    elif head.version != 3 and (head.qe_svn or head.pce_svn):
        found = f"reserved fields {head.qe_svn}, {head.pce_svn}"
    return check(
        "dcap.header",
        found == "as expected",
        "Intel's QE vendor id, reserved fields zero",
        found,
        _HEADER,
        Reason.DCAP_HEADER,
    )


def _chain(found: PckChain | Problem) -> tuple[Check, Check]:
    """Signatures to a pin; then names, CA flags, path length, key usage."""
    expected, names = (
        "signatures from the PCK certificate to a pinned root",
        "names and flags of the PCK profile",
    )
    if isinstance(found, Problem):
        definite = found.reason is not Reason.DCAP_PCK_MISSING
        outcome = Outcome.FAILED if definite else Outcome.UNKNOWN
        fix = None if definite else "give the PCK certificate and its CA (from Intel PCS or a PCCS)"
        return (
            Check("dcap.chain", outcome, expected, found.found, _PCK_PROFILE, found.reason, fix),
            Check(
                "dcap.chain-names", Outcome.UNKNOWN, names, "no PCK certificate", _PCK_PROFILE, found.reason
            ),
        )
    problem = found.problem
    return (
        check(
            "dcap.chain",
            problem is None,
            expected,
            problem.found if problem else "they hold",
            _PCK_PROFILE,
            problem.reason if problem else None,
        ),
        check(
            "dcap.chain-names",
            not found.names,
            names,
            "; ".join(found.names) or "as expected",
            _PCK_PROFILE,
            Reason.DCAP_CHAIN_NAMES,
        ),
    )


def _collateral(quote: Quote, chain: PckChain | None, endorsements: Endorsements) -> Collateral | None:
    """Everything given, judged under the chain's own pinned root; failing that, under Intel's."""
    pins = roots.PINS[endorsements.anchors]
    root = chain.root if chain and chain.root and chain.root.sha256 in pins else None
    if root is None:
        root = shelves.pinned_root(endorsements, roots.PINS[AnchorSet.VENDOR])
    if root is None:
        return None
    ca = chain.ca if chain and chain.ca_trusted else None
    fmspc = chain.pck.fmspc if chain and chain.pck else None
    return shelves.resolve(endorsements, root, ca, quote.kind, fmspc)


def _dates(out: Examined, found: PckChain | Problem, now: datetime) -> Check:
    expected = "every certificate valid now"
    if isinstance(found, Problem):
        return Check(
            "dcap.chain-dates", Outcome.UNKNOWN, expected, "no PCK certificate", _PCK_PROFILE, found.reason
        )
    certificates = list(found.certificates)
    roles = dict(zip(("pck", "pck_ca", "root"), (found.leaf, found.ca, found.root), strict=True))
    for document in (out.tcb_info, out.identity):
        if document is not None:
            # The same key has been certified more than once: any certificate of it that is valid now will do.
            signer = next((c for c in document.signers if c.valid_at(now)), document.signers[0])
            certificates.append(signer)
            roles["tcb_signing"] = signer
    out.used.update({role: c.sha256 for role, c in roles.items() if c is not None})
    out.ends += [c.not_after for c in certificates]
    wrong = [c for c in certificates if not c.valid_at(now)]
    return check(
        "dcap.chain-dates",
        not wrong,
        expected,
        "; ".join(dict.fromkeys(map(_validity, wrong))) or "all are",
        _PCK_PROFILE,
        Reason.DCAP_CHAIN_DATES,
    )


def _validity(cert: Certificate) -> str:
    return f"{cert.subject_cn}: {cert.not_before.isoformat()} to {cert.not_after.isoformat()}"


def _revocation(out: Examined, chain: PckChain | None, collateral: Collateral | None, now: datetime) -> Check:
    """Root CRL over the CA and the TCB signing certificates, PCK CRL over the leaf."""
    name, expected = "dcap.revocation", "root CRL and PCK CRL current, nothing revoked"
    if chain is None or chain.ca is None or collateral is None:
        found = "no chain to ask about" if chain is None or chain.ca is None else "no pinned root"
        return Check(name, Outcome.UNKNOWN, expected, found, _PCK_PROFILE, Reason.DCAP_ROOT_CRL_MISSING)
    root_crl = shelves.choose_crl(collateral.root_crls, Reason.DCAP_ROOT_CRL_MISSING, now)
    pck_crl = shelves.choose_crl(collateral.pck_crls, Reason.DCAP_PCK_CRL_MISSING, now)
    if isinstance(root_crl, Crl):
        out.root_crl, out.used["root_crl"] = root_crl, root_crl.sha256
        out.ends.append(root_crl.next_update)
    else:
        out.missing.append(needs.root_crl())
    if isinstance(pck_crl, Crl):
        out.pck_crl, out.used["pck_crl"] = pck_crl, pck_crl.sha256
        out.ends.append(pck_crl.next_update)
    elif chain.ca.subject_cn in chains.CA_OF:
        out.missing.append(needs.pck_crl(chains.CA_OF[chain.ca.subject_cn]))
    signers = {
        s.sha256: s
        for shelf in (collateral.tcb_infos, collateral.identities)
        for document in shelf.verified
        for s in document.signers
    }
    revoked = [
        c for c in (chain.ca, *signers.values()) if shelves.revoked(collateral.root_crls, c.serial, now)
    ]
    if shelves.revoked(collateral.pck_crls, chain.leaf.serial, now):
        revoked.append(chain.leaf)
    if revoked:
        found = ", ".join(f"{c.subject_cn} (serial {c.serial:x})" for c in revoked)
        return Check(name, Outcome.FAILED, expected, f"revoked: {found}", _PCK_PROFILE, Reason.DCAP_REVOKED)
    lacks = [
        (what, crl) for what, crl in (("root CRL", root_crl), ("PCK CRL", pck_crl)) if isinstance(crl, Lack)
    ]
    if not lacks:
        return Check(name, Outcome.PASSED, expected, "as expected", _PCK_PROFILE)
    what, worst = next((item for item in lacks if item[1].definite), lacks[0])
    return Check(
        name,
        Outcome.FAILED if worst.definite else Outcome.UNKNOWN,
        expected,
        f"{what}: {worst.found}",
        _PCK_PROFILE,
        worst.reason,
        "fetch current CRLs",
    )


def _signatures(out: Examined, quote: Quote, chain: PckChain | None) -> tuple[Check, Check, Check]:
    """QE report by the PCK, attestation key by the QE report, header and body by the attestation key."""
    data = quote.signature_data
    if chain is None:
        qe = Check(
            "dcap.qe-report-signature",
            Outcome.UNKNOWN,
            "QE report signed by the PCK",
            "no PCK certificate",
            _SIGNATURES,
            Reason.DCAP_PCK_MISSING,
        )
    else:
        ok = chains.signed_qe_report(quote, chain.leaf)
        qe = check(
            "dcap.qe-report-signature",
            ok,
            "QE report signed by the PCK",
            "it is" if ok else "it is not",
            _SIGNATURES,
            Reason.DCAP_QE_SIGNATURE,
        )
    digest = hashlib.sha256(data.attestation_key + data.auth_data).digest()
    bound = hmac.compare_digest(data.qe_report.report_data, digest + bytes(32))
    key = ecdsa.p256_point(data.attestation_key)
    binding = check(
        "dcap.attestation-key-binding",
        bound and key is not None,
        "QE REPORTDATA is SHA-256(attestation key ‖ authentication data) and 32 zero bytes; key on P-256",
        "it is" if bound and key else "another value" if key else "the key is no point of P-256",
        _SIGNATURES,
        Reason.DCAP_KEY_BINDING,
    )
    r = int.from_bytes(data.signature[:32], "big")
    s = int.from_bytes(data.signature[32:], "big")
    signed = key is not None and ecdsa.verify_p256_sha256(key, r, s, quote.signed)
    body = check(
        "dcap.signature",
        signed,
        "header and body signed by the attestation key",
        "they are" if signed else "they are not",
        _SIGNATURES,
        Reason.DCAP_SIGNATURE,
    )
    # Without a PCK the QE report's signature is unknown, and the chain cannot be valid either.
    out.signature_valid = bound and signed and qe.outcome is not Outcome.FAILED
    return qe, binding, body


def _tcb_info(
    out: Examined, quote: Quote, chain: PckChain | None, collateral: Collateral | None, now: datetime
) -> None:
    name, expected = "dcap.tcb-info", "TCB info for this FMSPC, signed by Intel, current"
    pck = chain.pck if chain else None
    if pck is None:
        found, reason = "FMSPC unknown without a PCK certificate", Reason.DCAP_PCK_MISSING
        out.checks.append(Check(name, Outcome.UNKNOWN, expected, found, _TCB_INFO, reason))
        return
    chosen: Document[TcbInfo] | Lack = Lack(
        Reason.DCAP_TCB_CHAIN_MISSING, "no pinned root to judge by", False
    )
    if collateral is not None:
        chosen = shelves.choose(collateral.tcb_infos, Reason.DCAP_TCB_INFO_MISSING, now)
    if isinstance(chosen, Lack):
        out.missing.append(needs.tcb_info(quote.kind, pck.fmspc))
        found = f"FMSPC {pck.fmspc.hex().upper()}: {chosen.found}"
        out.checks.append(_lacking(name, expected, found, chosen, _TCB_INFO))
        return
    info = chosen.value
    out.used["tcb_info"] = chosen.sha256
    out.ends.append(info.window.next_update)
    ok = info.pce_id == pck.pce_id
    if ok:
        out.tcb_info = chosen
    found = chosen.label
    if not ok:
        found = f"PCEID {info.pce_id.hex()}, the platform has {pck.pce_id.hex()}"
    out.checks.append(check(name, ok, expected, found, _TCB_INFO, Reason.DCAP_PCEID_MISMATCH))


def _identity(out: Examined, quote: Quote, collateral: Collateral | None, now: datetime) -> None:
    """The document, then whether the QE report is the enclave that it describes."""
    name, expected = "dcap.qe-identity-document", "identity of the quoting enclave, signed by Intel, current"
    same = "the QE report is that enclave, at a level that is not revoked"
    chosen: Document[EnclaveIdentity] | Lack = Lack(
        Reason.DCAP_TCB_CHAIN_MISSING, "no pinned root to judge by", False
    )
    if collateral is not None:
        chosen = shelves.choose(collateral.identities, Reason.DCAP_QE_IDENTITY_MISSING, now)
    if isinstance(chosen, Lack):
        out.missing.append(needs.qe_identity(quote.kind))
        out.checks += [
            _lacking(name, expected, chosen.found, chosen, _IDENTITY),
            Check("dcap.qe-identity", Outcome.UNKNOWN, same, "no identity", _IDENTITY, chosen.reason),
        ]
        return
    identity = chosen.value
    out.identity = chosen
    out.used["qe_identity"] = chosen.sha256
    out.ends.append(identity.window.next_update)
    found = f"{identity.id}, {chosen.label}"
    out.checks.append(Check(name, Outcome.PASSED, expected, found, _IDENTITY))
    report = quote.signature_data.qe_report
    level = identities.level_of(identity.levels, report.svn)
    wrong = identities.mismatches(identity, report)
    reason = Reason.DCAP_QE_IDENTITY
    found = "; ".join(wrong)
    if not wrong:
        found = f"ISVSVN {report.svn}: {level.status if level else 'below every level'}"
        if level is not None and level.status is Status.REVOKED:
            reason = Reason.DCAP_QE_REVOKED
    ok = not wrong and level is not None and level.status is not Status.REVOKED
    out.checks.append(check("dcap.qe-identity", ok, same, found, _IDENTITY, reason))


def _tcb(out: Examined, quote: Quote, tdx: TdxTcb | None) -> None:
    """The level. Which status is good enough is the platform baseline's to say: here only a status that
    nobody may accept fails."""
    name, expected = "dcap.tcb", "a TCB level that is supported and not revoked"
    pck = out.chain.pck if out.chain else None
    if out.tcb_info is None or out.identity is None or pck is None:
        lacking = next(
            c for c in out.checks if c.outcome is not Outcome.PASSED and c.id in ("dcap.tcb-info", _DOCUMENT)
        )
        out.checks.append(Check(name, Outcome.UNKNOWN, expected, "no levels", _ALGORITHM, lacking.reason))
        return
    platform = Platform(components=pck.components, pce_svn=pck.pce_svn, pce_id=pck.pce_id, fmspc=pck.fmspc)
    report, identity = quote.signature_data.qe_report, out.identity.value
    evaluation = levels.evaluate(out.tcb_info.value, platform, tdx, identity.levels, report.svn)
    out.evaluation = evaluation
    found = evaluation.status.value
    if evaluation.short:
        found += " (" + ", ".join(f"{s.component} {s.has}<{s.needs}" for s in evaluation.short) + ")"
    out.checks.append(check(name, evaluation.reason is None, expected, found, _ALGORITHM, evaluation.reason))


_DOCUMENT = "dcap.qe-identity-document"


def _lacking(name: str, expected: str, found: str, lack: Lack, source: str) -> Check:
    outcome = Outcome.FAILED if lack.definite else Outcome.UNKNOWN
    return Check(name, outcome, expected, found, source, lack.reason, "fetch current collateral")


def _binding(report_data: bytes, binding: Binding) -> Check:
    name, source = "binding.report-data", "RFC 9334, section 10.3"
    if not isinstance(binding, ReportData):
        return Check(
            name,
            Outcome.NOT_CHECKED,
            "REPORTDATA that we computed",
            f"not compared: {binding.why}",
            source,
            Reason.REPORT_DATA_NOT_COMPARED,
        )
    ok = hmac.compare_digest(report_data, binding.expected)
    return check(
        name,
        ok,
        f"REPORTDATA {binding.expected.hex()}",
        "equal" if ok else report_data.hex(),
        source,
        Reason.REPORT_DATA_MISMATCH,
    )


def _simulated(anchors: AnchorSet) -> Check:
    allowed = anchors is AnchorSet.VENDOR_AND_SIMULATED
    return check(
        "evidence.simulated",
        allowed,
        "simulated evidence allowed" if allowed else "no simulated evidence",
        "the simulator's root",
        "verifiers/dcap/roots.py",
        Reason.SIMULATED,
    )
