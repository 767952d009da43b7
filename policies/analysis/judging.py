"""The evaluator's own word on what a search found."""

from __future__ import annotations

from datetime import datetime

from policies.analysis.encode import Side
from policies.appraise import Appraisal, appraise
from policies.hypothetical import supposed
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers.model import Claims, TeeKind


def judge(side: Side, kind: TeeKind, claims: Claims, now: datetime, profile: Profile) -> Appraisal:
    """As a gateway would judge it: identity, freshness and revocation are all required."""
    return appraise(
        supposed(kind, claims, now),
        side.sets.values(),
        side.policy,
        now,
        required=ALL_REQUIREMENTS,
        profile=profile,
    )
