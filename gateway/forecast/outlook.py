"""One machine's outlook, as a pure function of its evidence, collateral, baselines and instants.

Judged is the platform alone, with revocation required: no release policy, so that who may have a secret does
not matter here, and no reference values, so that an image that is approved until next week does not either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway import appraiser
from gateway.ports import Supplied
from policies.appraise import Appraisal, appraise
from policies.compiler import Policy
from policies.model import Profile, Requirement
from verifiers.carriers import Opened
from verifiers.dcap import identity, tcbinfo
from verifiers.errors import EndorsementFormatError
from verifiers.model import (
    AnchorSet,
    Binding,
    ChainCache,
    Check,
    Outcome,
    TcbShort,
    Verdict,
)

EARLY, BASELINE, EXPIRY = "early", "baseline", "expiry"
WHENS = (BASELINE, EARLY, EXPIRY)
"""What may turn an accepted machine into one that is not: a baseline that is not active yet, Intel's early
documents, and time alone."""

_REQUIRED = frozenset({Requirement.REVOCATION})
_STEP = timedelta(seconds=1)
_BLOCKING = (Outcome.FAILED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """id: chip id or PPID in hex, or what stands for it. family: product or FMSPC. seen: when the evidence
    came, which is attempt `attempt` of `tenant`."""

    kind: str
    id: str
    family: str
    seen: datetime
    tenant: str
    attempt: str
    opened: Opened
    binding: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a machine is judged in. held: what we would hand over for it now. early: the same with Intel's
    early documents in place of those that count; None when there are none. proposed: the policy with
    baselines that are not active yet; None when nobody asks. horizon: how far ahead expiry is looked for."""

    anchors: AnchorSet
    cache: ChainCache
    now: datetime
    policy: Policy
    held: Supplied
    early: Supplied | None
    proposed: Policy | None
    horizon: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """when: one of WHENS. at: the first instant, where it is known. cause: in words. short: what is too low;
    fixes: what rules suggest."""

    when: str
    verdict: Verdict
    reason: str | None
    check: str
    at: datetime | None
    cause: str
    short: tuple[TcbShort, ...]
    fixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """verdict, reason: of the platform, today. findings: of a machine that is accepted today, at most one for
    each of WHENS and in that order; else none."""

    machine: Machine
    verdict: Verdict
    reason: str | None
    findings: tuple[Finding, ...]


def outlook(machine: Machine, world: World) -> Outlook:
    """Total: whatever is wrong with evidence or collateral is a verdict."""
    today = _judge(machine, world, world.held, world.policy, world.now)
    findings: list[Finding] = []
    if today.verdict is Verdict.ACCEPTED:
        if world.proposed is not None:
            then = _judge(machine, world, world.held, world.proposed, world.now)
            findings += _found(BASELINE, then, None, "when the given baseline is activated")
        if world.early is not None:
            then = _judge(machine, world, world.early, world.policy, world.now)
            findings += _found(EARLY, then, None, promotion(world.held, world.early))
        findings += _expiry(machine, world, today)
    return Outlook(machine=machine, verdict=today.verdict, reason=today.reason, findings=tuple(findings))


def with_early(held: Supplied, early: Supplied) -> Supplied | None:
    """`held` with the documents of `early` in place of its own, each kind where there is one. None when that
    changes nothing. Digests do not matter here and are left out."""
    infos, identities = early.tcb_infos or held.tcb_infos, early.qe_identities or held.qe_identities
    if (infos, identities) == (held.tcb_infos, held.qe_identities):
        return None
    return replace(held, tcb_infos=infos, qe_identities=identities, digests=())


def promotion(held: Supplied, early: Supplied) -> str:
    """Which documents of Intel's would come to count."""
    said = []
    for what, fresh, known, number in (
        ("TCB info", early.tcb_infos, held.tcb_infos, _tcb_number),
        ("QE identity", early.qe_identities, held.qe_identities, _qe_number),
    ):
        for raw in fresh:
            if raw in known:
                continue
            evaluation, issued = number(raw)
            now = ", ".join(str(number(each)[0]) for each in known) or "none"
            said.append(f"{what} evaluation {evaluation} (now {now}; early document of {issued})")
    return "when Intel promotes " + " and ".join(said)


def _tcb_number(raw: bytes) -> tuple[int, str]:
    return _number(lambda: tcbinfo.parse(raw, "TCB info")[0])


def _qe_number(raw: bytes) -> tuple[int, str]:
    return _number(lambda: identity.parse(raw, "QE identity")[0])


def _number(read: Callable[[], tcbinfo.TcbInfo | identity.EnclaveIdentity]) -> tuple[int, str]:
    try:
        found = read()
    except EndorsementFormatError:
        return 0, "an unknown day"
    return found.evaluation_number, f"{found.window.issued:%Y-%m-%d}"


# --- judging -------------------------------------------------------------------------------------------


def _judge(machine: Machine, world: World, supplied: Supplied, policy: Policy, at: datetime) -> Appraisal:
    endorsements = appraiser.endorse(machine.opened, supplied, world.anchors, world.cache)
    verification = appraiser.verify(machine.opened, endorsements, machine.binding, at)
    return appraise(verification, (), policy, at, profile=Profile.NATIVE, required=_REQUIRED)


def _found(when: str, then: Appraisal, at: datetime | None, cause: str) -> Iterable[Finding]:
    if then.verdict is Verdict.ACCEPTED:
        return
    blocking = _blocking(then)
    yield Finding(
        when=when,
        verdict=then.verdict,
        reason=then.reason,
        check=blocking[0].id if blocking else "",
        at=at,
        cause=cause,
        short=then.tcb.short,
        fixes=tuple(dict.fromkeys(check.fix for check in blocking if check.fix)),
    )


def _blocking(then: Appraisal) -> list[Check]:
    """What decides, worst first."""
    return [check for outcome in _BLOCKING for check in then.checks if check.outcome is outcome]


def _expiry(machine: Machine, world: World, today: Appraisal) -> Iterable[Finding]:
    """The first second within the horizon at which what is held today is not enough any more.

    Looked for first where the verifier says that something ends, then by halving: validity only ends.
    """

    def then(at: datetime) -> Appraisal:
        return _judge(machine, world, world.held, world.policy, at)

    end = world.now + world.horizon
    found = then(end)
    if found.verdict is Verdict.ACCEPTED:
        return
    good, bad = world.now, end
    ends = today.verification.expires
    if ends is not None and good < ends <= bad:
        found = then(ends)
        good, bad = (good, ends) if found.verdict is not Verdict.ACCEPTED else (ends, bad)
        if bad == ends and ends - _STEP > good and then(ends - _STEP).verdict is Verdict.ACCEPTED:
            good = ends - _STEP
    while bad - good > _STEP:
        middle = good + (bad - good) / 2
        if then(middle).verdict is Verdict.ACCEPTED:
            good = middle
        else:
            bad = middle
    found = then(bad)
    said = "; ".join(f"{check.id}: {check.found}" for check in _blocking(found)[:2])
    cause = f"unless something newer is there by then ({said})"
    yield from _found(EXPIRY, found, bad.replace(microsecond=0), cause)
