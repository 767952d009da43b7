"""Is this SEV-SNP report genuine, and do report, certificate and our challenge belong together?

Every question is asked whatever the earlier answers were. The signature stands before everything that reads
the report's fields, so that a changed byte is named as what it is. What a platform *should* look like
(TCB floors, debug, VMPL, providers) is policy and not asked here.

Sources: AMD 56860, AMD 57230; order after AMD's own procedure.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from verifiers.model import Binding, Check, Endorsements, EvidenceSummary, Need, Tcb, TeeKind, Verification
from verifiers.sevsnp import chain as chains
from verifiers.sevsnp import checks, claims, needs, path
from verifiers.sevsnp.abi import SigningKey, SnpReport
from verifiers.sevsnp.chain import Judged, Leaf
from verifiers.sevsnp.product import Product
from verifiers.sevsnp.roots import Role
from verifiers.verdict import conclude

_ROLE_KEYS = {Role.ASK: "ask-key", Role.ASVK: "asvk-key"}


def verify(report: SnpReport, endorsements: Endorsements, binding: Binding, now: datetime) -> Verification:
    """Everything that can be found out about `report` at `now` (aware, UTC).

    Report version 4 is left open: only a platform baseline can admit it, and its mitigation vectors are never
    read. Never raises for what is wrong with report or endorsements; ValueError when `now` is not UTC.

    A CRL does not say from which of KDS's two places it is ("vcek", "vlek"): both are the ARK's own, and
    any of them counts for ASK and ASVK alike.
    """
    if now.utcoffset() != timedelta(0):
        raise ValueError("now must be an aware UTC datetime")
    anchors = endorsements.anchors
    judged = chains.judged(endorsements)
    leaf = chains.select(report, judged.leaves, anchors, now)
    line = leaf.named.product if leaf is not None and leaf.named is not None else needs.product_of(report)
    holds = leaf is not None and chains.signature_holds(report, leaf)
    revocation, crl = path.revocation(leaf, judged, now)
    found: list[Check] = [
        *path.simulated(leaf, anchors),
        path.chain(leaf, report, judged, anchors),
        path.names(leaf, report, judged),
        path.dates(leaf, report, judged, now),
        revocation,
        *path.ignored(leaf, judged, revocation),
        *_report_checks(report, leaf, line, holds, judged),
        checks.report_data(report, binding),
    ]
    key = report.signing_key
    return conclude(
        evidence=EvidenceSummary(
            kind=TeeKind.SEV_SNP,
            version=report.version,
            signing_key="unknown" if key is None or key is SigningKey.NONE else key.name,
            digest=hashlib.sha256(report.signed).digest(),
            product=line.value if line else None,
        ),
        signature_valid=holds,
        chain_valid=leaf is not None and leaf.trusted_under(anchors),
        simulated=leaf is not None and leaf.simulated,
        tcb=Tcb(),
        claims=claims.read(report, leaf, line, crl, now),
        checks=found,
        used=_used(leaf, crl.sha256 if crl else None),
        missing=_missing(report, leaf, line, holds, crl is not None, now),
        ends=[*(path.ends(leaf) if leaf else ()), *((crl.next_update,) if crl else ())],
        now=now,
    )


def _report_checks(
    report: SnpReport,
    leaf: Leaf | None,
    line: Product | None,
    holds: bool,
    judged: Judged,
) -> list[Check]:
    """The signature first, then the report alone, then report and certificate together."""
    lacking = ("", "")
    if leaf is None:
        _, found, reason, _ = path.absent(report, judged)
        lacking = (found, reason or "")
    return [
        checks.signature(report, leaf, holds, lacking),
        checks.version(report),
        checks.reserved(report, line),
        checks.host_requested(report),
        checks.signing_key(report, leaf, lacking),
        checks.product_line(report, leaf, lacking),
        checks.tcb_certificate(report, leaf, lacking),
        checks.tcb_order(report, line),
        checks.identity(report, leaf, lacking),
    ]


def _used(leaf: Leaf | None, crl: str | None) -> dict[str, str]:
    """SHA-256 by role: the leaf's of the certificate, the keys' of the SubjectPublicKeyInfo."""
    out: dict[str, str] = {}
    if leaf is not None:
        out[leaf.kind.name.lower()] = leaf.certificate.sha256
        if leaf.issuer is not None and leaf.ark is not None:
            out[_ROLE_KEYS[leaf.issuer.role]] = leaf.issuer.spki_sha256
            out["ark-key"] = leaf.ark.spki_sha256
    if crl is not None:
        out["crl"] = crl
    return out


def _missing(
    report: SnpReport, leaf: Leaf | None, line: Product | None, holds: bool, have_crl: bool, now: datetime
) -> list[Need]:
    """What would answer what is open: the right leaf, and a current CRL for its ARK."""
    out: list[Need] = []
    if leaf is None or not (
        leaf.issuer is not None
        and leaf.certificate.valid_at(now)
        and leaf.kind is report.signing_key
        # A key that signed the report is the right one; only otherwise is it worth asking why not.
        and (holds or (chains.fits_chip(report, leaf) and chains.fits_tcb(report, leaf)))
    ):
        need = needs.leaf_need(report, line)
        if need is not None:
            out.append(need)
    if not have_crl and line is not None:
        kind = leaf.kind if leaf is not None else report.signing_key
        out.append(needs.crl_need(line, "vlek" if kind is SigningKey.VLEK else "vcek"))
    return out
