"""What an operator decides about an identity provider: the `[oidc]` table of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gateway.roles import known_names

ALGORITHMS = ("ES256", "ES384", "EdDSA", "RS256", "PS256")
"""Those that can be chosen; each has one type of key."""
WHOLE_GATEWAY = "*"
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?|\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """issuer: exactly as tokens name it. audience: the one audience they must name. jwks_file: its keys,
    from a file; jwks_uri: where they are fetched, when not where its discovery document on its own host
    says. ca_file: PEM certificates that vouch for its TLS server. algorithms: those that count.
    roles_claim: the claim whose values `roles` turns into roles. tenant_claim, tenants: the same for the
    one tenant; tenant: everybody's; "*" is the whole gateway. life_seconds: most that a token may live.
    """

    issuer: str
    audience: str
    jwks_file: Path | None = None
    jwks_uri: str | None = None
    ca_file: Path | None = None
    algorithms: tuple[str, ...] = ("ES256",)
    roles_claim: str = "groups"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    tenant: str | None = None
    tenant_claim: str = "groups"
    tenants: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    life_seconds: int = 12 * 3600


def is_tenant(text: str) -> bool:
    """A tenant's name, or "*"."""
    return _TENANT.fullmatch(text) is not None


def faults(settings: Oidc) -> Iterator[str]:
    """What is wrong with it: the key, what was expected, what was found."""
    if not settings.algorithms or not set(settings.algorithms) <= set(ALGORITHMS):
        yield f"algorithms: expected some of {', '.join(ALGORITHMS)}, found {list(settings.algorithms)}"
    if settings.jwks_file is not None and settings.jwks_uri is not None:
        yield "jwks_file: expected without jwks_uri, found both"
    for file in (settings.jwks_file, settings.ca_file):
        if file is not None and not file.is_file():
            yield f"jwks_file, ca_file: expected a file, found nothing at {file}"
    for value, named in settings.roles.items():
        if not named or not set(named) <= set(known_names()):
            yield f"roles.{value}: expected some of {', '.join(known_names())}, found {list(named)}"
    for text in (*settings.tenants.values(), *([] if settings.tenant is None else [settings.tenant])):
        if not is_tenant(text):
            yield f"tenant, tenants: expected a tenant, or '*' for the whole gateway, found {text!r}"
    if not settings.roles or not (settings.tenants or settings.tenant):
        yield "roles, tenant, tenants: expected roles and a tenant for somebody, found none"
