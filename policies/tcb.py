"""The TCB in one word, for AMD: `ok`, `below_floor` or `no_floor`. Intel's word comes from its TCB info."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from policies.compiler import RuleProgram
from policies.conditions import tests_of
from policies.model import Floor
from policies.values import TCB_COMPONENTS, TcbFloor
from verifiers.model import Check, Outcome, Tcb, TcbShort, TcbVersion, TeeKind, Verification

OK, BELOW, NONE = "ok", "below_floor", "no_floor"

# Who can raise a component, for the one who reads that it is short.
_RAISED_BY = {
    "microcode": "BIOS or operating system of the host; then launch the guest again",
    "snp": "SNP firmware of the host; then raise REPORTED_TCB (SNP_SET_CONFIG, SNP_COMMIT)",
}


def summary(verification: Verification, findings: Sequence[tuple[RuleProgram, Check]]) -> Tcb:
    """The verification's TCB, with AMD's status filled in from the floors among `findings`, before waivers.

    None stays None while a floor cannot be judged, and for evidence that is not authentic.
    """
    if verification.evidence.kind is not TeeKind.SEV_SNP or not verification.authentic:
        return verification.tcb
    floors = [(item, check) for item, check in findings if item.rule.floor is not Floor.NO]
    outcomes = {check.outcome for _, check in floors}
    status: str | None
    if Outcome.FAILED in outcomes:
        status = BELOW
    elif Outcome.UNKNOWN in outcomes:
        status = None
    elif Outcome.NOT_CHECKED in outcomes or not floors:
        status = NONE
    else:
        status = OK
    return replace(verification.tcb, status=status, short=tuple(_short(verification, floors)))


def _short(verification: Verification, floors: Iterable[tuple[RuleProgram, Check]]) -> Iterable[TcbShort]:
    """Each component that is below a floor, once, with the highest value asked for."""
    needs: dict[str, TcbShort] = {}
    for item, check in floors:
        if check.outcome is not Outcome.FAILED or item.rule.require is None:
            continue
        for test in tests_of(item.rule.require):
            has = verification.claims.get(test.claim)
            if not isinstance(test.literal, TcbFloor) or not isinstance(has, TcbVersion):
                continue
            for component in TCB_COMPONENTS:
                limit, value = getattr(test.literal, component), getattr(has, component)
                if limit is None or value is None or value >= limit:
                    continue
                name = f"{component} ({test.claim.removeprefix('snp.')})"
                known = needs.get(name)
                if known is None or known.needs < limit:
                    by = _RAISED_BY.get(component, "BIOS of the host")
                    needs[name] = TcbShort(component=name, has=value, needs=limit, raised_by=by)
    return needs.values()
