"""Is this evidence acceptable? A pure function of a verification, reference values, a policy and an instant.

The order of the findings, which is the order of `Appraisal.checks`:

1. what the verifier found; none of it can be overridden here, and what it left for the baseline to decide
   (`vocabulary.ADMISSIBLE`) fails unless every baseline for this evidence admits it;
2. the platform baseline, rule by rule;
3. what was required or left unasked: identity;
4. deny rules: each fires unless its condition is certainly false;
5. the allow rule that matched, or, when none did, the one that came closest.

Allow rules are alternatives, so the findings of those that were not needed stand under `alternatives` and do
not decide. Claims of evidence that is not authentic are never evaluated: they are what an unknown party says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from policies import tcb
from policies.allowing import Candidate, choose
from policies.compiler import DenyProgram, Policy, Program, RuleProgram
from policies.findings import finding
from policies.joining import admitted, joined, not_authentic
from policies.logic import Facts, Judgement, ask, truth
from policies.model import Condition, Profile, ReferenceSet, ReleasePolicy, Requirement
from policies.operators import Truth
from verifiers.model import Check, Outcome, Tcb, Verdict, Verification, first_reason, verdict_of

_PASSED, _TRUE, _FALSE, _MISSING = Outcome.PASSED, Truth.TRUE, Truth.FALSE, Truth.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """An accepted risk that was used: it covers `finding`, in allow rule `rule`, until before `expires`."""

    id: str
    finding: str
    rule: str
    reason: str
    ticket: str | None
    owner: str
    approved_by: tuple[str, ...]
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """An allow rule that was not taken, with its findings. applies: its `when` did not fail."""

    rule: str
    applies: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """A document that had a say. kind: "baseline", "reference" or "release"."""

    kind: str
    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """The result. Made by `appraise` only.

    rule: the allow rule that matched; None when none did or none was asked for. unchecked: ids of what
    nobody asked. lease: how long a secret released on the strength of this may be used; None unless accepted
    under a release policy. required, profile: what the caller demanded.
    """

    verification: Verification
    verdict: Verdict
    reason: str | None
    checks: tuple[Check, ...]
    unchecked: tuple[str, ...]
    rule: str | None
    waived: tuple[Waiver, ...]
    tcb: Tcb
    documents: tuple[PolicyRef, ...]
    alternatives: tuple[Alternative, ...]
    lease: timedelta | None
    required: frozenset[Requirement]
    profile: Profile
    release: ReleasePolicy | None
    at: datetime

    @property
    def policy_digests(self) -> tuple[str, ...]:
        return tuple(document.digest for document in self.documents)

    @property
    def simulated(self) -> bool:
        return self.verification.simulated


def appraise(
    verification: Verification,
    references: Iterable[ReferenceSet],
    policy: Policy,
    now: datetime,
    *,
    required: frozenset[Requirement],
    profile: Profile,
) -> Appraisal:
    """Judge verified evidence at `now` (aware, UTC).

    references: the active sets, one of each name. required: questions whose missing answer makes the
    verdict undecided; others are listed under `unchecked`. profile: the protocol that bound the evidence.
    Total: bad evidence is a verdict. Raises ValueError for a `now` that is not UTC, for two sets of
    a name, and for a set that is not the one of its name that the policy was compiled with.
    """
    found = _found(verification, references, policy, now, required, profile, quiet=False)
    checks, best = found.checks, found.best
    verdict = verdict_of(checks)
    matched = best if best is not None and best.matches else None
    accepted = verdict is Verdict.ACCEPTED
    return Appraisal(
        verification=verification,
        verdict=verdict,
        reason=first_reason(checks) or (None if accepted else "policy.nothing-passed"),
        checks=checks,
        unchecked=_unchecked(checks),
        rule=matched.program.id if matched is not None and accepted else None,
        waived=_waivers(best),
        tcb=tcb.summary(verification, found.platform),
        documents=_documents(policy, verification, found.sets),
        alternatives=tuple(_alternative(item) for item in found.others),
        lease=_lease(policy.release, matched, found.sets, now) if accepted else None,
        required=required,
        profile=profile,
        release=policy.release,
        at=now,
    )


class Settled(NamedTuple):
    """Verdict and matching allow rule of an appraisal, without why. No grant is made from it."""

    verdict: Verdict
    rule: str | None


def settle(
    verification: Verification,
    references: Iterable[ReferenceSet],
    policy: Policy,
    now: datetime,
    *,
    required: frozenset[Requirement],
    profile: Profile,
) -> Settled:
    """`verdict` and `rule` of what `appraise` says of the same, by the same evaluation with its texts left
    out: for judging many that nobody reads about. Raises as `appraise` does."""
    found = _found(verification, references, policy, now, required, profile, quiet=True)
    verdict, best = verdict_of(found.checks), found.best
    accepted = verdict is Verdict.ACCEPTED and best is not None and best.matches
    return Settled(verdict, best.program.id if accepted and best is not None else None)


class _Found(NamedTuple):
    """All findings, in order, and where they come from. platform: the baseline's own, before waivers."""

    checks: tuple[Check, ...]
    platform: tuple[tuple[RuleProgram, Check], ...]
    best: Candidate | None
    others: tuple[Candidate, ...]
    sets: Mapping[str, ReferenceSet]


