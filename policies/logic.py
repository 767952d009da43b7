"""What a condition says about evidence: true, false or missing, by Kleene's rules, and why.

    all   false if any part is false; else missing if any part is missing; else true
    any   true if any part is true; else missing if any part is missing; else false
    not   swaps true and false; missing stays missing

Missing never allows anything: a demand needs *true*. A deny rule fires unless its condition is *false*.

Each condition is prepared once, the first time it is asked (`_Node`): operator, type and the text of what is
expected do not depend on evidence. `weigh` is the only place that decides; `judge` asks it, and adds texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from policies.model import All, Condition, Not, ReferenceSet, Test
from policies.operators import OPERATORS, Truth
from policies.references import all_matches, find
from policies.values import fits, python_type, show
from policies.vocabulary import INIT_DATA, INIT_DATA_REGISTER, ROLE_CLAIMS, ROLES, Role
from verifiers.model import Claims, TeeKind

NOT_FOUND = "missing"

EXPIRED = "reference.expired"
NOT_YET = "reference.not-yet-valid"
REVOKED = "reference.revoked"
NO_SET = "reference.missing"

DEFINITE = frozenset({EXPIRED, NOT_YET, REVOKED})
"""Reasons that are known for certain although the truth is *missing*: a set that ended says neither yes nor
no, so that `not` and deny rules over it stay closed too; but nothing has to be fetched to know it."""

_TRUE, _FALSE, _MISSING = Truth.TRUE, Truth.FALSE, Truth.MISSING


class Judgement(NamedTuple):
    """The truth of one condition, with both sides as texts. reason: a stable code when not true."""

    truth: Truth
    expected: str
    found: str
    reason: str | None = None

    @property
    def definite(self) -> bool:
        """False when what is missing might still turn up."""
        return self.truth is not _MISSING or self.reason in DEFINITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What conditions are evaluated over. `now` decides whether reference sets hold.

    quiet: nobody reads texts, so `ask` leaves them out. looked: what sets said in this evaluation already;
    many rules ask one set the same.
    """

    kind: TeeKind
    claims: Claims
    sets: Mapping[str, ReferenceSet]
    now: datetime
    quiet: bool = False
    looked: dict[tuple[str, str], Judgement] = field(default_factory=dict, compare=False, repr=False)


def truth(condition: Condition, facts: Facts) -> Truth:
    """Only the truth, for conditions nobody needs explained."""
    return _node(condition).weigh(facts)


def judge(condition: Condition, facts: Facts) -> Judgement:
    """The truth of `condition`, with expected and found."""
    return _node(condition).judge(facts)


def ask(condition: Condition, facts: Facts) -> Judgement:
    """As `judge`, but without texts when `facts` are quiet: truth and `definite` are the same."""
    node = _node(condition)
    if facts.quiet:
        found = node.weigh(facts)
        if found is not _MISSING:
            return _YES if found is _TRUE else _NO
    return node.judge(facts)


_YES, _NO = Judgement(_TRUE, "", ""), Judgement(_FALSE, "", "")


def _node(condition: Condition) -> _Node:
    found = condition.node
    if found is None:
        found = _prepared(condition)
        # Conditions are frozen; this is no part of their value.
        object.__setattr__(condition, "node", found)
    return found  # type: ignore[return-value]


def _prepared(condition: Condition) -> _Node:
    if isinstance(condition, Test):
        if condition.operator == "in_set":
            return _InSet(condition)
        return _InitData(condition) if condition.claim == INIT_DATA else _Compare(condition)
    return _Negation(condition) if isinstance(condition, Not) else _Joint(condition)


class _Node:
    """A condition, prepared. label: the claim and a space, of a single test. named: as part of a whole."""

    __slots__ = ("expected", "label", "named")

    def __init__(self, condition: Condition, expected: str) -> None:
        self.expected = expected
        self.label = f"{condition.claim} " if isinstance(condition, Test) else ""
        inner = f"{self.label}{expected}"
        self.named = inner if isinstance(condition, Test | Not) else f"({inner})"

    def weigh(self, facts: Facts) -> Truth:
        raise NotImplementedError

    def judge(self, facts: Facts) -> Judgement:
        raise NotImplementedError


class _Joint(_Node):
    """`all` and `any`."""

    __slots__ = ("_absorbing", "_neutral", "_parts")

    def __init__(self, condition: Condition) -> None:
        assert not isinstance(condition, Test | Not)
        conjunction = isinstance(condition, All)
        self._absorbing, self._neutral = (_FALSE, _TRUE) if conjunction else (_TRUE, _FALSE)
        self._parts = tuple(map(_node, condition.of))
        super().__init__(condition, (" and " if conjunction else " or ").join(p.named for p in self._parts))

    def weigh(self, facts: Facts) -> Truth:
        absorbing, result = self._absorbing, self._neutral
        for part in self._parts:
            found = part.weigh(facts)
            if found is absorbing:
                return found
            if found is _MISSING:
                result = found
        return result

    def judge(self, facts: Facts) -> Judgement:
        whole = self.weigh(facts)
        parts = [(part.label, part.judge(facts)) for part in self._parts]
        failing = [(label, judged) for label, judged in parts if judged.truth is not _TRUE]
        found = "; ".join(
            [f"{label}{judged.found}" for label, judged in (parts if whole is _TRUE else failing)]
        )
        reason = None
        if whole is _MISSING:
            # The whole is definite only if every missing part is: otherwise something may still turn up.
            open_parts = [judged for _, judged in failing if judged.truth is _MISSING]
            reason = open_parts[0].reason if all(part.definite for part in open_parts) else None
        return Judgement(whole, self.expected, found, reason)


