"""Verifications of evidence that nobody has sent: for trying out policies, and for nothing else.

The one place in these packages that makes them. Each is marked as simulated, whatever its claims say, and no
part of the gateway but the policy tools of the command line can reach this module (`test_imports.py`).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from policies.joining import FRESHNESS_CHECK
from policies.minimums import REVOCATION_CLAIMS
from policies.vocabulary import ADMISSIBLE, EVIDENCE_TYPE, EVIDENCE_VERSION, OPEN_VERSIONS, REVOCATION_CHECK
from verifiers.model import Check, Claims, EvidenceSummary, Outcome, Tcb, TeeKind, Verification
from verifiers.verdict import conclude, hypothetical

ASSUMED = "assumed"
_NOBODY = "hypothetical"


def supposed(kind: TeeKind, claims: Claims, now: datetime) -> Verification:
    """What `verify` would say of evidence of `kind` that has these claims and no others.

    Signature, chain and binding hold; revocation was checked exactly if the claims say so. The evidence
    itself does not exist: its digest is made of the claims.
    """
    version = claims.get(EVIDENCE_VERSION)
    product, fmspc = claims.get("snp.product"), claims.get(f"{kind.value}.fmspc")
    checks = (
        Check("evidence.authentic", Outcome.PASSED, ASSUMED, ASSUMED, _NOBODY),
        Check(FRESHNESS_CHECK, Outcome.PASSED, ASSUMED, ASSUMED, _NOBODY),
        _version(kind, claims),
        _revocation(kind, claims),
    )
    nothing = conclude(
        evidence=EvidenceSummary(
            kind=kind,
            version=version if isinstance(version, int) else 0,
            signing_key=_NOBODY,
            digest=hashlib.sha256(repr(sorted(claims.items(), key=lambda item: item[0])).encode()).digest(),
            product=product if isinstance(product, str) else None,
            fmspc=fmspc.hex().upper() if isinstance(fmspc, bytes) else None,
        ),
        signature_valid=True,
        chain_valid=True,
        simulated=True,
        tcb=Tcb(),
        claims={},
        checks=(),
        used={},
        missing=(),
        ends=(),
        now=now,
    )
    return altered(nothing, {EVIDENCE_TYPE: kind.value, **claims}, checks)


def altered(verification: Verification, claims: Claims, checks: tuple[Check, ...]) -> Verification:
    """`verification` with other claims and checks."""
    return hypothetical(verification, claims, checks)


def _version(kind: TeeKind, claims: Claims) -> Check:
    """The verifier's answer, or that it leaves the answer to the baselines."""
    word = OPEN_VERSIONS.get(kind, {}).get(claims.get(EVIDENCE_VERSION))  # type: ignore[arg-type]
    if word is None:
        return Check(f"{kind.value}.version", Outcome.PASSED, ASSUMED, ASSUMED, _NOBODY)
    found = str(claims[EVIDENCE_VERSION])
    return Check(ADMISSIBLE[word].check, Outcome.UNKNOWN, "another version", found, _NOBODY)


def _revocation(kind: TeeKind, claims: Claims) -> Check:
    name = REVOCATION_CHECK[kind]
    if all(claim in claims for claim in REVOCATION_CLAIMS[kind]):
        return Check(name, Outcome.PASSED, "checked", ASSUMED, _NOBODY)
    outcome = Outcome.NOT_CHECKED if kind is TeeKind.SEV_SNP else Outcome.UNKNOWN
    return Check(name, outcome, "checked", "no CRL", _NOBODY)


__all__ = ["ASSUMED", "altered", "supposed"]
