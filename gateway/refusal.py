"""A refusal on its way to the peer, who is told a code, the name of the check, and the attempt's id."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import ABOUT, GatewayError, GatewayReason
from policies.appraise import Appraisal
from policies.errors import PolicyError
from verifiers.errors import AttestationError
from verifiers.model import Check, Outcome, Verdict

_SPOKEN = {"binding.report-data": str(GatewayReason.KEY_NOT_BOUND)}
"""Codes that have another name in an exchange: report data that is not ours means a key that is not bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why not. where: the check, document or field that said no. detail: only about what the peer sent."""

    reason: str
    where: str
    verdict: Verdict = Verdict.REFUSED
    status: int = 403
    title: str = "The gateway refused"
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class PathRefusal:
    """Why one path was not released."""

    path: str
    why: Why

    def public(self) -> dict[str, str]:
        return {"path": self.path, "reason": self.why.reason, "where": self.why.where}


class Denied(Exception):
    """Nothing was released. It is in the ledger already when this is raised. retry_after: seconds after which
    what was missing may be there; None when coming again would not help."""

    def __init__(
        self,
        why: Why,
        *,
        attempt: str,
        refusals: tuple[PathRefusal, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{why.reason} at {why.where}, attempt {attempt}")
        self.why, self.attempt, self.refusals, self.retry_after = why, attempt, refusals, retry_after


def because(reason: GatewayReason, where: str, verdict: Verdict = Verdict.REFUSED) -> Why:
    about = ABOUT[reason]
    return Why(reason=str(reason), where=where, verdict=verdict, status=about.status, title=about.title)


def of_appraisal(appraisal: Appraisal) -> Why:
    """The first failed check; failing that, the first whose answer is unknown."""
    reason = appraisal.reason or "policy.not-accepted"
    where = next((check.id for check in _decisive(appraisal.checks) if check.code == reason), reason)
    return Why(reason=_SPOKEN.get(reason, reason), where=where, verdict=appraisal.verdict)


def of_error(error: GatewayError | AttestationError) -> Why:
    """What cannot be read is the peer's own, so the peer is told what was wrong with it. What is the
    operator's (a broken store, a document that no longer compiles) is not, and its places least of all."""
    if isinstance(error, PolicyError):
        return because(GatewayReason.INTERNAL, "gateway")
    if isinstance(error, GatewayError):
        if error.status >= 500:
            return because(error.reason, "gateway")
        return Why(
            reason=str(error.reason),
            where=error.where,
            status=error.status,
            title=error.title,
            detail=error.detail,
        )
    return Why(
        reason=error.reason,
        where=error.where,
        verdict=Verdict.MALFORMED,
        status=400,
        title="The evidence cannot be read",
        detail=f"{error.where}: expected {error.expected}, found {error.found}",
    )


def _decisive(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    return tuple(check for check in checks if check.outcome in (Outcome.FAILED, Outcome.UNKNOWN))
