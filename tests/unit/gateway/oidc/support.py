"""An identity provider's keys and tokens, as it would make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.oidc.settings import Oidc
from tests.stores import START
from verifiers.codec import b64

EC = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
ISSUER = "https://login.example"
SETTINGS = Oidc(
    issuer=ISSUER,
    audience="sealgate",
    roles=MappingProxyType(
        {"authors": ("policy-author",), "ops": ("operator", "auditor"), "boss": ("owner",)}
    ),
    tenants=MappingProxyType({"acme-team": "acme", "globex-team": "globex", "platform": "*"}),
)


def jwk(private: Any, kid: str, **more: Any) -> dict[str, Any]:
    kinds: Mapping[type, Any] = {
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
    }
    (kind,) = [made for each, made in kinds.items() if isinstance(private, each)]
    return {**kind.to_jwk(private.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def claims(now: datetime = START, **changes: Any) -> dict[str, Any]:
    at = int(now.timestamp())
    out = {
        "iss": ISSUER, "aud": "sealgate", "sub": "alice@acme.example", "iat": at, "exp": at + 3600,
        "groups": ["authors", "acme-team", "everybody"], "email": "alice@acme.example", **changes,
    }  # fmt: skip
    return {name: value for name, value in out.items() if value is not None}


def token(payload: Mapping[str, Any], private: Any = EC, algorithm: str = "ES256", **header: Any) -> str:
    """Signed whatever the header says: `jwt.encode` would refuse some."""
    named = {"kid": "k1", "alg": algorithm, **header}
    named = {name: value for name, value in named.items() if value is not None}
    parts = [b64.encode_url(json.dumps(each).encode()) for each in (named, dict(payload))]
    maker = jwt.PyJWS().get_algorithm_by_name(algorithm)
    return ".".join([*parts, b64.encode_url(maker.sign(".".join(parts).encode(), private))])
