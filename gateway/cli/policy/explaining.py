"""`sealgate policy explain`: why this evidence has a secret or not, and the least that would change that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from gateway.adapters import SystemClock
from gateway.cli import files, options
from gateway.cli.errors import InputError
from gateway.cli.policy import evidence as preparing
from gateway.cli.policy.questions import SPECS, sides_of
from gateway.cli.remote import json_option, show
from gateway.record import check_json
from policies import explain as lines
from policies.allowing import BLOCKING
from policies.analysis import counterfactual
from policies.analysis.counterfactual import Flip, Flips, Waiver
from policies.analysis.encode import Side
from policies.appraise import Appraisal, appraise
from policies.model import ALL_REQUIREMENTS, Profile
from policies.release import Refusal, decide
from policies.values import show as written
from verifiers.claimtypes import to_json
from verifiers.model import AnchorSet, Verdict

EXIT = {Verdict.ACCEPTED: 0, Verdict.REFUSED: 1, Verdict.UNDECIDED: 3, Verdict.MALFORMED: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One policy's answer. stands: findings of the verifier against it, which no document can touch. flips,
    waivers: what would turn it; empty when it is yes, and when anything stands."""

    side: Side
    appraisal: Appraisal
    refusals: tuple[Refusal, ...]
    stands: tuple[str, ...]
    flips: Flips
    waivers: tuple[Waiver, ...]


@click.command()
@click.argument("evidence")
@click.argument("paths", nargs=-1, required=True, metavar="POLICY...")
@click.option("--collateral", multiple=True, metavar="PATH", help="Certificates, CRLs, TCB info; repeatable.")
@click.option("--secret", metavar="PATH", help="Only the policy that owns this secret, and whether it goes.")
@click.option("--at", metavar="TIME", help="Judge at this instant instead of now.")
@click.option("--profile", type=click.Choice([p.value for p in Profile]), default=Profile.NATIVE.value)
@click.option("--development", is_flag=True, help="Take SIMULATED evidence too.")
@json_option
def explain(
    evidence: str,
    paths: tuple[str, ...],
    collateral: tuple[str, ...],
    secret: str | None,
    at: str | None,
    profile: str,
    development: bool,
    as_json: bool,
) -> None:
    """Judge EVIDENCE under the release policies in POLICY... as a gateway would, and say why.

    Its report data is taken as ours: that is no question of policy. For what is not accepted, the smallest
    changes that would turn it are searched for, among all there are, and each is shown only after it has been
    tried.

    \b
    Exit code: 0 accepted, 1 refused, 2 usage or malformed input, 3 undecided.
    """
    now = options.moment(at, "--at") if at is not None else SystemClock().now().replace(microsecond=0)
    anchors = AnchorSet.VENDOR_AND_SIMULATED if development else AnchorSet.VENDOR
    opened = files.open_evidence(evidence, None)
    verification = preparing.verified(opened, files.gather(collateral), now, anchors=anchors)
    found = []
    for side in sides_of(paths).values():
        release = side.policy.release
        if release is None or (secret is not None and not release.owns(secret)):
            continue
        appraisal = appraise(
            verification,
            side.sets.values(),
            side.policy,
            now,
            required=ALL_REQUIREMENTS,
            profile=Profile(profile),
        )
        found.append(_explained(side, appraisal, secret, now))
    if not found:
        raise InputError(f"expected a release policy that owns {secret}, found none")
    show([_json(each) for each in found], as_json, lambda: "\n\n".join(map(_text, found)))
    raise SystemExit(max(EXIT[each.appraisal.verdict] for each in found))


def _explained(side: Side, appraisal: Appraisal, secret: str | None, now: datetime) -> Explanation:
    release, verification = side.policy.release, appraisal.verification
    assert release is not None
    nothing = Flips(found=(), complete=True)
    wanted = [secret] if secret is not None else [p for p in release.secrets if "*" not in p]
    decided = [decide(appraisal, tenant=release.tenant, path=path) for path in wanted]
    refusals = tuple(each for each in decided if isinstance(each, Refusal))
    stands = tuple(check.id for check in verification.checks if check.outcome in BLOCKING)
    found = Explanation(
        side=side, appraisal=appraisal, refusals=refusals, stands=stands, flips=nothing, waivers=()
    )
    if appraisal.verdict is Verdict.ACCEPTED or stands or not verification.authentic:
        return found
    kind, claims = verification.evidence.kind, verification.claims
    return replace(
        found,
        flips=counterfactual.flips(side, kind, claims, now, appraisal.profile, SPECS),
        waivers=counterfactual.waivers(side, appraisal, claims),
    )


# --- saying ----------------------------------------------------------------------------------------


def _text(found: Explanation) -> str:
    return "\n".join([*lines.explain(found.appraisal), *_changes(found)])


def _changes(found: Explanation) -> Iterator[str]:
    if found.appraisal.verdict is Verdict.ACCEPTED:
        return
    if not found.appraisal.verification.authentic:
        yield "no change of a policy, a machine or a guest helps: this evidence is not authentic"
        return
    if found.stands:
        yield f"no policy can change what the verifier found: {', '.join(found.stands)}"
        return
    yield "smallest changes that would turn this into ACCEPTED, each tried:"
    for flip in found.flips.found:
        yield from _flip(flip)
    if not found.flips.found:
        most = counterfactual.MOST_CLAIMS
        known = (
            f"none of at most {most} claims"
            if found.flips.complete
            else "not decided: the search was given up"
        )
        yield f"  in the evidence   {known}"
    for waiver in found.waivers:
        names, until = " and ".join(waiver.findings), written(waiver.until)
        yield f"  in the policy     accept {names} in {waiver.rule}, until {until} at the latest"
    if not found.waivers:
        yield "  in the policy     no accepted risk can cover what stands against it"


def _flip(flip: Flip) -> Iterator[str]:
    head = "  in the evidence   "
    for name, (was, wanted) in flip.changes.items():
        one = "missing" if was is None else written(was)
        other = "missing" if wanted is None else written(wanted)
        yield f"{head}{name}: {_short(one)} → {_short(other)}"
        head = "                and "


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:24]}…{text[-8:]}"


def _json(found: Explanation) -> dict[str, Any]:
    release = found.side.policy.release
    assert release is not None
    appraisal = found.appraisal
    return {
        "policy": f"{release.name}@{release.version}",
        "digest": release.digest,
        "verdict": appraisal.verdict.value,
        "reason": appraisal.reason,
        "rule": appraisal.rule,
        "checks": [check_json(check) for check in appraisal.checks],
        "alternatives": [
            {"rule": each.rule, "applies": each.applies, "checks": [check_json(c) for c in each.checks]}
            for each in appraisal.alternatives
        ],
        "refusals": [{"path": each.path, "reason": each.reason} for each in found.refusals],
        "verifier": list(found.stands),
        "flips": [_flip_json(flip) for flip in found.flips.found],
        "flips_complete": found.flips.complete,
        "waivers": [
            {"rule": each.rule, "findings": list(each.findings), "until": written(each.until)}
            for each in found.waivers
        ],
    }


def _flip_json(flip: Flip) -> dict[str, Any]:
    return {
        name: {
            "from": None if was is None else to_json(SPECS[name], was),
            "to": None if wanted is None else to_json(SPECS[name], wanted),
        }
        for name, (was, wanted) in flip.changes.items()
    }