def _found(
    verification: Verification,
    references: Iterable[ReferenceSet],
    policy: Policy,
    now: datetime,
    required: frozenset[Requirement],
    profile: Profile,
    *,
    quiet: bool,
) -> _Found:
    """The evaluation. quiet: findings are ids and outcomes; it decides the same."""
    if now.tzinfo is None or now.utcoffset() != _NO_OFFSET:
        raise ValueError("now must be an aware UTC datetime")
    sets = _by_name(references, policy)
    kind, authentic = verification.evidence.kind, verification.authentic
    program = policy.programs[kind]
    facts = Facts(kind=kind, claims=verification.claims, sets=sets, now=now, quiet=quiet)
    raw = tuple(_baseline(program, facts, required)) if authentic else ()
    asked = [
        admitted(c, policy, verification) if c.outcome is Outcome.UNKNOWN else c for c in verification.checks
    ]
    verifier, platform = joined(asked, [check for _, check in raw], required)
    if not authentic:
        verifier += not_authentic(verification)
    elif not raw:
        platform = [_NO_BASELINE]
    best, others = None, tuple[Candidate, ...]()
    if policy.release is not None and authentic:
        best, others = choose(program, facts, tuple(platform), profile)
    checks = (
        *verifier,
        *(platform if best is None else best.baseline),
        *_identity(policy, required),
        *([_deny(item, facts) for item in program.deny] if authentic else ()),
        *(_allow_checks(policy.release, best, verification) if authentic else ()),
    )
    return _Found(checks, raw, best, others, sets)


_NO_OFFSET = timedelta(0)


def _by_name(references: Iterable[ReferenceSet], policy: Policy) -> dict[str, ReferenceSet]:
    sets: dict[str, ReferenceSet] = {}
    for found in references:
        if found.name in sets:
            raise ValueError(f"two reference sets are called {found.name}")
        if policy.references.get(found.name, found.digest) != found.digest:
            raise ValueError(f"the policy was compiled with another reference set {found.name}")
        sets[found.name] = found
    return sets


# --- 2. the platform baseline ----------------------------------------------------------------------

_NO_BASELINE = Check(
    "baseline",
    Outcome.FAILED,
    "an active platform baseline with a rule about this evidence",
    "none",
    "deny by default",
    "policy.no-baseline",
)


def _baseline(
    program: Program, facts: Facts, required: frozenset[Requirement]
) -> Iterable[tuple[RuleProgram, Check]]:
    for item in program.baseline:
        check = _rule(item, facts, required)
        if check is not None:
            yield item, check


def _rule(item: RuleProgram, facts: Facts, required: frozenset[Requirement]) -> Check | None:
    """None when the rule is not about this machine."""
    rule = item.rule
    if rule.when is not None:
        applies = truth(rule.when, facts)
        if applies is _FALSE:
            return None
        if applies is _MISSING:
            judged = ask(rule.when, facts)
            judged = judged._replace(found=f"cannot tell whether this rule applies: {judged.found}")
            return finding(facts, rule.id, Outcome.UNKNOWN, judged, item.source, fix=rule.fix)
    if rule.require is None:
        return finding(facts, rule.id, Outcome.NOT_CHECKED, _NO_FLOOR, item.source, fix=rule.fix)
    judged = ask(rule.require, facts)
    if judged.truth is _TRUE:
        return finding(facts, rule.id, _PASSED, judged, item.source)
    outcome = Outcome.FAILED
    if not judged.definite:
        asked = rule.asks is None or rule.asks in required
        outcome = Outcome.UNKNOWN if asked else Outcome.NOT_CHECKED
    return finding(facts, rule.id, outcome, judged, item.source, fix=rule.fix)


