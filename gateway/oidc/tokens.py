"""One token of an identity provider, checked against keys that we hold already. Pure: no clock, file, socket.

What must stay true: the header chooses among our keys by `kid` and nothing else. The algorithm is one that
the configuration names, and fits the type of the key; a key or the address of one inside the header is
refused, and so is `crit`. Issuer and audience are compared exactly, times without exception. Nothing else
of the token is kept: a person is known by issuer and subject, and is called by neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway import roles
from gateway.errors import GatewayError, GatewayReason
from gateway.oidc.settings import ALGORITHMS, WHOLE_GATEWAY, Oidc
from gateway.roles import Role
from verifiers.codec import b64, strictjson
from verifiers.errors import AttestationError

MAX_TOKEN = 16 * 1024
MAX_KEYS = 64
MAX_JWKS = 256 * 1024
SKEW = 30
"""Seconds by which the provider's clock may be ahead of ours."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_REFUSED = frozenset({"jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256", "crit", "b64", "zip", "enc"})
_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))

Key = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a token is about, and what they may do. tenant: "" is the whole gateway."""

    subject: str
    tenant: str
    roles: frozenset[Role]

    def __repr__(self) -> str:
        return f"Person({self.tenant!r})"


def keys_of(raw: bytes) -> Mapping[str, Key]:
    """The signing keys of a JWK set, by `kid`. Keys of other uses and types are passed over. Raises
    ValueError for what is no key set, has too many keys, or one `kid` twice."""
    try:
        value = strictjson.loads(raw, "jwks", limit=MAX_JWKS, max_depth=6)
    except AttestationError as error:
        raise ValueError(f"{error.where}: expected {error.expected}, found {error.found}") from None
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"expected a JWK set of at most {MAX_KEYS} keys")
    out: dict[str, Key] = {}
    for each in listed:
        key = _key(each)
        if key is not None and each["kid"] in out:
            raise ValueError("one kid is there twice")
        if key is not None:
            out[each["kid"]] = key
    return out


def kid_of(token: str, settings: Oidc) -> str:
    """Which key a token names; its header is checked, nothing else. Raises GatewayError(UNAUTHENTICATED)."""
    return str(_header(token, settings)["kid"])


def check(token: str, key: Key, settings: Oidc, now: datetime) -> Person:
    """Whom the token is about. key: the one that `kid_of` names.

    Raises GatewayError: UNAUTHENTICATED; and of a token that the provider did sign, ROLE when it gives no
    role here, FORBIDDEN when it gives no tenant or several.
    """
    algorithm = str(_header(token, settings)["alg"])
    if algorithm not in _fitting(key):
        raise refused("an algorithm that fits the key")
    try:
        payload = _JWS.decode(token, key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise refused("a signature of the identity provider") from None
    try:
        claims = strictjson.loads(payload, "claims", limit=MAX_TOKEN, max_depth=8)
    except AttestationError as error:
        raise refused(f"{error.where}: {error.expected}") from None
    if not isinstance(claims, dict):
        raise refused("an object of claims")
    _check_claims(claims, settings, int(now.timestamp()))
    return Person(claims["sub"], _tenant(claims, settings), _roles(claims, settings))


def refused(expected: str) -> GatewayError:
    return GatewayError(
        GatewayReason.UNAUTHENTICATED,
        f"token of the identity provider: expected {expected}",
        where="authorization",
        expected=expected,
        found="another",
    )


def _header(token: str, settings: Oidc) -> Mapping[str, Any]:
    parts = token.split(".") if len(token) <= MAX_TOKEN else []
    if len(parts) != 3:
        raise refused("header.payload.signature")
    try:
        for part in parts[1:]:
            b64.decode_url(part, "token", limit=MAX_TOKEN)
        raw = b64.decode_url(parts[0], "header", limit=2048)
        header = strictjson.loads(raw, "header", limit=2048, max_depth=3)
    except AttestationError as error:
        raise refused(f"{error.where}: {error.expected}") from None
    if not isinstance(header, dict) or _REFUSED & header.keys():
        raise refused("a header without keys and extensions of its own")
    if header.get("alg") not in settings.algorithms:
        raise refused(f"alg {' or '.join(settings.algorithms)}")
    if "typ" in header and str(header["typ"]).lower() not in _TYPES:
        raise refused("typ JWT or at+jwt, where there is one")
    if not isinstance(header.get("kid"), str):
        raise refused("the kid of a key")
    return header


def _check_claims(claims: Mapping[str, Any], settings: Oidc, now: int) -> None:
    if claims.get("iss") != settings.issuer:
        raise refused(f"iss {settings.issuer}")
    if claims.get("aud") not in (settings.audience, [settings.audience]):
        raise refused(f"aud {settings.audience} and no other")
    if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255:
        raise refused("sub: 1 to 255 characters")
    for name in ("iat", "exp", *(["nbf"] if "nbf" in claims else [])):
        if type(claims.get(name)) is not int or not 0 <= claims[name] < 2**40:
            raise refused(f"{name}: whole seconds")
    if now >= claims["exp"]:
        raise refused("one that has not expired: log in again")
    if claims["iat"] > now + SKEW or claims.get("nbf", 0) > now + SKEW:
        raise refused("one that counts already (check the clocks)")
    if claims["exp"] - claims["iat"] > settings.life_seconds:
        raise refused(f"a life of at most {settings.life_seconds} s")


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    found = claims.get(name)
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)]


def _roles(claims: Mapping[str, Any], settings: Oidc) -> frozenset[Role]:
    named = {r for value in _values(claims, settings.roles_claim) for r in settings.roles.get(value, ())}
    if not named:
        raise GatewayError(
            GatewayReason.ROLE,
            f"the identity provider gives no role here (claim {settings.roles_claim})",
            where="authorization",
            expected="a value that [oidc] roles names",
            found="none",
        )
    return roles.parse(sorted(named))


def _tenant(claims: Mapping[str, Any], settings: Oidc) -> str:
    found = {settings.tenants[v] for v in _values(claims, settings.tenant_claim) if v in settings.tenants}
    if settings.tenant is not None:
        found.add(settings.tenant)
    if len(found) != 1:
        raise GatewayError(
            GatewayReason.FORBIDDEN,
            f"the identity provider gives {len(found) or 'no'} tenants here (claim {settings.tenant_claim})",
            where="authorization",
            expected="one tenant",
            found=len(found),
        )
    (only,) = found
    return "" if only == WHOLE_GATEWAY else only


def _key(value: object) -> Key | None:
    """None for a key that is not for signatures, or of a type that no algorithm here has."""
    if not isinstance(value, dict) or not isinstance(value.get("kid"), str) or "d" in value:
        return None
    if value.get("use", "sig") != "sig" or value.get("kty") not in ("EC", "RSA", "OKP"):
        return None
    try:
        key = jwt.PyJWK({**value, "alg": value.get("alg") or _guess(value)}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return key if 2048 <= key.key_size <= 8192 else None
    return key if isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)) else None


def _guess(value: Mapping[str, Any]) -> str:
    return {"P-384": "ES384", "Ed25519": "EdDSA"}.get(
        str(value.get("crv")), "RS256" if value.get("kty") == "RSA" else "ES256"
    )


def _fitting(key: Key) -> tuple[str, ...]:
    if isinstance(key, rsa.RSAPublicKey):
        return ("RS256", "PS256")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ("EdDSA",)
    return {"secp256r1": ("ES256",), "secp384r1": ("ES384",)}.get(key.curve.name, ())
