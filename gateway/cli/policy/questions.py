"""`sealgate policy diff` and `prove`: what changes for whom, and what can never happen; exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from gateway.adapters import SystemClock
from gateway.cli import options
from gateway.cli.errors import InputError, reading
from gateway.cli.policy import documents
from gateway.cli.remote import json_option, show
from policies import conditions
from policies.analysis import prove as properties
from policies.analysis.compare import Change, Difference, compare
from policies.analysis.encode import Side
from policies.analysis.judging import judge
from policies.analysis.prove import Proof, Property
from policies.analysis.search import Witness
from policies.model import ReleasePolicy
from policies.values import show as written
from policies.values import show_duration
from policies.vocabulary import Role, Vocabulary
from verifiers.claims import BY_NAME
from verifiers.claimtypes import to_json
from verifiers.model import Outcome

SPECS = Vocabulary.of(BY_NAME).specs
_MOST_CLAIMS = 12
_BAD = (Outcome.FAILED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One release policy before and after; None where there is none. `difference` is of the two when both are
    there."""

    name: str
    before: Side | None
    after: Side | None
    difference: Difference | None

    @property
    def changed(self) -> bool:
        found = self.difference
        return found is None or bool(found.allowed or found.refused or self.words())

    def words(self) -> list[str]:
        """What differs besides who passes: paths, lease."""
        one, other = _release(self.before), _release(self.after)
        if one is None or other is None:
            return []
        out = []
        gone, new = set(one.secrets) - set(other.secrets), set(other.secrets) - set(one.secrets)
        if gone or new:
            out.append(
                "paths: " + ", ".join([*(f"- {p}" for p in sorted(gone)), *(f"+ {p}" for p in sorted(new))])
            )
        if one.lease != other.lease:
            out.append(f"lease: {_lease(one)} before, {_lease(other)} after")
        return out


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--with", "shared", multiple=True, metavar="FILE", help="Documents that both need; repeatable.")
@click.option("--at", metavar="TIME", help="Compare at this instant only; else from now on, for all time.")
@json_option
def diff(before: str, after: str, shared: tuple[str, ...], at: str | None, as_json: bool) -> None:
    """Who may have a secret under AFTER and not under BEFORE, and the reverse: files or folders of documents.

    Not a comparison of texts, and no sampling: either there is evidence that one accepts and the other does
    not, and it is shown, or it is proved that there is none.

    \b
    Exit code: 0 no difference, 1 a difference, 2 usage or malformed input, 3 not decided.
    """
    since, moment = _times(at)
    one, other = sides_of([before, *shared]), sides_of([after, *shared])
    pairs = [_pair(name, one.get(name), other.get(name), since, moment) for name in sorted({*one, *other})]
    show([_pair_json(pair) for pair in pairs], as_json, lambda: "\n".join(_pairs_text(pairs, since, moment)))
    raise SystemExit(1 if any(pair.changed for pair in pairs) else 3 if any(map(_undecided, pairs)) else 0)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--property", "named", multiple=True, metavar="NAME", help="One of those listed; default: all.")
@click.option("--except", "excepted", multiple=True, metavar="RULE", help="A floor that may be waived.")
@click.option("--only-guests-in", "guests", multiple=True, metavar="SET", help="Never to an image outside.")
@click.option("--never", "condition", metavar="CONDITION", help="Never unless this is certainly false.")
@click.option("--at", metavar="TIME", help="At this instant only; else from now on, for all time.")
@json_option
def prove(
    paths: tuple[str, ...],
    named: tuple[str, ...],
    excepted: tuple[str, ...],
    guests: tuple[str, ...],
    condition: str | None,
    at: str | None,
    as_json: bool,
) -> None:
    """What the release policies in FILE... can never do, proved over all evidence, or a counterexample.

    \b
    never-debug               to a guest whose memory the host may read
    never-below-baseline      below a TCB floor of the baseline (--except RULE: but for this waiver)
    never-without-revocation  without a current CRL
    never-unlisted-guest      to an image in no reference set of the policy
    never-unlisted-workload   to a workload in no reference set of the policy

    \b
    --never '{snp.product: {equals: Milan}}' asks about a condition of your own.
    Exit code: 0 all proved, 1 a counterexample, 2 usage or malformed input, 3 not decided.
    """
    asked = _properties(named, excepted, guests, condition)
    since, moment = _times(at)
    found = [
        (name, side, proof)
        for name, side in sorted(sides_of(paths).items())
        for proof in properties.prove(side, asked, SPECS, since=since, at=moment)
    ]
    value = [_proof_json(name, proof) for name, _, proof in found]
    show(value, as_json, lambda: "\n".join(_proofs_text(found, since, moment)))
    if any(proof.counterexample is not None for _, _, proof in found):
        raise SystemExit(1)
    raise SystemExit(0 if all(proof.proved for _, _, proof in found) else 3)


