"""A policy with one thing wrong: what cases must notice, or they prove little.

OPERATORS lists what may go wrong. A mutant that no longer compiles could never become active, and is left
out of the score; one that every case still passes survives, and names what no case shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any as Any_
from typing import TypeVar

from policies import coverage
from policies.compiler import Policy
from policies.errors import Place, PolicyErrors
from policies.model import (
    AcceptRisk,
    All,
    AllowRule,
    Any,
    Baseline,
    BaselineRule,
    Condition,
    DenyRule,
    Not,
    Profile,
    ReferenceSet,
    ReleasePolicy,
    Test,
)
from policies.trials import Trial, holds
from policies.values import TCB_COMPONENTS, Components, Literal, TcbFloor, show
from policies.vocabulary import EVIDENCE_TYPE, INIT_DATA, INIT_DATA_REGISTER, Role, kinds_of
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import ClaimValue, TeeKind

OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        "drop-check": "a requirement, or a part of one, is left out",
        "flip-comparison": "a test, or all and any, say the opposite",
        "widen-set": "one more value, token, path or protocol is taken",
        "shift-floor": "a bound is looser by one",
        "shift-date": "a time or a duration is later, or earlier, by one second",
        "swap-claim": "another claim of the same type is looked at",
        "remove-deny": "a deny rule is left out",
    }
)

T = TypeVar("T")

SECOND = timedelta(seconds=1)
_FLIPPED = {"at_least": "at_most", "at_most": "at_least", "before": "after", "after": "before"}
_FLIPPED |= {"subset_of": "includes", "includes": "subset_of"}

Target = ReleasePolicy | Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of `document`. what: in words."""

    operator: str
    what: str
    document: Target
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    killed: int
    stillborn: int
    """Refused by the compiler."""
    survivors: tuple[Mutant, ...]

    @property
    def total(self) -> int:
        return self.killed + len(self.survivors)

    @property
    def percent(self) -> float:
        """Of the mutants that compile; 100 when there are none."""
        return 100.0 if not self.total else 100.0 * self.killed / self.total


