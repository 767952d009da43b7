"""Properties that a policy has for every piece of evidence there could be, or a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from policies import conditions
from policies.analysis.encode import HERE, Side, World
from policies.analysis.formula import Effort, Formula, conjunction, disjunction
from policies.analysis.judging import judge
from policies.analysis.search import STEPS, Witness, ask
from policies.model import Condition, Floor, Test
from policies.vocabulary import DEBUG_CLAIMS, Role
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import TeeKind, Verdict


@dataclass(frozen=True, slots=True)
class Property:
    """Something that must never be accepted. violated: of one kind of evidence; None when the property says
    nothing about that kind. looks_at: conditions whose claims the search must tell apart, whole."""

    name: str
    says: str
    violated: Callable[[World, Side], Formula | None]
    looks_at: Callable[[TeeKind], Sequence[Condition]] = lambda kind: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """counterexample: evidence that is accepted and must not be. unknown: kinds for which the search was
    given up. Neither: proved for every kind of evidence and every instant that was asked about."""

    asked: Property
    counterexample: Witness | None
    unknown: tuple[TeeKind, ...]

    @property
    def proved(self) -> bool:
        return self.counterexample is None and not self.unknown


def prove(
    side: Side,
    properties: Iterable[Property],
    specs: Mapping[str, ClaimSpec],
    *,
    since: datetime,
    at: datetime | None = None,
    steps: int = STEPS,
) -> tuple[Proof, ...]:
    """at: at this instant only; None: at every instant from `since` on. steps: for each property."""
    asked = tuple(properties)
    worlds = [
        World(
            kind,
            (side,),
            specs,
            since=since,
            at=at,
            further=[condition for each in asked for condition in each.looks_at(kind)],
        )
        for kind in TeeKind
    ]
    return tuple(_prove(side, each, worlds, Effort(steps)) for each in asked)


def _prove(side: Side, asked: Property, worlds: Iterable[World], effort: Effort) -> Proof:
    unknown: list[TeeKind] = []
    for world in worlds:
        violated = asked.violated(world, side)
        if violated is None:
            continue
        answer = ask(world, conjunction([world.accepts(side), violated]), effort)
        found = answer.witness
        if found is not None and _accepted(side, found):
            return Proof(asked=asked, counterexample=found, unknown=())
        if not answer.proved:
            unknown.append(world.kind)
    return Proof(asked=asked, counterexample=None, unknown=tuple(unknown))


def _accepted(side: Side, witness: Witness) -> bool:
    found = judge(side, witness.kind, witness.claims, witness.at, witness.profile)
    return found.verdict is Verdict.ACCEPTED


# --- the standard properties -----------------------------------------------------------------------


def never_debug() -> Property:
    def violated(world: World, side: Side) -> Formula:
        return world.negation(world.true(_not_debug(world.kind), side))

    says = "nothing is released to a guest whose memory the host may read"
    return Property("never-debug", says, violated, lambda kind: (_not_debug(kind),))


def _not_debug(kind: TeeKind) -> Test:
    return Test(DEBUG_CLAIMS[kind], ClaimType.FLAG, "equals", False, "false", HERE)


def never_below_baseline(exceptions: Iterable[str] = ()) -> Property:
    """exceptions: ids of baseline rules that may be waived."""
    excepted = frozenset(exceptions)

    def violated(world: World, side: Side) -> Formula:
        return disjunction(
            world.negation(world.satisfied(item, side))
            for item in side.program(world.kind).baseline
            if item.rule.floor is Floor.YES and item.rule.id not in excepted
        )

    says = "nothing is released to a machine below a TCB floor of the baseline"
    return Property("never-below-baseline", says, violated)


def never_without_revocation() -> Property:
    def violated(world: World, side: Side) -> Formula:
        return world.negation(world.revocation_checked())

    says = "nothing is released unless a current CRL was checked"
    return Property("never-without-revocation", says, violated)


def never_unlisted(role: Role, sets: Iterable[str] | None = None) -> Property:
    """sets: names of the reference sets that count; None: all that the policy uses."""
    named = None if sets is None else tuple(sets)

    def tests(kind: TeeKind, names: Iterable[str]) -> list[Test]:
        return [Test(role.value, None, "in_set", name, f"listed in {name}", HERE) for name in names]

    def violated(world: World, side: Side) -> Formula:
        used = tuple(side.policy.release.references) if side.policy.release is not None else ()
        wanted = tests(world.kind, used if named is None else named)
        return world.negation(disjunction(world.listed(test, side) for test in wanted))

    where = "a set that the policy uses" if named is None else " or ".join(named)
    says = f"nothing is released to a {role.value} outside {where}"
    return Property(f"never-unlisted-{role.value}", says, violated, lambda kind: tests(kind, named or ()))


def never(condition: Condition, says: str) -> Property:
    """Nothing is released unless `condition` is certainly false."""

    def violated(world: World, side: Side) -> Formula | None:
        cut = conditions.for_kind(condition, world.kind)
        return None if cut is None else world.negation(world.false(cut, side))

    def looks_at(kind: TeeKind) -> Sequence[Condition]:
        cut = conditions.for_kind(condition, kind)
        return () if cut is None else (cut,)

    return Property("never", says, violated, looks_at)


STANDARD: tuple[Property, ...] = (
    never_debug(),
    never_below_baseline(),
    never_without_revocation(),
    never_unlisted(Role.GUEST),
    never_unlisted(Role.WORKLOAD),
)
