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
from verifiers.dcap import certification, levels, needs, roots
from verifiers.dcap import chain as chains
from verifiers.dcap import collateral as shelves
from verifiers.dcap import identity as identities
from verifiers.dcap import questions as q
from verifiers.dcap.chain import PckChain, Problem
from verifiers.dcap.collateral import Collateral, Document, Lack
from verifiers.dcap.document import Status
from verifiers.dcap.identity import EnclaveIdentity
from verifiers.dcap.levels import Evaluation, TdxTcb
from verifiers.dcap.questions import Question
from verifiers.dcap.quote import Quote
from verifiers.dcap.tcbinfo import TcbInfo
from verifiers.errors import Reason
from verifiers.model import (
    AnchorSet,
    Binding,
    ChainCache,
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
from verifiers.verdict import conclude, require_utc

INTEL_QE_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")


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

    def relied_on(self, role: str, crl: Crl) -> Crl:
        self.used[role] = crl.sha256
        self.ends.append(crl.next_update)
        return crl

    @property
    def chain_valid(self) -> bool:
        return self.chain is not None and self.chain.problem is None

    @property
    def simulated(self) -> bool:
        return self.chain is not None and self.chain.simulated


def examine(quote: Quote, tdx: TdxTcb | None, endorsements: Endorsements, now: datetime) -> Examined:
    """Steps 1 to 12. tdx: what the TD report says about its TCB; None for SGX.

    Raises ValueError when `now` is not UTC, and nothing else.
    """
    require_utc(now)
    out = Examined()
    out.checks.append(_header(quote))
    found = chains.find(quote, endorsements, now)
    chain = found if isinstance(found, PckChain) else None
    out.chain = chain
    out.checks += _chain(found)
    collateral = _collateral(quote, chain, endorsements)
    info, identity = _choose(collateral, now)
    dates_at = len(out.checks)
    out.checks.append(_revocation(out, chain, collateral, (info, identity), now))
    out.checks += _signatures(out, quote, found, endorsements.cache)
    out.checks.append(_tcb_info(out, quote, chain, info))
    out.checks += _identity(out, quote, identity)
    out.checks.append(_tcb(out, quote, tdx))
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
        allowed = endorsements.anchors is AnchorSet.VENDOR_AND_SIMULATED
        checks.append(q.SIMULATED.passed if allowed else q.SIMULATED.fails("the simulator's root"))
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


def _header(quote: Quote) -> Check:
    head = quote.header
    if head.qe_vendor_id != INTEL_QE_VENDOR_ID:
        return q.HEADER.fails(f"QE vendor id {head.qe_vendor_id.hex()}")
    if head.version != 3 and (head.qe_svn or head.pce_svn):
        return q.HEADER.fails(f"reserved fields {head.qe_svn}, {head.pce_svn}")
    return q.HEADER.passed


def _chain(found: PckChain | Problem) -> tuple[Check, Check]:
    """Signatures to a pin; then names, CA flags, path length, key usage."""
    if isinstance(found, Problem):
        names = q.NAMES.unknown("no PCK certificate", found.reason)
        if found.reason is Reason.DCAP_PCK_MISSING:
            fix = "give the PCK certificate and its CA (from Intel PCS or a PCCS)"
            return q.CHAIN.unknown(found.found, found.reason, fix), names
        return q.CHAIN.fails(found.found, found.reason), names
    problem = found.problem
    return (
        q.CHAIN.fails(problem.found, problem.reason) if problem else q.CHAIN.passed,
        q.NAMES.fails("; ".join(found.names)) if found.names else q.NAMES.passed,
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
    platform = (chain.pck.fmspc, chain.pck.pce_id) if chain and chain.pck else None
    return shelves.resolve(endorsements, root, ca, quote.kind, platform)


def _choose(
    collateral: Collateral | None, now: datetime
) -> tuple[Document[TcbInfo] | Lack, Document[EnclaveIdentity] | Lack]:
    if collateral is None:
        return _NO_ROOT, _NO_ROOT
    crls = collateral.root_crls
    return (
        shelves.choose(collateral.tcb_infos, crls, Reason.DCAP_TCB_INFO_MISSING, now),
        shelves.choose(collateral.identities, crls, Reason.DCAP_QE_IDENTITY_MISSING, now),
    )


def _dates(out: Examined, found: PckChain | Problem, now: datetime) -> Check:
    if isinstance(found, Problem):
        return q.DATES.unknown("no PCK certificate", found.reason)
    roles = {"pck": found.leaf, "pck_ca": found.ca, "root": found.root}
    for document, role in ((out.tcb_info, "tcb_signing"), (out.identity, "qe_identity_signing")):
        if document is not None:
            # The same key has been certified more than once: any certificate of it that is valid now will do.
            roles[role] = next(filter(lambda c: c.valid_at(now), document.signers), document.signers[0])
    wrong: list[Certificate] = []
    for role, certificate in roles.items():
        if certificate is not None:
            out.used[role] = certificate.sha256
            out.ends.append(certificate.not_after)
            if not certificate.valid_at(now):
                wrong.append(certificate)
    if wrong:
        return q.DATES.fails("; ".join(dict.fromkeys(map(_validity, wrong))))
    return q.DATES.passed


def _validity(cert: Certificate) -> str:
    window = f"{cert.not_before:%Y-%m-%dT%H:%M:%SZ} to {cert.not_after:%Y-%m-%dT%H:%M:%SZ}"
    return f"{chains.shown(cert.subject_cn)}: {window}"


def _revocation(
    out: Examined,
    chain: PckChain | None,
    collateral: Collateral | None,
    chosen: tuple[Document[TcbInfo] | Lack, Document[EnclaveIdentity] | Lack],
    now: datetime,
) -> Check:
    """Root CRL over the CA and the TCB signing certificates, PCK CRL over the leaf.

    Signers of a document that counts are not revoked, or it would not count (`collateral.choose`).
    """
    if chain is None or chain.ca is None or collateral is None:
        found = "no chain to ask about" if chain is None or chain.ca is None else "no pinned root"
        return q.REVOCATION.unknown(found, Reason.DCAP_ROOT_CRL_MISSING)
    root_crl = shelves.choose_crl(collateral.root_crls, Reason.DCAP_ROOT_CRL_MISSING, now)
    pck_crl = shelves.choose_crl(collateral.pck_crls, Reason.DCAP_PCK_CRL_MISSING, now)
    lacks: list[tuple[str, Lack]] = []
    if isinstance(root_crl, Crl):
        out.root_crl = out.relied_on("root_crl", root_crl)
    else:
        lacks.append(("root CRL", root_crl))
        out.missing.append(needs.root_crl())
    if isinstance(pck_crl, Crl):
        out.pck_crl = out.relied_on("pck_crl", pck_crl)
    else:
        lacks.append(("PCK CRL", pck_crl))
        if chain.ca.subject_cn in chains.CA_OF:
            out.missing.append(needs.pck_crl(chains.CA_OF[chain.ca.subject_cn]))
    revoked = [chain.ca] if shelves.revoked(collateral.root_crls, chain.ca.serial, now) else []
    revoked += (signer for lack in chosen if isinstance(lack, Lack) for signer in lack.revoked)
    if shelves.revoked(collateral.pck_crls, chain.leaf.serial, now):
        revoked.append(chain.leaf)
    if revoked:
        return q.REVOCATION.fails(shelves.named(revoked))
    if not lacks:
        return q.REVOCATION.passed
    what, worst = next((item for item in lacks if item[1].definite), lacks[0])
    return _lacking(q.REVOCATION, f"{what}: {worst.found}", worst)


def _signatures(
    out: Examined, quote: Quote, found: PckChain | Problem, cache: ChainCache
) -> tuple[Check, Check, Check]:
    """QE report by the PCK, attestation key by the QE report, header and body by the attestation key."""
    data = quote.signature_data
    certified = certification.judge(quote, found, cache)
    if isinstance(found, Problem):
        qe = q.QE_SIGNATURE.unknown("no PCK certificate", found.reason)
    else:
        qe = q.QE_SIGNATURE.passed if certified.qe_signed else q.QE_SIGNATURE.fails("it is not")
    key, binding = certified.key, q.KEY_BINDING.passed
    if key is None:
        binding = q.KEY_BINDING.fails("the key is no point of P-256")
    elif not certified.bound:
        binding = q.KEY_BINDING.fails("another value")
    r = int.from_bytes(data.signature[:32], "big")
    s = int.from_bytes(data.signature[32:], "big")
    signed = key is not None and ecdsa.verify_p256_sha256(key, r, s, quote.signed)
    body = q.SIGNATURE.passed if signed else q.SIGNATURE.fails("they are not")
    # Without a PCK the QE report's signature is unknown, and the chain cannot be valid either. One that was
    # brought and cannot be read is no lack of a PCK, but a signature that does not verify.
    garbled = isinstance(found, Problem) and found.garbled
    out.signature_valid = certified.bound and signed and not garbled and qe.outcome is not Outcome.FAILED
    return qe, binding, body


def _tcb_info(out: Examined, quote: Quote, chain: PckChain | None, chosen: Document[TcbInfo] | Lack) -> Check:
    pck = chain.pck if chain else None
    if pck is None:
        return q.TCB_INFO.unknown("FMSPC unknown without a PCK certificate", Reason.DCAP_PCK_MISSING)
    if isinstance(chosen, Lack):
        out.missing.append(needs.tcb_info(quote.kind, pck.fmspc))
        asked = f"FMSPC {pck.fmspc.hex().upper()}, PCEID {pck.pce_id.hex()}"
        return _lacking(q.TCB_INFO, f"{asked}: {chosen.found}", chosen)
    out.tcb_info = chosen
    out.used["tcb_info"] = chosen.sha256
    out.ends.append(chosen.value.window.next_update)
    return chosen.passed


def _identity(out: Examined, quote: Quote, chosen: Document[EnclaveIdentity] | Lack) -> tuple[Check, Check]:
    """The document, then whether the QE report is the enclave that it describes."""
    if isinstance(chosen, Lack):
        out.missing.append(needs.qe_identity(quote.kind))
        return (
            _lacking(q.QE_DOCUMENT, chosen.found, chosen),
            q.QE_IDENTITY.unknown("no identity", chosen.reason),
        )
    out.identity = chosen
    out.used["qe_identity"] = chosen.sha256
    out.ends.append(chosen.value.window.next_update)
    return chosen.passed, _qe(chosen.value, quote)


def _qe(identity: EnclaveIdentity, quote: Quote) -> Check:
    report = quote.signature_data.qe_report
    wrong = identities.mismatches(identity, report)
    if wrong:
        return q.QE_IDENTITY.fails("; ".join(wrong))
    level = identities.level_of(identity.levels, report.svn)
    if level is None:
        return q.QE_IDENTITY.fails(f"ISVSVN {report.svn}: below every level")
    found = f"ISVSVN {report.svn}: {level.status.value}"
    if level.status is Status.REVOKED:
        return q.QE_IDENTITY.fails(found, Reason.DCAP_QE_REVOKED)
    return q.QE_IDENTITY.holds(found)


def _tcb(out: Examined, quote: Quote, tdx: TdxTcb | None) -> Check:
    """The level. Which status is good enough is the platform baseline's to say: here only a status that
    nobody may accept fails."""
    pck = out.chain.pck if out.chain else None
    if out.tcb_info is None or out.identity is None or pck is None:
        ids = (q.TCB_INFO.id, q.QE_DOCUMENT.id)
        lacking = next(c for c in out.checks if c.id in ids and c.outcome is not Outcome.PASSED)
        return q.TCB.unknown("no levels", Reason(lacking.reason or q.TCB.reason))
    report = quote.signature_data.qe_report
    evaluation = levels.evaluate(out.tcb_info.value, pck, tdx, out.identity.value.levels, report.svn)
    out.evaluation = evaluation
    found = evaluation.status.value
    if evaluation.short:
        found += " (" + ", ".join(f"{s.component} {s.has}<{s.needs}" for s in evaluation.short) + ")"
    return q.TCB.fails(found, evaluation.reason) if evaluation.reason else q.TCB.holds(found)


_NO_ROOT = Lack(Reason.DCAP_TCB_CHAIN_MISSING, "no pinned root to judge by", False)


def _lacking(question: Question, found: str, lack: Lack) -> Check:
    fix = "fetch current collateral"
    if lack.definite:
        return question.fails(found, lack.reason, fix)
    return question.unknown(found, lack.reason, fix)


def _binding(report_data: bytes, binding: Binding) -> Check:
    if not isinstance(binding, ReportData):
        return q.REPORT_DATA.not_checked(f"not compared: {binding.why}", Reason.REPORT_DATA_NOT_COMPARED)
    if hmac.compare_digest(report_data, binding.expected):
        return q.REPORT_DATA.passed
    return q.REPORT_DATA.fails(f"{report_data.hex()}, not {binding.expected.hex()}")
