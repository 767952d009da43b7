"""Offline check of an EAR, as a relying party should do it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.errors import GatewayError, GatewayReason
from gateway.token import ear, jws

CLOCK_SKEW = 60
"""Seconds by which `iat` may lie ahead of our clock. `exp` gets no grace."""


def verify(
    token: str, jwks: Mapping[str, Any], *, issuer: str, audience: str | None, now: datetime
) -> dict[str, Any]:
    """Claims of an EAR that a key of `jwks` signed for `issuer`.

    audience: what `aud` must be; None when the relying party does not ask. Raises GatewayError:
    "token.malformed", "token.signature", "token.audience" (also another issuer), "token.expired".
    The caller must still test `ear.status == "affirming"`.
    """
    claims = jws.claims(jws.verify(token, jwks, typ=ear.TYP))
    _equal(claims, "eat_profile", ear.PROFILE, GatewayReason.TOKEN_MALFORMED)
    _equal(claims, "iss", issuer, GatewayReason.TOKEN_AUDIENCE)
    if audience is not None:
        _equal(claims, "aud", audience, GatewayReason.TOKEN_AUDIENCE)
    issued, expires, at = _time(claims, "iat"), _time(claims, "exp"), now.timestamp()
    if at >= expires:
        raise _wrong(GatewayReason.TOKEN_EXPIRED, "exp", f"after {int(at)}", expires)
    if issued > at + CLOCK_SKEW:
        raise _wrong(GatewayReason.TOKEN_EXPIRED, "iat", f"at most {int(at) + CLOCK_SKEW}", issued)
    if not isinstance(claims.get("submods"), dict) or not claims["submods"]:
        raise _wrong(GatewayReason.TOKEN_MALFORMED, "submods", "at least one", "none")
    return claims


def _equal(claims: Mapping[str, Any], name: str, wanted: str, reason: GatewayReason) -> None:
    if claims.get(name) != wanted:
        raise _wrong(reason, name, wanted, claims.get(name))


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int:
        raise _wrong(GatewayReason.TOKEN_MALFORMED, name, "an integer", value)
    return value


def _wrong(reason: GatewayReason, where: str, expected: str, found: object) -> GatewayError:
    shown = str(found)[:120]
    return GatewayError(
        reason,
        f"{where}: expected {expected}, found {shown}",
        where=f"token.{where}",
        expected=expected,
        found=shown,
    )
