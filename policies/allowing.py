"""The allow rules of one release policy: each evaluated, the one that matches chosen, or the closest.

A rule sees the baseline through its own accepted risks: what one rule waives stands for another. An accepted
risk covers a finding while it is in time and everything it was limited to is certainly true.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from policies.compiler import AllowProgram, Program
from policies.findings import finding
from policies.logic import Facts, ask, truth
from policies.minimums import MINIMUMS
from policies.model import AcceptRisk, Condition, Profile
from policies.operators import Truth
from policies.values import show
from verifiers.model import Check, Outcome

_PASSED, _TRUE, _FALSE = Outcome.PASSED, Truth.TRUE, Truth.FALSE  # as in operators.py: looked up once

BLOCKING = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
"""Findings that keep a verdict from being accepted."""
_GOOD = frozenset({Outcome.PASSED, Outcome.WAIVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One allow rule evaluated: the baseline as this rule's waivers leave it, and its own findings."""

    program: AllowProgram
    applies: Truth
    baseline: tuple[Check, ...]
    checks: tuple[Check, ...]
    waived: tuple[AcceptRisk, ...]

    @property
    def matches(self) -> bool:
        return (
            self.applies is _TRUE
            and bool(self.checks)
            and _GOOD.issuperset([check.outcome for check in self.checks])
            and BLOCKING.isdisjoint([check.outcome for check in self.baseline])
        )

    def distance(self) -> tuple[bool, bool, int]:
        """Smaller is closer. A rule that could still hold comes before one that certainly does not."""
        findings = [check.outcome for check in (*self.baseline, *self.checks)]
        return (
            self.applies is _FALSE,
            Outcome.FAILED in findings,
            sum(outcome in BLOCKING for outcome in findings),
        )


def choose(
    program: Program, facts: Facts, platform: tuple[Check, ...], profile: Profile
) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """The first rule that matches, else the closest; and the others. platform: the baseline's findings.

    Quiet facts: once a rule matches, the others are not asked, for only those who read would learn of them.
    """
    candidates: list[Candidate] = []
    for item in program.allow:
        candidates.append(_candidate(item, facts, platform, profile))
        if facts.quiet and candidates[-1].matches:
            return candidates[-1], ()
    if not candidates:
        return None, ()
    best = next((c for c in candidates if c.matches), None) or min(candidates, key=Candidate.distance)
    others = tuple(c for c in candidates if c is not best)
    return (best, others) if best.applies is not _FALSE else (None, tuple(candidates))


def _candidate(item: AllowProgram, facts: Facts, platform: tuple[Check, ...], profile: Profile) -> Candidate:
    applies = truth(item.when, facts)
    used: list[AcceptRisk] = []
    baseline = platform
    if applies is not _FALSE and item.risks:
        baseline = tuple(_waive(check, item, facts, used) for check in platform)
    checks: list[Check] = []
    if applies is Truth.MISSING:
        checks.append(finding(facts, f"{item.id}/when", Outcome.UNKNOWN, ask(item.when, facts), item.source))
    if profile not in item.profiles:
        listed = ", ".join(sorted(item.profiles))
        checks.append(Check(f"{item.id}/profile", Outcome.FAILED, listed, profile.value, item.source))
    if applies is not _FALSE:
        checks += [_requirement(name, condition, item, facts) for name, condition in item.require]
        checks += [_minimum(finding, item, facts, used) for finding in item.open]
    return Candidate(
        program=item, applies=applies, baseline=baseline, checks=tuple(checks), waived=tuple(used)
    )


def _requirement(name: str, condition: Condition, item: AllowProgram, facts: Facts) -> Check:
    judged = ask(condition, facts)
    if judged.truth is _TRUE:
        return finding(facts, name, _PASSED, judged, item.source)
    outcome = Outcome.FAILED if judged.definite else Outcome.UNKNOWN
    return finding(facts, name, outcome, judged, item.source, judged.reason)


def _waive(check: Check, item: AllowProgram, facts: Facts, used: list[AcceptRisk]) -> Check:
    """A baseline finding under this rule's accepted risks."""
    if check.outcome not in BLOCKING:
        return check
    risk = _active(check.id, item, facts)
    if risk is not None:
        used.append(risk)
        return replace(check, outcome=Outcome.WAIVED, reason=risk.id)
    ended = [risk for risk in item.risks if risk.finding == check.id]
    if not ended:
        return check
    note = _why_not(ended[-1], facts)
    return replace(check, fix=f"{check.fix}; {note}" if check.fix else note)


def _minimum(finding: str, item: AllowProgram, facts: Facts, used: list[AcceptRisk]) -> Check:
    """A minimum that this rule leaves open: covered while an accepted risk holds, and not a moment longer."""
    name, minimum = f"{item.id}/{finding}", MINIMUMS[finding]
    risk = _active(finding, item, facts)
    if risk is not None:
        used.append(risk)
        until = f"{risk.id}, until {show(risk.expires)}"
        return Check(name, Outcome.WAIVED, minimum.remedy, until, item.source, risk.id)
    ended = next((risk for risk in reversed(item.risks) if risk.finding == finding), None)
    found = "open" if ended is None else _why_not(ended, facts)
    return Check(name, Outcome.FAILED, minimum.remedy, found, item.source, finding)


def _active(finding: str, item: AllowProgram, facts: Facts) -> AcceptRisk | None:
    """The risk that covers `finding` now: in time, and everything it was limited to certainly true."""
    for risk in item.risks:
        if (
            risk.finding == finding
            and risk.valid_from <= facts.now < risk.expires
            and all(truth(part, facts) is Truth.TRUE for part in risk.only_when)
        ):
            return risk
    return None


def _why_not(risk: AcceptRisk, facts: Facts) -> str:
    if facts.now < risk.valid_from:
        return f"accepted risk {risk.id} begins {show(risk.valid_from)}"
    if facts.now >= risk.expires:
        return f"accepted risk {risk.id} would cover this, but ended {show(risk.expires)}"
    return f"accepted risk {risk.id} does not cover this: its only_when does not hold"