# --- asking ----------------------------------------------------------------------------------------


def sides_of(paths: Sequence[str]) -> dict[str, Side]:
    """The release policies of some files by name, each with everything it counts with."""
    with reading("policy"):
        compiled = documents.load_all(paths).compiled()
    if not compiled.releases:
        raise InputError(f"expected a release policy in {', '.join(paths)}, found none")
    return {name: Side(policy=policy, sets=compiled.references) for name, policy in compiled.releases.items()}


def _times(at: str | None) -> tuple[datetime, datetime | None]:
    moment = None if at is None else options.moment(at, "--at")
    return moment or SystemClock().now().replace(microsecond=0), moment


def _pair(name: str, before: Side | None, after: Side | None, since: datetime, at: datetime | None) -> Pair:
    found = None
    if before is not None and after is not None:
        found = compare(before, after, SPECS, since=since, at=at)
    return Pair(name=name, before=before, after=after, difference=found)


def _undecided(pair: Pair) -> bool:
    return pair.difference is not None and bool(pair.difference.unknown)


def _properties(
    named: Sequence[str], excepted: Sequence[str], guests: Sequence[str], condition: str | None
) -> list[Property]:
    known = {each.name: each for each in properties.STANDARD}
    for name in named:
        if name not in known:
            raise InputError(f"--property: expected one of {', '.join(known)}, found {name!r}")
    chosen = (
        [known[name] for name in named] if named else ([] if guests or condition else list(known.values()))
    )
    if excepted:
        floor = properties.never_below_baseline(excepted)
        chosen = [floor if each.name == floor.name else each for each in chosen] or [floor]
    if guests:
        chosen.append(properties.never_unlisted(Role.GUEST, guests))
    if condition is not None:
        with reading("--never"):
            chosen.append(properties.never(conditions.parse(condition, "--never", BY_NAME), condition))
    return chosen


# --- saying ----------------------------------------------------------------------------------------


def _release(side: Side | None) -> ReleasePolicy | None:
    return None if side is None else side.policy.release


def _lease(release: ReleasePolicy) -> str:
    return f"{show_duration(release.lease.lasts)}, renewed every {show_duration(release.lease.renew_every)}"


def _scope(since: datetime, at: datetime | None) -> str:
    return f"at {written(at)}" if at is not None else f"at any time from {written(since)} on"


def _pairs_text(pairs: Sequence[Pair], since: datetime, at: datetime | None) -> Iterator[str]:
    for pair in pairs:
        release = _release(pair.after) or _release(pair.before)
        assert release is not None
        found = pair.difference
        if found is None:
            verb = "is new" if pair.before is None else "is gone"
            yield f"{pair.name} {verb}: {', '.join(release.secrets)}"
            continue
        yield f"{pair.name}   {', '.join(release.secrets)}"
        for title, changes in (("NEWLY ALLOWED", found.allowed), ("NEWLY REFUSED", found.refused)):
            if changes:
                for change in changes:
                    yield from _change_text(title, change, pair)
            elif found.unknown:
                yield f"  {title}   not decided: the search was given up"
            else:
                yield f"  {title}   nothing (proved over all evidence, {_scope(since, at)})"
        yield from (f"  {line}" for line in pair.words() or ["paths, lease   unchanged"])


