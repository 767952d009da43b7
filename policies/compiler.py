"""Documents that fit together, made into a `Policy`: what `appraise` evaluates.

Everything that can be known without evidence is decided here, once: that every set and baseline exists in the
version that is used, that every claim can occur in the evidence it is asked of, that no rule leaves a minimum
open, that every accepted risk names a finding that may be accepted. A policy that compiles has no surprises
left but what machines and clocks bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from policies import conditions, risks
from policies.errors import Place, PolicyErrors, Problems, did_you_mean, quote
from policies.minimums import MINIMUMS, Platform, open_in_rule, platform_of
from policies.model import (
    AcceptRisk,
    All,
    AllowRule,
    Baseline,
    BaselineRule,
    Condition,
    DenyRule,
    Profile,
    ReferenceSet,
    ReleasePolicy,
    Test,
)
from policies.paths import overlaps
from policies.vocabulary import ALL_KINDS, ROLES, kinds_of
from verifiers.model import TeeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleProgram:
    """A baseline rule, cut down to one kind of evidence. source: what checks cite."""

    rule: BaselineRule
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyProgram:
    id: str
    when: Condition
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowProgram:
    """An allow rule, cut down to one kind of evidence.

    require: finding id ("kata-on-genoa/guest") and condition. open: minimums that it leaves open, each
    covered by a risk in `risks`, but only while that lasts.
    """

    id: str
    profiles: frozenset[Profile]
    when: Condition
    require: tuple[tuple[str, Condition], ...]
    risks: tuple[AcceptRisk, ...]
    open: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """All there is to evaluate for one kind of evidence, in order."""

    baseline: tuple[RuleProgram, ...]
    deny: tuple[DenyProgram, ...]
    allow: tuple[AllowProgram, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Made by `compile` and `platform_only`. release: None when only the platform is judged.

    references: digests of the sets that were looked at, by name; `appraise` takes no others of these names.
    """

    baselines: tuple[Baseline, ...]
    release: ReleasePolicy | None
    programs: Mapping[TeeKind, Program]
    references: Mapping[str, str]


def platform_only(baselines: Iterable[Baseline]) -> Policy:
    """Judge machines, not guests: for those who ask "is this genuine and current?". Raises PolicyErrors."""
    return compile(baselines, (), None)


def compile(
    baselines: Iterable[Baseline], references: Iterable[ReferenceSet], release: ReleasePolicy | None
) -> Policy:
    """Put documents together. Every baseline given applies, whether or not `release` uses it by name.

    Raises PolicyErrors, codes policy.duplicate-document, policy.duplicate-rule, policy.not-active,
    policy.version, policy.claim-type, policy.no-entry, policy.open-finding, policy.not-waivable,
    policy.risk-too-long, policy.unknown-finding, policy.unknown-rule, policy.reference.
    """
    problems = Problems()
    given = tuple(baselines)
    sets = _by_name(references, problems)
    _by_name(given, problems)
    for kind in TeeKind:
        _check_rule_ids([b for b in given if kind in b.kinds], problems)
    if release is not None:
        _check_uses(release, given, sets, problems)
    problems.check()
    programs = {}
    named = {} if release is None else {rule.id: conditions.kinds_of_rule(rule) for rule in release.allow}
    for kind in TeeKind:
        rules = _baseline_programs(given, kind)
        if release is None:
            programs[kind] = Program(baseline=rules, deny=(), allow=())
        else:
            programs[kind] = _release_program(release, rules, sets, kind, named, problems)
    if release is not None:
        _check_rules(release, sets, named, problems)
        limits = {
            kind: {item.rule.id: item.rule.waivable for item in program.baseline}
            for kind, program in programs.items()
        }
        risks.check(release, limits, problems)
    problems.check()
    return Policy(
        baselines=given,
        release=release,
        programs=MappingProxyType(programs),
        references=MappingProxyType({name: found.digest for name, found in sets.items()}),
    )


Kinds = Mapping[str, frozenset[TeeKind] | None]
"""Allow rule to the kinds of evidence that it names."""

D = TypeVar("D", Baseline, ReferenceSet)


def _by_name(documents: Iterable[D], problems: Problems) -> dict[str, D]:
    out: dict[str, D] = {}
    for document in documents:
        if document.name in out:
            place = Place(document.source, 1, 1)
            problems.add("duplicate-document", place, f"two documents are called {document.name}")
        out[document.name] = document
    return out


def _check_rule_ids(baselines: list[Baseline], problems: Problems) -> None:
    """An accepted risk names a rule by its id alone, so ids are unique over all baselines of a kind."""
    owner: dict[str, str] = {}
    for baseline in baselines:
        for rule in baseline.rules:
            if rule.id in owner:
                message = f"rule {rule.id} exists in baseline {owner[rule.id]} already"
                problems.add("duplicate-rule", rule.at, message)
            owner[rule.id] = baseline.name


