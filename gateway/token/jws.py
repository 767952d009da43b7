"""Making a compact JWS, and checking one against a key set that was obtained beforehand (RFC 7515, RFC 8725).

When checking, the header chooses among *our* keys by `kid` and nothing else: the algorithm is ES256 whatever
it says, a key inside the header is refused, and so is `crit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from gateway.errors import GatewayError, GatewayReason
from verifiers.codec import b64, strictjson
from verifiers.errors import EvidenceFormatError

ALGORITHM = "ES256"
MAX_TOKEN = 512 * 1024
_FOREIGN_KEYS = frozenset({"jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256"})
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])
_ES256 = ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)


def sign(header: Mapping[str, str], payload: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Compact JWS of `payload`, ES256. header: without `alg`, which is added here. key: on P-256."""
    protected = json.dumps({**header, "alg": ALGORITHM}, separators=(",", ":"), sort_keys=True)
    signed = f"{b64.encode_url(protected.encode())}.{b64.encode_url(payload)}"
    return f"{signed}.{b64.encode_url(_ES256.sign(signed.encode(), key))}"


def verify(token: str, jwks: Mapping[str, Any], *, typ: str) -> bytes:
    """Payload of `token`, signed with ES256 by the key of `jwks` that its `kid` names, of type `typ`.

    Raises GatewayError: "token.malformed" for what cannot be read or has a header we refuse,
    "token.signature" when no key of the set signed it.
    """
    header = _header(token)
    forbidden = sorted((_FOREIGN_KEYS | {"crit", "b64"}) & header.keys())
    if forbidden:
        raise _bad("header", "no key and no extension of its own", forbidden[0])
    if header.get("alg") != ALGORITHM:
        raise _bad("header.alg", ALGORITHM, header.get("alg"))
    if header.get("typ") != typ:
        raise _bad("header.typ", typ, header.get("typ"))
    key = _key(jwks, header.get("kid"))
    try:
        payload = _JWS.decode(token, key, algorithms=[ALGORITHM])
    except jwt.InvalidSignatureError:
        raise _unsigned("a signature of that key", "another") from None
    except jwt.PyJWTError as error:
        raise _bad("token", "a compact JWS", type(error).__name__) from None
    if not isinstance(payload, bytes):
        raise _bad("payload", "bytes", type(payload).__name__)
    return payload


def claims(payload: bytes) -> dict[str, Any]:
    """The payload as a JSON object, read strictly. Raises GatewayError("token.malformed")."""
    try:
        value = strictjson.loads(payload, "payload", limit=MAX_TOKEN)
    except EvidenceFormatError as error:
        raise _bad(error.where, error.expected, error.found) from None
    if not isinstance(value, dict):
        raise _bad("payload", "an object", type(value).__name__)
    return value


def _header(token: str) -> Mapping[str, Any]:
    parts = token.split(".") if len(token) <= MAX_TOKEN else []
    if len(parts) != 3:
        raise _bad("token", "three parts joined by '.'", f"{len(parts)} parts")
    try:
        for part in parts[1:]:
            b64.decode_url(part, "token", limit=MAX_TOKEN)
        header = strictjson.loads(
            b64.decode_url(parts[0], "header", limit=4096), "header", limit=4096, max_depth=4
        )
    except EvidenceFormatError as error:
        raise _bad(error.where, error.expected, error.found) from None
    if not isinstance(header, dict):
        raise _bad("header", "an object", type(header).__name__)
    return header


def _key(jwks: Mapping[str, Any], kid: object) -> ec.EllipticCurvePublicKey:
    keys = jwks.get("keys")
    found = [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict)
        and isinstance(kid, str)
        and key.get("kid") == kid
        and key.get("kty") == "EC"
        and key.get("crv") == "P-256"
        and key.get("alg", ALGORITHM) == ALGORITHM
        and key.get("use", "sig") == "sig"
    ]
    if len(found) != 1:
        raise _unsigned("a key of the set", f"{len(found)} keys for kid {str(kid)[:64]!r}")
    try:
        key = ECAlgorithm(ECAlgorithm.SHA256).from_jwk(found[0])
    except (jwt.PyJWTError, ValueError) as error:
        raise _unsigned("a P-256 key", type(error).__name__) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _unsigned("a public key", "a private one")
    return key


def _bad(where: str, expected: str, found: object) -> GatewayError:
    shown = str(found)[:64]
    return GatewayError(
        GatewayReason.TOKEN_MALFORMED,
        f"{where}: expected {expected}, found {shown}",
        where=where,
        expected=expected,
        found=shown,
    )


def _unsigned(expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.TOKEN_SIGNATURE,
        "no key of this issuer signed the token",
        where="token.signature",
        expected=expected,
        found=found,
    )
