"""What compiles and is probably not meant: findings with a stable code, a level, and file, line and column.

    error    something that the author wrote has no effect, or keeps everything out
    warning  it works today; somebody should look at it, and may well decide that it is right
    note     worth knowing

Pure, as everything here: `now` is an argument. What takes a search to decide is in `lint_rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from types import MappingProxyType

from policies import conditions, lint_rules
from policies.compiler import Policy
from policies.errors import Place, pointed
from policies.minimums import MINIMUMS, excludes, pins
from policies.model import AcceptRisk, AllowRule, Baseline, Condition, Profile, ReferenceSet, ReleasePolicy
from policies.paths import overlaps
from policies.values import show, show_duration
from policies.vocabulary import GUEST_COMPLETE, Vocabulary
from verifiers.claimtypes import ClaimSpec
from verifiers.model import TeeKind

SOON = timedelta(days=30)
ERROR, WARNING, NOTE = "error", "warning", "note"

CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "rule-never-matches": (ERROR, "no evidence can satisfy the rule"),
        "rule-shadowed": (WARNING, "an earlier rule accepts everything that this one accepts"),
        "deny-never-fires": (
            ERROR,
            "no evidence makes the condition true; it fires on missing input at most",
        ),
        "deny-idle": (WARNING, "the rule is about evidence that no allow rule admits"),
        "below-baseline": (WARNING, "a threshold that the baseline sets higher already"),
        "rtmr3-alone": (WARNING, "RTMR3 is pinned without MRTD and RTMR0 to RTMR2"),
        "milan-allowed": (WARNING, "Milan is admitted, although its root can be extracted"),
        "masked-identity": (WARNING, "a deny list of chips says nothing about a chip that hides"),
        "risk-expired": (ERROR, "an accepted risk has ended"),
        "risk-expires-soon": (WARNING, "an accepted risk ends within 30 days"),
        "risk-unused": (WARNING, "an accepted risk covers what is not open"),
        "set-ended": (ERROR, "a reference set has ended"),
        "set-ends-soon": (WARNING, "a reference set ends within 30 days"),
        "set-not-yet": (WARNING, "a reference set does not hold yet"),
        "set-unused": (WARNING, "a reference set is listed and no rule looks into it"),
        "baseline-review": (WARNING, "a baseline is due for review"),
        "secret-twice": (NOTE, "two patterns of one policy cover the same path"),
        "profile-kbs": (NOTE, "the KBS protocol binds evidence more weakly"),
        "placeholder": (WARNING, "a name that stands for somebody still to be named"),
        "too-large": (NOTE, "too many combinations to decide"),
    }
)
"""Code to level and meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    code: str
    message: str
    hint: str | None = None
    place: Place = field(compare=False)

    @property
    def level(self) -> str:
        return CODES[self.code][0]

    def __str__(self) -> str:
        """As a terminal shows it: the sentence, the line, a caret, the hint."""
        return pointed(f"{self.place}: {self.level}[{self.code}] {self.message}", self.place, self.hint)


def lint(
    policy: Policy, sets: Mapping[str, ReferenceSet], now: datetime, claims: Mapping[str, ClaimSpec]
) -> tuple[Finding, ...]:
    """Findings about one compiled policy and what it uses, in the order of the files' lines.

    sets: the reference sets it was compiled with, by name. claims: `verifiers.claims.BY_NAME`.
    """
    found: list[Finding] = []
    release = policy.release
    for baseline in policy.baselines:
        if release is None or baseline.name in release.baselines:
            found += _baseline(baseline, now)
    if release is not None:
        found += _sets(release, sets, now)
        found += _risks(release, policy, now)
        found += _people(release)
        found += _secrets(release)
        for rule in release.allow:
            found += _allow(rule, sets)
        specs = Vocabulary.of(claims).specs
        found += (
            Finding(code=code, message=message, hint=hint, place=place)
            for code, place, message, hint in lint_rules.findings(policy, release, sets, specs)
        )
    distinct = {(f.code, f.message, str(f.place)): f for f in found}
    return tuple(sorted(distinct.values(), key=lambda f: (f.place.source.name, f.place.line, f.place.column)))


def set_findings(found: ReferenceSet, now: datetime) -> Iterator[Finding]:
    """About the time in which a set holds."""
    place = Place(found.source, _line(found, "valid"), 1)
    if now >= found.valid_until:
        message = f"{found.name} ended {show(found.valid_until)}: whatever leans on it is refused"
        yield Finding(code="set-ended", message=message, place=place)
    elif found.valid_until - now <= SOON:
        left = show_duration(found.valid_until - now)
        message = f"{found.name} ends in {left}, at {show(found.valid_until)}"
        yield Finding(code="set-ends-soon", message=message, place=place)
    if now < found.valid_from:
        message = f"{found.name} holds from {show(found.valid_from)}"
        yield Finding(code="set-not-yet", message=message, place=place)


