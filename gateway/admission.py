"""What must hold before evidence is looked at: a challenge of ours, made for us and for this tenant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.appraisals import AppraisalStore, StoredAppraisal
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Keys
from gateway.protocol.native import RuntimeData
from gateway.token import ear, jws


def check_place(runtime: RuntimeData, *, tenant: str, audiences: frozenset[str]) -> None:
    """The guest meant this gateway and this tenant. Raises GatewayError: AUDIENCE, TENANT, REQUEST_MEMBER."""
    if runtime.aud not in audiences:
        raise _refuse(GatewayReason.AUDIENCE, "aud", " or ".join(sorted(audiences)), runtime.aud)
    if runtime.tenant != tenant:
        raise _refuse(GatewayReason.TENANT, "tenant", tenant, runtime.tenant)
    if runtime.devices is not None:
        raise _refuse(
            GatewayReason.REQUEST_MEMBER, "devices", "none: only composite evidence has devices", "some"
        )


def own_token(token: str, *, keys: Keys, issuer: str, tenant: str, now: datetime) -> Mapping[str, Any]:
    """Claims of a live EAR that we signed for an attestation in this tenant. They are used to find the stored
    appraisal, and for nothing else.

    What is refused here rests on no challenge of ours that still counts: it is noise, for a counter and not
    for the ledger. Raises GatewayError: TOKEN_SIGNATURE, TOKEN_MALFORMED, TOKEN_AUDIENCE, NOT_RELEASABLE,
    TENANT, TOKEN_EXPIRED.
    """
    try:
        payload = keys.verify_jws(token, ear.TYP)
    except ValueError:
        raise GatewayError(
            GatewayReason.TOKEN_SIGNATURE,
            "the token is not one that this gateway signed",
            where="ear",
            expected="a result token of ours",
            found="another",
        ) from None
    claims = jws.claims(payload)
    if claims.get("iss") != issuer or not isinstance(claims.get("jti"), str):
        raise _refuse(GatewayReason.TOKEN_AUDIENCE, "ear.iss", issuer, str(claims.get("iss"))[:120])
    if claims.get("sealgate.purpose") != ear.ATTESTED:
        raise _refuse(
            GatewayReason.NOT_RELEASABLE, "ear", "a token from /v1/attest", "one from a background check"
        )
    if claims.get("sealgate.tenant") != tenant:
        raise _refuse(GatewayReason.TENANT, "ear", tenant, str(claims.get("sealgate.tenant"))[:64])
    expires = claims.get("exp")
    if type(expires) is not int or now.timestamp() >= expires:
        raise _refuse(GatewayReason.TOKEN_EXPIRED, "ear.exp", f"after {int(now.timestamp())}", str(expires))
    return claims


def releasable(
    claims: Mapping[str, Any], *, tenant: str, now: datetime, store: AppraisalStore
) -> StoredAppraisal:
    """The stored appraisal that a token names, if anything may be released on it now.

    Raises GatewayError: APPRAISAL_ABSENT, NOT_RELEASABLE, APPRAISAL_EXPIRED.
    """
    stored = store.get(tenant, claims["jti"])
    if stored is None:
        raise _refuse(GatewayReason.APPRAISAL_ABSENT, "ear.jti", "a result in the store", "none")
    if not stored.releasable:
        raise _refuse(GatewayReason.NOT_RELEASABLE, "ear.jti", "an accepted result of /v1/attest", "another")
    if now >= stored.expires:
        raise _refuse(
            GatewayReason.APPRAISAL_EXPIRED,
            "ear.jti",
            f"before {stored.expires.isoformat()}",
            now.isoformat(),
        )
    return stored


def _refuse(reason: GatewayReason, where: str, expected: str, found: str) -> GatewayError:
    return GatewayError(
        reason, f"{where} does not fit this request", where=where, expected=expected, found=found
    )
