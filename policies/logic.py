"""What a condition says about evidence: true, false or missing, by Kleene's rules, and why.

    all   false if any part is false; else missing if any part is missing; else true
    any   true if any part is true; else missing if any part is missing; else false
    not   swaps true and false; missing stays missing

Missing never allows anything: a demand needs *true*. A deny rule fires unless its condition is *false*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.model import All, Condition, Not, ReferenceSet, Test
from policies.operators import OPERATORS, Truth
from policies.references import all_matches, find
from policies.values import fits, show
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What conditions are evaluated over. `now` decides whether reference sets hold."""

    kind: TeeKind
    claims: Claims
    sets: Mapping[str, ReferenceSet]
    now: datetime


@dataclass(frozen=True, slots=True)
class Judgement:
    """The truth of one condition, with both sides as texts. reason: a stable code when not true."""

    truth: Truth
    expected: str
    found: str
    reason: str | None = None

    @property
    def definite(self) -> bool:
        """False when what is missing might still turn up."""
        return self.truth is not Truth.MISSING or self.reason in DEFINITE


def truth(condition: Condition, facts: Facts) -> Truth:
    """Only the truth, for conditions nobody needs explained."""
    if isinstance(condition, Test):
        if condition.type is None or condition.claim == INIT_DATA:
            return judge(condition, facts).truth
        value = facts.claims.get(condition.claim)
        if value is None or not fits(condition.type, value):
            return Truth.MISSING
        return OPERATORS[condition.operator].holds(value, condition.literal)
    if isinstance(condition, Not):
        return _negate(truth(condition.of, facts))
    absorbing, neutral = (
        (Truth.FALSE, Truth.TRUE) if isinstance(condition, All) else (Truth.TRUE, Truth.FALSE)
    )
    result = neutral
    for part in condition.of:
        found = truth(part, facts)
        if found is absorbing:
            return absorbing
        if found is Truth.MISSING:
            result = Truth.MISSING
    return result


def judge(condition: Condition, facts: Facts) -> Judgement:
    """The truth of `condition`, with expected and found."""
    if isinstance(condition, Test):
        if condition.operator == "in_set":
            return _in_set(condition, facts)
        return _compare(condition, facts)
    if isinstance(condition, Not):
        inner = judge(condition.of, facts)
        return Judgement(
            _negate(inner.truth), f"not ({_named(condition.of, inner)})", inner.found, inner.reason
        )
    whole = truth(condition, facts)
    parts = [(part, judge(part, facts)) for part in condition.of]
    joint = " and " if isinstance(condition, All) else " or "
    expected = joint.join(_named(part, found) for part, found in parts)
    failing = [(part, found) for part, found in parts if found.truth is not Truth.TRUE]
    shown = parts if whole is Truth.TRUE else failing
    found = "; ".join(f"{_claim(part)}{judged.found}" for part, judged in shown)
    # The whole is definite only if every missing part is: otherwise something may still turn up.
    open_parts = [judged for _, judged in failing if judged.truth is Truth.MISSING]
    reason = open_parts[0].reason if whole is Truth.MISSING and all(p.definite for p in open_parts) else None
    return Judgement(whole, expected, found, reason)


def _claim(condition: Condition) -> str:
    return f"{condition.claim} " if isinstance(condition, Test) else ""


def _named(condition: Condition, judged: Judgement) -> str:
    inner = f"{_claim(condition)}{judged.expected}"
    return inner if isinstance(condition, Test | Not) else f"({inner})"


def _negate(value: Truth) -> Truth:
    if value is Truth.MISSING:
        return Truth.MISSING
    return Truth.FALSE if value is Truth.TRUE else Truth.TRUE


def _compare(test: Test, facts: Facts) -> Judgement:
    if test.claim == INIT_DATA:
        return _init_data(test, facts)
    value = facts.claims.get(test.claim)
    if value is None:
        return Judgement(Truth.MISSING, test.expected, NOT_FOUND)
    if test.type is None or not fits(test.type, value):
        return Judgement(Truth.MISSING, test.expected, "a value of another type")
    holds = OPERATORS[test.operator].holds
    return Judgement(holds(value, test.literal), test.expected, show(value))


def _init_data(test: Test, facts: Facts) -> Judgement:
    """The register as it is, and as the SHA-256 that it may hold."""
    place = INIT_DATA_REGISTER.get(facts.kind)
    value = facts.claims.get(place[0]) if place is not None else None
    if place is None or not isinstance(value, bytes) or len(value) != place[1]:
        return Judgement(Truth.MISSING, test.expected, NOT_FOUND)
    spellings = [value]
    if len(value) > 32 and not any(value[32:]):
        spellings.append(value[:32])
    holds = OPERATORS[test.operator].holds
    hit = any(holds(spelling, test.literal) is Truth.TRUE for spelling in spellings)
    return Judgement(Truth.of(hit), test.expected, show(spellings[-1]))


def _in_set(test: Test, facts: Facts) -> Judgement:
    """`role: {in_set: NAME}`. A set that does not hold now is missing, whatever it contains."""
    name = str(test.literal)
    found = facts.sets.get(name)
    if found is None:
        return Judgement(Truth.MISSING, test.expected, f"no reference set {name}", NO_SET)
    label = f"{name}@{found.version}"
    if facts.now < found.valid_from:
        return Judgement(
            Truth.MISSING, test.expected, f"{label} holds from {show(found.valid_from)}", NOT_YET
        )
    if facts.now >= found.valid_until:
        return Judgement(Truth.MISSING, test.expected, f"{label} ended at {show(found.valid_until)}", EXPIRED)
    role = ROLES[test.claim]
    key = (role, facts.kind)
    for gone in all_matches(found.index.revoked.get(key, ()), facts.claims):
        revoked = found.index.revocations[gone]
        if facts.now >= revoked.since:
            why = f"{gone} of {label}, revoked {show(revoked.since)}: {revoked.reason}"
            return Judgement(Truth.MISSING, test.expected, why, REVOKED)
    entry, missing = find(found.index.entries.get(key, ()), facts.claims)
    if entry is not None:
        return Judgement(Truth.TRUE, test.expected, f"{entry} of {label}")
    if missing is not None:
        return Judgement(Truth.MISSING, test.expected, f"{missing} {NOT_FOUND}")
    return Judgement(Truth.FALSE, test.expected, _stated(role, facts), f"{role.value}.not-listed")


def _stated(role: Role, facts: Facts) -> str:
    names = sorted(name for name in ROLE_CLAIMS[role, facts.kind] if name in facts.claims)
    return ", ".join(f"{name} {show(facts.claims[name])}" for name in names) or NOT_FOUND
