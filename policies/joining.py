"""What the verifier found, as an appraisal counts it: admitted by baselines, required by the caller, and
joined with what the baseline says to the same questions. Only what `vocabulary.ADMISSIBLE` leaves to the
baselines can become better here than the verifier found it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from policies.allowing import BLOCKING
from policies.compiler import Policy
from policies.model import Requirement
from policies.vocabulary import ADMISSIBLE, REVOCATION_CHECK
from verifiers.model import Check, Outcome, TeeKind, Verification, first_reason

FRESHNESS_CHECK = "binding.report-data"
REVOCATION_SUFFIX = ".revocation"

_PASSED, _UNKNOWN, _NOT_CHECKED = Outcome.PASSED, Outcome.UNKNOWN, Outcome.NOT_CHECKED
_OPEN = frozenset({_UNKNOWN, _NOT_CHECKED})
_AMD_REVOCATION = REVOCATION_CHECK[TeeKind.SEV_SNP]
"""The one open question of a verifier that an accepted risk may cover; Intel's CRLs are asked for always."""

_ADMISSIBLE = {row.check: word for word, row in ADMISSIBLE.items()}


def admitted(check: Check, policy: Policy, verification: Verification) -> Check:
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


def joined(
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
    stands = {name for name, outcome in asking.items() if outcome is _UNKNOWN}
    asked = stands if Requirement.REVOCATION in required else {n for n, o in asking.items() if o in _OPEN}
    unasked: dict[str, Check] = {}
    said: dict[Outcome, set[str]] = {outcome: set() for outcome in Outcome}
    verifier = []
    for check in checks:
        outcome = check.outcome
        said[outcome].add(check.id)
        if outcome in _OPEN:
            unasked[check.id] = check
        if outcome is _NOT_CHECKED:
            if check.id not in asked:
                verifier.append(_required(check, required))
        elif not (outcome is _UNKNOWN and check.id in stands and check.id == _AMD_REVOCATION):
            verifier.append(check)
    if Requirement.FRESHNESS in required and not _has(checks, FRESHNESS_CHECK):
        verifier.append(_lacking(FRESHNESS_CHECK, "report data equal to ours"))
    if Requirement.REVOCATION in required and not _has(checks, REVOCATION_SUFFIX):
        verifier.append(_lacking("revocation", "certificates that were not withdrawn"))
    failed, passed = said[Outcome.FAILED], said[_PASSED]
    rules = [
        _explained(check, unasked.get(check.id)) if check.outcome in _OPEN else check
        for check in platform
        if not (check.id in failed and check.outcome in BLOCKING)
        and not (check.id in passed and check.outcome is _PASSED)
    ]
    return verifier, rules


def _has(checks: Iterable[Check], name: str) -> bool:
    """Whether the question was at least put. `name` is an id, or the end of one that begins with a dot."""
    return any(check.id == name or (name[0] == "." and check.id.endswith(name)) for check in checks)


def _lacking(name: str, expected: str) -> Check:
    return Check(name, Outcome.UNKNOWN, expected, "the verifier did not look", "required by the caller")


def _required(check: Check, required: frozenset[Requirement]) -> Check:
    """What nobody asked becomes unknown when somebody does. check: one that was not checked."""
    freshness = check.id == FRESHNESS_CHECK and Requirement.FRESHNESS in required
    revocation = check.id.endswith(REVOCATION_SUFFIX) and Requirement.REVOCATION in required
    return replace(check, outcome=_UNKNOWN) if freshness or revocation else check


def _explained(check: Check, by: Check | None) -> Check:
    """A rule's open finding, with what the verifier has to say about the same question."""
    if by is None or not check.id.endswith(REVOCATION_SUFFIX):
        return check
    return replace(check, found=by.found, reason=by.reason, fix=check.fix or by.fix)


def not_authentic(verification: Verification) -> list[Check]:
    """Normally the verifier's own checks say why. If they do not, nothing may pass all the same."""
    if first_reason(verification.checks) is not None:
        return []
    found = "signature or chain does not hold"
    return [
        Check("evidence.authentic", Outcome.FAILED, "evidence that leads to a pin", found, "RFC 9334, 8.3")
    ]
