"""Evidence that nobody has sent: claims, as an authentic and freshly bound verification would carry them."""

from __future__ import annotations

import hashlib
from datetime import datetime

from policies.analysis.encode import OPEN_VERSIONS, VERIFIER_REVOCATION, VERSION, Side
from policies.appraise import FRESHNESS_CHECK, Appraisal, appraise
from policies.minimums import REVOCATION_CLAIMS
from policies.model import ALL_REQUIREMENTS, Profile
from policies.vocabulary import ADMISSIBLE, EVIDENCE_TYPE
from verifiers.model import Check, Claims, EvidenceSummary, Outcome, Tcb, TeeKind, Verification
from verifiers.verdict import conclude

_SOURCE = "supposed"


def verification(kind: TeeKind, claims: Claims, now: datetime) -> Verification:
    """What `verify` would say of evidence with these claims.

    Signature, chain and binding hold; revocation was checked exactly if the claims say so. The evidence
    itself does not exist: its digest is made of the claims.
    """
    version = claims.get("evidence.version")
    product, fmspc = claims.get("snp.product"), claims.get(f"{kind.value}.fmspc")
    return conclude(
        evidence=EvidenceSummary(
            kind=kind,
            version=version if isinstance(version, int) else 0,
            signing_key=_SOURCE,
            digest=hashlib.sha256(repr(sorted(claims.items(), key=lambda item: item[0])).encode()).digest(),
            product=product if isinstance(product, str) else None,
            fmspc=fmspc.hex().upper() if isinstance(fmspc, bytes) else None,
        ),
        signature_valid=True,
        chain_valid=True,
        simulated=claims.get("evidence.simulated") is True,
        tcb=Tcb(),
        claims={EVIDENCE_TYPE: kind.value, **claims},
        checks=(
            Check("evidence.authentic", Outcome.PASSED, "supposed", "supposed", _SOURCE),
            Check(FRESHNESS_CHECK, Outcome.PASSED, "supposed", "supposed", _SOURCE),
            _version(kind, claims),
            _revocation(kind, claims),
        ),
        used={},
        missing=(),
        ends=(),
        now=now,
    )


def _version(kind: TeeKind, claims: Claims) -> Check:
    """The verifier's answer, or that it leaves the answer to the baselines."""
    word = OPEN_VERSIONS.get(kind, {}).get(claims.get(VERSION))  # type: ignore[arg-type]
    if word is None:
        return Check(f"{kind.value}.version", Outcome.PASSED, "supposed", "supposed", _SOURCE)
    return Check(ADMISSIBLE[word].check, Outcome.UNKNOWN, "another version", str(claims[VERSION]), _SOURCE)


def _revocation(kind: TeeKind, claims: Claims) -> Check:
    name = VERIFIER_REVOCATION[kind]
    if all(claim in claims for claim in REVOCATION_CLAIMS[kind]):
        return Check(name, Outcome.PASSED, "checked", "checked", _SOURCE)
    outcome = Outcome.NOT_CHECKED if kind is TeeKind.SEV_SNP else Outcome.UNKNOWN
    return Check(name, outcome, "checked", "no CRL", _SOURCE)


def judge(side: Side, kind: TeeKind, claims: Claims, now: datetime, profile: Profile) -> Appraisal:
    """As a gateway would judge it: identity, freshness and revocation are all required."""
    return appraise(
        verification(kind, claims, now),
        side.sets.values(),
        side.policy,
        now,
        required=ALL_REQUIREMENTS,
        profile=profile,
    )
