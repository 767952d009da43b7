"""What would turn a refusal into an acceptance: the fewest claims that must differ, or the policy's waivers.

Every answer has been evaluated: it is given only if the evaluator then accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from policies import compiler
from policies.analysis.encode import HERE, Side, World
from policies.analysis.formula import (
    Actual,
    Effort,
    Formula,
    Leaf,
    Undecided,
    conjunction,
    disjunction,
    first,
    solve,
)
from policies.analysis.judging import judge
from policies.analysis.search import STEPS
from policies.analysis.space import NOW, PROFILE
from policies.appraise import Alternative, Appraisal
from policies.compiler import AllowProgram
from policies.errors import PolicyErrors
from policies.minimums import MINIMUMS
from policies.model import AcceptRisk, Profile
from policies.vocabulary import EVIDENCE_TYPE
from verifiers.claimtypes import ClaimSpec
from verifiers.model import Check, Claims, ClaimValue, Outcome, TeeKind, Verdict

MOST_CLAIMS = 6
"""More claims than this have to differ: then it is other evidence, and no change of this one."""
MOST_ANSWERS = 4
_NEVER = frozenset({EVIDENCE_TYPE, NOW, PROFILE})
"""What no change of a machine or guest turns into something else."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Claims that would have to differ, each with its value now (None: missing) and one that would do."""

    changes: Mapping[str, tuple[ClaimValue | None, ClaimValue | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """The smallest changes, fewest claims first. complete: no other change of as few claims exists."""

    found: tuple[Flip, ...]
    complete: bool


def flips(
    side: Side,
    kind: TeeKind,
    claims: Claims,
    at: datetime,
    profile: Profile,
    specs: Mapping[str, ClaimSpec],
    *,
    steps: int = STEPS,
) -> Flips:
    """The smallest sets of claims that, changed together, make evidence with `claims` accepted at `at`.

    () and complete: it is accepted already, or more than MOST_CLAIMS claims would have to differ.
    """
    world = World(kind, (side,), specs, since=at, at=at, seen=(claims,))
    known = world.space.cells_of({EVIDENCE_TYPE: kind.value, **claims})
    if known is None or judge(side, kind, claims, at, profile).verdict is Verdict.ACCEPTED:
        return Flips(found=(), complete=known is not None)
    frame = _Frame(world, known, profile)
    found: list[Flip] = []
    asked: list[Formula] = [world.accepts(side)]
    effort = Effort(steps)
    budget = 1
    try:
        while budget <= MOST_CLAIMS and len(found) < MOST_ANSWERS:
            domains = solve(conjunction(asked), frame.domains, effort, frame.actual(budget))
            if domains is None:
                if found:
                    return Flips(found=tuple(found), complete=True)
                budget += 1
                continue
            changed = frame.changed(domains)
            flip = _flip(world, frame, domains, changed, claims)
            if judge(side, kind, _applied(claims, flip), at, profile).verdict is Verdict.ACCEPTED:
                found.append(flip)
            asked.append(frame.unlike(changed))
    except Undecided:
        return Flips(found=tuple(found), complete=False)
    return Flips(found=tuple(found), complete=len(found) < MOST_ANSWERS)


class _Frame:
    """The evidence at hand in the cells of a world."""

    def __init__(self, world: World, known: Mapping[int, int], profile: Profile) -> None:
        variables = world.space.variables
        names = list(dict.fromkeys(variable.claim for variable in variables))
        self._groups = tuple(names.index(variable.claim) for variable in variables)
        self._names = names
        cells = []
        for number, variable in enumerate(variables):
            if variable.claim == PROFILE:
                cells.append(variable.cells.index(profile))
            else:
                cells.append(known.get(number, 0))
        self.cells = tuple(1 << cell for cell in cells)
        self.domains = tuple(
            cell if variable.claim in _NEVER else everything
            for variable, cell, everything in zip(variables, self.cells, world.full, strict=True)
        )

    def actual(self, budget: int) -> Actual:
        return Actual(self.cells, self._groups, budget)

    def changed(self, domains: tuple[int, ...]) -> frozenset[str]:
        return frozenset(self._names[group] for group in self.actual(0).changed(domains))

    def chosen(self, domains: tuple[int, ...]) -> list[int]:
        """As it is wherever that is possible; for a claim that changes, every part as little as possible."""
        return [
            first(left & cell) if left & cell else first(left)
            for left, cell in zip(domains, self.cells, strict=True)
        ]

    def unlike(self, changed: frozenset[str]) -> Formula:
        """At least one of `changed` is as it is now."""
        kept = []
        for name in sorted(changed):
            numbers = [n for n, group in enumerate(self._groups) if self._names[group] == name]
            kept.append(conjunction(Leaf(number, self.cells[number]) for number in numbers))
        return disjunction(kept)


def _flip(
    world: World, frame: _Frame, domains: tuple[int, ...], changed: Iterable[str], claims: Claims
) -> Flip:
    values = world.space.claims(frame.chosen(domains))
    return Flip({name: (claims.get(name), values.get(name)) for name in sorted(changed)})


def _applied(claims: Claims, flip: Flip) -> dict[str, ClaimValue]:
    out = dict(claims)
    for name, (_, wanted) in flip.changes.items():
        if wanted is None:
            out.pop(name, None)
        else:
            out[name] = wanted
    return out


# --- what a policy's author could do ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiver:
    """Accepted risks that together would let this evidence pass by `rule`. until: the latest end they may
    have."""

    rule: str
    findings: tuple[str, ...]
    until: datetime


def waivers(side: Side, appraisal: Appraisal, claims: Claims) -> tuple[Waiver, ...]:
    """For each allow rule that this evidence falls under: the findings that would have to be waived, if that
    can be done and is enough. Each is tried: with such risks in the policy, the evaluator accepts."""
    release = side.policy.release
    if release is None:
        return ()
    kind, at = appraisal.verification.evidence.kind, appraisal.at
    out = []
    for rule, checks in _candidates(side, appraisal):
        findings = _waivable(side, kind, rule, checks)
        if not findings:
            continue
        until = at + min(limit for _, limit in findings)
        risks = [_risk(rule.id, name, n, at, until) for n, (name, _) in enumerate(findings)]
        try:
            tried = compiler.compile(
                side.policy.baselines,
                side.sets.values(),
                replace(release, accept_risk=(*release.accept_risk, *risks)),
            )
        except PolicyErrors:
            continue
        found = judge(replace(side, policy=tried), kind, claims, at, appraisal.profile)
        if found.verdict is Verdict.ACCEPTED:
            out.append(Waiver(rule.id, tuple(name for name, _ in findings), until))
    return tuple(out)


def _candidates(side: Side, appraisal: Appraisal) -> Iterator[tuple[AllowProgram, tuple[Check, ...]]]:
    """Rules that apply, each with all that stands against it."""
    program = side.program(appraisal.verification.evidence.kind)
    others = {item.rule: item for item in appraisal.alternatives}
    for rule in program.allow:
        other: Alternative | None = others.get(rule.id)
        if other is not None and not other.applies:
            continue
        own = tuple(c for c in appraisal.checks if "/" not in c.id or c.id.startswith(f"{rule.id}/"))
        yield rule, own if other is None else (*(c for c in own if "/" not in c.id), *other.checks)


def _waivable(
    side: Side, kind: TeeKind, rule: AllowProgram, checks: Iterable[Check]
) -> list[tuple[str, timedelta]]:
    """(finding, how long it may be waived) of everything that stands against a rule; [] when not all may."""
    limits = {item.rule.id: item.rule.waivable for item in side.program(kind).baseline}
    out: list[tuple[str, timedelta]] = []
    for check in checks:
        if check.outcome not in (Outcome.FAILED, Outcome.UNKNOWN):
            continue
        name = check.id.removeprefix(f"{rule.id}/")
        minimum = MINIMUMS.get(name)
        limit = limits.get(name) if minimum is None else minimum.up_to
        if limit is None:
            return []
        out.append((name, limit))
    return out


def _risk(rule: str, finding: str, number: int, start: datetime, end: datetime) -> AcceptRisk:
    return AcceptRisk(
        id=f"tried-{number}",
        finding=finding,
        only_in=rule,
        only_when=(),
        reason="tried",
        ticket=None,
        owner="tried@sealgate.invalid",
        approved_by=("trier@sealgate.invalid",),
        valid_from=start,
        expires=end,
        at=HERE,
        finding_at=HERE,
        only_in_at=HERE,
    )
