"""The attestation result as an EAR: claims of a JWT in the legacy dialect (draft-fv-rats-ear).

That is the dialect Veraison and Trustee read. The token is a handle: `jti` names the stored appraisal, and
nothing is ever released on the strength of what the token says about itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from gateway.token import vector
from policies.appraise import Appraisal
from verifiers.claimtypes import Provenance

PROFILE = "tag:github.com,2023:veraison/ear"
TYP = "eat+jwt"
BUILD = "sealgate 0.1.0"
ATTESTED, BACKGROUND = "attest", "background-check"
"""What a token came from. Only the first kind names something that may be released."""
_TOLD = ("verdict", "reason", "rule", "simulated", "evidence", "tcb", "claims", "unchecked", "waived")
_SIGNED = Provenance.HARDWARE.value


def claims(
    appraisal: Appraisal,
    told: Mapping[str, Any],
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
    """The claims set. told: what `record.of` made of the appraisal. nonce: the challenge found in the
    evidence; thumbprint: RFC 7638 of the attested key; None when the evidence was not bound to one."""
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
        "submods": {"cpu0": submodule(appraisal, told)},
    }
    if nonce is not None:
        out["eat_nonce"] = nonce
    if thumbprint is not None:
        out["cnf"] = {"jkt": thumbprint}
    return out


def submodule(appraisal: Appraisal, told: Mapping[str, Any]) -> dict[str, Any]:
    """`cpu0`: status, vector, policy, and our extension with the findings by name. What a check expected and
    found stays with the operator: a token travels. `provenance` lists the claims that are no fields of what
    the hardware signed."""
    made = vector.trustworthiness(appraisal)
    return {
        "ear.status": vector.status(appraisal, made),
        "ear.trustworthiness-vector": made,
        "ear.appraisal-policy-id": " ".join(appraisal.policy_digests) or "none",
        "sealgate": {name: told[name] for name in _TOLD}
        | {"provenance": {word: names for word, names in told["provenance"].items() if word != _SIGNED}}
        | {"checks": {check.id: str(check.outcome) for check in appraisal.checks}},
    }


def encode(claims_set: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(claims_set)
