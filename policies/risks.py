"""Accepted risks of a release policy: each names one finding that may be waived, and none outlasts its limit.

A limit binds what risks of one finding in one rule cover *together*: two of 90 days, one after the other, are
one of 180 days with two names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from policies import conditions
from policies.errors import Problems, did_you_mean, quote
from policies.minimums import MINIMUMS
from policies.model import AcceptRisk, AllowRule, ReleasePolicy
from policies.values import show_duration
from verifiers.model import TeeKind

Limits = Mapping[TeeKind, Mapping[str, timedelta | None]]
"""Kind of evidence to its baseline rules: id to how long the rule may be waived, None for never."""


def check(release: ReleasePolicy, limits: Limits, problems: Problems) -> None:
    """Report policy.unknown-rule, .unknown-finding, .not-waivable, .risk-too-long and .claim-type."""
    rules = {rule.id: rule for rule in release.allow}
    together: dict[tuple[str, str], list[AcceptRisk]] = {}
    for risk in release.accept_risk:
        rule = rules.get(risk.only_in)
        if rule is None:
            hint = did_you_mean(risk.only_in, rules)
            problems.add("unknown-rule", risk.only_in_at, f"no allow rule {quote(risk.only_in)}", hint=hint)
            continue
        kinds = conditions.kinds_of_rule(rule)
        if not kinds:
            continue  # reported with the rule
        found = _limit(risk, kinds, limits, problems)
        if found is not None:
            earlier = together.setdefault((risk.only_in, risk.finding), [])
            _check_length(risk, earlier, found, problems)
            earlier.append(risk)
        _check_claims(risk, rule, kinds, problems)


def _limit(
    risk: AcceptRisk, kinds: frozenset[TeeKind], limits: Limits, problems: Problems
) -> timedelta | None:
    """How long the finding may be waived; None after reporting that it may not be, or does not exist."""
    stated = [limits[kind][risk.finding] for kind in kinds if risk.finding in limits[kind]]
    minimum = MINIMUMS.get(risk.finding)
    if not stated and minimum is None:
        known = {name for kind in kinds for name in limits[kind]}
        hint = did_you_mean(risk.finding, (*known, *MINIMUMS))
        message = f"rule {risk.only_in} cannot have a finding {quote(risk.finding)}"
        problems.add("unknown-finding", risk.finding_at, message, hint=hint)
        return None
    if not stated and minimum is not None:
        stated = [minimum.up_to]
    # Rules of two kinds of evidence may share an id: each of them has its say.
    limit = None if None in stated else min(found for found in stated if found is not None)
    if limit is None:
        problems.add("not-waivable", risk.finding_at, f"{risk.finding} can never be waived")
    return limit


def _check_length(
    risk: AcceptRisk, earlier: Iterable[AcceptRisk], limit: timedelta, problems: Problems
) -> None:
    head = f"{risk.finding} can be accepted for at most {show_duration(limit)}"
    if risk.expires - risk.valid_from > limit:
        lasts = show_duration(risk.expires - risk.valid_from)
        problems.add("risk-too-long", risk.at, f"{head}; {risk.id} lasts {lasts}")
        return
    others = tuple(earlier)
    covered = covers((*others, risk))
    if covered > limit:
        names = ", ".join(other.id for other in others)
        message = (
            f"{head} in rule {risk.only_in}; {names} and {risk.id} cover {show_duration(covered)} together"
        )
        hint = "leave out those that have ended; a longer exception is a change of the baseline"
        problems.add("risk-too-long", risk.at, message, hint=hint)


def covers(risks: Iterable[AcceptRisk]) -> timedelta:
    """How long at least one of `risks` holds; overlaps count once."""
    total, end = timedelta(0), None
    for risk in sorted(risks, key=lambda item: item.valid_from):
        start = risk.valid_from if end is None else max(risk.valid_from, end)
        total += max(timedelta(0), risk.expires - start)
        end = risk.expires if end is None else max(end, risk.expires)
    return total


def _check_claims(risk: AcceptRisk, rule: AllowRule, kinds: frozenset[TeeKind], problems: Problems) -> None:
    if all(None in [conditions.for_kind(part, kind) for part in risk.only_when] for kind in kinds):
        message = f"only_when of {risk.id} asks for what evidence of rule {rule.id} cannot have"
        problems.add("claim-type", risk.at, message)
