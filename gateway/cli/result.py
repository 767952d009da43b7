"""What `sealgate verify --json` prints: the published keys, and a few more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.cli import fetched as telling
from policies.appraise import Appraisal
from verifiers.carriers import Opened
from verifiers.claims import TABLE, json_claims, provenances
from verifiers.model import Check, EvidenceSummary, Need, TeeKind, Verdict, Verification

if TYPE_CHECKING:
    from gateway.collateral.direct import Fetched


def to_json(
    appraisal: Appraisal, opened: Opened, ignored: tuple[str, ...], fetched: Sequence[Fetched] = ()
) -> dict[str, object]:
    """One JSON object; every key is always there. fetched: what vendors were asked for it."""
    verification = appraisal.verification
    tcb = appraisal.tcb
    return {
        "verdict": appraisal.verdict.value,
        "reason": appraisal.reason,
        "evidence": _evidence(verification.evidence),
        "authentic": verification.authentic,
        "signature_valid": verification.signature_valid,
        "chain_valid": verification.chain_valid,
        "simulated": verification.simulated,
        "tcb": {
            "status": tcb.status,
            "advisory_ids": list(tcb.advisory_ids),
            "date": moment(tcb.date),
        },
        "claims": _claims(verification),
        "provenance": provenances(verification),
        "checks": [_check(check) for check in appraisal.checks],
        "unchecked": list(appraisal.unchecked),
        "missing": [_need(need) for need in verification.missing],
        "fetched": [telling.to_json(each) for each in fetched],
        "carrier": opened.carrier,
        "ignored": list(ignored),
        "used": dict(verification.used),
        "policy": {
            "digests": list(appraisal.policy_digests),
            "rule": appraisal.rule,
            "waived": [waiver.id for waiver in appraisal.waived],
        },
        "expires": moment(verification.expires),
        "at": moment(appraisal.at),
    }


def malformed(reason: str, at: datetime | None) -> dict[str, object]:
    """The same keys for input that could not be read."""
    return {
        "verdict": Verdict.MALFORMED.value,
        "reason": reason,
        "evidence": {"type": None, "version": None, "signing_key": None},
        "authentic": False,
        "signature_valid": False,
        "chain_valid": False,
        "simulated": False,
        "tcb": {"status": None, "advisory_ids": [], "date": None},
        "claims": {},
        "provenance": {},
        "checks": [],
        "unchecked": [],
        "missing": [],
        "fetched": [],
        "carrier": None,
        "ignored": [],
        "used": {},
        "policy": {"digests": [], "rule": None, "waived": []},
        "expires": None,
        "at": moment(at),
    }


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def _claims(verification: Verification) -> dict[str, object]:
    """Every claim that this kind of evidence can have; null for one that is missing, which is never false."""
    prefix = verification.evidence.kind.value.removeprefix("sev-") + "."
    known = {spec.json: None for spec in TABLE if spec.json is not None and spec.name.startswith(prefix)}
    return {**known, **json_claims(verification)}


def _evidence(summary: EvidenceSummary) -> dict[str, object]:
    out: dict[str, object] = {"type": summary.kind.value, "version": summary.version}
    if summary.kind is TeeKind.SEV_SNP:
        out["product"] = summary.product
    else:
        out["fmspc"] = summary.fmspc
    return {**out, "signing_key": summary.signing_key, "digest": f"sha256:{summary.digest.hex()}"}


def _check(check: Check) -> dict[str, object]:
    return {
        "id": check.id,
        "outcome": check.outcome.value,
        "expected": check.expected,
        "found": check.found,
        "source": check.source,
        "reason": check.code,
        "fix": check.fix,
    }


def _need(need: Need) -> dict[str, object]:
    return {"kind": need.kind, **dict(need.key)}
