"""Names that travel in URLs and documents: tenants and secret paths. One spelling each."""

from __future__ import annotations

import re

from gateway.errors import GatewayError, GatewayReason
from policies.paths import MAX_SEGMENTS, is_path

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


def refuse(
    where: str, *, expected: str, found: str, reason: GatewayReason = GatewayReason.REQUEST_MALFORMED
) -> GatewayError:
    """The error for a request that cannot be read; the peer is told all of it, for it is the peer's own."""
    detail = f"{where}: expected {expected}, found {found}"
    return GatewayError(reason, detail, where=where, expected=expected, found=found)


def tenant_name(text: object, where: str) -> str:
    """1..63 characters a-z, 0-9 and '-', as in a DNS label. Raises GatewayError("request.malformed")."""
    if not isinstance(text, str) or not _TENANT.match(text):
        raise refuse(where, expected="a tenant: 1..63 of a-z 0-9 -", found=repr(_clip(text)))
    return text


def secret_path(text: object, where: str) -> str:
    """A path as `policies.paths` defines it: one spelling, no climbing, no escaping in a URL.

    Raises GatewayError("release.path").
    """
    if not isinstance(text, str) or not is_path(text):
        raise refuse(
            where,
            expected=f"1..{MAX_SEGMENTS} segments of A-Z a-z 0-9 . _ - joined by /",
            found=repr(_clip(text)),
            reason=GatewayReason.SECRET_PATH,
        )
    return text


def _clip(text: object) -> str:
    shown = text if isinstance(text, str) else type(text).__name__
    return shown if len(shown) <= 40 else shown[:40] + "…"