def _line(found: ReferenceSet, key: str) -> int:
    lines = enumerate(found.source.lines, 1)
    return next((number for number, line in lines if line.startswith(f"{key}:")), 1)


def _baseline(baseline: Baseline, now: datetime) -> Iterator[Finding]:
    place = Place(baseline.source, 1, 1)
    left = baseline.review_by - now
    if left <= timedelta(0):
        message = f"{baseline.name}@{baseline.version} was to be reviewed by {show(baseline.review_by)}"
        yield Finding(code="baseline-review", message=message, place=place)


def _sets(release: ReleasePolicy, sets: Mapping[str, ReferenceSet], now: datetime) -> Iterator[Finding]:
    used = {
        str(test.literal)
        for condition in _conditions(release)
        for test in conditions.tests_of(condition)
        if test.operator == "in_set"
    }
    for name in release.references:
        if name not in used:
            message = f"no rule looks into {name}"
            hint = "leave it out, or add guest, workload or platform: {in_set: …}"
            yield Finding(
                code="set-unused", message=message, hint=hint, place=release.places[f"references {name}"]
            )
        if name in sets:
            yield from set_findings(sets[name], now)


def _conditions(release: ReleasePolicy) -> Iterator[Condition]:
    for rule in release.allow:
        yield from (rule.when, *rule.require)
    for deny in release.deny:
        yield deny.when
    for risk in release.accept_risk:
        yield from risk.only_when


def _risks(release: ReleasePolicy, policy: Policy, now: datetime) -> Iterator[Finding]:
    still_open = {
        (program.id, finding)
        for programs in policy.programs.values()
        for program in programs.allow
        for finding in program.open
    }
    for risk in release.accept_risk:
        covers = f"{risk.id} covers {risk.finding} in {risk.only_in}"
        if now >= risk.expires:
            message = f"{covers}; it ended {show(risk.expires)}"
            yield Finding(code="risk-expired", message=message, hint="leave it out", place=risk.at)
        elif risk.expires - now <= SOON:
            message = f"{covers}; it ends in {show_duration(risk.expires - now)}, at {show(risk.expires)}"
            yield Finding(code="risk-expires-soon", message=message, hint=_instead(risk), place=risk.at)
        if risk.finding in MINIMUMS and (risk.only_in, risk.finding) not in still_open:
            message = f"{risk.only_in} leaves {risk.finding} not open"
            yield Finding(code="risk-unused", message=message, hint="leave it out", place=risk.finding_at)


def _instead(risk: AcceptRisk) -> str:
    minimum = MINIMUMS.get(risk.finding)
    return "make the machines pass" if minimum is None else f"afterwards: {minimum.remedy}"


def _people(release: ReleasePolicy) -> Iterator[Finding]:
    for risk in release.accept_risk:
        for person in (risk.owner, *risk.approved_by):
            if person.endswith(".invalid"):
                message = f"{risk.id} names {person}, which is nobody's address"
                yield Finding(code="placeholder", message=message, place=risk.at)


def _secrets(release: ReleasePolicy) -> Iterator[Finding]:
    for one, other in combinations(release.secrets, 2):
        if overlaps(one, other):
            message = f"{one} and {other} cover the same path"
            yield Finding(code="secret-twice", message=message, place=release.places["secrets"])


def _allow(rule: AllowRule, sets: Mapping[str, ReferenceSet]) -> Iterator[Finding]:
    parts = (rule.when, *rule.require)
    kinds = conditions.kinds_of_rule(rule) or frozenset()
    if TeeKind.SEV_SNP in kinds and not excludes(parts, "snp.product", "Milan"):
        message = (
            f"{rule.id} admits Milan, whose root of trust can be extracted (arXiv 2605.12990): no TCB helps"
        )
        hint = "snp.product: {in: [Genoa, Turin]} keeps forged reports out"
        yield Finding(code="milan-allowed", message=message, hint=hint, place=rule.at)
    if TeeKind.TDX in kinds:
        cut = [part for p in parts if (part := conditions.for_kind(p, TeeKind.TDX)) is not None]
        pinned = frozenset[str]().union(*(pins(part, TeeKind.TDX, sets) for part in cut))
        if "tdx.rtmr3" in pinned and not GUEST_COMPLETE[TeeKind.TDX] <= pinned:
            open_ones = ", ".join(sorted(GUEST_COMPLETE[TeeKind.TDX] - pinned))
            message = f"{rule.id} pins tdx.rtmr3 and leaves {open_ones} open: any image can extend it"
            yield Finding(code="rtmr3-alone", message=message, place=rule.at)
    if Profile.KBS in rule.profiles:
        message = f"{rule.id} takes evidence bound by the KBS protocol: without label and audience"
        yield Finding(code="profile-kbs", message=message, place=rule.at)
