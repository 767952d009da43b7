"""Rules that can never match, never fire, or add nothing: decided by `analysis`, for all time.

A finding is a proof. What could not be decided within the steps is no finding; that there was such a question
is said once for each policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from policies import conditions
from policies.analysis.encode import HERE, Side, World
from policies.analysis.formula import Effort, Formula, Undecided, conjunction, holds, solve
from policies.compiler import AllowProgram, Policy
from policies.errors import Place
from policies.model import Condition, DenyRule, Not, ReferenceSet, ReleasePolicy, Test
from policies.vocabulary import Role, kinds_of
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import TeeKind

Found = tuple[str, Place, str, str | None]
"""Code, place, message, hint."""

Living = tuple[AllowProgram, Formula, tuple[int, ...]]
"""A rule, when it lets evidence pass, and evidence that it does let pass, as cells."""

STEPS = 5_000
"""How many times all questions about one policy may branch, per kind of evidence."""
MAX_PAIRS = 150_000
"""More pairs of rules than this are not compared."""
_EACH = 500
"""And one question of them."""
_ALWAYS = datetime.min.replace(tzinfo=UTC)
"""From here on: whatever holds at any time. What has ended, or is not yet, has findings of its own."""
_THRESHOLDS = frozenset({"at_least", "at_most", "before", "after"})
_HIDDEN = "snp.chip_id"
"""An identity that a host can mask: then the claim is zero."""
_MASKED = Test(_HIDDEN, ClaimType.BYTES, "equals", bytes(64), "zero", HERE)


class _Asked:
    """One kind of evidence under one policy, and what the questions about it may still cost."""

    def __init__(
        self, kind: TeeKind, side: Side, specs: Mapping[str, ClaimSpec], steps: int, further: Iterator[Test]
    ) -> None:
        self.kind, self.side, self.left, self.unknown = kind, side, steps, False
        self.program = side.program(kind)
        self.world = World(kind, (side,), specs, since=_ALWAYS, further=further)
        self.ways = list(self.world.ways(side))

    def some(self, *parts: Formula) -> tuple[int, ...] | None:
        """Evidence for which all `parts` hold, as cells; None when it is proved that there is none.

        Raises Undecided.
        """
        effort = Effort(min(self.left, _EACH))
        before = effort.left
        try:
            return solve(conjunction(parts), self.world.full, effort)
        except Undecided:
            self.unknown = True
            raise
        finally:
            self.left -= before - effort.left

    def never(self, *parts: Formula) -> bool:
        """Whether it is proved that no evidence makes all `parts` hold."""
        try:
            return self.some(*parts) is None
        except Undecided:
            return False


def findings(
    policy: Policy,
    release: ReleasePolicy,
    sets: Mapping[str, ReferenceSet],
    specs: Mapping[str, ClaimSpec],
    steps: int = STEPS,
) -> Iterator[Found]:
    """steps: for each kind of evidence; then what is left is not decided, and no finding."""
    side = Side(policy=policy, sets=sets)
    asked = []
    for kind, program in policy.programs.items():
        if program.allow or program.deny:
            masked = iter((_MASKED,) if kind is TeeKind.SEV_SNP else ())
            asked.append(_Asked(kind, side, specs, steps, masked))
    places = {rule.id: rule.at for rule in release.allow}
    matched: dict[str, list[str | None]] = {}
    for each in asked:
        living: list[Living] = []
        for rule, passes in each.ways:
            why, known = _why_never(each, rule, passes)
            matched.setdefault(rule.id, []).append(why)
            if known is not None:
                living.append((rule, passes, known))
                yield from _below_baseline(each, rule)
        for one, other in _shadows(each, living):
            message = (
                f"{other.id} accepts nothing that {one.id}, before it, does not accept ({each.kind.value})"
            )
            yield "rule-shadowed", places[other.id], message, None
    for name, reasons in matched.items():
        if all(reason is not None for reason in reasons):
            yield "rule-never-matches", places[name], f"{name} can never match: {reasons[0]}", None
    for deny in release.deny:
        yield from _deny(deny, asked)
    if any(each.unknown for each in asked):
        message = "some questions about its rules have too many combinations to decide"
        yield "too-large", Place(release.source, 1, 1), message, None


# --- allow rules -----------------------------------------------------------------------------------


def _why_never(
    asked: _Asked, rule: AllowProgram, passes: Formula
) -> tuple[str | None, tuple[int, ...] | None]:
    """What keeps every evidence out, or None; and evidence that comes in, where some is known."""
    try:
        known = asked.some(passes)
    except Undecided:
        return None, None
    if known is not None:
        return None, known
    world, side = asked.world, asked.side
    parts = [world.own(rule, side)]
    if asked.never(*parts):
        return "its own conditions contradict each other", None
    for item in asked.program.baseline:
        parts.append(world.bearable(item, rule, side))
        if asked.never(*parts):
            return f"baseline rule {item.rule.id} refuses what it admits", None
    for bar in asked.program.deny:
        parts.append(world.false(bar.when, side))
        if asked.never(*parts):
            return f"deny rule {bar.id} refuses what it admits", None
    return "what the verifier must have checked contradicts it", None


def _below_baseline(asked: _Asked, rule: AllowProgram) -> Iterator[Found]:
    """Thresholds that are met by whatever the baseline lets through."""
    world, side = asked.world, asked.side
    waived = {risk.finding for risk in rule.risks}
    for _, condition in rule.require:
        if not isinstance(condition, Test) or condition.operator not in _THRESHOLDS:
            continue
        demands = [
            item
            for item in asked.program.baseline
            if item.rule.require is not None
            and item.rule.id not in waived
            and condition.claim in {test.claim for test in conditions.tests_of(item.rule.require)}
        ]
        if not demands:
            continue
        rest = [(name, part) for name, part in rule.require if part is not condition]
        others = [world.true(part, side) for part in (rule.when, *(part for _, part in rest))]
        others += [world.satisfied(item, side) for item in demands]
        if asked.never(*others, world.negation(world.true(condition, side))):
            names = ", ".join(item.rule.id for item in demands)
            message = f"{condition.claim} {condition.expected} adds nothing: {names} ask for as much already"
            yield "below-baseline", condition.at, message, "leave it out, or raise it"


def _shadows(asked: _Asked, living: list[Living]) -> Iterator[tuple[AllowProgram, AllowProgram]]:
    """Pairs of an earlier rule and one that it shadows; each shadowed rule once.

    The baseline and the deny rules are the same for both, and bear no less of the earlier one: a later rule
    with risks is left alone. Evidence that comes in by the later rule and not by the earlier one settles most
    pairs without a search.
    """
    if len(living) ** 2 > 2 * MAX_PAIRS:
        return
    world = asked.world
    owns = [world.own(rule, asked.side) for rule, _, _ in living]
    for index, (later, passes, known) in enumerate(living):
        if later.risks:
            continue
        points = _points(known)
        for (earlier, _, _), covers in zip(living[:index], owns, strict=False):
            if any(holds(covers, point) is not True for point in points):
                continue
            try:
                other = asked.some(passes, world.negation(covers))
            except Undecided:
                continue
            if other is None:
                yield earlier, later
                break
            points = [*_points(other), *points]


def _points(domains: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Two pieces of evidence, as different as `domains` lets them be."""
    return [tuple(mask & -mask for mask in domains), tuple(1 << mask.bit_length() - 1 for mask in domains)]


