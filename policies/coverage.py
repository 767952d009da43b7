"""What cases have shown of a policy: each rule taken and not taken, each condition true and false."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from policies import conditions
from policies.errors import Place
from policies.logic import Facts, truth
from policies.model import Baseline, Condition, ReferenceSet, ReleasePolicy, Test
from policies.operators import Truth
from policies.trials import Result
from policies.vocabulary import kinds_of
from verifiers.claimtypes import ClaimSpec
from verifiers.model import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A rule or a condition. kind: "rule" or "condition". what: as a person would name it."""

    kind: str
    what: str
    yes: bool
    no: bool
    place: Place = field(compare=False)

    @property
    def missing(self) -> str:
        """What no case shows."""
        words = {"rule": ("taken", "not taken"), "condition": ("true", "false")}[self.kind]
        return " or ".join(word for word, seen in zip(words, (self.yes, self.no), strict=True) if not seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    seen: tuple[Seen, ...]

    def ratio(self, kind: str) -> tuple[int, int]:
        """Sides that were seen, and all there are: two for each rule or condition."""
        chosen = [item for item in self.seen if item.kind == kind]
        return sum(item.yes + item.no for item in chosen), 2 * len(chosen)

    @property
    def open(self) -> tuple[Seen, ...]:
        return tuple(item for item in self.seen if not (item.yes and item.no))

    @property
    def complete(self) -> bool:
        return not self.open


def measure(
    results: Iterable[Result],
    target: ReleasePolicy | Baseline,
    sets: Mapping[str, ReferenceSet],
    specs: Mapping[str, ClaimSpec],
) -> Coverage:
    """What `results`, of a policy that contains `target`, have shown of it. specs: the claim table."""
    given = [result for result in results if result.trial.verification.authentic]
    facts = [
        Facts(
            kind=result.trial.verification.evidence.kind,
            claims=result.trial.verification.claims,
            sets=sets,
            now=result.trial.case.now,
        )
        for result in given
    ]
    rules = _release(given, target) if isinstance(target, ReleasePolicy) else _baseline(given, target)
    return Coverage(seen=(*rules, *_conditions(facts, target, specs)))


def _release(given: list[Result], release: ReleasePolicy) -> Iterator[Seen]:
    for rule in release.allow:
        taken = {result.appraisal.rule == rule.id for result in given}
        yield Seen(kind="rule", what=f"allow {rule.id}", yes=True in taken, no=False in taken, place=rule.at)
    for bar in release.deny:
        fired = set(_outcomes(given, f"deny/{bar.id}", {Outcome.FAILED}))
        yield Seen(kind="rule", what=f"deny {bar.id}", yes=True in fired, no=False in fired, place=bar.at)
    for risk in release.accept_risk:
        used = {risk.id in {waiver.id for waiver in result.appraisal.waived} for result in given}
        what = f"accept_risk {risk.id}"
        yield Seen(kind="rule", what=what, yes=True in used, no=False in used, place=risk.at)


def _baseline(given: list[Result], baseline: Baseline) -> Iterator[Seen]:
    for rule in baseline.rules:
        passed = set(_outcomes(given, rule.id, {Outcome.PASSED, Outcome.NOT_CHECKED}))
        about = len(list(_outcomes(given, rule.id, set()))) > 0
        no = False in passed or (rule.require is None and about)
        yield Seen(kind="rule", what=rule.id, yes=True in passed, no=no, place=rule.at)


def _outcomes(given: list[Result], name: str, wanted: set[Outcome]) -> Iterator[bool]:
    return (
        check.outcome in wanted for result in given for check in result.appraisal.checks if check.id == name
    )


def all_conditions(target: ReleasePolicy | Baseline) -> Iterator[Condition]:
    """Every condition that the document asks about, in its order."""
    if isinstance(target, Baseline):
        for rule in target.rules:
            yield from (part for part in (rule.when, rule.require) if part is not None)
        return
    for allow in target.allow:
        yield from (allow.when, *allow.require)
    for deny in target.deny:
        yield deny.when
    for risk in target.accept_risk:
        yield from risk.only_when


def _conditions(
    facts: list[Facts], target: ReleasePolicy | Baseline, specs: Mapping[str, ClaimSpec]
) -> Iterator[Seen]:
    for condition in all_conditions(target):
        for test in conditions.tests_of(condition):
            found = {truth(test, each) for each in facts if each.kind in kinds_of(test.claim)}
            yes, no = Truth.TRUE in found, Truth.FALSE in found
            spec = specs.get(test.claim)
            no |= Truth.MISSING in found and (test.operator == "in_set" or _takes_all(test, spec))
            yield Seen(kind="condition", what=show(test), yes=yes, no=no, place=test.at)


def _takes_all(test: Test, spec: ClaimSpec | None) -> bool:
    """Whether every word that the claim can be fits ("checked"): then it fits, or is missing.

    So it is with sets: one that ended, or a revoked entry, is not listed, whatever logic calls it.
    """
    literal = test.literal if isinstance(test.literal, frozenset) else frozenset({test.literal})
    return spec is not None and bool(spec.values) and literal >= frozenset(spec.values)


def show(test: Test) -> str:
    """A test in a few words: "snp.vmpl equals 0"."""
    constant = test.expected if len(test.expected) <= 60 else f"{test.expected[:59]}…"
    return f"{test.claim} {test.operator} {constant}"