def _change_text(title: str, change: Change, pair: Pair) -> Iterator[str]:
    stricter = pair.before if title == "NEWLY ALLOWED" else pair.after
    assert stricter is not None
    witness = change.witness
    instance = f"for instance {witness.kind.value} evidence at {written(witness.at)}"
    yield f"  {title}   by {change.rule}, {instance}:"
    when = "before" if title == "NEWLY ALLOWED" else "after"
    found = judge(stricter, witness.kind, witness.claims, witness.at, witness.profile)
    for check in found.checks:
        if check.outcome in _BAD:
            yield f"      {when}: {check.id}   expected {check.expected}, found {check.found}"
    yield from _claims_text(witness, pair)


def _claims_text(witness: Witness, *sides: Pair | Side) -> Iterator[str]:
    """The claims that matter; those that release rules ask about first."""
    first = _asked_by_rules(witness, sides)
    names = sorted(witness.decisive & witness.claims.keys(), key=lambda name: (name not in first, name))
    for name in names[:_MOST_CLAIMS]:
        yield f"      {name} {_short(written(witness.claims[name]))}"
    if len(names) > _MOST_CLAIMS:
        yield f"      and {len(names) - _MOST_CLAIMS} more that the baseline asks about (--json has all)"
    for name in sorted(witness.decisive - witness.claims.keys()):
        yield f"      {name} missing"


def _asked_by_rules(witness: Witness, sides: Sequence[Pair | Side]) -> set[str]:
    flat = [s for each in sides for s in ((each.before, each.after) if isinstance(each, Pair) else (each,))]
    return {
        test.claim
        for side in flat
        if side is not None
        for rule in side.program(witness.kind).allow
        for condition in (
            rule.when,
            *(c for _, c in rule.require),
            *(p for r in rule.risks for p in r.only_when),
        )
        for test in conditions.tests_of(condition)
    }


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:24]}…{text[-8:]}"


def _proofs_text(
    found: Sequence[tuple[str, Side, Proof]], since: datetime, at: datetime | None
) -> Iterator[str]:
    for name, side, proof in found:
        asked, witness = proof.asked, proof.counterexample
        if proof.proved:
            yield f"✓ {name}: {asked.name}   proved over all evidence, {_scope(since, at)}"
        elif witness is None:
            kinds = ", ".join(kind.value for kind in proof.unknown)
            yield f"? {name}: {asked.name}   not decided for {kinds}: the search was given up"
        else:
            yield f"✗ {name}: {asked.name}   not so: {asked.says}"
            yield f"      accepted all the same, {witness.kind.value} evidence at {written(witness.at)}:"
            yield from _claims_text(witness, side)


def _witness_json(witness: Witness) -> dict[str, Any]:
    return {
        "evidence": witness.kind.value,
        "at": written(witness.at),
        "profile": witness.profile.value,
        "claims": {name: _claim_json(name, value) for name, value in sorted(witness.claims.items())},
        "decisive": sorted(witness.decisive),
    }


def _claim_json(name: str, value: Any) -> object:
    return to_json(SPECS[name], value)


def _change_json(change: Change) -> dict[str, Any]:
    return {"rule": change.rule, "witness": _witness_json(change.witness)}


def _pair_json(pair: Pair) -> dict[str, Any]:
    found = pair.difference
    return {
        "policy": pair.name,
        "before": pair.before is not None,
        "after": pair.after is not None,
        "newly_allowed": [_change_json(change) for change in found.allowed] if found else [],
        "newly_refused": [_change_json(change) for change in found.refused] if found else [],
        "unknown": [f"{kind.value} {rule}" for kind, rule in found.unknown] if found else [],
        "other": pair.words(),
    }


def _proof_json(name: str, proof: Proof) -> dict[str, Any]:
    witness = proof.counterexample
    return {
        "policy": name,
        "property": proof.asked.name,
        "says": proof.asked.says,
        "proved": proof.proved,
        "counterexample": None if witness is None else _witness_json(witness),
        "unknown": [kind.value for kind in proof.unknown],
    }