def _check_uses(
    release: ReleasePolicy,
    baselines: tuple[Baseline, ...],
    sets: Mapping[str, ReferenceSet],
    problems: Problems,
) -> None:
    versions = {baseline.name: baseline.version for baseline in baselines}
    for what, used, active in (
        ("baselines", release.baselines, versions),
        ("references", release.references, {name: found.version for name, found in sets.items()}),
    ):
        for name, lowest in used.items():
            place = release.places[f"{what} {name}"]
            if name not in active:
                hint = did_you_mean(name, active)
                problems.add("not-active", place, f"no {what[:-1]} {quote(name)} is active", hint=hint)
            elif active[name] < lowest:
                message = f"{name} is active in version {active[name]}; this policy needs {lowest} or later"
                problems.add("version", place, message)


def _baseline_programs(baselines: tuple[Baseline, ...], kind: TeeKind) -> tuple[RuleProgram, ...]:
    out = []
    for baseline in baselines:
        for rule in baseline.rules if kind in baseline.kinds else ():
            cut = replace(
                rule,
                when=None if rule.when is None else conditions.for_kind(rule.when, kind),
                require=None if rule.require is None else conditions.for_kind(rule.require, kind),
            )
            if (cut.when is None) != (rule.when is None) or (cut.require is None) != (rule.require is None):
                raise AssertionError(f"{rule.id} was read although {kind.value} cannot answer it")
            place = f"{baseline.name}@{baseline.version}, {rule.at.source.name}:{rule.at.line}"
            reason = f" ({rule.because[0]})" if rule.because else ""
            out.append(RuleProgram(rule=cut, source=place + reason))
    return tuple(out)


def _release_program(
    release: ReleasePolicy,
    baseline: tuple[RuleProgram, ...],
    sets: Mapping[str, ReferenceSet],
    kind: TeeKind,
    named: Kinds,
    problems: Problems,
) -> Program:
    label = f"{release.name}@{release.version}"
    platform = platform_of(kind, tuple(item.rule for item in baseline))
    deny = [
        DenyProgram(id=rule.id, when=when, source=_source(label, rule))
        for rule in release.deny
        if (when := conditions.for_kind(rule.when, kind)) is not None
    ]
    allow = [
        program
        for rule in release.allow
        if kind in (named[rule.id] or ())
        and (program := _allow_program(rule, release, platform if baseline else None, sets, kind, problems))
        is not None
    ]
    return Program(baseline=baseline, deny=tuple(deny), allow=tuple(allow))


def _source(label: str, rule: AllowRule | DenyRule) -> str:
    return f"{label}, {rule.at.source.name}:{rule.at.line}"


def _allow_program(
    rule: AllowRule,
    release: ReleasePolicy,
    platform: Platform | None,
    sets: Mapping[str, ReferenceSet],
    kind: TeeKind,
    problems: Problems,
) -> AllowProgram | None:
    cut: list[Condition] = []
    for original in (rule.when, *rule.require):
        part = conditions.for_kind(original, kind)
        if part is None:
            place = next((t.at for t in conditions.tests_of(original)), original.at)
            message = f"rule {rule.id} is for {kind.value} evidence, which cannot have what this asks for"
            problems.add("claim-type", place, message)
        else:
            cut.append(part)
    if len(cut) <= len(rule.require):
        return None
    when, *require = cut
    if platform is None:
        _open(rule, release, "minimum.baseline", kind, problems)
        return None
    if not _check_sets(rule, release, (when, *require), sets, kind, problems):
        return None
    own = [risk for risk in release.accept_risk if risk.only_in == rule.id]
    cut_risks = [_cut_risk(risk, kind) for risk in own]
    usable = tuple(risk for risk in cut_risks if risk is not None)
    accepted = {risk.finding for risk in usable}
    left_open = open_in_rule((when, *require), kind, sets, platform)
    for finding in left_open:
        if finding not in accepted or not MINIMUMS[finding].waivable:
            _open(rule, release, finding, kind, problems)
    return AllowProgram(
        id=rule.id,
        profiles=rule.profiles,
        when=when,
        require=_named(rule.id, require),
        risks=usable,
        open=tuple(left_open),
        source=_source(f"{release.name}@{release.version}", rule),
    )


def _cut_risk(risk: AcceptRisk, kind: TeeKind) -> AcceptRisk | None:
    """A risk whose `only_when` speaks of another kind of evidence covers nothing here."""
    parts = [conditions.for_kind(part, kind) for part in risk.only_when]
    if None in parts:
        return None
    return replace(risk, only_when=tuple(part for part in parts if part is not None))


