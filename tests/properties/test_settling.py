"""`settle` leaves texts out and decides as `appraise` does: verdict, rule, and every finding's outcome."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import appraise as subject
from policies.logic import Facts, ask, judge
from policies.model import Condition, Profile, Requirement
from tests.properties.test_policies import CHECKS, REQUIRED, TIMES, TRICKY, changes, world
from tests.unit.policies.support import NOW, RELEASE, verification
from verifiers.model import Check, ClaimValue, TeeKind, Verdict


@given(
    changes(),
    CHECKS,
    TIMES,
    REQUIRED,
    st.sampled_from([RELEASE, TRICKY]),
    st.sampled_from(list(Profile)),
    st.booleans(),
)
@settings(deadline=None, max_examples=400)
def test_the_same_without_texts(
    change: tuple[TeeKind, dict[str, ClaimValue], frozenset[str]],
    checks: tuple[Check, ...],
    now: datetime,
    required: frozenset[Requirement],
    text: str,
    profile: Profile,
    authentic: bool,
) -> None:
    kind, claims, gone = change
    policy, sets = world(text)
    evidence = verification(kind, claims=claims, without=gone, checks=checks, chain_valid=authentic)
    whole = subject.appraise(evidence, sets, policy, now, required=required, profile=profile)
    found = subject.settle(evidence, sets, policy, now, required=required, profile=profile)
    assert found == (whole.verdict, whole.rule)
    quiet = subject._found(evidence, sets, policy, now, required, profile, quiet=True)
    assert [(c.id, c.outcome) for c in quiet.checks] == [(c.id, c.outcome) for c in whole.checks]


def test_both_verdicts_are_among_them() -> None:
    policy, sets = world(TRICKY)
    for evidence, verdict in (
        (verification(), Verdict.ACCEPTED),
        (verification(claims={"snp.policy.debug": True}), Verdict.REFUSED),
    ):
        found = subject.settle(
            evidence, sets, policy, NOW, required=frozenset(Requirement), profile=Profile.NATIVE
        )
        assert found.verdict is verdict


@given(changes(), TIMES)
@settings(deadline=None)
def test_a_condition_asked_quietly(
    change: tuple[TeeKind, dict[str, ClaimValue], frozenset[str]], now: datetime
) -> None:
    kind, claims, gone = change
    policy, sets = world(TRICKY)
    evidence = verification(kind, claims=claims, without=gone)
    by_name = {found.name: found for found in sets}
    program = policy.programs[kind]
    asked: list[Condition] = [item.when for item in (*program.allow, *program.deny)]
    asked += [condition for item in program.allow for _, condition in item.require]
    for condition in asked:
        one, other = (
            how(condition, Facts(kind=kind, claims=evidence.claims, sets=by_name, now=now, quiet=quiet))
            for how, quiet in ((judge, False), (ask, True))
        )
        assert (one.truth, one.definite) == (other.truth, other.definite)