def score(
    target: Target,
    trials: Iterable[Trial],
    sets: Mapping[str, ReferenceSet],
    specs: Mapping[str, ClaimSpec],
    compile_with: Callable[[Target], Policy],
    *,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Score:
    """How many mutants of `target` the cases notice. compile_with: the policy with `target` replaced; raises
    PolicyErrors when it does not compile. step: told (done, total) after each mutant."""
    given = tuple(trials)
    all_mutants = tuple(mutants(target, observed(given), sets, specs))
    chosen = tuple(sets.values())
    killed = stillborn = 0
    survivors = []
    for number, mutant in enumerate(all_mutants, 1):
        try:
            policy = compile_with(mutant.document)
        except PolicyErrors:
            stillborn += 1
        else:
            if all(holds(trial, policy, chosen) for trial in given):
                survivors.append(mutant)
            else:
                killed += 1
        step(number, len(all_mutants))
    return Score(killed=killed, stillborn=stillborn, survivors=tuple(survivors))


Observed = Mapping[str, tuple[ClaimValue, ...]]
"""By claim, every value that the cases show: those that most cases show first."""


def observed(trials: Iterable[Trial]) -> Observed:
    """What a widened set takes from, so that it can be noticed."""
    out: dict[str, Counter[ClaimValue]] = {}
    for trial in trials:
        for name, value in trial.verification.claims.items():
            out.setdefault(name, Counter()).update([value])
        register, _ = INIT_DATA_REGISTER.get(trial.verification.evidence.kind, ("", 0))
        digest = trial.verification.claims.get(register)
        if isinstance(digest, bytes):
            out.setdefault(INIT_DATA, Counter()).update({digest, digest[:32]})
    return {name: tuple(value for value, _ in found.most_common()) for name, found in out.items()}


def mutants(
    target: Target, seen: Observed, sets: Mapping[str, ReferenceSet], specs: Mapping[str, ClaimSpec]
) -> Iterator[Mutant]:
    """Every mutant of `target`, each once."""
    makers = _Makers(seen, sets, specs)
    found = makers.baseline(target) if isinstance(target, Baseline) else makers.release(target)
    known: list[Target] = [target]
    for mutant in found:
        if mutant.document not in known:
            known.append(mutant.document)
            yield mutant


Change = tuple[str, str, Place, Condition | None]
"""Operator, words, place, and what stands there instead; None when nothing does."""


class _Makers:
    def __init__(
        self, seen: Observed, sets: Mapping[str, ReferenceSet], specs: Mapping[str, ClaimSpec]
    ) -> None:
        self.seen, self.sets, self.specs = seen, sets, specs

    # --- documents ---------------------------------------------------------------------------------

    def baseline(self, target: Baseline) -> Iterator[Mutant]:
        for index, rule in enumerate(target.rules):
            rest = (*target.rules[:index], *target.rules[index + 1 :])
            yield Mutant(
                operator="drop-check",
                what=f"without {rule.id}",
                document=replace(target, rules=rest),
                place=rule.at,
            )
            for operator, what, place, changed in self._rule(rule):
                rules = (*target.rules[:index], changed, *target.rules[index + 1 :])
                yield Mutant(operator=operator, what=what, document=replace(target, rules=rules), place=place)

    def _rule(self, rule: BaselineRule) -> Iterator[tuple[str, str, Place, BaselineRule]]:
        for name in ("when", "require"):
            condition = getattr(rule, name)
            for operator, what, place, other in self.changes(condition) if condition is not None else ():
                if other is not None:
                    changed = replace(rule, when=other) if name == "when" else replace(rule, require=other)
                    yield operator, what, place, changed

    def release(self, target: ReleasePolicy) -> Iterator[Mutant]:
        for operator, what, place, allow in self._each(target.allow, self._allow):
            yield Mutant(operator=operator, what=what, document=replace(target, allow=allow), place=place)
        for index, bar in enumerate(target.deny):
            rest = (*target.deny[:index], *target.deny[index + 1 :])
            what = f"without deny rule {bar.id}"
            yield Mutant(operator="remove-deny", what=what, document=replace(target, deny=rest), place=bar.at)
        for operator, what, place, deny in self._each(target.deny, self._deny):
            yield Mutant(operator=operator, what=what, document=replace(target, deny=deny), place=place)
        for operator, what, place, risks in self._each(target.accept_risk, self._risk):
            yield Mutant(
                operator=operator, what=what, document=replace(target, accept_risk=risks), place=place
            )
        for index, pattern in enumerate(target.secrets):
            wider = f"{pattern.rpartition('/')[0]}/*".lstrip("/")
            if wider != pattern:
                secrets = (*target.secrets[:index], wider, *target.secrets[index + 1 :])
                changed = replace(target, secrets=secrets)
                what, place = f"{pattern} becomes {wider}", target.places["secrets"]
                yield Mutant(operator="widen-set", what=what, document=changed, place=place)
        lease = replace(target.lease, lasts=target.lease.lasts + SECOND)
        what, place = "the lease lasts a second longer", Place(target.source, 1, 1)
        yield Mutant(operator="shift-date", what=what, document=replace(target, lease=lease), place=place)

    @staticmethod
    def _each(
        items: tuple[T, ...], change: Callable[[T], Iterator[tuple[str, str, Place, T]]]
    ) -> Iterator[tuple[str, str, Place, tuple[T, ...]]]:
        for index, item in enumerate(items):
            for operator, what, place, other in change(item):
                yield operator, what, place, (*items[:index], other, *items[index + 1 :])

    def _allow(self, rule: AllowRule) -> Iterator[tuple[str, str, Place, AllowRule]]:
        for operator, what, place, other in self.changes(rule.when):
            if other is not None:
                yield operator, what, place, replace(rule, when=other)
        for operator, what, place, parts in self._list(rule.require):
            if parts:
                yield operator, what, place, replace(rule, require=parts)
        for profile in sorted(set(Profile) - rule.profiles):
            wider = replace(rule, profiles=rule.profiles | {profile})
            yield "widen-set", f"{rule.id} takes the {profile.value} profile too", rule.at, wider

    def _deny(self, rule: DenyRule) -> Iterator[tuple[str, str, Place, DenyRule]]:
        for operator, what, place, other in self.changes(rule.when):
            if other is not None:
                yield operator, what, place, replace(rule, when=other)

    def _risk(self, risk: AcceptRisk) -> Iterator[tuple[str, str, Place, AcceptRisk]]:
        for operator, what, place, parts in self._list(risk.only_when):
            yield operator, what, place, replace(risk, only_when=parts)
        later = replace(risk, expires=risk.expires + SECOND)
        yield "shift-date", f"{risk.id} expires a second later", risk.at, later
        earlier = replace(risk, valid_from=risk.valid_from - SECOND)
        yield "shift-date", f"{risk.id} begins a second earlier", risk.at, earlier

    # --- conditions --------------------------------------------------------------------------------

    def _list(self, parts: tuple[Condition, ...]) -> Iterator[tuple[str, str, Place, tuple[Condition, ...]]]:
        for index, part in enumerate(parts):
            before, after = parts[:index], parts[index + 1 :]
            yield "drop-check", f"without {words(part)}", part.at, (*before, *after)
            for operator, what, place, other in self.changes(part):
                if other is not None:
                    yield operator, what, place, (*before, other, *after)

    def changes(self, condition: Condition) -> Iterator[Change]:
        if isinstance(condition, Test):
            yield from self._test(condition)
            return
        if isinstance(condition, Not):
            yield "flip-comparison", f"without not: {words(condition.of)}", condition.at, condition.of
            for operator, what, place, other in self.changes(condition.of):
                if other is not None:
                    yield operator, what, place, Not(other, condition.at)
            return
        same, opposite = (All, Any) if isinstance(condition, All) else (Any, All)
        if len(condition.of) > 1:
            names = ("all", "any") if same is All else ("any", "all")
            yield (
                "flip-comparison",
                f"{names[0]} becomes {names[1]}",
                condition.at,
                opposite(condition.of, condition.at),
            )
        for operator, what, place, parts in self._list(condition.of):
            if parts:
                yield operator, what, place, same(parts, condition.at)

    def _test(self, test: Test) -> Iterator[Change]:
        said = coverage.show(test)
        flipped = _FLIPPED.get(test.operator)
        if flipped is None:
            yield "flip-comparison", f"not: {said}", test.at, Not(test, test.at)
        elif self._fits(test, flipped):
            yield "flip-comparison", f"{said} becomes {flipped}", test.at, replace(test, operator=flipped)
        for literal, what in self._wider(test):
            operator = "in" if test.operator == "equals" else test.operator
            changed = replace(test, operator=operator, literal=literal)
            yield "widen-set", f"{said}: {what}", test.at, changed
        for literal, what in _looser(test):
            date = isinstance(literal, datetime | timedelta)
            yield (
                "shift-date" if date else "shift-floor",
                f"{said}: {what}",
                test.at,
                replace(test, literal=literal),
            )
        other = self._sibling(test)
        if other is not None:
            yield "swap-claim", f"{said}: of {other}", test.at, replace(test, claim=other)

    def _fits(self, test: Test, operator: str) -> bool:
        return not (test.type is ClaimType.TCB and test.operator not in {"at_least", "at_most"})

    def _wider(self, test: Test) -> Iterator[tuple[Literal, str]]:
        """One more value, preferably one that a case shows; of `includes`, one less."""
        literal = test.literal
        if test.operator == "equals" and test.type not in {
            ClaimType.FLAG,
            ClaimType.LIST,
            ClaimType.TCB,
            ClaimType.SET,
        }:
            for value in self._another(test, frozenset({literal})):
                yield _joined({literal, value}), f"or {show(value)}"
        elif test.operator == "in" and isinstance(literal, frozenset):
            for value in self._another(test, literal):
                yield _joined({*literal, value}), f"or {show(value)}"
        elif test.operator == "subset_of" and isinstance(literal, frozenset):
            token = self._token(test.claim, literal)
            yield _joined({*literal, token}), f"and {token}"
        elif test.operator == "subset_of" and type(literal) is int:
            bits = self._bits(test.claim, literal)
            yield literal | bits, f"and {bits:#x}"
        elif test.operator == "includes" and isinstance(literal, frozenset) and len(literal) > 1:
            for token in sorted(map(str, literal)):
                yield _joined(set(literal) - {token}), f"without {token}"

    def _token(self, claim: str, known: frozenset[Any_]) -> str:
        """A token that some case shows and the set lacks."""
        shown = (value for value in self.seen.get(claim, ()) if isinstance(value, frozenset))
        return min((token for value in shown for token in value - known), default="another")

    def _bits(self, claim: str, known: int) -> int:
        shown = (value for value in self.seen.get(claim, ()) if type(value) is int)
        return min((value & ~known for value in shown if value & ~known), default=1 << 63)

    def _another(self, test: Test, known: frozenset[Any_]) -> Iterator[ClaimValue]:
        values = self.seen.get(test.claim, ())
        others = [value for value in values if value not in known]
        spec = self.specs.get(test.claim)
        closed = [word for word in (spec.values if spec is not None else ()) if word not in known]
        if others:
            yield others[0]
        elif closed:
            yield closed[0]
        elif spec is not None and not spec.values:
            yield from _made_up(known)

    def _sibling(self, test: Test) -> str | None:
        """The next claim that could be taken for this one."""
        if test.type is None:
            return self._other_role(test)
        own = self.specs.get(test.claim)
        if own is None or test.claim == EVIDENCE_TYPE:
            return None
        names = list(self.specs)
        start = names.index(test.claim)
        for name in (*names[start + 1 :], *names[:start]):
            spec = self.specs[name]
            alike = (spec.type, spec.length, spec.values, spec.pattern) == (
                own.type,
                own.length,
                own.values,
                own.pattern,
            )
            if alike and kinds_of(name) == kinds_of(test.claim) and name in self.seen:
                return name
        return None

    def _other_role(self, test: Test) -> str | None:
        """guest for workload and back; not when the set's entries state both, which is the same question."""
        pair = {Role.GUEST: Role.WORKLOAD, Role.WORKLOAD: Role.GUEST}
        other, found = pair.get(Role(test.claim)), self.sets.get(str(test.literal))
        if other is None or found is None:
            return None
        entries = found.index.entries
        same = all(entries.get((Role(test.claim), kind)) == entries.get((other, kind)) for kind in TeeKind)
        return None if same else other.value


def _joined(values: Iterable[Any_]) -> Literal:
    """Constants of one type as the set that `in` and `subset_of` compare with."""
    joined: Literal = frozenset(values)
    return joined


def _looser(test: Test) -> Iterator[tuple[Literal, str]]:
    """Bounds and times moved by one, so that more is taken."""
    literal, down = test.literal, test.operator in {"at_least", "after"}
    if test.operator not in {"at_least", "at_most", "before", "after"}:
        return
    step = -1 if down else 1
    if isinstance(literal, datetime | timedelta):
        yield literal + step * SECOND, "a second earlier" if down else "a second later"
    elif isinstance(literal, TcbFloor):
        for name in TCB_COMPONENTS:
            bound = getattr(literal, name)
            if bound is not None and bound + step >= 0:
                yield replace(literal, **{name: bound + step}), f"{name} {bound + step}"
    elif isinstance(literal, Components):
        for index, bound in enumerate(literal.parts):
            last = index == len(literal.parts) - 1
            if bound is not None and bound + step >= 0 and (last or not literal.lexicographic):
                parts = (*literal.parts[:index], bound + step, *literal.parts[index + 1 :])
                yield Components(parts, literal.lexicographic), f"{bound + step} for {bound}"
    elif type(literal) is int and literal + step >= 0:
        yield literal + step, f"{literal + step} for {literal}"


def _made_up(known: frozenset[object]) -> Iterator[ClaimValue]:
    """A value of the same type that nobody has shown."""
    one = next(iter(known))
    if isinstance(one, bytes):
        yield bytes(byte ^ 0xFF for byte in one)
    elif type(one) is int:
        yield max(value for value in known if type(value) is int) + 1
    elif isinstance(one, str):
        yield "another"
    elif isinstance(one, tuple):
        yield (*one[:-1], one[-1] + 1)


def words(condition: Condition) -> str:
    if isinstance(condition, Test):
        return coverage.show(condition)
    if isinstance(condition, Not):
        return f"not: {words(condition.of)}"
    name = "all" if isinstance(condition, All) else "any"
    return f"{name} of {len(condition.of)}"
