"""The one place that makes a `Verification`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec.structs import replace

from verifiers.model import Check, ClaimValue, EvidenceSummary, Need, Tcb, Verification

_NO_OFFSET = timedelta(0)


def require_utc(now: datetime) -> None:
    """Raises ValueError unless `now` is aware and UTC. Verifiers ask before they compare it with anything."""
    if now.utcoffset() != _NO_OFFSET:
        raise ValueError("now must be an aware UTC datetime")


def conclude(
    *,
    evidence: EvidenceSummary,
    signature_valid: bool,
    chain_valid: bool,
    simulated: bool,
    tcb: Tcb,
    claims: Mapping[str, ClaimValue],
    checks: Sequence[Check],
    used: Mapping[str, str],
    missing: Sequence[Need],
    ends: Iterable[datetime],
    now: datetime,
) -> Verification:
    """Freeze what a verifier found. `ends`: the end of every window that was relied on."""
    require_utc(now)
    return Verification(
        evidence=evidence,
        signature_valid=signature_valid,
        chain_valid=chain_valid,
        simulated=simulated,
        tcb=tcb,
        claims=MappingProxyType(dict(claims)),
        checks=tuple(checks),
        used=MappingProxyType(dict(used)),
        missing=tuple(missing),
        expires=min(ends, default=None),
        at=now,
    )


def with_notes(verification: Verification, notes: Sequence[Check]) -> Verification:
    """Put what the carrier said about its content in front of the findings, where it counts like them.

    Adds checks and takes none away: a verdict can only get worse by it.
    """
    return replace(verification, checks=(*notes, *verification.checks)) if notes else verification


def hypothetical(
    verification: Verification, claims: Mapping[str, ClaimValue], checks: Sequence[Check]
) -> Verification:
    """What a verification would be with other claims and checks, for trying out policies.

    Always marked as simulated: no hardware vouches for what somebody made up.
    """
    return replace(verification, simulated=True, claims=MappingProxyType(dict(claims)), checks=tuple(checks))
