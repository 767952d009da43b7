"""What becomes of a request once its route is known: limits, roles, media types, errors. One place for all.

Everything is read from the WSGI environ, so that it does not matter who found the route.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from gateway.errors import GatewayError, GatewayReason
from gateway.http import body as bodies
from gateway.http import callers, clients, problem
from gateway.http.handlers import Site
from gateway.http.message import Call, Reply
from gateway.http.routes import Route
from gateway.ports import DEFAULT_TENANT
from gateway.protocol.names import tenant_name
from policies.errors import PolicyError

Environ = Mapping[str, Any]
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MOST_FORWARDED = 1024
"""Characters of X-Forwarded-For that are looked at, the last ones: more than the hops that count can have."""


def answer(site: Site, route: Route, environ: Environ, params: Mapping[str, str]) -> Reply:
    """The reply, whatever happens. params: what the path has in the places of `<name>`."""
    try:
        reply = route.handler(site, _call(site, route, environ, params))
    except Exception as error:
        reply = _failed(route, error).reply()
    site.metrics.count("sealgate_http_requests_total", route=route.path, status=str(reply.status))
    return reply


def turned_away(site: Site, route: Route, environ: Environ, params: Mapping[str, str]) -> Reply | None:
    """The reply to somebody who may not call, from the head of the request alone; None for who may. What it
    lets pass is looked at again when the body is there: a credential may have ended meanwhile."""
    try:
        callers.caller(site, route, environ, tenant_name(params.get("tenant", DEFAULT_TENANT), "tenant"))
    except Exception as error:
        reply = problem.closing(_failed(route, error)).reply()
        site.metrics.count("sealgate_http_requests_total", route=route.path, status=str(reply.status))
        return reply
    return None


def _failed(route: Route, error: Exception) -> problem.Problem:
    """What is wrong with documents is told to administrators only: to a guest it is our own fault."""
    if isinstance(error, PolicyError) and not route.access.open:
        return problem.of_documents(error)
    return failure(error)


def failure(error: Exception) -> problem.Problem:
    found = problem.of(error)
    # The body of a request that was refused early was not read: this connection cannot be used again.
    if found.status in (400, 408, 413, 415, 401):
        return problem.closing(found)
    return found


def fixed_headers(site: Site) -> dict[str, str]:
    """What every reply has."""
    fixed = _HEADERS | {"Sealgate-Mode": site.mode}
    if site.config.tls.enabled:
        fixed["Strict-Transport-Security"] = "max-age=31536000"
    return fixed


def _call(site: Site, route: Route, environ: Environ, params: Mapping[str, str]) -> Call:
    """Who, then where, then what: nothing is read from somebody who may not call."""
    tenant = tenant_name(params.get("tenant", DEFAULT_TENANT), "tenant")
    found = callers.caller(site, route, environ, tenant)
    body = b""
    if route.body:
        body = bodies.read(environ, route.body)
        if body or not route.empty:
            _check_media_type(route, environ)
    if found is not None:
        callers.spend(site, found, body)
    who = None if found is None else found.who
    return Call(
        tenant=tenant,
        body=body,
        params=params,
        query=_query(environ),
        who=None if who is None else who.id,
        wide=who is not None and who.tenant == "",
        peer=_client(environ, site.config.limits.proxies),
    )


def _client(environ: Environ, proxies: tuple[str, ...]) -> str:
    """What is remembered is keyed by addresses, and by what our own proxies say: nobody else fills memory."""
    peer = environ.get("REMOTE_ADDR", "")
    named = environ.get("HTTP_X_FORWARDED_FOR", "")[-_MOST_FORWARDED:] if _ours(peer, proxies) else ""
    return _network(peer, named, proxies)


@functools.lru_cache(maxsize=1024)
def _ours(peer: str, proxies: tuple[str, ...]) -> bool:
    return clients.address(peer) in map(clients.address, proxies)


@functools.lru_cache(maxsize=1024)
def _network(peer: str, forwarded: str, proxies: tuple[str, ...]) -> str:
    return clients.network(clients.client(peer, forwarded, frozenset(map(clients.address, proxies))))


def _check_media_type(route: Route, environ: Environ) -> None:
    found = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if found not in route.accepts:
        raise GatewayError(
            GatewayReason.REQUEST_MEDIA_TYPE,
            f"Content-Type: expected {' or '.join(route.accepts)}",
            where="Content-Type",
            expected=" or ".join(route.accepts),
            found=repr(found[:64]),
        )


def _query(environ: Environ) -> Mapping[str, str]:
    """The first value of each name."""
    text = environ.get("QUERY_STRING", "")
    return dict(reversed(parse_qsl(text, keep_blank_values=True))) if text else {}
