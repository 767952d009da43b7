"""Who calls, and whether they may: decided from the head of a request, before a byte of its body is read.

One place for all routes. What a route asks for stands in the table (`routes.py`); nothing else lets anybody
in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway import admins, signedrequests
from gateway.admins import Administrator
from gateway.errors import GatewayError, GatewayReason
from gateway.http.handlers import Site
from gateway.http.routes import Route
from gateway.roles import Access, Role
from gateway.signedrequests import Signed

EVERY_TENANT = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. signed: by which signature, if they sign their requests: it has not counted yet."""

    who: Administrator
    signed: Signed | None = None


def caller(site: Site, route: Route, environ: Mapping[str, Any], tenant: str) -> Caller | None:
    """The administrator who calls and may; None where nobody needs to be one.

    Raises GatewayError: UNAUTHENTICATED; FORBIDDEN for another tenant's, and where only the whole gateway's
    may; ROLE without one of the roles that the route names.
    """
    if not asks(site, route.access, tenant):
        return None
    found = _known(site, environ)
    permit(route.access, found.who, tenant)
    return found


def asks(site: Site, access: Access, tenant: str) -> bool:
    """Whether a credential is needed: where a tenant may demand one, if it does."""
    if not access.open:
        return True
    return bool(access.roles) and not {tenant, EVERY_TENANT}.isdisjoint(site.config.verify_credentials)


def spend(site: Site, found: Caller, body: bytes) -> None:
    """Let a signature count, this once, for this body. Raises GatewayError(UNAUTHENTICATED)."""
    if found.signed is not None:
        signedrequests.require_body(found.signed, body)
        if not site.gateway.nonces.consume("", found.signed.once, found.signed.expires):
            raise signedrequests.refused("one that was not used yet")


def _known(site: Site, environ: Mapping[str, Any]) -> Caller:
    scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = given.strip()
    if scheme.lower() == signedrequests.SCHEME:
        signed = signedrequests.read(token)
        who, key = admins.by_key(signed.kid, store=site.administrators)
        signedrequests.check(
            signed,
            key,
            audiences=site.gateway.audiences,
            method=environ["REQUEST_METHOD"],
            target=_target(environ),
            now=site.gateway.clock.now(),
        )
        return Caller(who, signed)
    if scheme.lower() != "bearer":
        token = ""
    if site.provider is not None and token.count(".") == 2:
        return Caller(site.provider.administrator(token, site.gateway.clock))
    return Caller(admins.authenticate(token, store=site.administrators))


def _target(environ: Mapping[str, Any]) -> str:
    """The path as text and the query as it was sent: what a signature names. Raises
    GatewayError(UNAUTHENTICATED) for a path that could be read as another one with a query, or is no text."""
    try:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise signedrequests.refused("a path in UTF-8") from None
    if "?" in path:
        raise signedrequests.refused("a path without a question mark of its own")
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def permit(access: Access, who: Administrator, tenant: str) -> None:
    """Raises GatewayError, FORBIDDEN or ROLE, unless they may do this to this tenant."""
    if who.tenant not in ("", tenant):
        raise _forbidden("this administrator belongs to another tenant", f"tenant {tenant}", who.tenant)
    if access.wide and who.tenant != "":
        said = "this belongs to the whole gateway"
        raise _forbidden(said, "an administrator of the whole gateway", who.tenant)
    if not access.roles & who.roles:
        wanted, held = _names(access.roles), _names(who.roles) or "none"
        raise GatewayError(
            GatewayReason.ROLE,
            f"this takes the role {wanted}; found {held}",
            where="authorization",
            expected=wanted,
            found=held,
        )


def _names(roles: frozenset[Role]) -> str:
    return " or ".join(role for role in Role if role in roles)


def _forbidden(said: str, expected: str, tenant: str) -> GatewayError:
    return GatewayError(
        GatewayReason.FORBIDDEN, said, where="authorization", expected=expected, found=f"tenant {tenant}"
    )