_NO_FLOOR = Judgement(_MISSING, "no floor is known", "nothing to compare with")


# --- 3. identity -----------------------------------------------------------------------------------


def _identity(policy: Policy, required: frozenset[Requirement]) -> tuple[Check, ...]:
    """With a release policy the allow rules answer this."""
    if policy.release is not None:
        return ()
    outcome = Outcome.UNKNOWN if Requirement.IDENTITY in required else Outcome.NOT_CHECKED
    found = "not compared: no release policy was given"
    return (Check("identity", outcome, "an approved guest and workload", found, "no release policy"),)


# --- 4. deny rules ---------------------------------------------------------------------------------


def _deny(item: DenyProgram, facts: Facts) -> Check:
    judged = ask(item.when, facts)
    outcome = _PASSED if judged.truth is _FALSE else Outcome.FAILED
    found = judged.found
    if judged.truth is _MISSING:
        found = f"{found} (a deny rule fires when its input is missing)"
    expected = f"not ({_subject(item.when)}{judged.expected})"
    told = judged._replace(expected=expected, found=found)
    return finding(facts, f"deny/{item.id}", outcome, told, item.source)


def _subject(condition: Condition) -> str:
    claim = getattr(condition, "claim", None)
    return f"{claim} " if claim is not None else ""


# --- 5. the allow rules: `allowing.py` ---------------------------------------------------------------


def _allow_checks(
    release: ReleasePolicy | None, best: Candidate | None, verification: Verification
) -> tuple[Check, ...]:
    if release is None:
        return ()
    if best is not None:
        return best.checks
    rules = ", ".join(rule.id for rule in release.allow)
    found = f"{verification.evidence.kind.value} evidence to which none of {rules} applies"
    source = f"{release.name}@{release.version}"
    return (
        Check("allow", Outcome.FAILED, "an allow rule for this evidence", found, source, "release.no-rule"),
    )


def _alternative(item: Candidate) -> Alternative:
    return Alternative(rule=item.program.id, applies=item.applies is not _FALSE, checks=item.checks)


# --- what else the result says ---------------------------------------------------------------------


def _unchecked(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check.id for check in checks if check.outcome is Outcome.NOT_CHECKED))


def _waivers(best: Candidate | None) -> tuple[Waiver, ...]:
    if best is None:
        return ()
    return tuple(
        Waiver(
            id=risk.id,
            finding=risk.finding,
            rule=risk.only_in,
            reason=risk.reason,
            ticket=risk.ticket,
            owner=risk.owner,
            approved_by=risk.approved_by,
            expires=risk.expires,
        )
        for risk in best.waived
    )


def _documents(
    policy: Policy, verification: Verification, sets: Mapping[str, ReferenceSet]
) -> tuple[PolicyRef, ...]:
    kind = verification.evidence.kind
    found = [
        PolicyRef(kind="baseline", name=b.name, version=b.version, digest=b.digest)
        for b in policy.baselines
        if kind in b.kinds
    ]
    release = policy.release
    if release is not None:
        found += [
            PolicyRef(kind="reference", name=name, version=sets[name].version, digest=sets[name].digest)
            for name in release.references
            if name in sets
        ]
        found.append(
            PolicyRef(kind="release", name=release.name, version=release.version, digest=release.digest)
        )
    return tuple(found)


def _lease(
    release: ReleasePolicy | None,
    matched: Candidate | None,
    sets: Mapping[str, ReferenceSet],
    now: datetime,
) -> timedelta | None:
    """What the policy grants, but never beyond the end of a waiver or reference set that it rests on."""
    if release is None or matched is None:
        return None
    ends = [risk.expires for risk in matched.waived]
    ends += [sets[name].valid_until for name in release.references if name in sets]
    return min([release.lease.lasts, *(end - now for end in ends if end > now)])