def _named(rule_id: str, require: Iterable[Condition]) -> tuple[tuple[str, Condition], ...]:
    """Finding ids: the claim or role of a single test, else "all-2": connective and place in the list."""
    out: dict[str, Condition] = {}
    for number, condition in enumerate(require, 1):
        what = (
            condition.claim if isinstance(condition, Test) else f"{type(condition).__name__.lower()}-{number}"
        )
        name = f"{rule_id}/{what}"
        out[name if name not in out else f"{name}.{number}"] = condition
    return tuple(out.items())


def _open(rule: AllowRule, release: ReleasePolicy, finding: str, kind: TeeKind, problems: Problems) -> None:
    minimum = MINIMUMS[finding]
    what = finding.removeprefix("minimum.")
    secrets = ", ".join(release.secrets)
    message = f'rule {rule.id} leaves "{what}" open for {kind.value}: {minimum.leaves} and get {secrets}'
    hint = f"add {minimum.remedy}"
    if minimum.waivable:
        hint += f", or accept_risk with finding: {finding}"
    problems.add("open-finding", rule.at, message, hint=hint)


def _check_sets(
    rule: AllowRule,
    release: ReleasePolicy,
    parts: tuple[Condition, ...],
    sets: Mapping[str, ReferenceSet],
    kind: TeeKind,
    problems: Problems,
) -> bool:
    """Every set exists, is listed under `uses`, and has entries for this kind and role."""
    before = len(problems)
    for part in parts:
        for test in (part,) if isinstance(part, Test) else conditions.tests_of(part):
            if test.operator == "in_set" and _check_set(test, release, sets, problems):
                shapes = sets[str(test.literal)].index.entries.get((ROLES[test.claim], kind), ())
                if not shapes:
                    message = (
                        f"{test.literal} has no entry that states a {test.claim} of {kind.value} evidence: "
                        f"rule {rule.id} could never match"
                    )
                    problems.add("no-entry", test.at, message)
    return len(problems) == before


def _check_set(
    test: Test, release: ReleasePolicy, sets: Mapping[str, ReferenceSet], problems: Problems
) -> bool:
    name = str(test.literal)
    if name in release.references and name in sets:
        return True
    hint = did_you_mean(name, release.references)
    problems.add("reference", test.at, f"{quote(name)} is not listed under uses: references", hint=hint)
    return False


def _check_rules(
    release: ReleasePolicy, sets: Mapping[str, ReferenceSet], named: Kinds, problems: Problems
) -> None:
    """What does not depend on the kind: each rule names kinds of evidence, and speaks of those only."""
    for rule in release.allow:
        kinds = named[rule.id]
        if not kinds:
            minimum = MINIMUMS["minimum.evidence-type"]
            message = f'rule {rule.id} leaves "evidence-type" open: {minimum.leaves}'
            problems.add("open-finding", rule.at, message, hint=f"add {minimum.remedy}")
            continue
        # Single tests were looked at with each kind; branches about none of the rule's kinds fell away.
        mixed = tuple(part for part in (rule.when, *rule.require) if not isinstance(part, Test))
        for test in conditions.tests_of(All(mixed, rule.at)) if mixed else ():
            if kinds.isdisjoint(kinds_of(test.claim)):
                names = ", ".join(sorted(kind.value for kind in kinds))
                message = f"{names} has no claim {quote(test.claim)}"
                problems.add("claim-type", test.at, message)
    for deny in release.deny:
        if all(conditions.for_kind(deny.when, kind) is None for kind in ALL_KINDS):
            message = f"rule {deny.id} mixes claims that no one kind of evidence has: it could never fire"
            problems.add("claim-type", deny.at, message)
    elsewhere = [deny.when for deny in release.deny]
    elsewhere += [part for risk in release.accept_risk for part in risk.only_when]
    for test in (test for part in elsewhere for test in conditions.tests_of(part)):
        if test.operator == "in_set":
            _check_set(test, release, sets, problems)


def check_overlap(releases: Iterable[ReleasePolicy]) -> None:
    """One active release policy owns a secret path. Raises PolicyErrors, policy.path-overlap."""
    problems = Problems()
    owners: list[tuple[ReleasePolicy, str]] = []
    for release in releases:
        for pattern in release.secrets:
            for other, taken in owners:
                if other is not release and other.tenant == release.tenant and overlaps(pattern, taken):
                    message = f"{pattern} overlaps {taken} of {other.name}: one policy owns a path"
                    problems.add("path-overlap", release.places["secrets"], message)
        owners += [(release, pattern) for pattern in release.secrets]
    problems.check()


__all__ = ["Policy", "PolicyErrors", "check_overlap", "compile", "platform_only"]
