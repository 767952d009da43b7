"""Names that travel in URLs and documents: tenants and secret paths. One spelling each."""

from __future__ import annotations

import re

from gateway.errors import GatewayError, GatewayReason

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
MAX_PATH, MAX_SEGMENTS = 512, 16


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
    """Segments of letters, digits, '.', '_' and '-' joined by '/'; none starts with '.' or '-'.

    So a path has one spelling, cannot climb, and needs no escaping in a URL. Raises
    GatewayError("release.path").
    """
    if (
        not isinstance(text, str)
        or len(text) > MAX_PATH
        or text.count("/") >= MAX_SEGMENTS
        or not all(_SEGMENT.match(segment) for segment in text.split("/"))
    ):
        raise refuse(
            where,
            expected="segments of A-Z a-z 0-9 . _ - joined by /",
            found=repr(_clip(text)),
            reason=GatewayReason.SECRET_PATH,
        )
    return text


def _clip(text: object) -> str:
    shown = text if isinstance(text, str) else type(text).__name__
    return shown if len(shown) <= 40 else shown[:40] + "…"
