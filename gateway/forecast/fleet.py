"""The machines whose evidence is kept, and what is ahead of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway import evidence, policybook
from gateway.caches import LruChains
from gateway.errors import GatewayError, GatewayReason
from gateway.forecast.outlook import (
    WHENS,
    Finding,
    Machine,
    Outlook,
    World,
    outlook,
    with_early,
)
from gateway.ports import CollateralSource
from gateway.record import rfc3339
from gateway.replay import again
from gateway.replay.archive import Archive
from policies import compiler
from policies.compiler import Policy
from policies.model import Baseline
from verifiers import registry
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet, Unbound, Verdict

HORIZON_DAYS = 30
MOST_ATTEMPTS, MOST_MACHINES = 20_000, 2_000
_ID = 16
_BINDING = Unbound("a forecast asks about the machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """early: as the archive's source, for the other one of Intel's channels; None when early documents count
    already."""

    archive: Archive
    early: CollateralSource | None
    anchors: AnchorSet


class _Claims(msgspec.Struct):
    chip_id: str | None = None
    csp_id: str | None = None
    reported_tcb: dict[str, int] | None = None
    pck_ppid: str | None = None


class _Evidence(msgspec.Struct):
    type: str
    product: str | None = None
    fmspc: str | None = None


class _Record(msgspec.Struct):
    """What tells machines apart, out of a stored record."""

    verdict: str
    evidence: _Evidence
    claims: _Claims


def forecast(
    forecaster: Forecaster,
    now: datetime,
    *,
    days: int,
    most: int = MOST_MACHINES,
    baseline: bytes | None = None,
    name: str = "baseline",
) -> dict[str, Any]:
    """In JSON's types: what is ahead of each machine that was seen in the last `days`.

    most: machines, those seen last. baseline: a file of baselines that are not active yet. Raises
    PolicyErrors for one that cannot be read or does not compile with the active ones;
    GatewayError(REQUEST_MALFORMED) when there is none in it.
    """
    archive = forecaster.archive
    active = _baselines(archive)
    policy = compiler.platform_only(active)
    proposed = None if baseline is None else _proposed(active, baseline, name)
    found, attempts, left_out = machines(archive, now - timedelta(days=days), most)
    cache = LruChains(4096)
    outlooks = [_outlook(forecaster, each, now, policy, proposed, cache) for each in found]
    ahead = [(each, finding) for each in outlooks for finding in each.findings]
    counted = Counter(finding.when for _, finding in ahead)
    return {
        "at": rfc3339(now),
        "days": days,
        "attempts": attempts,
        "machines": len(outlooks),
        "left_out": left_out,
        "now": {str(word): sum(each.verdict is word for each in outlooks) for word in Verdict},
        "counts": {when: counted[when] for when in WHENS},
        "ahead": [_shown(each, finding) for each, finding in sorted(ahead, key=_order)],
        "refused_now": [_machine(each) for each in outlooks if each.verdict is not Verdict.ACCEPTED],
    }


def machines(archive: Archive, since: datetime, most: int = MOST_MACHINES) -> tuple[list[Machine], int, int]:
    """Each machine once, with its newest evidence, of accepted attempts if there is any; how many attempts
    were looked at; and how many machines were left out, for there are too many or their evidence is gone."""
    chosen: dict[tuple[str, str], tuple[str, str, datetime, _Record]] = {}
    attempts = 0
    for tenant, attempt, created, raw in archive.appraisals.records(since, MOST_ATTEMPTS):
        attempts += 1
        try:
            record = msgspec.json.decode(raw, type=_Record)
        except msgspec.ValidationError:  # of an attempt that ended before there was a verdict
            continue
        key = (record.evidence.type, _identity(record))
        known = chosen.get(key)
        if known is None or (known[3].verdict != "accepted" and record.verdict == "accepted"):
            chosen[key] = (tenant, attempt, created, record)
    out: list[Machine] = []
    left_out = max(len(chosen) - most, 0)
    for (kind, identity), (tenant, attempt, created, record) in list(chosen.items())[:most]:
        stored = archive.appraisals.get(tenant, attempt)
        try:
            if stored is None:
                raise _gone(attempt)
            opened = again.opened(evidence.open_stored(archive.keys, stored))
        except (GatewayError, AttestationError):  # pruned meanwhile, or its key is lost
            left_out += 1
            continue
        out.append(
            Machine(
                kind=kind,
                id=identity,
                family=record.evidence.product or record.evidence.fmspc or "",
                seen=created,
                tenant=tenant,
                attempt=attempt,
                opened=opened,
                binding=_BINDING,
            )
        )
    return out, attempts, left_out


def _identity(record: _Record) -> str:
    """Chip id or PPID. A VLEK's report hides the chip: then the provider's machines of one TCB are one."""
    claims = record.claims
    if claims.chip_id and claims.chip_id.strip("0"):
        return claims.chip_id
    if claims.pck_ppid:
        return claims.pck_ppid
    tcb = ".".join(str(value) for value in (claims.reported_tcb or {}).values())
    return f"{claims.csp_id or 'unknown'} at {tcb}"


def _gone(attempt: str) -> GatewayError:
    return GatewayError(
        GatewayReason.REPLAY_NOT_KEPT, "it is gone", where=attempt, expected="evidence", found="none"
    )


def _baselines(archive: Archive) -> list[Baseline]:
    _, rows = archive.documents.active("")
    return [d for d in policybook.Sources().documents(rows) if isinstance(d, Baseline)]


def _proposed(active: Sequence[Baseline], raw: bytes, name: str) -> Policy:
    given = {d.name: d for d in policybook.read(raw, name) if isinstance(d, Baseline)}
    if not given:
        raise GatewayError(
            GatewayReason.REQUEST_MALFORMED,
            f"{name}: expected platform baselines, found none",
            where=name,
            expected="platform baselines",
            found="none",
        )
    kept = [given.pop(each.name, each) for each in active]
    return compiler.platform_only([*kept, *given.values()])


def _outlook(
    forecaster: Forecaster,
    machine: Machine,
    now: datetime,
    policy: Policy,
    proposed: Policy | None,
    cache: LruChains,
) -> Outlook:
    needs = registry.needs(machine.opened.evidence)
    held = forecaster.archive.source.get(needs, now)
    early = None if forecaster.early is None else with_early(held, forecaster.early.get(needs, now))
    world = World(
        anchors=forecaster.anchors,
        cache=cache,
        now=now,
        policy=policy,
        held=held,
        early=early,
        proposed=proposed,
        horizon=timedelta(days=HORIZON_DAYS),
    )
    return outlook(machine, world)


# --- what is said --------------------------------------------------------------------------------------


def _order(pair: tuple[Outlook, Finding]) -> tuple[int, str, str]:
    each, finding = pair
    at = "" if finding.at is None else rfc3339(finding.at)
    return WHENS.index(finding.when), at, each.machine.id


def _machine(each: Outlook) -> dict[str, Any]:
    machine = each.machine
    short = machine.id if len(machine.id) <= _ID or " " in machine.id else f"{machine.id[:_ID]}…"
    return {
        "machine": short,
        "type": machine.kind,
        "platform": machine.family,
        "tenant": machine.tenant,
        "attempt": machine.attempt,
        "seen": rfc3339(machine.seen),
        "now": {"verdict": each.verdict.value, "reason": each.reason},
    }


def _shown(each: Outlook, finding: Finding) -> Mapping[str, Any]:
    return _machine(each) | {
        "when": finding.when,
        "from": None if finding.at is None else rfc3339(finding.at),
        "cause": finding.cause,
        "then": {"verdict": finding.verdict.value, "reason": finding.reason, "check": finding.check},
        "short": [
            {"component": s.component, "has": s.has, "needs": s.needs, "raised_by": s.raised_by}
            for s in finding.short
        ],
        "to_pass": list(finding.fixes),
    }
