"""Requests that an administrator's key signs: a credential that nobody can use for anything else.

    Authorization: Signed header.payload.signature

A compact JWS (ES256 or EdDSA) of type "sealgate-request", whose payload names our issuer, the method, the
path with its query, the digest of the body, and a `jti`. It lives for a minute at most and counts once.
What is sent gives whoever sees it nothing: not another request, not the same one again, not at another
gateway. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from gateway import approval
from gateway.approval import ApprovalKey, PrivateKey
from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.entry import canonical
from verifiers.codec import b64, strictjson
from verifiers.errors import AttestationError

SCHEME = "signed"
TYP = "sealgate-request"
LIFE = timedelta(seconds=60)
SKEW = timedelta(seconds=30)
"""By how much the administrator's clock may be ahead of ours."""
MAX_TOKEN = 16 * 1024
_MAX_PAYLOAD = 12 * 1024
_MEMBERS = frozenset({"aud", "iat", "exp", "jti", "method", "target", "body"})
_YEAR_9999 = 253370764800


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature says. parts: the three of the token, as they were sent. Nothing is checked yet but its
    shape."""

    kid: str
    algorithm: str
    payload: Mapping[str, Any]
    parts: tuple[str, str, str]

    @property
    def expires(self) -> datetime:
        return datetime.fromtimestamp(self.payload["exp"], UTC)

    @property
    def once(self) -> bytes:
        """What counts once: 32 bytes."""
        return hashlib.sha256(f"{TYP}\n{self.kid}\n{self.payload['jti']}".encode()).digest()


def sign(
    private: PrivateKey, *, audience: str, method: str, target: str, body: bytes, now: datetime, jti: bytes
) -> str:
    """The credential of one request. target: path as text, not quoted, and "?…" as it is sent. jti: 16 random
    bytes. Raises GatewayError("approval.key") for a key on another curve."""
    key = approval.of_public(private.public_key())
    issued = int(now.timestamp())
    payload = {
        "aud": audience,
        "iat": issued,
        "exp": issued + int(LIFE.total_seconds()),
        "jti": b64.encode_url(jti),
        "method": method,
        "target": target,
        "body": _digest(body),
    }
    headers = {"typ": TYP, "kid": key.thumbprint}
    return jwt.PyJWS().encode(canonical(payload), private, algorithm=key.algorithm, headers=headers)


def read(token: str) -> Signed:
    """Raises GatewayError(UNAUTHENTICATED) for whatever has another shape."""
    parts = token.split(".") if len(token) <= MAX_TOKEN else []
    if len(parts) != 3:
        raise refused("header.payload.signature")
    try:
        header: Any = _json(parts[0], "header", 512)
        payload: Any = _json(parts[1], "payload", _MAX_PAYLOAD)
        b64.decode_url(parts[2], "signature", limit=64)
    except AttestationError as error:
        raise refused(f"{error.where}: {error.expected}") from None
    if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"} or header["typ"] != TYP:
        raise refused(f"a header of alg, kid and typ {TYP}")
    if not isinstance(header["kid"], str) or header["alg"] not in ("ES256", "EdDSA"):
        raise refused("ES256 or EdDSA, and a key's thumbprint")
    if not isinstance(payload, dict) or payload.keys() != _MEMBERS:
        raise refused("a payload of " + ", ".join(sorted(_MEMBERS)))
    for name, value in payload.items():
        if name not in ("iat", "exp") and not isinstance(value, str):
            raise refused(f"{name}: text")
    for name in ("iat", "exp"):
        if type(payload[name]) is not int or not 0 <= payload[name] < _YEAR_9999:
            raise refused(f"{name}: a time")
    if not 16 <= len(payload["jti"]) <= 64:
        raise refused("jti: 16 to 64 characters")
    return Signed(header["kid"], header["alg"], payload, (parts[0], parts[1], parts[2]))


def check(
    signed: Signed, key: ApprovalKey, *, audiences: Collection[str], method: str, target: str, now: datetime
) -> None:
    """Raises GatewayError(UNAUTHENTICATED) unless this key signed exactly this request, for us, just now. Of
    the body nothing is known yet: see `require_body`; nor whether it counted before: `Signed.once`."""
    message = f"{signed.parts[0]}.{signed.parts[1]}".encode("ascii")
    raw = b64.decode_url(signed.parts[2], "signature", limit=64)
    right = signed.algorithm == key.algorithm and signed.kid == key.thumbprint and len(raw) == 64
    if not right or not approval.verifies(key.public, raw, message):
        raise refused("a signature of a key that counts")
    payload, at = signed.payload, int(now.timestamp())
    if payload["aud"] not in audiences:
        raise refused("one for this gateway (aud)")
    if (payload["method"], payload["target"]) != (method, target):
        raise refused(f"one for {method} {target}")
    if payload["exp"] - payload["iat"] > LIFE.total_seconds() or at >= payload["exp"]:
        raise refused("one made within the last minute (check your clock)")
    if payload["iat"] > at + SKEW.total_seconds():
        raise refused("one that is not from the future (check your clock)")


def require_body(signed: Signed, body: bytes) -> None:
    """Raises GatewayError(UNAUTHENTICATED) for a body that was not signed."""
    if signed.payload["body"] != _digest(body):
        raise refused("the body that was signed")


def refused(expected: str) -> GatewayError:
    return GatewayError(
        GatewayReason.UNAUTHENTICATED,
        f"signed request: expected {expected}",
        where="authorization",
        expected=expected,
        found="another",
    )


def _json(part: str, where: str, limit: int) -> object:
    return strictjson.loads(b64.decode_url(part, where, limit=limit), where, limit=limit, max_depth=2)


def _digest(body: bytes) -> str:
    return b64.encode_url(hashlib.sha256(body).digest())
