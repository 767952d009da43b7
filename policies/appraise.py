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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from policies import tcb
from policies.allowing import BLOCKING, Candidate, choose
from policies.compiler import DenyProgram, Policy, Program, RuleProgram
from policies.logic import Facts, judge, truth
from policies.model import Condition, Profile, ReferenceSet, ReleasePolicy, Requirement
from policies.operators import Truth
from policies.vocabulary import ADMISSIBLE, REVOCATION_CHECK
from verifiers.model import Check, Outcome, Tcb, TeeKind, Verdict, Verification, first_reason, verdict_of

FRESHNESS_CHECK = "binding.report-data"
REVOCATION_SUFFIX = ".revocation"

_OPEN = frozenset({Outcome.UNKNOWN, Outcome.NOT_CHECKED})
_AMD_REVOCATION = REVOCATION_CHECK[TeeKind.SEV_SNP]
"""The one open question of a verifier that an accepted risk may cover; Intel's CRLs are asked for always."""


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
    if now.tzinfo is None or now.utcoffset() != UTC.utcoffset(None):
        raise ValueError("now must be an aware UTC datetime")
    sets = _by_name(references, policy)
    program = policy.programs[verification.evidence.kind]
    facts = Facts(kind=verification.evidence.kind, claims=verification.claims, sets=sets, now=now)
    authentic = verification.authentic
    raw = tuple(_baseline(program, facts, required)) if authentic else ()
    asked = [
        _admitted(c, policy, verification) if c.outcome is Outcome.UNKNOWN else c for c in verification.checks
    ]
    verifier, platform = _joined(asked, [check for _, check in raw], required)
    if not authentic:
        verifier += _not_authentic(verification)
    elif not raw:
        platform = [_NO_BASELINE]
    best, others = None, tuple[Candidate, ...]()
    if policy.release is not None and authentic:
        best, others = choose(program, facts, tuple(platform), profile)
    allow = _allow_checks(policy.release, best, verification) if authentic else ()
    checks = (
        *verifier,
        *(platform if best is None else best.baseline),
        *_identity(policy, required),
        *(tuple(_deny(item, facts) for item in program.deny) if authentic else ()),
        *allow,
    )
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
        tcb=tcb.summary(verification, raw),
        documents=_documents(policy, verification, sets),
        alternatives=tuple(_alternative(item) for item in others),
        lease=_lease(policy.release, matched, sets, now) if accepted else None,
        required=required,
        profile=profile,
        release=policy.release,
        at=now,
    )


def _by_name(references: Iterable[ReferenceSet], policy: Policy) -> dict[str, ReferenceSet]:
    sets: dict[str, ReferenceSet] = {}
    for found in references:
        if found.name in sets:
            raise ValueError(f"two reference sets are called {found.name}")
        if policy.references.get(found.name, found.digest) != found.digest:
            raise ValueError(f"the policy was compiled with another reference set {found.name}")
        sets[found.name] = found
    return sets


# --- 1. the verifier's findings --------------------------------------------------------------------


_ADMISSIBLE = {row.check: word for word, row in ADMISSIBLE.items()}


def _admitted(check: Check, policy: Policy, verification: Verification) -> Check:
    """The baselines' answer, when `check`, which is UNKNOWN, is what the verifier left to them. What an
    unknown party says is never admitted: where nothing else stands against it, it stays open."""
    word = _ADMISSIBLE.get(check.id)
    if word is None:
        return check
    asked = [b for b in policy.baselines if verification.evidence.kind in b.kinds]
    silent = [f"{b.name}@{b.version}" for b in asked if word not in b.admits]
    if asked and not silent and not verification.authentic:
        return check
    if asked and not silent:
        names = ", ".join(f"{b.name}@{b.version}" for b in asked)
        return replace(
            check,
            outcome=Outcome.PASSED,
            found=f"{check.found}; admitted",
            source=f"{names} (admits {word})",
            reason=None,
        )
    by = ", ".join(silent) or "none is active"
    return replace(
        check,
        outcome=Outcome.FAILED,
        fix=f"every platform baseline for this evidence must say `admits: [{word}]`; it is missing in: {by}",
    )


