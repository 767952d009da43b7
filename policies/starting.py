"""A first policy from one piece of evidence: complete, commented, and no looser than it has to be.

What the evidence is decides what is written: everything that identifies it is pinned. What was merely seen
counts for fourteen days, under an accepted risk that names it. What no policy may allow is refused here, with
the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.appraise import Appraisal
from policies.compiler import Policy
from policies.conditions import tests_of
from policies.joining import REVOCATION_SUFFIX
from policies.minimums import MAX_SEEN
from policies.model import BaselineRule
from policies.trials import blocking
from policies.values import TCB_COMPONENTS, show
from policies.vocabulary import DEBUG_CLAIMS
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import Claims, Outcome, TcbVersion, TeeKind

GUEST = {
    TeeKind.SEV_SNP: ("snp.measurement",),
    TeeKind.TDX: ("tdx.mr_td", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2"),
    TeeKind.SGX: ("sgx.mr_enclave",),
}
_WORKLOAD = {
    TeeKind.SEV_SNP: ("snp.host_data",),
    TeeKind.TDX: ("tdx.mr_config_id", "tdx.rtmr3"),
    TeeKind.SGX: (),
}
_WHAT_IT_IS = {
    "snp.host_data": "what was passed in at launch: the digest of init-data, where Kata uses it",
    "tdx.mr_config_id": "what was passed in at launch: the digest of init-data, where Kata uses it",
    "tdx.rtmr3": "what the guest measured after it had started",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. evidence, collateral: as the cases name the files. owner, approver: addresses."""

    name: str
    tenant: str
    secret: str
    owner: str
    approver: str
    evidence: str
    collateral: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """YAML texts of three files, and what their reader should be told."""

    policy: str
    references: str
    cases: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cannot:
    """No policy may allow this evidence. why: one sentence for each reason, with what would help."""

    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the draft is made from. zero: workload registers that are zero; pinned: those that are not."""

    kind: TeeKind
    claims: Claims
    plan: Plan
    specs: dict[str, ClaimSpec]
    waived: tuple[BaselineRule, ...]
    assume: bool
    zero: tuple[str, ...]
    pinned: tuple[str, ...]
    fixed: tuple[str, ...]
    floor: TcbVersion | None

    @property
    def rule(self) -> str:
        return self.kind.value


def draft(appraisal: Appraisal, platform: Policy, plan: Plan, specs: dict[str, ClaimSpec]) -> Draft | Cannot:
    """A policy that the evidence of `appraisal` passes, which was made with `platform` (baselines only, with
    everything required but identity). specs: the claim table."""
    verification = appraisal.verification
    kind, claims = verification.evidence.kind, verification.claims
    rules = {item.rule.id: item.rule for item in platform.programs[kind].baseline}
    why, waived, assume = [], [], False
    for check in blocking(appraisal):
        rule = rules.get(check.id)
        unasked = check.id.endswith(REVOCATION_SUFFIX) and check.outcome is Outcome.UNKNOWN
        if unasked and kind is TeeKind.SEV_SNP:
            assume = True
        elif rule is not None and rule.waivable is not None and rule.asks is None:
            waived.append(rule)
        else:
            fix = f"; to pass: {check.fix}" if check.fix else ""
            why.append(f"{check.id}: expected {check.expected}, found {check.found}{fix}")
    missing = [name for name in (*GUEST[kind], *_WORKLOAD[kind], DEBUG_CLAIMS[kind]) if name not in claims]
    why += [f"{name} is missing from the evidence" for name in missing]
    if why:
        return Cannot(why=tuple(why))
    registers = _WORKLOAD[kind]
    product = claims.get("snp.product")
    tcb = claims.get("snp.reported_tcb")
    seen = _Seen(
        kind=kind,
        claims=claims,
        plan=plan,
        specs=specs,
        waived=tuple(waived),
        assume=assume,
        zero=tuple(name for name in registers if not any(_bytes(claims[name]))),
        pinned=tuple(name for name in registers if any(_bytes(claims[name]))),
        fixed=("snp.product", "snp.signing_key", "snp.vmpl") if kind is TeeKind.SEV_SNP else (),
        floor=tcb if product == "Turin" and isinstance(tcb, TcbVersion) else None,
    )
    return Draft(
        policy="\n".join(_policy(seen)) + "\n",
        references="\n".join(_references(seen)) + "\n",
        cases="\n".join(_cases(seen)) + "\n",
        remarks=tuple(_remarks(seen)),
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _remarks(seen: _Seen) -> Iterator[str]:
    ends = show(seen.plan.now + MAX_SEEN)
    yield f"the measurement was seen, not predicted: it counts until {ends}; predict it by then"
    for rule in seen.waived:
        yield f"{rule.id} does not hold for this machine: accepted until {show(_until(seen, rule))}"
    if seen.claims.get("snp.product") == "Milan":
        yield "this is Milan, whose root of trust can be extracted (arXiv 2605.12990): no secret of value"
    if seen.assume:
        yield "no CRL was given: the cases assume that revocation was checked; a gateway checks it"
    if seen.claims.get("evidence.simulated") is True:
        yield "SIMULATED evidence: a gateway outside development mode refuses it whatever this policy says"


# --- the policy ------------------------------------------------------------------------------------


def _policy(seen: _Seen) -> Iterator[str]:
    plan = seen.plan
    sets = [f"{plan.name}-guests: 1"] + [f"{plan.name}-workloads: 1"] * bool(seen.pinned)
    baseline = {"sev-snp": "amd-sev-snp", "tdx": "intel-tdx", "sgx": "intel-sgx"}[seen.kind.value]
    yield f"# Who may have {plan.secret}: the guest whose evidence this was made from, and no other."
    yield "#"
    yield "# Whatever is not written here is refused. `sealgate policy check` says what to look at next."
    yield "sealgate: release-policy/1"
    yield f"name: {plan.name}"
    yield "version: 1"
    yield f"tenant: {plan.tenant}"
    yield f"owner: {plan.owner}"
    yield f"secrets: [{plan.secret}]  # one active policy owns a path; * stays within one segment"
    yield "uses:"
    yield f"  baselines: {{{baseline}: 1}}  # the platform: TCB, debug, revocation"
    yield f"  references: {{{', '.join(sets)}}}"
    yield "lease: {lasts: 1h, renew_every: 15m}  # the holder proves itself again that often"
    yield "allow:"
    yield f"  - id: {seen.rule}"
    yield f"    when: {{evidence.type: {{equals: {seen.kind.value}}}}}"
    yield "    require:"
    for name in seen.fixed:
        yield f"      - {name}: {{equals: {show(seen.claims[name])}}}"
    if seen.floor is not None:
        yield "      # The baseline knows no floor for this product: what was seen is the least."
        yield f"      - snp.reported_tcb: {{at_least: {_tcb(seen.floor)}}}"
    yield f"      - guest: {{in_set: {plan.name}-guests}}  # the measured image"
    if seen.pinned:
        yield f"      - workload: {{in_set: {plan.name}-workloads}}  # what runs in it"
    for name in seen.zero:
        yield f"      # {_WHAT_IT_IS[name][:1].upper()}{_WHAT_IT_IS[name][1:]}. Nothing was."
        yield f"      - {name}: {{equals: zero}}"
    yield "accept_risk:"
    yield "  # Seen on one machine. Predict it from the image instead: sealgate reference measure."
    yield from _risk(seen, "seen-not-predicted", "minimum.provenance", "taken from evidence", MAX_SEEN, ())
    for rule in seen.waived:
        yield f"  # {rule.fix or 'The machine this was made from does not meet it.'}"
        limits = tuple(_limits(seen, rule))
        yield from _risk(
            seen,
            _risk_id(rule),
            rule.id,
            "so it was when the policy was written",
            _until(seen, rule) - plan.now,
            limits,
        )


def _risk_id(rule: BaselineRule) -> str:
    return f"until-{rule.id.replace('.', '-')}"[:64].rstrip("-")


def _until(seen: _Seen, rule: BaselineRule) -> datetime:
    assert rule.waivable is not None
    return seen.plan.now + min(MAX_SEEN, rule.waivable)


def _risk(
    seen: _Seen, name: str, finding: str, reason: str, lasts: timedelta, limits: tuple[str, ...]
) -> Iterator[str]:
    plan = seen.plan
    yield f"  - id: {name}"
    yield f"    finding: {finding}"
    yield f"    only_in: {seen.rule}"
    if limits:
        yield "    only_when:  # no worse than what was seen"
        yield from (f"      - {limit}" for limit in limits)
    yield f"    reason: {reason}"
    yield f"    owner: {plan.owner}"
    yield f"    approved_by: [{plan.approver}]  # somebody else than the owner"
    yield f"    from: {show(plan.now)}"
    yield f"    expires: {show(plan.now + lasts)}"


def _limited(seen: _Seen, rule: BaselineRule) -> list[str]:
    """The claims by which a waiver of `rule` is limited: what it asks about, and what goes with that."""
    names = list(dict.fromkeys(t.claim for t in tests_of(rule.require))) if rule.require is not None else []
    if any(name.endswith(".tcb.status") for name in names):
        prefix = seen.kind.value
        names += [f"{prefix}.tcb.advisory_ids", f"{prefix}.fmspc"]
    return [name for name in names if name in seen.claims and name in seen.specs]


def _limits(seen: _Seen, rule: BaselineRule) -> Iterator[str]:
    """Conditions that keep a waiver to what was seen, and no worse."""
    for name in _limited(seen, rule):
        value, spec = seen.claims[name], seen.specs[name]
        if isinstance(value, TcbVersion):
            yield f"{name}: {{at_least: {_tcb(value)}}}"
        elif isinstance(value, frozenset) and value:
            yield f"{name}: {{subset_of: [{', '.join(sorted(value))}]}}"
        elif spec.type in {ClaimType.DIGEST, ClaimType.BYTES, ClaimType.INTEGER, ClaimType.TEXT}:
            yield f"{name}: {{equals: {_constant(value)}}}"


def _tcb(tcb: TcbVersion) -> str:
    parts = ((name, getattr(tcb, name)) for name in TCB_COMPONENTS)
    return "{" + ", ".join(f"{name}: {value}" for name, value in parts if value is not None) + "}"


def _constant(value: object) -> str:
    if isinstance(value, bytes):
        return f'"{value.hex()}"'
    text = show(value)  # type: ignore[arg-type]
    return f'"{text}"' if text.isdigit() and isinstance(value, str) else text


# --- reference values ------------------------------------------------------------------------------


def _references(seen: _Seen) -> Iterator[str]:
    plan = seen.plan
    yield "# Which image: taken from evidence. An entry matches as a whole."
    yield from _set(seen, "guests", f"{plan.name}-image", GUEST[seen.kind])
    if seen.pinned:
        yield "---"
        yield "# Which workload runs in it."
        yield from _set(seen, "workloads", f"{plan.name}-workload", seen.pinned)


def _set(seen: _Seen, role: str, entry: str, names: tuple[str, ...]) -> Iterator[str]:
    plan = seen.plan
    yield "sealgate: reference-values/1"
    yield f"name: {plan.name}-{role}"
    yield "version: 1"
    yield f"owner: {plan.owner}"
    yield f"valid: {{from: {show(plan.now)}, until: {show(plan.now + timedelta(days=180))}}}"
    yield "entries:"
    yield f"  - id: {entry}"
    yield "    origin: seen  # leave this out once the values are predicted from the image"
    for name in names:
        yield f"    {name}: {_digest(seen, name)}"


def _digest(seen: _Seen, name: str) -> str:
    value = _bytes(seen.claims[name])
    digest = seen.specs[name].type is ClaimType.DIGEST
    return f"sha{8 * len(value)}:{value.hex()}" if digest else f'"{value.hex()}"'


# --- cases -----------------------------------------------------------------------------------------


def _cases(seen: _Seen) -> Iterator[str]:
    plan = seen.plan
    first = f"{seen.rule} as it was seen"
    waived = ["seen-not-predicted", *(_risk_id(rule) for rule in seen.waived)]
    path = plan.secret.replace("*", "one")
    inside = "*" in plan.secret.rpartition("/")[2]
    outside = "elsewhere/one" if inside else f"{path.rpartition('/')[0] or 'elsewhere'}/not-this-one"
    yield "# What the policy must say. Run them: sealgate policy test cases.yaml --mutate"
    yield "sealgate: policy-cases/1"
    yield "policy: policy.yaml"
    yield "documents: [references.yaml]"
    yield f"at: {show(plan.now)}"
    yield "cases:"
    yield f"  - name: {first}"
    yield "    evidence:"
    yield f'      file: "{plan.evidence}"'
    if plan.collateral:
        yield "      collateral: [" + ", ".join(f'"{name}"' for name in plan.collateral) + "]"
    if seen.assume:
        yield "      assume: [revocation]  # no CRL came with the evidence; a gateway has one"
    yield "    expect:"
    yield "      verdict: accepted"
    yield f"      rule: {seen.rule}"
    yield f"      waived: [{', '.join(waived)}]"
    yield "      lease: 1h"
    yield f"      releases: [{path}]"
    yield f"      withholds: [{outside}]"
    for name, claim, value, reason in _deviations(seen):
        yield f"  - name: {name}"
        yield f"    evidence: {{like: {first}, but: {{{claim}: {value}}}}}"
        yield f"    expect: {{verdict: refused, reasons: [{reason}]}}"
    yield "  - name: over a protocol that binds less"
    yield "    profile: kbs"
    yield f"    evidence: {{like: {first}}}"
    yield f"    expect: {{verdict: refused, reasons: [{seen.rule}/profile]}}"
    findings = {f"{seen.rule}/minimum.provenance": plan.now + MAX_SEEN}
    findings |= {rule.id: _until(seen, rule) for rule in seen.waived}
    for end in sorted(set(findings.values())):
        ended = ", ".join(name for name, until in findings.items() if until <= end)
        yield f'  - name: "when accepted risks end: {show(end)}"'
        yield f"    at: {show(end)}"
        yield f"    evidence: {{like: {first}}}"
        yield f"    expect: {{verdict: refused, reasons: [{ended}]}}"
    yield "  - name: before anything was accepted"
    yield f"    at: {show(plan.now - timedelta(seconds=1))}"
    yield f"    evidence: {{like: {first}}}"
    yield f"    expect: {{verdict: refused, reasons: [{', '.join(findings)}]}}"
    other = TeeKind.TDX if seen.kind is not TeeKind.TDX else TeeKind.SEV_SNP
    yield "  - name: evidence of another kind"
    yield f"    evidence: {{simulate: {other.value}}}"
    yield "    expect: {verdict: refused, reason: release.no-rule}"


def _deviations(seen: _Seen) -> Iterator[tuple[str, str, str, str]]:
    """Name, claim, value and reason: one thing is different, and that is enough."""
    for name in GUEST[seen.kind]:
        yield f"another image ({name})", name, _other(seen, name), f"{seen.rule}/guest"
    yield "debug", DEBUG_CLAIMS[seen.kind], "true", f"{seen.kind.value.removeprefix('sev-')}.debug-off"
    for name in seen.pinned:
        yield f"another workload ({name})", name, _other(seen, name), f"{seen.rule}/workload"
    for name in seen.zero:
        yield f"another workload ({name})", name, _other(seen, name), f"{seen.rule}/{name}"
    for name in seen.fixed:
        value = seen.claims[name]
        other = next((word for word in seen.specs[name].values if word != value), None)
        number = str(int(value) + 1) if isinstance(value, int) else ""
        yield f"another {name}", name, other or number, f"{seen.rule}/{name}"
    if seen.floor is not None:
        for what, worse in _older(seen.floor):
            yield f"older {what}", "snp.reported_tcb", worse, f"{seen.rule}/snp.reported_tcb"
    for rule in seen.waived:
        for claim in _limited(seen, rule):
            yield from ((f"{rule.id} ({what})", claim, worse, rule.id) for what, worse in _worse(seen, claim))


def _worse(seen: _Seen, claim: str) -> Iterator[tuple[str, str]]:
    """What a waiver must not cover: words and value."""
    value, spec = seen.claims[claim], seen.specs[claim]
    if isinstance(value, TcbVersion):
        yield from ((f"older {what}", worse) for what, worse in _older(value))
    elif isinstance(value, frozenset):
        yield "an advisory that nobody looked at", f"[{', '.join([*sorted(value), 'INTEL-SA-99999'])}]"
    elif claim.endswith(".tcb.status"):
        yield "a platform that was withdrawn", "Revoked"
    elif spec.type in {ClaimType.DIGEST, ClaimType.BYTES}:
        yield f"another {claim}", _other(seen, claim)
    elif type(value) is int and value > 0:
        yield f"a lower {claim}", str(value - 1)


def _older(tcb: TcbVersion) -> Iterator[tuple[str, str]]:
    """Each component one lower."""
    whole = {name: getattr(tcb, name) for name in TCB_COMPONENTS}
    for name, has in whole.items():
        if has:
            yield name, _tcb(TcbVersion(**(whole | {name: has - 1})))


def _other(seen: _Seen, name: str) -> str:
    return f'"{bytes(byte ^ 0xFF for byte in _bytes(seen.claims[name])).hex()}"'
