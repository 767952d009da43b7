"""When a policy accepts, as a formula over the cells of a space.

This says in formulas what `allowing.py` and `appraise.py` compute for one piece of evidence; that the two
agree is tested, assignment by assignment. Evidence is taken to be authentic and bound to our challenge, and
the caller to be a gateway, which requires identity, freshness and revocation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.analysis import sets as cut
from policies.analysis import space as spaces
from policies.analysis.formula import FALSE, TRUE, Formula, conjunction, disjunction, negation
from policies.analysis.sets import Row, Table
from policies.analysis.space import NOW, PROFILE, Space
from policies.compiler import AllowProgram, Policy, Program, RuleProgram
from policies.conditions import tests_of
from policies.errors import Place, Source
from policies.minimums import REVOCATION_CLAIMS
from policies.model import AcceptRisk, Any, Condition, Not, Profile, ReferenceSet, Test
from policies.operators import Truth
from policies.values import Literal
from policies.vocabulary import EVIDENCE_VERSION, OPEN_VERSIONS, REVOCATION_CHECK, Role
from verifiers.claimtypes import ClaimSpec
from verifiers.model import ClaimValue, TeeKind

HERE = Place(Source("a question", (), ""), 1, 1)
"""Where conditions stand that no document contains."""
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One policy with the reference sets that count with it."""

    policy: Policy
    sets: Mapping[str, ReferenceSet]

    def program(self, kind: TeeKind) -> Program:
        return self.policy.programs[kind]


class World:
    """One kind of evidence as the policies of all `sides` see it.

    seen: evidence whose values shall have cells of their own. at: the one instant that matters; None for
    every instant from `since` on. further: conditions, read with the first side's sets, that questions will
    name.
    """

    def __init__(
        self,
        kind: TeeKind,
        sides: Iterable[Side],
        specs: Mapping[str, ClaimSpec],
        *,
        since: datetime,
        at: datetime | None = None,
        seen: Iterable[Mapping[str, ClaimValue]] = (),
        further: Iterable[Condition] = (),
    ) -> None:
        self.kind = kind
        sides, further, seen = tuple(sides), tuple(further), tuple(seen)
        asked = [(side, t) for side in sides for c in _conditions(side.program(kind)) for t in tests_of(c)]
        asked += [(sides[0], test) for condition in further for test in tests_of(condition)]
        plain = list(
            {(t.claim, t.operator, t.literal): t for _, t in asked if t.operator != "in_set"}.values()
        )
        wanted = [
            (found, Role(test.claim))
            for side, test in asked
            if test.operator == "in_set" and (found := side.sets.get(str(test.literal))) is not None
        ]
        self._tables = cut.tables(wanted, kind, _teller(kind, plain))
        values = _row_values(self._tables.values())
        for claim in {spaces.register(t.claim, kind) for t in plain} | values.keys():
            kept = [claims[claim] for claims in seen if claim in claims]
            values.setdefault(claim, []).extend(kept)
        for claim in REVOCATION_CLAIMS[kind]:
            values.setdefault(claim, [])
        values.setdefault(EVIDENCE_VERSION, []).extend(OPEN_VERSIONS.get(kind, ()))
        instants = (at,) if at is not None else _instants(sides, kind, wanted, since)
        self.space: Space = spaces.build(kind, specs, plain, values, instants, tuple(Profile))
        self.full = self.space.full

    # --- conditions ---

    def true(self, condition: Condition, side: Side) -> Formula:
        return self._value(condition, side, Truth.TRUE)

    def false(self, condition: Condition, side: Side) -> Formula:
        return self._value(condition, side, Truth.FALSE)

    def negation(self, formula: Formula) -> Formula:
        return negation(formula, self.full)

    def _value(self, condition: Condition, side: Side, wanted: Truth) -> Formula:
        if isinstance(condition, Test):
            if condition.operator == "in_set":
                return self._in_set(condition, side, wanted)
            return self.space.test(condition, wanted)
        if isinstance(condition, Not):
            return self._value(condition.of, side, Truth.FALSE if wanted is Truth.TRUE else Truth.TRUE)
        parts = [self._value(part, side, wanted) for part in condition.of]
        either = isinstance(condition, Any) is (wanted is Truth.TRUE)
        return disjunction(parts) if either else conjunction(parts)

    def _in_set(self, test: Test, side: Side, wanted: Truth) -> Formula:
        found = side.sets.get(str(test.literal))
        if found is None:
            return FALSE
        table = self._tables[cut.key(found, Role(test.claim))]
        listed = disjunction(self._row(row) for row in table.entries)
        gone = disjunction(self._row(row) for row in table.revoked)
        sound = conjunction([self.between(found.valid_from, found.valid_until), self.negation(gone)])
        if wanted is Truth.TRUE:
            return conjunction([sound, listed])
        stated = [self.space.present(name) for names in table.shapes for name in names]
        return conjunction([sound, self.negation(listed), *stated])

    def listed(self, test: Test, side: Side) -> Formula:
        """`role: {in_set: NAME}` is true; FALSE for a set that nobody asked about in this world."""
        found = side.sets.get(str(test.literal))
        known = found is not None and cut.key(found, Role(test.claim)) in self._tables
        return self._in_set(test, side, Truth.TRUE) if known else FALSE

    def _row(self, row: Row) -> Formula:
        when = [] if row.since is None else [self.between(row.since, None)]
        return conjunction([*(self.space.equals(name, value) for name, value in row.values), *when])

    def between(self, start: datetime, end: datetime | None) -> Formula:
        return self.space.leaf(
            NOW,
            None,
            lambda cell: isinstance(cell, datetime) and start <= cell and (end is None or cell < end),
        )

    def profile(self, wanted: Iterable[Profile]) -> Formula:
        accepted = frozenset(wanted)
        return self.space.leaf(PROFILE, None, lambda cell: cell in accepted)

    # --- policies ---

    def accepts(self, side: Side) -> Formula:
        return disjunction(formula for _, formula in self.ways(side))

    def ways(self, side: Side) -> Iterator[tuple[AllowProgram, Formula]]:
        """Each allow rule, and when it lets evidence pass."""
        program = side.program(self.kind)
        common = [self.false(deny.when, side) for deny in program.deny]
        common += [self._verifier_revocation(program, side), self._verifier_version(side)]
        held = [(item.rule.id, self.satisfied(item, side)) for item in program.baseline]
        for rule in program.allow:
            borne = (disjunction([is_held, self._risk(rule, name, side)]) for name, is_held in held)
            yield rule, conjunction([*common, self.own(rule, side), *borne])

    def own(self, rule: AllowProgram, side: Side) -> Formula:
        """What the rule itself asks for, with the risks that it cannot do without."""
        return conjunction(
            [
                self.true(rule.when, side),
                self.profile(rule.profiles),
                *(self.true(condition, side) for _, condition in rule.require),
                *(self._risk(rule, finding, side) for finding in rule.open),
            ]
        )

    def bearable(self, item: RuleProgram, rule: AllowProgram, side: Side) -> Formula:
        """A baseline rule keeps nothing from passing: it holds, is not about this machine, or is waived."""
        return disjunction([self.satisfied(item, side), self._risk(rule, item.rule.id, side)])

    def satisfied(self, item: RuleProgram, side: Side) -> Formula:
        """Without any waiver."""
        when, require = item.rule.when, item.rule.require
        held = TRUE if require is None else self.true(require, side)
        if when is None:
            return held
        return disjunction([self.false(when, side), conjunction([self.true(when, side), held])])

    def _risk(self, rule: AllowProgram, finding: str, side: Side) -> Formula:
        return disjunction(self._active(risk, side) for risk in rule.risks if risk.finding == finding)

    def _active(self, risk: AcceptRisk, side: Side) -> Formula:
        limits = (self.true(part, side) for part in risk.only_when)
        return conjunction([self.between(risk.valid_from, risk.expires), *limits])

    def revocation_checked(self) -> Formula:
        return conjunction(self.space.present(claim) for claim in sorted(REVOCATION_CLAIMS[self.kind]))

    def _verifier_revocation(self, program: Program, side: Side) -> Formula:
        """The verifier checked, or a baseline rule of its name says instead that nothing was at hand; whether
        that can be borne is the rule's question."""
        name = REVOCATION_CHECK[self.kind]
        instead = [self._unknown(item, side) for item in program.baseline if item.rule.id == name]
        if self.kind is not TeeKind.SEV_SNP:
            instead = []  # Intel's check is unknown, not unasked, without CRLs: nothing stands for that
        return disjunction([self.revocation_checked(), *instead])

    def _verifier_version(self, side: Side) -> Formula:
        """No version that the verifier leaves open, unless every baseline for this evidence admits it."""
        asked = [baseline for baseline in side.policy.baselines if self.kind in baseline.kinds]
        closed = {
            version
            for version, word in OPEN_VERSIONS.get(self.kind, {}).items()
            if not asked or any(word not in baseline.admits for baseline in asked)
        }
        return self.space.leaf(EVIDENCE_VERSION, None, lambda cell: cell not in closed)

    def _unknown(self, item: RuleProgram, side: Side) -> Formula:
        when, require = item.rule.when, item.rule.require
        if require is None:
            return FALSE
        about = TRUE if when is None else self.true(when, side)
        concerned = TRUE if when is None else self.negation(self.false(when, side))
        refuted = conjunction([about, self.false(require, side)])
        return conjunction([concerned, self.negation(self.satisfied(item, side)), self.negation(refuted)])