def _joined(
    checks: Sequence[Check], platform: list[Check], required: frozenset[Requirement]
) -> tuple[list[Check], list[Check]]:
    """The verifier's checks and the baseline's, with requirements applied and one answer to each question.

    Where a baseline rule asks for the revocation that the verifier left open under the same id, unchecked or
    for want of a current list, and cannot tell either, the rule's finding stands, with the verifier's more
    exact reason: so it can be waived. No rule can answer for the verifier otherwise. Where both say the same,
    the rule adds nothing.
    """
    # A rule that leaves the question open itself cannot stand for one that the caller, or the verifier, wants
    # answered.
    asking = {c.id: c.outcome for c in platform if c.id.endswith(REVOCATION_SUFFIX)}
    stands = {name for name, outcome in asking.items() if outcome is Outcome.UNKNOWN}
    asked = stands if Requirement.REVOCATION in required else {n for n, o in asking.items() if o in _OPEN}
    unasked = {c.id: c for c in checks if c.outcome in _OPEN}
    failed = {c.id for c in checks if c.outcome is Outcome.FAILED}
    verifier = [
        _required(check, required)
        for check in checks
        if not (check.outcome is Outcome.NOT_CHECKED and check.id in asked)
        and not (check.outcome is Outcome.UNKNOWN and check.id in stands and check.id == _AMD_REVOCATION)
    ]
    if Requirement.FRESHNESS in required and not _has(checks, FRESHNESS_CHECK):
        verifier.append(_lacking(FRESHNESS_CHECK, "report data equal to ours"))
    if Requirement.REVOCATION in required and not _has(checks, REVOCATION_SUFFIX):
        verifier.append(_lacking("revocation", "certificates that were not withdrawn"))
    passed = {c.id for c in checks if c.outcome is Outcome.PASSED}
    rules = [
        _explained(check, unasked.get(check.id))
        for check in platform
        if not (check.id in failed and check.outcome in BLOCKING)
        and not (check.id in passed and check.outcome is Outcome.PASSED)
    ]
    return verifier, rules


def _has(checks: Iterable[Check], name: str) -> bool:
    """Whether the question was at least put. `name` is an id, or the end of one that begins with a dot."""
    return any(check.id == name or (name[0] == "." and check.id.endswith(name)) for check in checks)


def _lacking(name: str, expected: str) -> Check:
    return Check(name, Outcome.UNKNOWN, expected, "the verifier did not look", "required by the caller")


def _required(check: Check, required: frozenset[Requirement]) -> Check:
    """What nobody asked becomes unknown when somebody does."""
    if check.outcome is not Outcome.NOT_CHECKED:
        return check
    freshness = check.id == FRESHNESS_CHECK and Requirement.FRESHNESS in required
    revocation = check.id.endswith(REVOCATION_SUFFIX) and Requirement.REVOCATION in required
    return replace(check, outcome=Outcome.UNKNOWN) if freshness or revocation else check


def _explained(check: Check, by: Check | None) -> Check:
    if by is None or check.outcome not in _OPEN or not check.id.endswith(REVOCATION_SUFFIX):
        return check
    return replace(check, found=by.found, reason=by.reason, fix=check.fix or by.fix)


def _not_authentic(verification: Verification) -> list[Check]:
    """Normally the verifier's own checks say why. If they do not, nothing may pass all the same."""
    if first_reason(verification.checks) is not None:
        return []
    found = "signature or chain does not hold"
    return [
        Check("evidence.authentic", Outcome.FAILED, "evidence that leads to a pin", found, "RFC 9334, 8.3")
    ]


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
        if applies is Truth.FALSE:
            return None
        if applies is Truth.MISSING:
            judged = judge(rule.when, facts)
            found = f"cannot tell whether this rule applies: {judged.found}"
            return Check(rule.id, Outcome.UNKNOWN, judged.expected, found, item.source, None, rule.fix)
    if rule.require is None:
        return Check(
            rule.id,
            Outcome.NOT_CHECKED,
            "no floor is known",
            "nothing to compare with",
            item.source,
            None,
            rule.fix,
        )
    judged = judge(rule.require, facts)
    if judged.truth is Truth.TRUE:
        return Check(rule.id, Outcome.PASSED, judged.expected, judged.found, item.source)
    outcome = Outcome.FAILED
    if not judged.definite:
        asked = rule.asks is None or rule.asks in required
        outcome = Outcome.UNKNOWN if asked else Outcome.NOT_CHECKED
    return Check(rule.id, outcome, judged.expected, judged.found, item.source, None, rule.fix)


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
    judged = judge(item.when, facts)
    outcome = Outcome.PASSED if judged.truth is Truth.FALSE else Outcome.FAILED
    found = judged.found
    if judged.truth is Truth.MISSING:
        found = f"{found} (a deny rule fires when its input is missing)"
    return Check(
        f"deny/{item.id}", outcome, f"not ({_subject(item.when)}{judged.expected})", found, item.source
    )


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
    return Alternative(rule=item.program.id, applies=item.applies is not Truth.FALSE, checks=item.checks)


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
