"""The attestation result as an EAR: claims of a JWT in the legacy dialect (draft-fv-rats-ear).

That is the dialect Veraison and Trustee read. The token is a handle: `jti` names the stored appraisal, and
nothing is ever released on the strength of what the token says about itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.token import vector
from policies.appraise import Appraisal
from verifiers.claims import json_claims
from verifiers.model import Verification

PROFILE = "tag:github.com,2023:veraison/ear"
TYP = "eat+jwt"
BUILD = "sealgate 0.1.0"
ATTESTED, BACKGROUND = "attest", "background-check"
"""What a token came from. Only the first kind names something that may be released."""


def claims(
    appraisal: Appraisal,
    *,
    issuer: str,
    audience: str,
    tenant: str,
    jti: str,
    issued: datetime,
    expires: datetime,
    nonce: str | None,
    thumbprint: str | None,
    purpose: str,
) -> dict[str, Any]:
    """The claims set. nonce: the challenge found in the evidence; thumbprint: RFC 7638 of the attested key;
    either is None when the evidence was not bound to one."""
    out: dict[str, Any] = {
        "eat_profile": PROFILE,
        "iss": issuer,
        "aud": audience,
        "iat": int(issued.timestamp()),
        "exp": int(expires.timestamp()),
        "jti": jti,
        "ear.verifier-id": {"developer": issuer, "build": BUILD},
        "sealgate.purpose": purpose,
        "sealgate.tenant": tenant,
        "submods": {"cpu0": submodule(appraisal)},
    }
    if nonce is not None:
        out["eat_nonce"] = nonce
    if thumbprint is not None:
        out["cnf"] = {"jkt": thumbprint}
    return out


def submodule(appraisal: Appraisal) -> dict[str, Any]:
    """`cpu0`: status, vector, policy, and our extension with the findings by name. What a check expected and
    found stays with the operator: a token travels."""
    made = vector.trustworthiness(appraisal)
    return {
        "ear.status": vector.status(appraisal, made),
        "ear.trustworthiness-vector": made,
        "ear.appraisal-policy-id": " ".join(appraisal.policy_digests) or "none",
        "sealgate": {
            "verdict": str(appraisal.verdict),
            "reason": appraisal.reason,
            "rule": appraisal.rule,
            "simulated": appraisal.verification.simulated,
            "evidence": evidence_json(appraisal.verification),
            "tcb": tcb_json(appraisal),
            "claims": dict(json_claims(appraisal.verification)),
            "checks": {check.id: str(check.outcome) for check in appraisal.checks},
            "unchecked": list(appraisal.unchecked),
            "waived": [waiver.id for waiver in appraisal.waived],
        },
    }


def encode(claims_set: Mapping[str, Any]) -> bytes:
    return json.dumps(claims_set, separators=(",", ":"), ensure_ascii=False).encode()


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
        "date": None if tcb.date is None else tcb.date.isoformat().replace("+00:00", "Z"),
    }
