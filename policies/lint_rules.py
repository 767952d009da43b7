"""Rules that can never match, never fire, or add nothing: decided with `cells.py`.

Each finding is certain. What is too large to decide is said to be undecided, once for each policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from policies import cells, conditions
from policies.cells import Specs, Term
from policies.compiler import AllowProgram, DenyProgram, Policy, Program
from policies.errors import Place
from policies.minimums import pins
from policies.model import Condition, Not, ReferenceSet, ReleasePolicy, Test
from policies.vocabulary import Role, kinds_of
from verifiers.model import TeeKind

Found = tuple[str, Place, str, str | None]
"""Code, place, message, hint."""

MAX_PAIRS = 150_000
_THRESHOLDS = frozenset({"at_least", "at_most", "before", "after"})
_HIDDEN = frozenset({"snp.chip_id"})
"""Identities that a host can mask: then the claim is zero."""


def findings(
    policy: Policy, release: ReleasePolicy, sets: Mapping[str, ReferenceSet], specs: Specs
) -> Iterator[Found]:
    places = {rule.id: rule.at for rule in release.allow}
    matched: dict[str, list[str | None]] = {}
    too_large = False
    for kind, program in policy.programs.items():
        for rule in program.allow:
            try:
                matched.setdefault(rule.id, []).append(_why_never(rule, program, specs))
                yield from _below_baseline(rule, program, specs)
            except cells.TooMany:
                matched.setdefault(rule.id, []).append(None)
                too_large = True
        for one, other in _shadows(program, specs):
            message = f"{other.id} accepts nothing that {one.id}, before it, does not accept ({kind.value})"
            yield "rule-shadowed", places[other.id], message, None
    for name, reasons in matched.items():
        if reasons and all(reason is not None for reason in reasons):
            yield "rule-never-matches", places[name], f"{name} can never match: {reasons[0]}", None
    yield from _deny(policy, release, sets, specs)
    if too_large:
        message = "some rules have too many combinations to say whether they can match"
        yield "too-large", Place(release.source, 1, 1), message, None


# --- allow rules -----------------------------------------------------------------------------------


def _parts(rule: AllowProgram) -> tuple[Condition, ...]:
    return (rule.when, *(condition for _, condition in rule.require))


def _own(rule: AllowProgram, specs: Specs) -> list[Term]:
    found: list[Term] = [()]
    for part in _parts(rule):
        found = cells.narrowed(found, part, specs)
    return found


def _why_never(rule: AllowProgram, program: Program, specs: Specs) -> str | None:
    """What keeps every evidence out, or None. Raises cells.TooMany."""
    left = _own(rule, specs)
    if not left:
        return "its own conditions contradict each other"
    claims = _claims(_parts(rule))
    waived = {risk.finding for risk in rule.risks}
    for item in program.baseline:
        demand = item.rule.require
        if demand is None or item.rule.id in waived or claims.isdisjoint(_claims((demand,))):
            continue
        where = [] if item.rule.when is None else cells.narrowed(left, item.rule.when, specs, wanted=False)
        inside = left if item.rule.when is None else cells.narrowed(left, item.rule.when, specs)
        left = [*where, *cells.narrowed(inside, demand, specs)]
        if not left:
            return f"baseline rule {item.rule.id} refuses what it admits"
    for bar in program.deny:
        if not claims.isdisjoint(_claims((bar.when,))):
            left = cells.narrowed(left, bar.when, specs, wanted=False)
        if not left:
            return f"deny rule {bar.id} refuses what it admits"
    return None


def _claims(parts: Sequence[Condition]) -> frozenset[str]:
    return frozenset(test.claim for part in parts for test in conditions.tests_of(part))


def _below_baseline(rule: AllowProgram, program: Program, specs: Specs) -> Iterator[Found]:
    """Thresholds that are met by whatever the baseline lets through. Raises cells.TooMany."""
    waived = {risk.finding for risk in rule.risks}
    for _, condition in rule.require:
        if not isinstance(condition, Test) or condition.operator not in _THRESHOLDS:
            continue
        demands = [
            item.rule
            for item in program.baseline
            if item.rule.require is not None
            and item.rule.id not in waived
            and condition.claim in _claims((item.rule.require,))
        ]
        if not demands:
            continue
        left: list[Term] = [()]
        for part in _parts(rule):
            if part is not condition:
                left = cells.narrowed(left, part, specs)
        for demand in demands:
            assert demand.require is not None
            where = [] if demand.when is None else cells.narrowed(left, demand.when, specs, wanted=False)
            inside = left if demand.when is None else cells.narrowed(left, demand.when, specs)
            left = [*where, *cells.narrowed(inside, demand.require, specs)]
        if left and not cells.narrowed(left, condition, specs, wanted=False):
            names = ", ".join(demand.id for demand in demands)
            message = f"{condition.claim} {condition.expected} adds nothing: {names} ask for as much already"
            yield "below-baseline", condition.at, message, "leave it out, or raise it"


def _shadows(program: Program, specs: Specs) -> Iterator[tuple[AllowProgram, AllowProgram]]:
    """Pairs of an earlier rule and one that it shadows; each shadowed rule once."""
    rules = [(rule, frozenset(p for p in _parts(rule) if isinstance(p, Test))) for rule in program.allow]
    if len(rules) ** 2 > 2 * MAX_PAIRS:
        return
    for index, (later, tests) in enumerate(rules):
        if later.risks or later.open:
            continue
        for earlier, theirs in rules[:index]:
            if earlier.open or not later.profiles <= earlier.profiles:
                continue
            try:
                covered = _covers(earlier, theirs - tests, later, specs)
            except cells.TooMany:
                covered = False
            if covered:
                yield earlier, later
                break


def _covers(earlier: AllowProgram, extra: frozenset[Test], later: AllowProgram, specs: Specs) -> bool:
    """Whether what `later` demands implies all of `earlier`. extra: the tests that it does not repeat."""
    if any(not _implied(test, later, specs) for test in extra):
        return False
    others = [part for part in _parts(earlier) if not isinstance(part, Test)]
    if not others:
        return True
    left = _own(later, specs)
    return bool(left) and all(not cells.narrowed(left, part, specs, wanted=False) for part in others)


def _implied(test: Test, rule: AllowProgram, specs: Specs) -> bool:
    """Whether the rule's demands on the same claim leave `test` no choice."""
    same = [part for part in _parts(rule) if test.claim in _claims((part,))]
    if not same:
        return False
    left: list[Term] = [()]
    for part in same:
        left = cells.narrowed(left, part, specs)
    return bool(left) and not cells.narrowed(left, test, specs, wanted=False)


