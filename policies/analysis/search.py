"""From a formula to an answer about evidence: a witness, or a proof that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.analysis.encode import World
from policies.analysis.formula import Effort, Formula, Undecided, first, holds, solve
from policies.analysis.space import NOW, PROFILE
from policies.model import Profile
from verifiers.model import ClaimValue, TeeKind

STEPS = 200_000
"""How many times one question may branch before the answer is "unknown"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One piece of evidence, by its claims, at one instant. Claims that no rule looks at are left out.

    decisive: the claims whose values matter: with any other value of all the rest the answer is the same.
    """

    kind: TeeKind
    claims: Mapping[str, ClaimValue]
    decisive: frozenset[str]
    at: datetime
    profile: Profile


@dataclass(frozen=True, slots=True)
class Answer:
    """witness: None when it is proved that there is none. unknown: the search was given up."""

    witness: Witness | None
    unknown: bool = False

    @property
    def proved(self) -> bool:
        return self.witness is None and not self.unknown


def ask(world: World, formula: Formula, effort: Effort) -> Answer:
    """Is there evidence for which `formula` holds?"""
    try:
        found = solve(formula, world.full, effort)
    except Undecided:
        return Answer(None, unknown=True)
    return Answer(None if found is None else _witness(world, formula, found))


def _witness(world: World, formula: Formula, domains: tuple[int, ...]) -> Witness:
    chosen = [first(mask) for mask in domains]
    variables = world.space.variables
    at, profile = _fixed(world, chosen, NOW), _fixed(world, chosen, PROFILE)
    assert isinstance(at, datetime) and isinstance(profile, Profile)
    return Witness(
        kind=world.kind,
        claims=world.space.claims(chosen),
        decisive=frozenset(variables[number].claim for number in _decisive(world, formula, chosen))
        - {NOW, PROFILE},
        at=at,
        profile=profile,
    )


def _fixed(world: World, chosen: list[int], name: str) -> object:
    number = world.space.number(name)
    return world.space.variables[number].cells[chosen[number]]


def _decisive(world: World, formula: Formula, chosen: list[int]) -> list[int]:
    """Variables that must stay as they are for `formula` to be plainly true: the others are freed in turn."""
    domains = [1 << cell for cell in chosen]
    out: list[int] = []
    for number, everything in enumerate(world.full):
        kept, domains[number] = domains[number], everything
        if holds(formula, domains) is not True:
            domains[number] = kept
            out.append(number)
    return out
