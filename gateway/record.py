"""An attempt as it is stored for operators: every finding, what was expected and what was found.

No secret, key or nonce is in it. The evidence itself is stored beside it, so that an attempt can be replayed.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from gateway.token.ear import evidence_json, tcb_json
from policies.appraise import Appraisal
from verifiers.claims import json_claims
from verifiers.model import Check


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def of(appraisal: Appraisal) -> dict[str, Any]:
    """The whole appraisal as JSON."""
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
        "claims": dict(json_claims(verification)),
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


def public(appraisal: Appraisal) -> dict[str, Any]:
    """What a relying party is told: findings by name, but not what the operator's documents expect."""
    out = of(appraisal)
    for name in ("missing", "used"):
        del out[name]
    out["checks"] = [
        {"id": check.id, "outcome": str(check.outcome), "reason": check.code} for check in appraisal.checks
    ]
    return out


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
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