# --- deny rules ------------------------------------------------------------------------------------


def _deny(
    policy: Policy, release: ReleasePolicy, sets: Mapping[str, ReferenceSet], specs: Specs
) -> Iterator[Found]:
    admitted = [kind for kind, program in policy.programs.items() if program.allow]
    for rule in release.deny:
        about = {
            kind: bar
            for kind, program in policy.programs.items()
            for bar in program.deny
            if bar.id == rule.id
        }
        living = {kind: bar for kind, bar in about.items() if _can_fire(bar, kind, sets, specs)}
        if not living:
            message = f"{rule.id} is never certainly true: it fires only when an input is missing"
            yield "deny-never-fires", rule.at, message, None
        elif not any(kind in admitted for kind in living):
            kinds = ", ".join(sorted(kind.value for kind in living))
            message = f"{rule.id} is about {kinds}, which no allow rule admits"
            yield "deny-idle", rule.at, message, None
        else:
            yield from _masked(rule.when, policy, rule.at, rule.id)


def _can_fire(bar: DenyProgram, kind: TeeKind, sets: Mapping[str, ReferenceSet], specs: Specs) -> bool:
    try:
        left = cells.narrowed([()], bar.when, specs)
    except cells.TooMany:
        return True
    return any(all(_has_entry(test, kind, sets) for test, wanted in term if wanted) for term in left)


def _has_entry(test: Test, kind: TeeKind, sets: Mapping[str, ReferenceSet]) -> bool:
    if test.operator != "in_set":
        return True
    found = sets.get(str(test.literal))
    return found is not None and bool(found.index.entries.get((Role(test.claim), kind)))


def _masked(when: Condition, policy: Policy, place: Place, name: str) -> Iterator[Found]:
    """A list of chips in a deny rule, while an allow rule lets a chip hide which it is."""
    snp = policy.programs[TeeKind.SEV_SNP]
    listed = any(
        (test.operator == "in_set" and test.claim == Role.PLATFORM) or test.claim in _HIDDEN
        for test in conditions.tests_of(when)
        if TeeKind.SEV_SNP in kinds_of(test.claim)
    )
    if not listed or isinstance(when, Not):
        return
    for rule in snp.allow:
        known = _HIDDEN & frozenset[str]().union(*(pins(p, TeeKind.SEV_SNP, {}) for p in _parts(rule)))
        refused = any(
            _refuses_zero(part) for part in (*_parts(rule), *(Not(b.when, b.when.at) for b in snp.deny))
        )
        if not known and not refused:
            message = f"{name} knows chips by their id; {rule.id} admits chips whose id is masked (zero)"
            hint = "add a deny rule: when: {snp.chip_id: {equals: zero}}"
            yield "masked-identity", place, message, hint
            return


def _refuses_zero(condition: Condition) -> bool:
    if not isinstance(condition, Not) or not isinstance(condition.of, Test):
        return False
    test = condition.of
    values = test.literal if isinstance(test.literal, frozenset) else (test.literal,)
    return test.claim in _HIDDEN and any(isinstance(v, bytes) and not any(v) for v in values)
