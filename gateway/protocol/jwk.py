"""The attested public key: a JWK read strictly (RFC 7517, RFC 7518 section 6).

Only what the wrap needs is accepted. A private member is refused by name, because a guest that sends one
has given its key away; certificates and URLs are refused, because a key is trusted for being inside signed
report data and for nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.errors import GatewayError, GatewayReason
from gateway.protocol.names import refuse
from verifiers.codec import b64

ECDH_ALG, RSA_ALG = "ECDH-ES+A256KW", "RSA-OAEP-256"
"""The key management algorithm follows from the key type alone; a JWK may repeat it, never choose it."""

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_CURVES: Mapping[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_REQUIRED = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
_OPTIONAL = frozenset({"alg", "kid", "use"})


@dataclass(frozen=True, slots=True)
class AttestedKey:
    """A validated public key. jwk: the required members only, sorted. alg: how to wrap to it. thumbprint: RFC
    7638, SHA-256, base64url. public: the key that the members say."""

    alg: str
    jwk: Mapping[str, str]
    thumbprint: str
    public: PublicKey = field(repr=False, compare=False)


def parse(value: object, where: str) -> AttestedKey:
    """Read a public JWK: EC on P-256, P-384 or P-521, or RSA of 2048..4096 bits with exponent 65537.

    Raises GatewayError: "request.private-key" when any private member is there, "request.key" for
    everything else (other types and curves, a point that is not on its curve, unknown members).
    """
    if not isinstance(value, dict):
        raise _bad(where, "a public JWK", type(value).__name__)
    private = sorted(_PRIVATE & value.keys())
    if private:
        raise refuse(
            where,
            expected="a public key only",
            found=f"private member {private[0]!r}",
            reason=GatewayReason.REQUEST_PRIVATE_KEY,
        )
    kty = value.get("kty")
    if not isinstance(kty, str) or kty not in _REQUIRED:
        raise _bad(f"{where}.kty", "EC or RSA", kty)
    required = _REQUIRED[kty]
    for name in required:
        if not isinstance(value.get(name), str):
            raise _bad(f"{where}.{name}", "a string", type(value.get(name)).__name__)
    unknown = sorted(value.keys() - set(required) - _OPTIONAL)
    if unknown:
        raise _bad(where, f"members {', '.join(required)}", f"unknown member {unknown[0][:32]!r}")
    jwk = {name: value[name] for name in required}
    public = _elliptic(jwk, where) if kty == "EC" else _rsa(jwk, where)
    alg = ECDH_ALG if kty == "EC" else RSA_ALG
    _check_optional(value, alg, where)
    return AttestedKey(alg, jwk, _thumbprint(jwk), public)


def _thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 section 3: the required members, sorted. None has a character that JSON escapes: curve and
    type are known words, the rest is base64url."""
    text = ",".join(f'"{name}":"{jwk[name]}"' for name in sorted(jwk))
    return b64.encode_url(hashlib.sha256(f"{{{text}}}".encode()).digest())


def _elliptic(jwk: Mapping[str, str], where: str) -> ec.EllipticCurvePublicKey:
    if jwk["crv"] not in _CURVES:
        raise _bad(f"{where}.crv", "P-256, P-384 or P-521", jwk["crv"])
    curve, size = _CURVES[jwk["crv"]]
    numbers = []
    for name in ("x", "y"):
        raw = b64.decode_url(jwk[name], f"{where}.{name}", limit=size)
        if len(raw) != size:
            raise _bad(f"{where}.{name}", f"{size} bytes", f"{len(raw)} bytes")
        numbers.append(int.from_bytes(raw, "big"))
    try:
        return ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], curve).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _bad(where, f"a point on {jwk['crv']}", "a point that is not") from None


def _rsa(jwk: Mapping[str, str], where: str) -> rsa.RSAPublicKey:
    if jwk["e"] != "AQAB":
        raise _bad(f"{where}.e", "AQAB (65537)", jwk["e"])
    raw = b64.decode_url(jwk["n"], f"{where}.n", limit=512)
    modulus = int.from_bytes(raw, "big")
    if not raw or raw[0] == 0 or not 2048 <= modulus.bit_length() <= 4096 or not modulus & 1:
        raise _bad(f"{where}.n", "an odd modulus of 2048..4096 bits", f"{modulus.bit_length()} bits")
    try:
        return rsa.RSAPublicNumbers(65537, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _bad(f"{where}.n", "an RSA modulus", "a number that is none") from None


def _check_optional(value: Mapping[str, object], alg: str, where: str) -> None:
    if value.get("alg", alg) != alg:
        raise _bad(f"{where}.alg", alg, value["alg"])
    if value.get("use", "enc") != "enc":
        raise _bad(f"{where}.use", "enc", value["use"])
    kid = value.get("kid", "")
    if not isinstance(kid, str) or len(kid) > 128:
        raise _bad(f"{where}.kid", "a string of at most 128 characters", type(kid).__name__)


def _bad(where: str, expected: str, found: object) -> GatewayError:
    shown = found if isinstance(found, str) else type(found).__name__
    return refuse(where, expected=expected, found=shown[:40], reason=GatewayReason.REQUEST_KEY)
