"""What one policy allows and another does not: a witness for each way, or a proof that there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from policies.analysis.encode import Side, World
from policies.analysis.formula import Effort, conjunction
from policies.analysis.judging import judge
from policies.analysis.search import STEPS, Witness, ask
from verifiers.claimtypes import ClaimSpec
from verifiers.model import TeeKind, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Evidence that one side lets pass by `rule`, and the other does not."""

    rule: str
    witness: Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """allowed, refused: one change for each allow rule that makes a difference. unknown: (kind, rule) of the
    questions that were given up; without any, what is not listed here is proved to be the same."""

    allowed: tuple[Change, ...]
    refused: tuple[Change, ...]
    unknown: tuple[tuple[TeeKind, str], ...]

    @property
    def same(self) -> bool:
        return not (self.allowed or self.refused or self.unknown)


def compare(
    before: Side,
    after: Side,
    specs: Mapping[str, ClaimSpec],
    *,
    since: datetime,
    at: datetime | None = None,
    steps: int = STEPS,
) -> Difference:
    """at: compare at this instant only; None: at every instant from `since` on.

    specs: every claim a document may name (`Vocabulary.specs`). steps: for each kind of evidence.
    """
    allowed: list[Change] = []
    refused: list[Change] = []
    unknown: list[tuple[TeeKind, str]] = []
    for kind in TeeKind:
        world = World(kind, (before, after), specs, since=since, at=at)
        effort = Effort(steps)
        for found, one, other in ((allowed, after, before), (refused, before, after)):
            for item in _only(world, one, other, effort):
                if isinstance(item, Change):
                    found.append(item)
                else:
                    unknown.append((kind, item))
    return Difference(allowed=tuple(allowed), refused=tuple(refused), unknown=tuple(unknown))


def implied(
    one: Side,
    other: Side,
    specs: Mapping[str, ClaimSpec],
    *,
    since: datetime,
    at: datetime | None = None,
    steps: int = STEPS,
) -> Difference:
    """Does `other` accept whatever `one` accepts? What contradicts it stands under `refused`."""
    found = compare(one, other, specs, since=since, at=at, steps=steps)
    return replace(found, allowed=())


def _only(world: World, one: Side, other: Side, effort: Effort) -> Iterator[Change | str]:
    """What `one` lets pass and `other` does not, by each rule of `one`; a rule's name where it is unknown."""
    refused = world.negation(world.accepts(other))
    for rule, passes in world.ways(one):
        answer = ask(world, conjunction([passes, refused]), effort)
        if answer.witness is not None and _differs(answer.witness, one, other):
            yield Change(rule=rule.id, witness=answer.witness)
        elif not answer.proved:
            yield rule.id


def _differs(witness: Witness, one: Side, other: Side) -> bool:
    """The evaluator has the last word: a witness that it does not bear out is no answer."""
    verdicts = [
        judge(side, witness.kind, witness.claims, witness.at, witness.profile).verdict
        for side in (one, other)
    ]
    return verdicts[0] is Verdict.ACCEPTED and verdicts[1] is not Verdict.ACCEPTED
