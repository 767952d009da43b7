"""Leases that still run, decided anew under what counts now: who would not get the secret again?

A release names a lease, how long the guest may hold the secret. What was released cannot be taken back; what
can be told is which guests would be refused today, so that somebody rotates the secret or stops them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway import evidence
from gateway.appraisals import AppraisalStore
from gateway.appraiser import Appraiser
from gateway.errors import GatewayError
from gateway.policybook import Compiled
from gateway.ports import Keys, Ledger
from gateway.protocol import native
from gateway.record import rfc3339
from gateway.releasing import decide_paths
from policies.errors import PolicyError
from verifiers.errors import AttestationError
from verifiers.model import ReportData, Verification

ENTRIES = 5000
"""Entries of the tenant's ledger that are read, the newest ones."""
MOST = 500
"""Leases that are decided anew: each costs as much as its attestation did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One release. appraisal: the attempt whose evidence it rests on."""

    attempt: str
    appraisal: str
    path: str
    ends: datetime


def running(ledger: Ledger, tenant: str, now: datetime) -> tuple[list[Lease], bool]:
    """Leases that still run, newest first; and whether the entries that were read reach back far enough to be
    sure that these are all. An intent without an outcome counts: its secret may have left."""
    entries = ledger.tail(tenant, ENTRIES)
    failed = {
        (e["body"]["attempt"], e["body"]["path"])
        for e in entries
        if e["kind"] == "release.outcome" and e["body"].get("result") != "released"
    }
    found = []
    for entry in reversed(entries):
        body = entry["body"]
        if entry["kind"] != "release.intent" or "lease" not in body:
            continue
        ends = datetime.fromisoformat(entry["at"]) + timedelta(seconds=body["lease"])
        if ends > now and (body["attempt"], body["path"]) not in failed:
            appraisal = body.get("appraisal", body["attempt"])
            found.append(Lease(attempt=body["attempt"], appraisal=appraisal, path=body["path"], ends=ends))
    return found, len(entries) < ENTRIES


def review(
    ledger: Ledger,
    appraisals: AppraisalStore,
    keys: Keys,
    appraiser: Appraiser,
    tenant: str,
    now: datetime,
) -> dict[str, Any]:
    """Every running lease decided anew: with today's documents, collateral and time, from stored evidence.

    "running": how many; "looked_at": how many were decided; "complete": whether these are all there can be;
    "not_renewed": those that would be refused, and why. Raises PolicyErrors if documents do not fit.
    """
    compiled = appraiser.book.of(tenant)
    leases, complete = running(ledger, tenant, now)
    verified: dict[str, Verification | str] = {}
    refused = []
    for lease in leases[:MOST]:
        if lease.appraisal not in verified:
            verified[lease.appraisal] = _verify(appraisals, keys, appraiser, tenant, lease.appraisal, now)
        reason = _reason(appraiser, compiled, verified[lease.appraisal], tenant, lease.path, now)
        if reason is not None:
            refused.append(
                {"attempt": lease.attempt, "path": lease.path, "ends": rfc3339(lease.ends), "reason": reason}
            )
    return {
        "running": len(leases),
        "looked_at": min(len(leases), MOST),
        "complete": complete and len(leases) <= MOST,
        "not_renewed": refused,
    }


def _verify(
    appraisals: AppraisalStore, keys: Keys, appraiser: Appraiser, tenant: str, jti: str, now: datetime
) -> Verification | str:
    """The findings about stored evidence, or the code of why there are none."""
    stored = appraisals.get(tenant, jti)
    if stored is None:
        return "release.appraisal-absent"
    try:
        submission = evidence.open_stored(keys, stored)
        runtime = native.parse_runtime_data(submission.runtime_data)
        read = appraiser.open(tenant, submission.evidence)
        return appraiser.verify(read, ReportData(runtime.report_data), now)[0]
    except PolicyError:
        raise
    except (GatewayError, AttestationError) as error:
        return str(error.reason)


def _reason(
    appraiser: Appraiser,
    compiled: Compiled,
    found: Verification | str,
    tenant: str,
    path: str,
    now: datetime,
) -> str | None:
    if isinstance(found, str):
        return found
    (decision,) = decide_paths(
        compiled, tenant, [path], lambda name: appraiser.judge(found, compiled, name, now)
    )
    return None if decision.why is None else decision.why.reason