class _Negation(_Node):
    __slots__ = ("_of",)

    def __init__(self, condition: Not) -> None:
        self._of = _node(condition.of)
        super().__init__(condition, f"not ({self._of.named})")

    def weigh(self, facts: Facts) -> Truth:
        return _negate(self._of.weigh(facts))

    def judge(self, facts: Facts) -> Judgement:
        inner = self._of.judge(facts)
        return Judgement(_negate(inner.truth), self.expected, inner.found, inner.reason)


def _negate(value: Truth) -> Truth:
    if value is _MISSING:
        return value
    return _FALSE if value is _TRUE else _TRUE


class _Compare(_Node):
    """One claim and one constant."""

    __slots__ = ("_claim", "_holds", "_kind", "_literal", "_type")

    def __init__(self, test: Test) -> None:
        super().__init__(test, test.expected)
        assert test.type is not None, test.claim
        self._claim, self._literal, self._type = test.claim, test.literal, test.type
        self._holds, self._kind = OPERATORS[test.operator].holds, python_type(test.type)

    def weigh(self, facts: Facts) -> Truth:
        value = facts.claims.get(self._claim)
        if type(value) is not self._kind and (value is None or not fits(self._type, value)):
            return _MISSING
        return self._holds(value, self._literal)  # type: ignore[arg-type]  # None is of no claim's type

    def judge(self, facts: Facts) -> Judgement:
        whole, value = self.weigh(facts), facts.claims.get(self._claim)
        if value is None:
            return Judgement(whole, self.expected, NOT_FOUND)
        if not fits(self._type, value):
            return Judgement(whole, self.expected, "a value of another type")
        return Judgement(whole, self.expected, show(value))


class _InitData(_Node):
    """The register as it is, and as the SHA-256 that it may hold."""

    __slots__ = ("_holds", "_literal")

    def __init__(self, test: Test) -> None:
        super().__init__(test, test.expected)
        self._holds, self._literal = OPERATORS[test.operator].holds, test.literal

    def weigh(self, facts: Facts) -> Truth:
        spellings = self._spellings(facts)
        if not spellings:
            return _MISSING
        return Truth.of(any(self._holds(spelling, self._literal) is _TRUE for spelling in spellings))

    def judge(self, facts: Facts) -> Judgement:
        spellings = self._spellings(facts)
        return Judgement(self.weigh(facts), self.expected, show(spellings[-1]) if spellings else NOT_FOUND)

    def _spellings(self, facts: Facts) -> tuple[bytes, ...]:
        place = INIT_DATA_REGISTER.get(facts.kind)
        value = facts.claims.get(place[0]) if place is not None else None
        if place is None or not isinstance(value, bytes) or len(value) != place[1]:
            return ()
        return (value, value[:32]) if len(value) > 32 and not any(value[32:]) else (value,)


class _InSet(_Node):
    """`role: {in_set: NAME}`. A set that does not hold now is missing, whatever it contains."""

    __slots__ = ("_key", "_role")

    def __init__(self, test: Test) -> None:
        super().__init__(test, test.expected)
        self._role, self._key = ROLES[test.claim], (test.claim, str(test.literal))

    def weigh(self, facts: Facts) -> Truth:
        return self.judge(facts).truth

    def judge(self, facts: Facts) -> Judgement:
        known = facts.looked.get(self._key)
        if known is None:
            known = facts.looked[self._key] = self._look(facts)
        # Another test of the same set may say otherwise what is expected.
        return known if known.expected == self.expected else known._replace(expected=self.expected)

    def _look(self, facts: Facts) -> Judgement:
        name = self._key[1]
        found = facts.sets.get(name)
        if found is None:
            return Judgement(_MISSING, self.expected, f"no reference set {name}", NO_SET)
        label = f"{name}@{found.version}"
        if facts.now < found.valid_from:
            said = f"{label} holds from {show(found.valid_from)}"
            return Judgement(_MISSING, self.expected, said, NOT_YET)
        if facts.now >= found.valid_until:
            said = f"{label} ended at {show(found.valid_until)}"
            return Judgement(_MISSING, self.expected, said, EXPIRED)
        key, index = (self._role, facts.kind), found.index
        for gone in all_matches(index.revoked.get(key, ()), facts.claims):
            revoked = index.revocations[gone]
            if facts.now >= revoked.since:
                why = f"{gone} of {label}, revoked {show(revoked.since)}: {revoked.reason}"
                return Judgement(_MISSING, self.expected, why, REVOKED)
        entry, missing = find(index.entries.get(key, ()), facts.claims)
        if entry is not None:
            return Judgement(_TRUE, self.expected, f"{entry} of {label}")
        if missing is not None:
            return Judgement(_MISSING, self.expected, f"{missing} {NOT_FOUND}")
        said = "" if facts.quiet else _stated(self._role, facts)
        return Judgement(_FALSE, self.expected, said, f"{self._role.value}.not-listed")


def _stated(role: Role, facts: Facts) -> str:
    names = sorted(name for name in ROLE_CLAIMS[role, facts.kind] if name in facts.claims)
    return ", ".join(f"{name} {show(facts.claims[name])}" for name in names) or NOT_FOUND
