"""An attempt as it is stored for operators: every finding, what was expected and what was found.

No secret, key or nonce is in it. The evidence itself is stored beside it, so that an attempt can be replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from policies.appraise import Appraisal
from verifiers.claims import json_claims, provenances
from verifiers.model import Check, Verification


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def of(appraisal: Appraisal) -> dict[str, Any]:
    """The whole appraisal in JSON's types. Record, result token and reply are all made from this."""
    verification = appraisal.verification
    return {
        "verdict": str(appraisal.verdict),
        "reason": appraisal.reason,
        "rule": appraisal.rule,
        "authentic": verification.authentic,
        "signature_valid": verification.signature_valid,
        "chain_valid": verification.chain_valid,
        "simulated": verification.simulated,
        "evidence": evidence_json(verification),
        "tcb": tcb_json(appraisal),
        "claims": json_claims(verification),
        "provenance": provenances(verification),
        "checks": [check_json(check) for check in appraisal.checks],
        "unchecked": list(appraisal.unchecked),
        "waived": [waiver.id for waiver in appraisal.waived],
        "policies": [
            {"kind": ref.kind, "name": f"{ref.name}@{ref.version}", "digest": ref.digest}
            for ref in appraisal.documents
        ],
        "missing": [str(need) for need in verification.missing],
        "used": dict(verification.used),
        "at": rfc3339(appraisal.at),
    }


def public(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a relying party is told: findings by name, but not what the operator's documents expect.

    told: what `of` made.
    """
    out = {name: value for name, value in told.items() if name not in ("missing", "used")}
    out["checks"] = [{name: check[name] for name in ("id", "outcome", "reason")} for check in told["checks"]]
    return out


def evidence_json(verification: Verification) -> dict[str, Any]:
    """What was looked at; `digest` is over the signed bytes."""
    summary = verification.evidence
    return {
        "type": str(summary.kind),
        "version": summary.version,
        "signing_key": summary.signing_key,
        "product": summary.product,
        "fmspc": summary.fmspc,
        "digest": f"sha256:{summary.digest.hex()}",
    }


def tcb_json(appraisal: Appraisal) -> dict[str, Any]:
    tcb = appraisal.tcb
    return {
        "status": tcb.status,
        "advisory_ids": list(tcb.advisory_ids),
        "date": None if tcb.date is None else rfc3339(tcb.date),
    }


def check_json(check: Check) -> dict[str, Any]:
    out = {
        "id": check.id,
        "outcome": str(check.outcome),
        "expected": check.expected,
        "found": check.found,
        "source": check.source,
        "reason": check.code,
    }
    return out | ({"fix": check.fix} if check.fix else {})


def encode(value: object) -> bytes:
    """JSON, not canonical: these bytes are kept or sent, and never made again to be compared."""
    return msgspec.json.encode(value)
