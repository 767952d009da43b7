"""From an accepted appraisal to the permission to release one secret. The only place that gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.appraise import Appraisal, PolicyRef, Waiver
from policies.model import ALL_REQUIREMENTS, Profile
from policies.paths import is_path
from verifiers.model import Verdict, verdict_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseGrant:
    """Permission to release the secret at `path` of `tenant`, once, to the holder of the evidence.

    Made by `decide` only; whoever takes a grant need not ask again. evidence: SHA-256 of the signed bytes.
    """

    tenant: str
    path: str
    rule: str
    profile: Profile
    policy: PolicyRef
    lease: timedelta
    waived: tuple[Waiver, ...]
    evidence: bytes
    simulated: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """No. reason: a stable code, which the peer may be told; expected and found are for operators."""

    reason: str
    tenant: str
    path: str
    expected: str
    found: str


def decide(appraisal: Appraisal, *, tenant: str, path: str) -> ReleaseGrant | Refusal:
    """Whether this appraisal lets the secret at `path` of `tenant` go. Total; refuses when in doubt.

    Reasons: release.path, release.no-policy, release.requirements, release.not-owned, else the appraisal's.
    """

    def refuse(reason: str, expected: str, found: str) -> Refusal:
        return Refusal(reason=reason, tenant=tenant, path=path, expected=expected, found=found)

    if not is_path(path):
        return refuse("release.path", "a secret's path", "something else")
    release = appraisal.release
    if release is None:
        return refuse("release.no-policy", "an active release policy that names this path", "none")
    if appraisal.required != ALL_REQUIREMENTS:
        asked = ", ".join(sorted(appraisal.required)) or "nothing"
        return refuse("release.requirements", "identity, freshness and revocation required", asked)
    if release.tenant != tenant or not release.owns(path):
        return refuse(
            "release.not-owned", f"a path of {release.name} ({release.tenant})", f"{tenant}: {path}"
        )
    rule, lease = appraisal.rule, appraisal.lease
    accepted = appraisal.verdict is Verdict.ACCEPTED and verdict_of(appraisal.checks) is Verdict.ACCEPTED
    if not accepted or rule is None or lease is None or not appraisal.verification.authentic:
        reason = appraisal.reason or "release.not-accepted"
        return refuse(reason, "an accepted appraisal", appraisal.verdict.value)
    policy = next(document for document in appraisal.documents if document.kind == "release")
    return ReleaseGrant(
        tenant=tenant,
        path=path,
        rule=rule,
        profile=appraisal.profile,
        policy=policy,
        lease=lease,
        waived=appraisal.waived,
        evidence=appraisal.verification.evidence.digest,
        simulated=appraisal.simulated,
        at=appraisal.at,
    )
