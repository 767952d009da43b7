"""Cases put to a policy: each is appraised as a gateway would, and compared with what was expected.

The evidence of a case is verified once, whatever is asked of it later: changes of the policy (`mutants.py`)
are tried on the same verifications. What a case changes in the claims is hypothetical, and marked so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policies import hypothetical
from policies.appraise import Appraisal, appraise
from policies.cases_document import Case, Evidence
from policies.compiler import Policy
from policies.errors import Problems, did_you_mean, quote
from policies.joining import REVOCATION_SUFFIX
from policies.minimums import REVOCATION_CLAIMS
from policies.model import ALL_REQUIREMENTS, ReferenceSet, Requirement
from policies.references import for_kind
from policies.release import ReleaseGrant, decide
from policies.values import show_duration
from policies.vocabulary import INIT_DATA, INIT_DATA_REGISTER
from verifiers.model import Check, ClaimValue, Outcome, TeeKind, Verification

_BLOCKING = frozenset({Outcome.FAILED, Outcome.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A case with its evidence, verified and changed as the case says."""

    case: Case
    verification: Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """appraisal: what the policy said. wrong: where that is not what was expected, one sentence each."""

    trial: Trial
    appraisal: Appraisal
    wrong: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.wrong


def changed(verification: Verification, evidence: Evidence, sets: Mapping[str, ReferenceSet]) -> Verification:
    """`verification` with the claims that the case changes. Raises PolicyErrors for no such entry.

    What is stated claim by claim is also judged by that: revocation was checked if the claims say so.
    """
    kind = verification.evidence.kind
    claims: dict[str, ClaimValue] = dict(verification.claims)
    problems = Problems()
    for name, entry in evidence.entries:
        claims |= _entry(name, entry, kind, evidence, sets, problems)
    problems.check()
    for name, value in evidence.but:
        claims |= _spelled(name, value, kind)
    for name in evidence.without:
        claims.pop(
            INIT_DATA_REGISTER[kind][0] if name == INIT_DATA and kind in INIT_DATA_REGISTER else name, None
        )
    checks = verification.checks
    if "revocation" in evidence.assume:
        claims |= {name: "checked" for name in REVOCATION_CLAIMS[kind] if name not in evidence.without}
        checks = tuple(_assumed(check) for check in checks)
    if evidence.source == "claims":
        return hypothetical.supposed(kind, claims, verification.at)
    if claims == dict(verification.claims) and checks == verification.checks:
        return verification
    return hypothetical.altered(verification, claims, checks)


def _entry(
    name: str,
    entry: str,
    kind: TeeKind,
    evidence: Evidence,
    sets: Mapping[str, ReferenceSet],
    problems: Problems,
) -> dict[str, ClaimValue]:
    found = sets.get(name)
    known = {item.id: item for item in found.entries} if found is not None else {}
    if entry not in known:
        hint = did_you_mean(name, sets) if found is None else did_you_mean(entry, known)
        problems.add("reference", evidence.at, f"there is no entry {quote(f'{name}/{entry}')}", hint=hint)
        return {}
    values = for_kind(known[entry].claims, kind)
    if values is None:
        problems.add("no-entry", evidence.at, f"{name}/{entry} states nothing about {kind.value} evidence")
        return {}
    return {claim: value for claim, value in values.items()}  # type: ignore[misc]  # noqa: C416


def _spelled(name: str, value: ClaimValue, kind: TeeKind) -> dict[str, ClaimValue]:
    """`init_data.digest` stands in a register."""
    if name != INIT_DATA or kind not in INIT_DATA_REGISTER or not isinstance(value, bytes):
        return {name: value}
    register, size = INIT_DATA_REGISTER[kind]
    return {register: value.ljust(size, b"\0")[:size]}


def _assumed(check: Check) -> Check:
    if not check.id.endswith(REVOCATION_SUFFIX) or check.outcome is not Outcome.NOT_CHECKED:
        return check
    return Check(check.id, Outcome.PASSED, check.expected, hypothetical.ASSUMED, check.source)


# --- appraising ------------------------------------------------------------------------------------


def judge(trial: Trial, policy: Policy, sets: Iterable[ReferenceSet]) -> Appraisal:
    """What the policy says of it, with everything required that a gateway requires; baselines alone are not
    asked which guest it is."""
    case = trial.case
    required = ALL_REQUIREMENTS if policy.release is not None else ALL_REQUIREMENTS - {Requirement.IDENTITY}
    return appraise(trial.verification, sets, policy, case.now, required=required, profile=case.profile)


def run(trials: Iterable[Trial], policy: Policy, sets: Iterable[ReferenceSet]) -> tuple[Result, ...]:
    given = tuple(sets)
    out = []
    for trial in trials:
        appraisal = judge(trial, policy, given)
        out.append(Result(trial=trial, appraisal=appraisal, wrong=tuple(_wrong(trial.case, appraisal))))
    return tuple(out)


def holds(trial: Trial, policy: Policy, sets: tuple[ReferenceSet, ...]) -> bool:
    return not _wrong(trial.case, judge(trial, policy, sets))


def _wrong(case: Case, appraisal: Appraisal) -> list[str]:
    expect, out = case.expect, []
    if appraisal.verdict is not expect.verdict:
        reason = f" ({appraisal.reason})" if appraisal.reason else f" by rule {appraisal.rule}"
        out.append(f"expected {expect.verdict.value}, found {appraisal.verdict.value}{reason}")
    if expect.reason is not None and expect.reason != appraisal.reason:
        out.append(f"expected the reason {expect.reason}, found {appraisal.reason}")
    standing = {name for check in blocking(appraisal) for name in (check.id, check.code) if name}
    for reason in expect.reasons:
        if reason not in standing:
            found = ", ".join(sorted(check.id for check in blocking(appraisal))) or "none"
            out.append(f"expected the reason {reason}, found {found}")
    if expect.rule is not None and expect.rule != appraisal.rule:
        out.append(f"expected rule {expect.rule}, found {appraisal.rule}")
    waived = {waiver.id for waiver in appraisal.waived}
    if expect.waived is not None and expect.waived != waived:
        out.append(f"expected waived {_names(expect.waived)}, found {_names(waived)}")
    if expect.unchecked is not None and expect.unchecked != set(appraisal.unchecked):
        out.append(f"expected unchecked {_names(expect.unchecked)}, found {_names(appraisal.unchecked)}")
    if expect.lease is not None and expect.lease != appraisal.lease:
        found = "none" if appraisal.lease is None else show_duration(appraisal.lease)
        out.append(f"expected a lease of {show_duration(expect.lease)}, found {found}")
    release = appraisal.release
    for wanted, paths in ((True, expect.releases), (False, expect.withholds)):
        for path in paths:
            tenant = "" if release is None else release.tenant
            answer = decide(appraisal, tenant=tenant, path=path)
            if isinstance(answer, ReleaseGrant) is not wanted:
                why = "released" if isinstance(answer, ReleaseGrant) else f"withheld ({answer.reason})"
                out.append(f"expected {path} {'released' if wanted else 'withheld'}, found {why}")
    return out


def blocking(appraisal: Appraisal) -> tuple[Check, ...]:
    """The checks that stand in the way."""
    return tuple(check for check in appraisal.checks if check.outcome in _BLOCKING)


def _names(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)) or "nothing"
