"""Who calls, and whether they may: decided from the head of a request, before a byte of its body is read.

One place for all routes. What a route asks for stands in the table (`routes.py`); nothing else lets anybody
in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import admins
from gateway.admins import Administrator
from gateway.errors import GatewayError, GatewayReason
from gateway.http.handlers import Site
from gateway.http.routes import Route
from gateway.roles import Access, Role


def caller(site: Site, route: Route, environ: Mapping[str, Any], tenant: str) -> Administrator | None:
    """The administrator who calls and may; None where nobody needs to be one.

    Raises GatewayError: UNAUTHENTICATED, the same for every cause; FORBIDDEN for another tenant's, and where
    only the whole gateway's may; ROLE without one of the roles that the route names.
    """
    if route.access.open:
        return None
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        token = ""
    found = admins.authenticate(token.strip(), store=site.administrators)
    permit(route.access, found, tenant)
    return found


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
