"""Any text is a signed request of a known key, a token of a known provider, or refused by one of our errors.

Only what their owners signed is accepted; any bytes are a key set or a ValueError.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway import approval, signedrequests
from gateway.errors import GatewayError
from gateway.ledger.entry import canonical
from gateway.oidc import tokens
from gateway.oidc.settings import Oidc
from verifiers.codec import b64

_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = approval.of_public(_KEY.public_key())
_NOW = datetime(2026, 7, 1, tzinfo=UTC)
_AT = int(_NOW.timestamp())
_SETTINGS = Oidc(
    issuer="https://i.example", audience="a", algorithms=("EdDSA",), roles={"r": ("auditor",)}, tenant="acme"
)
_REQUEST = signedrequests.sign(
    _KEY, audience="g", method="PUT", target="/x", body=b"", now=_NOW, jti=bytes(16)
)


def _token() -> str:
    head = b64.encode_url(b'{"alg":"EdDSA","kid":"k"}')
    claims = {
        "iss": "https://i.example",
        "aud": "a",
        "sub": "s",
        "iat": _AT,
        "exp": _AT + 60,
        "groups": ["r"],
    }
    body = b64.encode_url(canonical(claims))
    return f"{head}.{body}.{b64.encode_url(_KEY.sign(f'{head}.{body}'.encode()))}"


_TOKEN = _token()
_RAW = _KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
_JWKS = canonical(
    {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64.encode_url(_RAW)}, {"kty": "oct"}]}
)


def seeds() -> list[bytes]:
    return [_REQUEST.encode(), _TOKEN.encode(), _JWKS, b"e30.e30.AA", b'{"keys":[{"kty":"RSA","kid":"r"}]}']


def target(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        signed = signedrequests.read(text)
        signedrequests.check(signed, _PUBLIC, audiences={"g"}, method="PUT", target="/x", now=_NOW)
        signedrequests.require_body(signed, b"")
    except GatewayError as error:
        assert error.reason == "request.unauthenticated"
    else:
        assert text == _REQUEST, "Ed25519 is deterministic, and there is one spelling"
    try:
        tokens.kid_of(text, _SETTINGS)
        found = tokens.check(text, _KEY.public_key(), _SETTINGS, _NOW)
    except GatewayError as error:
        assert error.reason == "request.unauthenticated"
    else:
        assert (text, found.tenant) == (_TOKEN, "acme")
    try:
        assert len(tokens.keys_of(data)) <= tokens.MAX_KEYS
    except ValueError:
        assert data != _JWKS
