"""The signed release: what tells a guest that a secret is the gateway's and meant for it, now.

Anybody can encrypt to a public key, so the JWE alone proves nothing to the guest. The statement around it
is signed, and names the guest's own nonce, audience and path; the JWE inside it names the tenant.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from gateway.errors import GatewayError, GatewayReason
from gateway.release.wrap import PrivateKey, unwrap
from gateway.token import jws

TYP = "sealgate-release+jws"
_MEMBERS = frozenset({"iss", "aud", "nonce", "path", "version", "lease", "jwe"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a guest knows before it asks: from its measured configuration, and from its own request."""

    iss: str
    aud: str
    nonce: str
    path: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A secret that arrived. lease: how long the policy lets it be held; None when it says nothing."""

    secret: bytes
    version: int
    lease: timedelta | None

    def __repr__(self) -> str:
        return f"Opened(version={self.version}, lease={self.lease}, secret: {len(self.secret)} bytes)"


def statement(
    *, iss: str, aud: str, nonce: str, path: str, version: int, lease: timedelta | None, jwe: str
) -> bytes:
    """The payload that the gateway signs. `aud` and `nonce` are the guest's own, from its runtime data."""
    return msgspec.json.encode(
        {
            "iss": iss,
            "aud": aud,
            "nonce": nonce,
            "path": path,
            "version": version,
            "lease": None if lease is None else int(lease.total_seconds()),
            "jwe": jwe,
        }
    )


def open_release(token: str, jwks: Mapping[str, Any], private_key: PrivateKey, expected: Expected) -> Opened:
    """Check a release as a guest must, then open it.

    Raises GatewayError: "token.malformed", "token.signature", or "token.audience" when issuer, audience,
    nonce, path or tenant is not what the guest asked for.
    """
    payload = jws.claims(jws.verify(token, jwks, typ=TYP))
    if payload.keys() != _MEMBERS:
        raise _wrong(GatewayReason.TOKEN_MALFORMED, "payload", "the seven members", "others")
    for name in ("iss", "aud", "nonce", "path"):
        found, wanted = payload[name], getattr(expected, name)
        if not isinstance(found, str) or not hmac.compare_digest(found.encode(), wanted.encode()):
            raise _wrong(GatewayReason.TOKEN_AUDIENCE, name, wanted, str(found)[:120])
    version, lease, sealed = payload["version"], payload["lease"], payload["jwe"]
    if type(version) is not int or version < 1 or not isinstance(sealed, str):
        raise _wrong(GatewayReason.TOKEN_MALFORMED, "version", "a positive integer", str(version)[:40])
    if lease is not None and (type(lease) is not int or lease < 0):
        raise _wrong(GatewayReason.TOKEN_MALFORMED, "lease", "seconds or null", str(lease)[:40])
    return Opened(
        secret=unwrap(sealed, private_key, expected.tenant),
        version=version,
        lease=None if lease is None else timedelta(seconds=lease),
    )


def _wrong(reason: GatewayReason, where: str, expected: str, found: str) -> GatewayError:
    return GatewayError(
        reason,
        f"the release is not the answer to this request: {where}",
        where=f"release.{where}",
        expected=expected,
        found=found,
    )