def _conditions(program: Program) -> Iterator[Condition]:
    for item in program.baseline:
        yield from (part for part in (item.rule.when, item.rule.require) if part is not None)
    for deny in program.deny:
        yield deny.when
    for rule in program.allow:
        yield rule.when
        yield from (condition for _, condition in rule.require)
        for risk in rule.risks:
            yield from risk.only_when


def _teller(kind: TeeKind, tests: Iterable[Test]) -> Callable[[str, Literal], object]:
    """What all plain tests say of one value of a claim."""
    by_claim: dict[str, list[Test]] = {}
    for test in tests:
        by_claim.setdefault(spaces.register(test.claim, kind), []).append(test)

    def told(claim: str, value: Literal) -> object:
        return tuple(spaces.says(test, claim, value, kind) for test in by_claim.get(claim, ()))

    return told


def _row_values(tables: Iterable[Table]) -> dict[str, list[Literal]]:
    """Every claim that some shape names, with the values of the rows that are left."""
    out: dict[str, list[Literal]] = {}
    for table in tables:
        for names in table.shapes:
            for name in names:
                out.setdefault(name, [])
        for row in (*table.entries, *table.revoked):
            for name, value in row.values:
                out.setdefault(name, []).append(value)
    return out


def _instants(
    sides: Iterable[Side], kind: TeeKind, wanted: Iterable[tuple[ReferenceSet, Role]], since: datetime
) -> tuple[datetime, ...]:
    """`since`, and from then on every instant at which something begins or ends, and the last one before."""
    edges: set[datetime] = set()
    for found, _ in wanted:
        edges |= {found.valid_from, found.valid_until, *(item.since for item in found.revoked)}
    for side in sides:
        for rule in side.program(kind).allow:
            edges |= {edge for risk in rule.risks for edge in (risk.valid_from, risk.expires)}
    later = {moment for edge in edges for moment in (edge - _TICK, edge) if moment > since}
    return (since, *sorted(later))