# --- deny rules ------------------------------------------------------------------------------------


def _deny(rule: DenyRule, every: list[_Asked]) -> Iterator[Found]:
    living = [
        asked
        for asked in every
        for bar in asked.program.deny
        if bar.id == rule.id and not asked.never(asked.world.true(bar.when, asked.side))
    ]
    if not living:
        message = f"{rule.id} is never certainly true: it fires only when an input is missing"
        yield "deny-never-fires", rule.at, message, None
    elif not any(asked.program.allow for asked in living):
        kinds = ", ".join(sorted(asked.kind.value for asked in living))
        message = f"{rule.id} is about {kinds}, which no allow rule admits"
        yield "deny-idle", rule.at, message, None
    else:
        yield from _masked(rule, living)


def _masked(rule: DenyRule, living: list[_Asked]) -> Iterator[Found]:
    """A list of chips in a deny rule, while an allow rule lets a chip hide which it is."""
    if not _lists_chips(rule.when):
        return
    for asked in living:
        if asked.kind is not TeeKind.SEV_SNP:
            continue
        hidden = asked.world.true(_MASKED, asked.side)
        for allow, passes in asked.ways:
            try:
                found = asked.some(passes, hidden)
            except Undecided:
                continue
            if found is not None:
                message = (
                    f"{rule.id} knows chips by their id; {allow.id} admits chips whose id is masked (zero)"
                )
                hint = "add a deny rule: when: {snp.chip_id: {equals: zero}}"
                yield "masked-identity", rule.at, message, hint
                return


def _lists_chips(when: Condition) -> bool:
    return not isinstance(when, Not) and any(
        (test.operator == "in_set" and test.claim == Role.PLATFORM) or test.claim == _HIDDEN
        for test in conditions.tests_of(when)
        if TeeKind.SEV_SNP in kinds_of(test.claim)
    )
