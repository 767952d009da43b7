"""An appraisal as short lines for an operator: the answer first, then why, then what would change it."""

from __future__ import annotations

from collections.abc import Iterator

from policies.appraise import Alternative, Appraisal
from policies.values import show, show_duration
from verifiers.model import Check, Outcome, Verdict

MARKS = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.UNKNOWN: "?",
    Outcome.WAIVED: "w",
    Outcome.NOT_CHECKED: "–",
}


def explain(appraisal: Appraisal) -> tuple[str, ...]:
    """Everything an operator should read, without secrets. Not for the peer, who is told the code only."""
    return tuple(_lines(appraisal))


def headline(appraisal: Appraisal) -> str:
    """One line: verdict, reason, what it was."""
    evidence = appraisal.verification.evidence
    what = f"{evidence.kind.value} v{evidence.version}"
    if evidence.product or evidence.fmspc:
        what += f", {evidence.product or f'FMSPC {evidence.fmspc}'}"
    if appraisal.simulated:
        what += ", SIMULATED"
    parts = [appraisal.verdict.value.upper(), what]
    if appraisal.reason is not None:
        parts.append(appraisal.reason)
    elif appraisal.unchecked:
        parts.append(f"({', '.join(appraisal.unchecked)} not checked)")
    return "  ".join(parts)


def _lines(appraisal: Appraisal) -> Iterator[str]:
    yield headline(appraisal)
    yield f"at {show(appraisal.at)}"
    for document in appraisal.documents:
        yield f"{document.kind:9} {document.name}@{document.version} ({document.digest[:15]}…)"
    yield from map(_check, appraisal.checks)
    for component in appraisal.tcb.short:
        need = f"{component.component} {component.has}, needs {component.needs}"
        yield f"    short: {need}: {component.raised_by}"
    for waiver in appraisal.waived:
        what = f"waived {waiver.finding} in {waiver.rule} by {waiver.id}"
        yield f"{what}, until {show(waiver.expires)}: {waiver.reason}"
    if appraisal.verdict is Verdict.ACCEPTED and appraisal.lease is not None:
        yield f"rule {appraisal.rule}, lease {show_duration(appraisal.lease)}"
    for alternative in appraisal.alternatives:
        yield _alternative(alternative)
    if appraisal.unchecked:
        yield f"not checked: {', '.join(appraisal.unchecked)}"
    fixes = [
        check
        for check in appraisal.checks
        if check.fix and check.outcome in {Outcome.FAILED, Outcome.UNKNOWN}
    ]
    if fixes:
        yield "to pass:"
        yield from (f"  {number}. {check.id}: {check.fix}" for number, check in enumerate(fixes, 1))


def _check(check: Check) -> str:
    line = f"{MARKS[check.outcome]} {check.id}"
    if check.outcome is Outcome.PASSED:
        return line
    return f"{line}   expected {check.expected}   found {check.found}   [{check.source}]"


def _alternative(alternative: Alternative) -> str:
    if not alternative.applies:
        return f"– {alternative.rule}: not for this evidence"
    failing = [check.id for check in alternative.checks if check.outcome in {Outcome.FAILED, Outcome.UNKNOWN}]
    return f"– {alternative.rule}: " + (", ".join(failing) if failing else "would hold as well")
